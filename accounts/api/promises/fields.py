"""`fields=id,name`: answers with the fields that are asked for, and no others."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.fields import Field
from rest_framework.request import Request
from rest_framework.serializers import ListSerializer

from accounts.api.promises.documented import FIELDS, Documented

PARAMETER = OpenApiParameter(
    FIELDS,
    OpenApiTypes.STR,
    description="Names of the fields that are to be in the answer, or in each item of a list, with commas between "
    "them; without it all are.",
)


def asked_fields(request: Request, known: Documented) -> frozenset[str] | None:
    """Give the names of the fields that are asked for; None: all. Raises ValidationError for one that there is not."""
    if FIELDS not in request.query_params or FIELDS not in known.parameters:
        return None
    names = [name.strip() for given in request.query_params.getlist(FIELDS) for name in given.split(",")]
    unknown = [name for name in names if name not in known.fields]
    if unknown:
        detail = f"There is no field {unknown[0]!r:.100}. There are: {', '.join(known.fields)}."
        raise ValidationError({FIELDS: ErrorDetail(detail, code="unknown_field")})
    return frozenset(names)


def narrowed(data: Any, *, wanted: frozenset[str], list_name: str | None) -> Any:
    """Give of an answer the fields that are wanted; `list_name` is the member with the list, if there is one."""
    if list_name is not None:
        return data | {list_name: [_with(one, wanted) for one in data[list_name]]}
    return _with(data, wanted)


def _with(item: dict[str, Any], wanted: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name in wanted}


class SparseFieldsMixin:
    """For serializers of answers: computes no field that is not asked for. Wants the view in its context.

    Views leave the others away in any case; this saves what they cost. What is nested in another serializer keeps all
    of its fields.
    """

    def get_fields(self) -> dict[str, Field]:
        """Give the fields that are in the answer."""
        fields: dict[str, Field] = super().get_fields()  # type: ignore[misc]
        wanted = self._wanted()
        return fields if wanted is None else {name: field for name, field in fields.items() if name in wanted}

    def _wanted(self) -> frozenset[str] | None:
        parent = self.parent  # type: ignore[attr-defined]
        is_nested = parent.parent is not None if isinstance(parent, ListSerializer) else parent is not None
        view = None if is_nested else self.context.get("view")  # type: ignore[attr-defined]
        return getattr(view, "computed_fields", None)
