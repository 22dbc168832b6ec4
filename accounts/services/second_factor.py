"""The second factor: a code that an authenticator on somebody's phone makes (TOTP), asked for at every login.

Secrets and codes are allauth's; `second_factor_codes` says which are right.

Setting one up and taking it away end all sessions and tokens. So whatever a user with a second factor is logged in by
was begun with it, and one that has just been set up throws out whoever came in before with the password alone.
"""

import json
from dataclasses import dataclass
from datetime import datetime

from allauth.mfa import app_settings
from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from cryptography.fernet import InvalidToken
from django.conf import settings
from django.contrib.auth.signals import user_login_failed
from django.db import transaction
from django.http import HttpRequest
from rest_framework.request import Request

from accounts.models import AuditAction, User
from accounts.problems import ConflictError, DomainError, NotAuthenticatedError, NotPermittedError
from accounts.second_factor_secrets import open_enrolment, seal_enrolment
from accounts.services import audit, passwords, tokens, users
from accounts.services.second_factor_codes import counter_of, verify
from accounts.services.tokens import TokenPair

REQUIRED = "second_factor_required"
WRONG = "second_factor_wrong"


class SecondFactorRequiredError(NotAuthenticatedError):
    """The password is right, and the account has a second factor: give its code as well."""

    code = REQUIRED


class EnrolmentRequiredError(NotAuthenticatedError):
    """The password is right, and the account opens nothing until a second factor is set up."""

    code = tokens.ENROLMENT_REQUIRED

    def __init__(self) -> None:
        super().__init__(tokens.ENROLMENT_DETAIL)


class LoginCodeWrongError(NotAuthenticatedError):
    """At a login: the code is wrong, has run out, or was used before."""

    code = WRONG


class CodeRequiredError(DomainError):
    """Somebody who is logged in gave no code, and the account has a second factor."""

    code = REQUIRED


class CodeWrongError(DomainError):
    """Somebody who is logged in gave a code that is wrong, has run out, or was used before."""

    code = WRONG


class EnrolmentNotValidError(DomainError):
    """What an enrolment was begun with is wrong, somebody else's, or too old."""

    code = "enrolment_not_valid"


