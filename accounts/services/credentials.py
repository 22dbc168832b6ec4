"""By what somebody has shown who they are, kept so that it can be asked again later whether it still holds.

A request is over in a moment. A stream of events is not: its owner may log out, lose the key or be deactivated while it
is open. Nothing here opens anything by itself: a token is kept by its claims, without the signature, and a key by id.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from rest_framework_simplejwt.tokens import AccessToken, Token

from accounts.models import User
from accounts.problems import NotAuthenticatedError
from accounts.services import api_keys, tokens

ENDED = "What you logged in with is worth nothing any more."


class CredentialEndedError(NotAuthenticatedError):
    """What somebody had shown has run out, was revoked, or its owner was deactivated."""

    code = "credential_ended"


@dataclass(frozen=True, slots=True)
class Credential:
    """A token (`claims`), a key (`key_id`) or a session (`session_hash`), of which account.

    `expires_at` is when it ends by itself, in seconds since 1970; none: when it is revoked.
    """

    user_id: UUID
    expires_at: float | None = None
    claims: dict[str, Any] = field(default_factory=dict, repr=False, hash=False)
    key_id: UUID | None = None
    session_hash: str = field(default="", repr=False)


def shown(*, user: User, auth: object) -> Credential:
    """Give what an authenticated request was sent with: `user` and `auth` as the framework's request has them.

    A session is taken for as long as an access token would be: whether its owner has logged out of it is not asked
    again.
    """
    if isinstance(auth, Credential):
        return auth
    if user.acting_key is not None:
        expires_at = user.acting_key.expires_at
        return Credential(user.pk, expires_at and expires_at.timestamp(), key_id=user.acting_key.pk)
    if isinstance(auth, Token):
        return Credential(user.pk, float(auth["exp"]), claims=dict(auth.payload))
    lifetime: timedelta = settings.SIMPLE_JWT["ACCESS_TOKEN_LIFETIME"]
    return Credential(user.pk, (timezone.now() + lifetime).timestamp(), session_hash=user.get_session_auth_hash())


def owner_of(*, credential: Credential) -> User:
    """Give whose it is, with the key that acts; raises CredentialEndedError where it is worth nothing any more."""
    if credential.expires_at is not None and credential.expires_at <= timezone.now().timestamp():
        raise CredentialEndedError(ENDED)
    user = _owner(credential)
    if user is None or user.pk != credential.user_id:
        raise CredentialEndedError(ENDED)
    return user


def _owner(credential: Credential) -> User | None:
    if credential.key_id is not None:
        return api_keys.owner_of(key_id=credential.key_id)
    if credential.claims:
        token = AccessToken()
        token.payload = credential.claims
        try:
            return tokens.owner_of(token=token)
        except tokens.RefusedTokenError:
            return None
    user = User.objects.filter(pk=credential.user_id, is_active=True).first()
    is_same = user is not None and constant_time_compare(user.get_session_auth_hash(), credential.session_hash)
    return user if is_same and not user.must_enrol else None
