"""What the API's schema says of who may call an operation, and of what all operations of a kind promise."""

from typing import Any

from drf_spectacular.contrib.django_filters import DjangoFilterExtension
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import is_list_serializer, is_serializer
from drf_spectacular.utils import OpenApiParameter

from accounts.api import filter_schema  # noqa: F401 - imported for its effect
from accounts.api.access import IN_PERSON, PUBLIC, RUNS_INSTALLATION, declared_access
from accounts.api.authentication import HEADER, SCHEME
from accounts.api.problems import DESCRIPTIONS, MEDIA_TYPE, ProblemSerializer
from accounts.api.promises import conditions, fields, idempotency
from accounts.api.promises.deprecation import Deprecation, deprecation_of

_TEXT = {"type": "string"}
ETAG_HEADER = {"schema": _TEXT, "description": "Of all fields; another one as soon as one of them changes."}
LOCATION_HEADER = {"schema": _TEXT | {"format": "uri"}, "description": "The address of what was made."}


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


class DescribedFilterExtension(DjangoFilterExtension):
    """Says of each filter what its `help_text` says: also of one that describes its values by hand."""

    priority = 1

    def resolve_filter_field(self, *args: Any) -> list[dict[str, Any]]:
        """Describe the parameters of a filter."""
        told = args[-1].extra.get("help_text")
        return [{"description": told} | one if told else one for one in super().resolve_filter_field(*args)]


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

    def get_request_serializer(self) -> Any:
        """Give what is sent: with DELETE nothing, unless the operation says otherwise."""
        return None if self.method == "DELETE" else super().get_request_serializer()

    def _get_request_body(self, direction: str = "request") -> dict[str, Any] | None:
        """Describe what is sent with DELETE too, where something is: the base class never does."""
        if self.method != "DELETE" or self.get_request_serializer() is None:
            return super()._get_request_body(direction)
        self.method = "POST"
        try:
            return super()._get_request_body(direction)
        finally:
            self.method = "DELETE"

    def get_override_parameters(self) -> list[OpenApiParameter]:
        """Give the parameters that its kind of operation takes, beside those that it documents itself."""
        kinds = {
            fields.PARAMETER: self._is_sparse(),
            conditions.IF_NONE_MATCH_PARAMETER: self._is_read_with_etag(),
            conditions.IF_MATCH_PARAMETER: self._is_changed_by_etag(),
            idempotency.PARAMETER: self._takes_key() and not self._tells_once(),
            idempotency.PARAMETER_OF_SECRETS: self._takes_key() and self._tells_once(),
        }
        return [*super().get_override_parameters(), *(one for one, takes in kinds.items() if takes)]

    def get_operation(self, *args: Any) -> dict[str, Any] | None:
        """Describe the operation, with the answers and headers of its kind."""
        operation = super().get_operation(*args)
        if operation is None:
            return None
        answers = operation["responses"]
        if self._is_read_with_etag():
            answers["304"] = {"description": "You have it already: it has the ETag that `If-None-Match` names."}
        if self._is_changed_by_etag():
            answers["412"] = self._problem(412)
        if mark := self._deprecation():
            operation["description"] = f"{operation.get('description', '')}\n\n{mark}".strip()
        if self._takes_key():
            answers |= {str(status): self._problem(status) for status in (409, 422)}
        if self._is_read_with_etag() or self._is_changed_by_etag():
            _add_header(answers, "200", "ETag", ETAG_HEADER)
        _add_header(answers, "201", "Location", LOCATION_HEADER)
        operation["responses"] = dict(sorted(answers.items()))
        for parameter in operation.get("parameters", ()):
            _refuse_nothing(parameter)
        return operation

    def is_deprecated(self) -> bool:
        """Whether its handler is marked as deprecated."""
        return super().is_deprecated() or self._deprecation() is not None

    def _deprecation(self) -> Deprecation | None:
        return deprecation_of(self.view, self._operation())

    def _is_sparse(self) -> bool:
        """Whether it answers with JSON whose fields may be chosen."""
        if self.method != "GET" or not getattr(self.view, "sparse", False):
            return False
        answers = self.get_response_serializers()
        if isinstance(answers, dict):
            answers = answers.get(200, answers.get((200, "application/json")))
        answers = getattr(answers, "response", answers)
        return is_serializer(answers) or is_list_serializer(answers)

    def _is_read_with_etag(self) -> bool:
        return self._operation() == getattr(self.view, "reads", None)

    def _is_changed_by_etag(self) -> bool:
        return self._operation() in getattr(self.view, "changes", ())

    def _takes_key(self) -> bool:
        return isinstance(self.view, idempotency.IdempotencyMixin) and idempotency.is_supported(self.view, self.method)

    def _tells_once(self) -> bool:
        return self._operation() in self.view.tells_once

    def _operation(self) -> str:
        """Name the operation as `access` does."""
        return getattr(self.view, "action", None) or self.method.lower()

    def _problem(self, status: int) -> dict[str, Any]:
        """Describe a refusal that all operations of a kind have in common."""
        schema = self.resolve_serializer(ProblemSerializer, "response").ref
        return {"content": {MEDIA_TYPE: {"schema": schema}}, "description": DESCRIPTIONS[status]}


def _refuse_nothing(parameter: dict[str, Any]) -> None:
    """Say of a parameter of the query that it is not given without a value, as `promises.parameters` holds it."""
    schema = parameter["schema"].get("items", parameter["schema"])
    if (
        parameter["in"] == "query"
        and schema.get("type") == "string"
        and not {"enum", "format", "pattern"} & schema.keys()
    ):
        schema.setdefault("minLength", 1)


def _add_header(answers: dict[str, Any], status: str, name: str, header: dict[str, Any]) -> None:
    if status in answers:
        answers[status].setdefault("headers", {})[name] = header