@dataclass(frozen=True, slots=True)
class State:
    """Whether an account has a second factor, since when, whether it must, and how many recovery codes are unused."""

    enabled: bool
    required: bool
    enabled_at: datetime | None
    recovery_codes_left: int


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What a phone is told (`secret` in base32, or `uri` as a QR code), and what `confirm` wants with its code."""

    secret: str
    uri: str
    enrolment: str


@dataclass(frozen=True, slots=True)
class Enabled:
    """A second factor that works from now on.

    `recovery_codes` are for a lost phone and shown this once; `user` is the account as it is now; `pair` is of a new
    family, and None where none was asked for.
    """

    recovery_codes: list[str]
    user: User
    pair: TokenPair | None


def state(*, user: User) -> State:
    """Tell about the second factor of a user."""
    rows = {row.type: row for row in Authenticator.objects.filter(user_id=user.pk)}
    totp = rows.get(Authenticator.Type.TOTP)
    recovery = rows.get(Authenticator.Type.RECOVERY_CODES)
    used = recovery.data["used_mask"].bit_count() if recovery else app_settings.RECOVERY_CODE_COUNT
    return State(
        enabled=totp is not None,
        required=settings.STAFF_SECOND_FACTOR and user.is_privileged,
        enabled_at=totp.created_at if totp else None,
        recovery_codes_left=app_settings.RECOVERY_CODE_COUNT - used,
    )


def begin(*, user: User, password: str) -> Enrolment:
    """Make a secret for a user who shows the password; nothing is kept until `confirm`.

    An account without a password, which logs in elsewhere, needs none. Raises NotPermittedError for an API key,
    InvalidValueError for a wrong password, ConflictError where there is a second factor.
    """
    _require_password(user, password)
    if user.has_second_factor:
        raise ConflictError("This account has a second factor: take it away first.")
    secret = generate_totp_secret()
    carried = json.dumps([str(user.pk), user.token_generation, secret])
    return Enrolment(secret, get_adapter().build_totp_url(user, secret), seal_enrolment(carried))


@transaction.atomic
def confirm(*, user: User, enrolment: str, code: str, wants_pair: bool = False) -> Enabled:
    """Set up the second factor that was begun, with a code of the phone. Ends all other sessions and every token.

    With `wants_pair` it begins a family: whoever asks by a token has none any more. Raises NotPermittedError for an API
    key, EnrolmentNotValidError, CodeWrongError, ConflictError where there is one by now.
    """
    locked = _locked(user)
    secret = _carried_secret(enrolment, locked)
    if locked.has_second_factor:
        raise ConflictError("This account has a second factor: take it away first.")
    counter = counter_of(secret, code)
    if counter is None:
        raise CodeWrongError("This code is wrong, or has run out: give the one that the phone shows now.")
    totp = TOTP.activate(locked, secret).instance
    totp.data["last_counter"] = counter
    totp.save(update_fields=["data"])
    codes = RecoveryCodes.activate(locked).generate_codes()
    tokens.end_logins(locked=locked)
    audit.record(action=AuditAction.SECOND_FACTOR_ENABLED, actor=user, subject=user)
    return Enabled(codes, locked, tokens.begin(user=locked) if wants_pair else None)


def check(*, user: User, code: str, request: HttpRequest | Request | None) -> None:
    """Let a user go on who has shown a password, or an account elsewhere: every way of logging in asks this.

    Uses up the code. Raises SecondFactorRequiredError where there is none, LoginCodeWrongError for a wrong one, which
    counts as a failed login, SecondFactorLockedError and SecondFactorUnreadableError.
    """
    if not code:
        if user.has_second_factor:
            raise SecondFactorRequiredError("This account has a second factor: give its code as well.")
        return
    if not verify(user, code, way="login"):
        credentials = {"email": user.email, "username": user.email}
        user_login_failed.send(sender=__name__, credentials=credentials, request=request)
        raise LoginCodeWrongError("This code is wrong, has run out, or was used before.")


def require_code(*, user: User, code: str, way: str) -> None:
    """Make sure that it is the owner who does what `way` names, in person: by a code, where there is a second factor.

    Uses up the code. Call it outside of transactions: what was wrong is counted, and then the request refused. Raises
    CodeRequiredError for none, CodeWrongError, SecondFactorLockedError, SecondFactorUnreadableError.
    """
    if not user.has_second_factor:
        return
    if not code:
        raise CodeRequiredError("This account has a second factor: give its code as well.")
    if not verify(user, code, way=way):
        raise CodeWrongError("This code is wrong, has run out, or was used before.")


def disable(*, user: User, password: str, code: str) -> User:
    """Take the second factor away, by who has the password and a code. Ends all other sessions and every token.

    Gives the account as it is then. Raises NotPermittedError for an API key, InvalidValueError for a wrong password,
    what `require_code` raises, ConflictError where there is none.
    """
    _require_password(user, password)
    require_code(user=user, code=code, way="disable")
    with transaction.atomic():
        locked = _locked(user)
        _take_away(locked, actor=user, way="owner")
    return locked


def renew_recovery_codes(*, user: User, password: str, code: str) -> list[str]:
    """Give new recovery codes, shown this once; those before are worth nothing. Raises as `disable` does."""
    _require_password(user, password)
    require_code(user=user, code=code, way="recovery_codes")
    with transaction.atomic():
        locked = _locked(user)
        if not locked.has_second_factor:
            raise ConflictError("This account has no second factor.")
        Authenticator.objects.filter(user=locked, type=Authenticator.Type.RECOVERY_CODES).delete()
        codes = RecoveryCodes.activate(locked).generate_codes()
        audit.record(action=AuditAction.SECOND_FACTOR_RENEWED, actor=user, subject=user)
    return codes


@transaction.atomic
def reset(*, user: User, actor: User | None) -> None:
    """Take away the second factor of somebody who has lost it. Ends all sessions and every token.

    `actor` is None for an operator at the machine. Raises NotPermittedError unless the actor runs the installation,
    ConflictError for one's own, which takes a code, and where there is none, NotFoundError for an account that is gone.
    """
    locked = users.lock(user=user) if actor is None else users.lock_for_superuser(user=user, actor=actor)
    if actor is not None and actor.pk == locked.pk:
        raise ConflictError("Nobody takes away their own second factor without its code: another superuser does.")
    _take_away(locked, actor=actor, way="superuser" if actor else "command")


def _take_away(locked: User, *, actor: User | None, way: str) -> None:
    deleted, _ = Authenticator.objects.filter(user=locked).delete()
    if not deleted:
        raise ConflictError("This account has no second factor.")
    tokens.end_logins(locked=locked)
    audit.record(action=AuditAction.SECOND_FACTOR_DISABLED, actor=actor, subject=locked, details={"way": way})


def _locked(user: User) -> User:
    """Lock the account of somebody who is logged in, in person."""
    if user.acting_key is not None:
        raise NotPermittedError("An API key does not change its owner's second factor.")
    return tokens.lock_owner(user=user)


def _require_password(user: User, password: str) -> None:
    if user.acting_key is not None:
        raise NotPermittedError("An API key does not change its owner's second factor.")
    passwords.require_own(user=user, password=password, way="second_factor")


def _carried_secret(enrolment: str, locked: User) -> str:
    try:
        user_id, generation, secret = json.loads(open_enrolment(enrolment))
    except (InvalidToken, ValueError) as error:
        raise EnrolmentNotValidError("This enrolment is wrong, or too old: begin anew.") from error
    if (user_id, generation) != (str(locked.pk), locked.token_generation):
        raise EnrolmentNotValidError("This enrolment is somebody else's, or too old: begin anew.")
    return secret
