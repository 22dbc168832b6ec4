"""What the API's schema says of who may call an operation, and how they say who they are."""

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import is_list_serializer, is_serializer
from drf_spectacular.utils import OpenApiParameter

from accounts.api.access import IN_PERSON, PUBLIC, RUNS_INSTALLATION, declared_access
from accounts.api.authentication import HEADER, SCHEME
from accounts.api.promises import fields


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
    """Describes an operation; what opens it is what its view declares in `access`.

    What every operation of its kind promises is added here, so that no view has to say it.
    """

    def get_auth(self) -> list[dict[str, list[str]]]:
        """Give what opens it: no key where people do it in person; nothing, or what may be sent too, in public."""
        rule, auth = declared_access(self.view, self.method), super().get_auth()
        if rule in (PUBLIC, IN_PERSON, RUNS_INSTALLATION):
            auth = [one for one in auth if ApiKeyScheme.name not in one]
        return [{}, *auth] if rule == PUBLIC and auth else auth

    def get_override_parameters(self) -> list[OpenApiParameter]:
        """Give the parameters that its kind of operation takes, beside those that it documents itself."""
        return [*super().get_override_parameters(), *([fields.PARAMETER] if self._is_sparse() else ())]

    def _is_sparse(self) -> bool:
        """Whether it answers with JSON whose fields may be chosen."""
        if self.method != "GET" or not getattr(self.view, "sparse", False):
            return False
        answers = self.get_response_serializers()
        if isinstance(answers, dict):
            answers = answers.get(200, answers.get((200, "application/json")))
        return is_serializer(answers) or is_list_serializer(answers)
