"""Tokens that people log in with. A refresh token works once."""

from dataclasses import dataclass

from django.db import transaction
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.tokens import RefreshToken
from rest_framework_simplejwt.utils import get_md5_hash_password

from accounts.models import User


@dataclass(frozen=True, slots=True)
class TokenPair:
    """A short-lived access token and the refresh token that gets the next pair."""

    access: str
    refresh: str


@transaction.atomic
def rotate(*, refresh: str) -> TokenPair:
    """Change a refresh token for a new pair. It is worth nothing afterwards, also where two requests race for it.

    Raises TokenError for a token that is not valid, has been used or has run out, and for one whose owner is gone, was
    deactivated or has changed the password since.
    """
    old = RefreshToken(refresh)
    owner = User.objects.filter(pk=old[api_settings.USER_ID_CLAIM], is_active=True).first()
    if owner is None or old.get(api_settings.REVOKE_TOKEN_CLAIM) != get_md5_hash_password(owner.password):
        raise TokenError("The token is not valid any more.")
    _, is_first = old.blacklist()
    if not is_first:
        raise TokenError("The token has been used.")
    new = RefreshToken.for_user(owner)
    return TokenPair(access=str(new.access_token), refresh=str(new))
