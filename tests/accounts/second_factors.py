"""Second factors for tests: what a phone does."""

import time
from typing import Any

import factories
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value

from accounts.models import User
from accounts.services import second_factor

PERIOD = 30


def code_of(secret: str, *, step: int = 0) -> str:
    """Give the code that a phone shows `step` steps from now."""
    return format_hotp_value(hotp_value(secret, int(time.time()) // PERIOD + step))


def enrol(user: User) -> tuple[str, list[str]]:
    """Set up a second factor whose codes are all unused yet; gives its secret and the recovery codes."""
    begun = second_factor.begin(user=user, password=factories.PASSWORD)
    enabled = second_factor.confirm(user=user, enrolment=begun.enrolment, code=code_of(begun.secret))
    user.refresh_from_db()
    change_row(user, last_counter=0)
    return begun.secret, enabled.recovery_codes


def change_row(user: User, **data: Any) -> None:
    """Change what the row of the secret remembers, as time would."""
    row = Authenticator.objects.get(user=user, type=Authenticator.Type.TOTP)
    row.data |= data
    row.save()


def wrong_code(secret: str) -> str:
    """Give a code that is right at no step near now."""
    right = {code_of(secret, step=step) for step in range(-3, 4)}
    return next(
        code
        for code in ("000000", "111111", "222222", "333333", "444444", "555555", "666666", "777777")
        if code not in right
    )
