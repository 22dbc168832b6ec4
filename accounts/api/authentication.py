"""How a program shows its API key: in a header, and nowhere else."""

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from accounts.models import ApiKey, User
from accounts.services import api_keys

HEADER = "X-API-Key"
SCHEME = "Api-Key"
REALM = 'realm="api"'


class ApiKeyAuthentication(BaseAuthentication):
    """Reads `X-API-Key: KEY` or `Authorization: Api-Key KEY`. A key that is given counts: nothing else is tried then.

    It stands before the other ways of logging in, so that a bad key beside a good token is a 401 too, and a good one
    narrows whoever sends it.
    """

    def authenticate(self, request: Request) -> tuple[User, ApiKey] | None:
        """Give the owner, acting with the key, and the key; None where no key was sent.

        Raises AuthenticationFailed (`api_key_not_valid`) without saying what is wrong with it.
        """
        given = _given(request)
        if given is None:
            return None
        user = api_keys.authenticate(text=given)
        if user is None or user.acting_key is None:
            raise AuthenticationFailed(
                "The API key is not valid: it is not known, was revoked or has expired, or its owner was deactivated.",
                code="api_key_not_valid",
            )
        return user, user.acting_key

    def authenticate_header(self, request: Request) -> str:
        """Challenge in the scheme that was tried; people log in with a token."""
        return f"Bearer {REALM}" if _given(request) is None else f"{SCHEME} {REALM}"


def _given(request: Request) -> str | None:
    """Give the key that a request carries; None if it carries none, and "" (which is no key) for two that differ."""
    keys = set()
    if HEADER in request.headers:
        keys.add(request.headers[HEADER].strip())
    scheme, _, rest = request.headers.get("Authorization", "").strip().partition(" ")
    if scheme.lower() == SCHEME.lower():
        keys.add(rest.strip())
    if not keys:
        return None
    return keys.pop() if len(keys) == 1 else ""
