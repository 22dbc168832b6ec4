"""Making an account for whoever joins: with an invitation and a password, or by an account elsewhere."""

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from accounts.models import User
from accounts.problems import ConflictError
from accounts.services.passwords import check_new


class AccountExistsError(ConflictError):
    """The address has an account already: whoever it belongs to logs in."""

    code = "account_exists"

    def __init__(self, detail: str = "This address has an account already: log in as it, and accept then.") -> None:
        super().__init__(detail)


class AccountInactiveError(AccountExistsError):
    """The address has an account, which was deactivated: logging in is refused, and so is making another one."""

    code = "user_inactive"

    def __init__(self) -> None:
        super().__init__("The account of this address has been deactivated: ask whoever runs this installation.")


def create(*, email: str, name: str, password: str | None) -> User:
    """Make an account of an address that is known to be somebody's; without a password nobody logs in with one.

    Raises AccountExistsError, which is an AccountInactiveError for one that was deactivated, also where it was made at
    the same moment; ValidationError for values that cannot be, and for a password that is not good enough.
    """
    _refuse_if_there(email)
    if password is not None:
        check_new(password=password, user=User(email=email, name=name), field="password")
    try:
        with transaction.atomic():
            return User.objects.create_user(email, password, name=name)
    except (IntegrityError, ValidationError):
        # made at the same moment: the database says so, or the check right before
        _refuse_if_there(email)
        raise


def _refuse_if_there(email: str) -> None:
    user = User.objects.filter(email=email).first()
    if user is not None:
        raise AccountExistsError if user.is_active else AccountInactiveError
