"""Ranked answers: a bounded list with distances, in the place of pages."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

DEFAULT_LIMIT = 50
LIMIT = "limit"


def limit_parameter(most: int) -> OpenApiParameter:
    """Document the length of a ranked list."""
    text = f"How many at most, 1 to {most}; {DEFAULT_LIMIT} where it is not given."
    return OpenApiParameter(LIMIT, {"type": "integer", "minimum": 1, "maximum": most}, description=text)


def read_limit(request: Request, *, most: int) -> int:
    """Read the length of a ranked list; raises ValidationError."""
    given = request.query_params.get(LIMIT, str(DEFAULT_LIMIT))
    # as short as the greatest: numbers without end are none that anybody means
    is_number = given.isascii() and given.isdecimal() and len(given) <= len(str(most))
    if not is_number or not 1 <= int(given) <= most:
        raise ValidationError({LIMIT: f"A number from 1 to {most}."})
    return int(given)


def in_order(rows: QuerySet, ranked: Sequence[tuple[UUID, float]]) -> list[Any]:
    """Give rows as they are ranked by their keys, each with its `distance`; one that went meanwhile is left out."""
    found: dict[UUID, Any] = rows.in_bulk([key for key, _ in ranked])
    for key, distance in ranked:
        if key in found:
            found[key].distance = distance
    return [found[key] for key, _ in ranked if key in found]
