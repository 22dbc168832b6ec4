"""Which codes of a second factor are right.

A code works once, which the row of the secret remembers under its lock, and nothing else: allauth itself would ask the
cache, which may be away. So are wrong codes counted, for each user.
"""

import logging
import time
from math import ceil

from allauth.core.internal.cryptokit import compare_user_code
from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value, yield_hotp_counters_from_time
from cryptography.fernet import InvalidToken
from django.conf import settings
from django.db import transaction

from accounts.models import AuditAction, User
from accounts.problems import DomainError
from accounts.services import audit

logger = logging.getLogger(__name__)


class SecondFactorLockedError(DomainError):
    """There were too many wrong codes; `wait` is the number of seconds until one is looked at again."""

    code = "second_factor_locked"

    def __init__(self, wait: int) -> None:
        super().__init__(f"There were too many wrong codes: try again in {wait} seconds.")
        self.wait = wait


class SecondFactorUnreadableError(DomainError):
    """No key of the settings decrypts the secret; nobody comes in without it. It is the server's fault."""

    code = "second_factor_unreadable"


def verify(user: User, code: str, *, way: str) -> bool:
    """Use up a code and tell whether it was right; one for an account without a second factor is.

    What is counted here is committed whatever the caller makes of it. Raises SecondFactorLockedError and
    SecondFactorUnreadableError.
    """
    with transaction.atomic():
        of_user = Authenticator.objects.select_for_update().filter(user_id=user.pk)
        totp = of_user.filter(type=Authenticator.Type.TOTP).first()
        if totp is None:
            return True
        now = time.time()
        since = now - settings.SECOND_FACTOR_ATTEMPTS_SECONDS
        failures = [at for at in totp.data.get("failures", []) if at > since]
        if len(failures) >= settings.SECOND_FACTOR_ATTEMPTS:
            raise SecondFactorLockedError(ceil(failures[0] - since))
        is_right = _use(totp, code)
        totp.data["failures"] = [] if is_right else [*failures, now]
        totp.save(update_fields=["data"])
        if is_right:
            totp.record_usage()
        else:
            audit.record(action=AuditAction.SECOND_FACTOR_FAILED, subject=user, details={"way": way})
    return is_right


def _use(totp: Authenticator, code: str) -> bool:
    """Use up a code of the phone, or a recovery code; the row of the secret is locked."""
    recovery = Authenticator.objects.filter(user_id=totp.user_id, type=Authenticator.Type.RECOVERY_CODES).first()
    try:
        counter = counter_of(get_adapter().decrypt(totp.data["secret"]), code)
        if counter is None:
            return recovery is not None and RecoveryCodes(recovery).validate_code(code)
    except InvalidToken as error:
        logger.error("a second factor cannot be decrypted: SECOND_FACTOR_KEY or SECRET_KEY was replaced")  # noqa: TRY400
        detail = "Your second factor cannot be read: an operator has to restore its key, or take it away."
        raise SecondFactorUnreadableError(detail) from error
    # neither this code nor one before it, were it still within the time
    if counter <= totp.data["last_counter"]:
        return False
    totp.data["last_counter"] = counter
    return True


def counter_of(secret: str, code: str) -> int | None:
    """Give the step of time that a code is of; None for a wrong code."""
    for counter in yield_hotp_counters_from_time():
        if compare_user_code(actual=code, expected=format_hotp_value(hotp_value(secret, counter))):
            return counter
    return None
