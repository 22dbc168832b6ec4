"""Passwords: changed by who knows the old one, set anew by who reads the mail of the account's address.

Either ends all sessions and tokens. API keys go on: they are no password's, and are revoked one by one.
"""

import logging
from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.core.exceptions import ValidationError
from django.db import transaction

from accounts import ids, lockout, mail, rate_limits
from accounts.models import AuditAction, User
from accounts.problems import ConflictError, DomainError, InvalidValueError, NotPermittedError
from accounts.services import audit, tokens, users
from accounts.services.tokens import TokenPair

RESET_SUBJECT = "A new password for Darkroom"
RESET_TEXT = """\
Somebody asked for a new password for your account at {address}.

Choose one here:

    {address}/password-reset#{token}

or give this code to the program that you use:

    {token}

It works once, and for {minutes} minutes. If it was not you who asked, there is nothing to do: your password has not
changed.
"""


logger = logging.getLogger(__name__)


class ResetNotValidError(DomainError):
    """A token that sets a new password is wrong, was used, or has run out."""

    code = "reset_not_valid"


class _ResetTokens(PasswordResetTokenGenerator):
    """Tokens that a new password, a login, another address and a raised generation end."""

    def _make_hash_value(self, user: User, timestamp: int) -> str:
        return f"{super()._make_hash_value(user, timestamp)}{user.token_generation}"


_reset_tokens = _ResetTokens()


@dataclass(frozen=True, slots=True)
class Changed:
    """A password that was changed: the account as it is with it, and a pair of a new family."""

    user: User
    pair: TokenPair | None


def change(*, user: User, old_password: str, new_password: str, wants_pair: bool = True) -> Changed:
    """Change one's own password. Ends all sessions and tokens, and gives a pair of a new family if it is wanted.

    Raises NotPermittedError for an API key, InvalidValueError where the old one is wrong, ValidationError where the new
    one is not good enough, ConflictError where the account was changed meanwhile, NotFoundError where it was erased.
    """
    if user.acting_key is not None:
        raise NotPermittedError("An API key does not change its owner's password.")
    _refuse_wrong(user, old_password, way="password_change", field="old_password")
    with transaction.atomic():
        locked = users.lock(user=user)
        # looked at before the lock, since a good hash is slow by design
        if locked.password != user.password or not locked.is_active:
            raise ConflictError("The password was changed at the same moment.")
        _replace(locked, new_password, field="new_password")
        audit.record(action=AuditAction.PASSWORD_CHANGED, actor=user, subject=user, details={"way": "change"})
        return Changed(locked, tokens.begin(user=locked) if wants_pair else None)


def require_own(*, user: User, password: str, way: str) -> None:
    """Make sure that it is the owner of an account who does what `way` names: by the password, where there is one.

    Call it outside of transactions: that a password was wrong is committed, and then the request refused. Raises
    InvalidValueError.
    """
    if user.has_usable_password():
        _refuse_wrong(user, password, way=way, field="password")


def request_reset(*, email: str) -> None:
    """Send a token that sets a new password to the account that has this address, if there is one.

    Takes about as long if there is none, and raises nothing: nobody learns who has an account. Accounts without a
    password, which log in elsewhere, get none in this way. An address gets PASSWORD_RESET_MAILS of them and no more;
    each is good for whoever reads it, so that a stranger who asks for all of them keeps nobody out.
    """
    sent = rate_limits.count(policy="reset_mail", rate=settings.PASSWORD_RESET_MAILS, who=email.lower())
    if sent is not None and not sent.is_within:
        logger.warning("a mail that sets a new password was not sent: its address had %d of them", sent.limit)
        return
    user = User.objects.filter(email=email.lower(), is_active=True).first()
    if user is None or not user.has_usable_password():
        return
    token = f"{user.pk.hex}.{_reset_tokens.make_token(user)}"
    minutes = settings.PASSWORD_RESET_TIMEOUT // 60
    text = RESET_TEXT.format(address=settings.PUBLIC_URL, token=token, minutes=minutes)
    mail.send(to=user.email, subject=RESET_SUBJECT, text=text)


@transaction.atomic
def confirm_reset(*, token: str, password: str) -> None:
    """Set a new password with a token from a mail. Ends all sessions, tokens and locks, and logs nobody in.

    Raises ResetNotValidError; ValidationError where the password is not good enough, and the token goes on then.
    """
    key, _, signed = token.partition(".")
    user = User.objects.select_for_update(no_key=True).filter(pk=ids.parse(key), is_active=True).first()
    if user is None or not _reset_tokens.check_token(user, signed):
        raise ResetNotValidError("This token is wrong, was used before, or has run out: ask for another one.")
    _replace(user, password, field="password")
    lockout.unlock(user=user)
    audit.record(action=AuditAction.PASSWORD_CHANGED, actor=user, subject=user, details={"way": "reset"})


@transaction.atomic
def assign(*, user: User, password: str | None) -> User:
    """Set the password of somebody else, or none: no password opens the account then. Ends sessions and tokens.

    Gives the account as it is then. The caller has looked at who may do so and at the password, and tells the trail
    who it was. Raises NotFoundError for an account that is gone.
    """
    locked = users.lock(user=user)
    _write(locked, password)
    audit.record(action=AuditAction.PASSWORD_CHANGED, subject=locked, details={"way": "assigned"})
    return locked


def check_new(*, password: str, user: User, field: str) -> None:
    """Raise ValidationError, under the name of `field`, unless the password is good enough for `user`."""
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise ValidationError({field: error.error_list}) from error


def _refuse_wrong(user: User, password: str, *, way: str, field: str) -> None:
    if not user.check_password(password):
        audit.record(action=AuditAction.LOGIN_FAILED, actor=user, subject=user, details={"way": way})
        raise InvalidValueError("This is not your password.", field=field)


def _replace(user: User, password: str, *, field: str) -> None:
    """Set the password of a user whose row is locked, and end what was given out before."""
    check_new(password=password, user=user, field=field)
    _write(user, password)


def _write(user: User, password: str | None) -> None:
    user.set_password(password)
    user.token_generation += 1
    user.full_clean()
    user.save(update_fields=["password", "token_generation"])
    tokens.revoke_all(user=user)
