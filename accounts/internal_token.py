"""The token by which programs of this installation (Prometheus, probes, scripts) show that they are no strangers."""

from typing import Protocol

from django.conf import settings
from django.utils.crypto import constant_time_compare

HEADER = "X-Internal-Token"


class Headers(Protocol):
    """HTTP headers, whatever server read them; names without regard to case."""

    def get(self, name: str, default: str = ..., /) -> str | None:
        """Give a header's value."""


def carries_internal_token(headers: Headers) -> bool:
    """Tell whether a request carries INTERNAL_TOKEN, as a bearer token or in X-Internal-Token.

    Compared in constant time. An installation without a token has no such programs: then nobody does.
    """
    if not settings.INTERNAL_TOKEN:
        return False
    scheme, _, bearer = (headers.get("Authorization", "") or "").partition(" ")
    given = [headers.get(HEADER, "") or "", bearer.strip() if scheme.lower() == "bearer" else ""]
    return any(constant_time_compare(one, settings.INTERNAL_TOKEN) for one in given)
