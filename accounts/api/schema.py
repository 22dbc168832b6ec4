"""What the API's schema says of our own ways of logging in."""

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema

from accounts.api.authentication import HEADER, SCHEME


class ApiKeyScheme(OpenApiAuthenticationExtension):
    """Describes the header in the API's schema."""

    target_class = "accounts.api.authentication.ApiKeyAuthentication"
    name = "apiKeyAuth"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:  # noqa: ARG002 - its signature
        """Give the OpenAPI security scheme."""
        return {
            "type": "apiKey",
            "in": "header",
            "name": HEADER,
            "description": f"A program's key; `Authorization: {SCHEME} KEY` does the same. Never part of an address.",
        }
