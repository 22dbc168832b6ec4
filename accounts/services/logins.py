"""Logging in with a password, and the second factor where there is one."""

from importlib import import_module

from django.conf import settings
from django.contrib.auth import authenticate
from django.contrib.auth.signals import user_logged_in
from django.db import transaction
from rest_framework.request import Request

from accounts import lockout
from accounts.models import User
from accounts.problems import NotAuthenticatedError
from accounts.services import idempotency, second_factor, tokens
from accounts.services.second_factor import EnrolmentRequiredError
from accounts.services.tokens import TokenPair


class WrongCredentialsError(NotAuthenticatedError):
    """No active account has this address and this password; which of it is wrong is not said."""

    code = "no_active_account"


def log_in(*, request: Request, email: str, password: str, code: str = "") -> TokenPair:
    """Give the first pair of a new family for an address, a password and a code of the second factor.

    The signals that Django sends write the time of the login and the audit trail, and forget the wrong passwords before
    it, as for the admin's own form. Raises WrongCredentialsError; LoginLockedError where too many were wrong; what
    `second_factor.check` raises; EnrolmentRequiredError for staff who must set one up.
    """
    user = authenticate(request, email=email, password=password)
    if user is None:
        lockout.refuse_if_locked(request)
        raise WrongCredentialsError("No active account has this address and this password.")
    second_factor.check(user=user, code=code, request=request)
    with transaction.atomic():
        return give_pair(request=request, user=user)


def give_pair(*, request: Request, user: User) -> TokenPair:
    """Give the first pair to a user who has shown all of who they are, as a part of the transaction that is open.

    Raises EnrolmentRequiredError.
    """
    if user.must_enrol:
        raise EnrolmentRequiredError
    user_logged_in.send(sender=type(user), request=request, user=user)
    return tokens.begin(user=user)


def flush_expired() -> None:
    """Delete the rows of tokens, of the admin's sessions and of kept answers that ran out."""
    tokens.flush_expired()
    idempotency.flush_expired()
    import_module(settings.SESSION_ENGINE).SessionStore.clear_expired()
