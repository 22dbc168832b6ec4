"""How often the password of a share may be guessed."""

from uuid import UUID

from django.http import HttpRequest

from accounts import windows
from accounts.client_address import client_network

WINDOW_SECONDS = 600
# of one address at one share, and of all addresses together: those who have opened it are not asked meanwhile
ADDRESS_LIMIT = 10
SHARE_LIMIT = 200


class TooManyAttemptsError(Exception):
    """Another attempt may be made when the window is over, in at most WINDOW_SECONDS."""


def take(request: HttpRequest, *, share_id: UUID) -> None:
    """Count an attempt, before the password is looked at; raises TooManyAttemptsError where there is none left.

    An address that has none left uses up none of the others'.
    """
    by_address, by_share = _keys(request, share_id)
    if _count(by_address) > ADDRESS_LIMIT or _count(by_share) > SHARE_LIMIT:
        raise TooManyAttemptsError


def give_back(request: HttpRequest, *, share_id: UUID) -> None:
    """Take back an attempt that was right: a family behind one address is no burglar."""
    for key in _keys(request, share_id):
        windows.take_back(key)


def _count(key: str) -> int:
    return windows.count(key, seconds=WINDOW_SECONDS).count


def _keys(request: HttpRequest, share_id: UUID) -> tuple[str, str]:
    key = f"share-attempts:{share_id}"
    return f"{key}:{client_network(request)}", key
