"""What the API's schema says of filters: beside their kind, the limits that they hold values to."""

from collections.abc import Callable
from typing import Any

from django.core.validators import BaseValidator, MaxLengthValidator, MaxValueValidator, MinValueValidator
from drf_spectacular.contrib.django_filters import DjangoFilterExtension
from drf_spectacular.openapi import AutoSchema

from accounts.api.filters import WholeNumberFilter

# of several validators of a kind the strictest counts
LIMITS: dict[type[BaseValidator], tuple[str, tuple[str, ...], Callable[..., Any]]] = {
    MinValueValidator: ("minimum", ("integer", "number"), max),
    MaxValueValidator: ("maximum", ("integer", "number"), min),
    MaxLengthValidator: ("maxLength", ("string",), min),
}


class LimitedFilters(DjangoFilterExtension):
    """Describes filters by what their form fields refuse. A field with a `pattern` takes nothing else."""

    priority = 1

    def resolve_filter_field(
        self, auto_schema: AutoSchema, model: Any, filterset_class: Any, field_name: str, filter_field: Any
    ) -> list[dict[str, Any]]:
        """Describe one filter."""
        found = super().resolve_filter_field(auto_schema, model, filterset_class, field_name, filter_field)
        for parameter in found:
            schema = parameter["schema"]
            if isinstance(filter_field, WholeNumberFilter):
                schema["type"] = "integer"
                schema.pop("format", None)
            parameter.setdefault("description", filter_field.extra.get("help_text") or "")
            schema |= _limits(filter_field.field, schema.get("type"))
        return found


def _limits(field: Any, kind: str | None) -> dict[str, Any]:
    pattern = getattr(field, "pattern", None)
    limits: dict[str, Any] = {"pattern": pattern} if pattern and kind == "string" else {}
    for validator in field.validators:
        name, kinds, strictest = LIMITS.get(type(validator), ("", (), max))
        if kind in kinds:
            limits[name] = strictest(limits.get(name, validator.limit_value), validator.limit_value)
    return limits
