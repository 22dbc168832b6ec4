"""Retiring an operation: said in the schema and in every answer of it, a year before it goes."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar

from django.utils.http import http_date
from rest_framework.request import Request

NOTICE = timedelta(days=365)

Handler = TypeVar("Handler", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Deprecation:
    """Since when something is deprecated, when it goes at the earliest, and the address of what takes its place."""

    since: date
    sunset: date | None
    successor: str

    def headers(self, request: Request) -> dict[str, str]:
        """Give the headers of its answers: Deprecation (RFC 9745), Sunset (RFC 8594), Link (RFC 5829)."""
        found = {"Deprecation": f"@{_seconds(self.since)}"}
        if self.sunset is not None:
            found["Sunset"] = http_date(_seconds(self.sunset))
        if self.successor:
            found["Link"] = f'<{request.build_absolute_uri(self.successor)}>; rel="successor-version"'
        return found

    def __str__(self) -> str:
        ends = "" if self.sunset is None else f" It goes on {self.sunset} at the earliest."
        instead = f" Use `{self.successor}` instead." if self.successor else ""
        return f"**Deprecated** since {self.since}.{ends}{instead}"


def deprecated(*, since: date, sunset: date | None = None, successor: str = "") -> Callable[[Handler], Handler]:
    """Mark the handler of an operation as deprecated: an action of a viewset, or a method of another view.

    Without `sunset` no end is set yet. Raises ValueError for one that is less than a year away from `since`.
    """
    if sunset is not None and sunset < since + NOTICE:
        raise ValueError(f"Clients have a year to change: {sunset} is too early for what is deprecated since {since}.")

    def mark(handler: Handler) -> Handler:
        handler.deprecation = Deprecation(since, sunset, successor)  # type: ignore[attr-defined]
        return handler

    return mark


def deprecation_of(view: object, operation: str) -> Deprecation | None:
    """Give what an operation of a view was marked with, if it was."""
    # of the class: while it is called, an instance may have another function in the handler's place
    return getattr(getattr(type(view), operation, None), "deprecation", None)


def _seconds(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
