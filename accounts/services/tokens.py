"""Tokens that people log in with: five minutes of access, and a refresh token that gets the next pair, once.

A login begins a family, whose tokens carry its id. A refresh token that is used a second time ends all of them: it is
in two hands, and the second one may be its owner's. There is no grace for two requests of one client that race, since a
thief could ask within it as well: a client that refreshes from several places does so one at a time.

A token is worth something while its owner is active and has the password and the generation of tokens that it carries,
and its family goes on. All of it is read at every request, so what ends a refresh token ends access tokens at once.
"""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken
from rest_framework_simplejwt.tokens import RefreshToken, Token
from rest_framework_simplejwt.utils import datetime_from_epoch, get_md5_hash_password

from accounts import ids
from accounts.models import AuditAction, TokenFamily, User
from accounts.problems import ConflictError
from accounts.services import audit

FAMILY_CLAIM = "family"
GENERATION_CLAIM = "generation"

# of staff who must have a second factor and have none: told where a token is shown, and where one is asked for
ENROLMENT_REQUIRED = "second_factor_enrolment_required"
ENROLMENT_DETAIL = "This account needs a second factor: log in to the admin, and set one up there."

# a used token whose row is gone would be taken for an unused one by a server whose clock is behind
KEPT_AFTER_EXPIRY = timedelta(days=1)
FLUSH_AT_ONCE = 5000


@dataclass(frozen=True, slots=True)
class TokenPair:
    """A short-lived access token and the refresh token that gets the next pair."""

    access: str
    refresh: str


class RefusedTokenError(TokenError):
    """A token that was given out by us and is worth nothing any more; `code` says why."""

    def __init__(self, detail: str, *, code: str = "token_not_valid") -> None:
        super().__init__(detail)
        self.code = code


class _GivenToken(RefreshToken):
    """A refresh token that somebody shows; whether it was used is asked under the lock of its family."""

    def check_blacklist(self) -> None:
        """Ask nothing yet."""


@transaction.atomic
def begin(*, user: User) -> TokenPair:
    """Begin a family for a user who has just shown who they are; whatever checks that calls this."""
    family = TokenFamily(user=user)
    pair = _next_pair(family, user)
    family.full_clean()
    family.save()
    return pair


def rotate(*, refresh: str) -> TokenPair:
    """Change a refresh token for a new pair. It is worth nothing afterwards.

    Raises TokenError for a token that is not ours, has run out or was revoked, and for one that has been used, which
    ends its family. Call it outside of transactions: that end is committed, and then the request refused.
    """
    pair = _rotate(_GivenToken(refresh))
    if pair is None:
        raise RefusedTokenError("The token has been used before. Whoever used either of them is logged out.")
    return pair


@transaction.atomic(durable=True)
def _rotate(given: _GivenToken) -> TokenPair | None:
    """Use up a token; None, and its family ended, if it was used before."""
    family = TokenFamily.objects.select_for_update(no_key=True).filter(**_family_of(given)).first()
    user = _checked(given, family)
    _, is_first = given.blacklist()
    if not is_first:
        _end(family)
        # not the owner's act: nobody knows whose it was
        audit.record(action=AuditAction.TOKEN_REUSED, subject=user, details={"family": str(family.pk)})
        return None
    pair = _next_pair(family, user)
    family.save(update_fields=["expires_at"])
    return pair


@transaction.atomic
def revoke(*, refresh: str) -> None:
    """Log out: end the family of a refresh token, used or not. Once more does nothing.

    Raises TokenError for a token that is not ours or has run out.
    """
    given = _GivenToken(refresh)
    families = TokenFamily.objects.unrevoked().select_for_update(no_key=True)
    family = families.filter(**_family_of(given)).first()
    if family is not None:
        _end(family)
        audit.record(
            action=AuditAction.TOKEN_REVOKED, actor=family.user, details={"way": "token", "family": str(family.pk)}
        )


def revoke_all(*, user: User) -> int:
    """End all families of a user, as a part of the transaction that is open; gives how many went on until now."""
    # in the order of their keys: two that end the same ones do not wait for each other in a ring
    locked = user.token_families.unrevoked().select_for_update(no_key=True).order_by("pk").values_list("pk", flat=True)
    return TokenFamily.objects.filter(pk__in=list(locked)).update(revoked_at=Now())


def lock_owner(*, user: User) -> User:
    """Lock the account of somebody who has shown who they are, in the transaction that is open, and give it.

    Raises ConflictError where it was closed meanwhile, or something has ended all logins, and so this one.
    """
    locked = User.objects.select_for_update(no_key=True).filter(pk=user.pk, is_active=True).first()
    if locked is None or locked.token_generation != user.token_generation:
        raise ConflictError("This account was changed at the same moment: log in again.")
    return locked


def end_logins(*, locked: User) -> None:
    """End all sessions and tokens of a user whose row is locked, and links that set a new password."""
    locked.token_generation += 1
    locked.full_clean()
    locked.save(update_fields=["token_generation"])
    revoke_all(user=locked)


def owner_of(*, token: Token) -> User:
    """Give whose token it is, one whose signature, type and time are right.

    It takes one query; with STAFF_SECOND_FACTOR another one for staff. Raises RefusedTokenError if it is worth nothing
    any more.
    """
    return _checked(token, TokenFamily.objects.select_related("user").filter(**_family_of(token)).first())


def flush_expired() -> int:
    """Delete the rows of tokens and families that ran out a day ago; gives how many."""
    deleted = 0
    for model in (OutstandingToken, TokenFamily):
        expired = model.objects.filter(expires_at__lt=Now() - KEPT_AFTER_EXPIRY).order_by("pk")
        while keys := list(expired.values_list("pk", flat=True)[:FLUSH_AT_ONCE]):
            # a family that was refreshed meanwhile is not expired any more
            model.objects.filter(pk__in=keys, expires_at__lt=Now() - KEPT_AFTER_EXPIRY).delete()
            deleted += len(keys)
    return deleted


def _family_of(token: Token) -> dict[str, UUID | None]:
    """Say which family a token names; none has None for a key."""
    return {"pk": ids.parse(token.get(FAMILY_CLAIM)), "user_id": ids.parse(token.get(api_settings.USER_ID_CLAIM))}


def _checked(token: Token, family: TokenFamily | None) -> User:
    """Give the owner of a token; raises RefusedTokenError with the first reason that there is."""
    if family is None:
        raise RefusedTokenError("The token is not valid any more.")
    user = family.user
    if not user.is_active:
        raise RefusedTokenError("The account has been deactivated.", code="user_inactive")
    if token.get(api_settings.REVOKE_TOKEN_CLAIM) != get_md5_hash_password(user.password):
        raise RefusedTokenError("The password has been changed.", code="password_changed")
    if family.revoked_at is not None or token.get(GENERATION_CLAIM) != user.token_generation:
        raise RefusedTokenError("The token has been revoked.", code="token_revoked")
    if user.must_enrol:
        raise RefusedTokenError(ENROLMENT_DETAIL, code=ENROLMENT_REQUIRED)
    return user


def _end(family: TokenFamily) -> None:
    family.revoked_at = Now()
    family.save(update_fields=["revoked_at"])


def _next_pair(family: TokenFamily, user: User) -> TokenPair:
    # leaves a row with the token as it is before it names its family: whoever reads the table has none that works
    refresh = RefreshToken.for_user(user)
    refresh[FAMILY_CLAIM] = str(family.pk)
    refresh[GENERATION_CLAIM] = user.token_generation
    family.expires_at = datetime_from_epoch(refresh["exp"])
    return TokenPair(access=str(refresh.access_token), refresh=str(refresh))
