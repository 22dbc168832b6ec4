"""What the API's schema says of who may call an operation, and how they say who they are."""

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema

from accounts.api.access import IN_PERSON, PUBLIC, RUNS_INSTALLATION, declared_access
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


class DeclaredSchema(AutoSchema):
    """Describes an operation; what opens it is what its view declares in `access`."""

    def get_auth(self) -> list[dict[str, list[str]]]:
        """Give nothing for what is public, and no key for what people do in person."""
        rule = declared_access(self.view, self.method)
        if rule == PUBLIC:
            return []
        in_person = rule in (IN_PERSON, RUNS_INSTALLATION)
        return [one for one in super().get_auth() if not (in_person and ApiKeyScheme.name in one)]
