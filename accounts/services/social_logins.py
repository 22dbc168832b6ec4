"""Logging in with an account elsewhere: Google's, GitHub's, or that of an OpenID Connect issuer.

allauth talks to the provider: it checks the state, the proof of the code (PKCE) and the provider's answer. What the
provider says is remembered in the session of that browser, which is logged in to nothing by it. A second request
changes it for tokens, and may bring the code of a second factor. Whose account it is is decided here:

- the account that this account elsewhere is linked with;
- else the one whose address the provider has verified. It is linked then: addresses here are verified too, by the mail
  of an invitation or by a superuser. Accounts of staff are linked in this way only if they have a second factor, since
  a mailbox alone shall not open the admin; and so is an account elsewhere that was linked once and taken away;
- else a new one, if the address has been invited, or anybody may join (SOCIAL_SIGNUP).

An address that the provider has not verified finds no account, and makes none.
"""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.db import IntegrityError, transaction
from rest_framework.request import Request

from accounts.models import AuditAction, User
from accounts.problems import ConflictError, NotAuthenticatedError
from accounts.services import audit, invitations, logins, new_accounts, second_factor, social_accounts, tokens
from accounts.services.tokens import TokenPair

SESSION_KEY = "social_login"
NAME_MAX_LENGTH = 150


@dataclass(frozen=True, slots=True)
class Identity:
    """Who somebody is elsewhere. `provider` is its URL; `uid` its own name for the person.

    `verified` are the addresses, in lower case, of which the provider says that they are the person's; the first one is
    that of a new account. `unverified` are others that it was told.
    """

    provider: str
    uid: str
    verified: tuple[str, ...]
    unverified: tuple[str, ...]
    name: str


class SocialLoginMissingError(NotAuthenticatedError):
    """This browser has not come back from a provider, or did so too long ago, or was logged in by it already."""

    code = "social_login_missing"


class SocialLoginRefusedError(NotAuthenticatedError):
    """Somebody is known elsewhere and comes in as nobody here; `code` says why."""

    def __init__(self, detail: str, *, code: str, account: User | None = None) -> None:
        super().__init__(detail)
        self.code = code
        self.account = account


def remember(*, session: SessionBase, identity: Identity) -> None:
    """Keep what a provider has said until `log_in`, under a new key of the session."""
    session.cycle_key()
    session[SESSION_KEY] = asdict(identity) | {"at": time.time()}


def log_in(*, request: Request, code: str = "") -> TokenPair:
    """Give the first pair for what the provider has said in this session. It gives one pair; a refusal is final, too.

    Raises SocialLoginMissingError and SocialLoginRefusedError; what `second_factor.check` raises, and then it may be
    called again with a code; ConflictError where the account was made or linked at the same moment, and then it may be
    called again, too; EnrolmentRequiredError for staff who must set up a second factor.
    """
    identity = _remembered(request.session)
    try:
        user = _account_of(identity)
        pair = _join(request, identity) if user is None else _enter(request, identity, user, code)
    except SocialLoginRefusedError as error:
        del request.session[SESSION_KEY]
        details = {"way": "social", "why": error.code}
        audit.record(action=AuditAction.LOGIN_FAILED, subject=error.account, details=details)
        raise
    del request.session[SESSION_KEY]
    return pair


def _remembered(session: SessionBase) -> Identity:
    kept: Mapping[str, Any] | None = session.get(SESSION_KEY)
    if kept is None or kept["at"] < time.time() - settings.SOCIAL_LOGIN_SECONDS:
        raise SocialLoginMissingError("No provider has sent you here, or too long ago: begin anew.")
    return Identity(kept["provider"], kept["uid"], tuple(kept["verified"]), tuple(kept["unverified"]), kept["name"])


def _account_of(identity: Identity) -> User | None:
    """Give the account that somebody comes in as; None for somebody new. Raises SocialLoginRefusedError."""
    known = social_accounts.find(provider=identity.provider, uid=identity.uid)
    if known is not None and not social_accounts.is_unlinked(known):
        return _open(known.user)
    found = {user.email: user for user in User.objects.filter(email__in=(*identity.verified, *identity.unverified))}
    user = next((found[address] for address in identity.verified if address in found), None)
    if user is not None:
        needs_second_factor = user.is_privileged or known is not None
        if needs_second_factor and not user.has_second_factor:
            what = "What was taken away is" if known else "Accounts of staff are"
            detail = f"{what} linked only with a second factor: log in another way, and set one up."
            raise SocialLoginRefusedError(detail, code="social_link_refused", account=user)
        return _open(user)
    if not identity.verified:
        detail = "The provider has not verified your address: have it verified there, or log in with the password."
        account = next(iter(found.values()), None)
        raise SocialLoginRefusedError(detail, code="social_email_not_verified", account=account)
    return None


def _open(user: User) -> User:
    if not user.is_active:
        raise SocialLoginRefusedError("The account has been deactivated.", code="user_inactive", account=user)
    return user


def _enter(request: Request, identity: Identity, user: User, code: str) -> TokenPair:
    """Log in to an account that is there, and link it if it is not. The second factor comes first."""
    second_factor.check(user=user, code=code, request=request)
    with transaction.atomic():
        # what was looked at before, the second factor and what was taken away, is still so
        locked = tokens.lock_owner(user=user)
        social_accounts.link(user=locked, provider=identity.provider, uid=identity.uid, new_account=False)
        return logins.give_pair(request=request, user=locked)


def _join(request: Request, identity: Identity) -> TokenPair:
    """Make an account, without a password, for somebody who may join and whose address is verified."""
    invited = invitations.invited_among(identity.verified)
    email = next((address for address in identity.verified if address in invited), None)
    if email is None and not settings.SOCIAL_SIGNUP:
        detail = "There is no account with your address, and none is made: ask for an invitation."
        raise SocialLoginRefusedError(detail, code="social_signup_closed")
    try:
        with transaction.atomic():
            name = identity.name[:NAME_MAX_LENGTH]
            user = new_accounts.create(email=email or identity.verified[0], name=name, password=None)
            social_accounts.link(user=user, provider=identity.provider, uid=identity.uid, new_account=True)
            return logins.give_pair(request=request, user=user)
    except (IntegrityError, new_accounts.AccountExistsError) as error:
        raise ConflictError("This account was made at the same moment: try again.") from error
