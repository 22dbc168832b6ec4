"""Logging in with a password."""

from django.contrib.auth import authenticate
from django.contrib.auth.signals import user_logged_in
from django.db import transaction
from rest_framework.request import Request

from accounts import lockout
from accounts.problems import NotAuthenticatedError
from accounts.services import tokens
from accounts.services.tokens import TokenPair


class WrongCredentialsError(NotAuthenticatedError):
    """No active account has this address and this password; which of it is wrong is not said."""

    code = "no_active_account"


def log_in(*, request: Request, email: str, password: str) -> TokenPair:
    """Give the first pair of a new family for an address and a password.

    Raises WrongCredentialsError, and LoginLockedError where too many were wrong before.

    The signals that Django sends write the time of the login and the audit trail, as for the admin's own form.
    """
    user = authenticate(request, email=email, password=password)
    if user is None:
        lockout.refuse_if_locked(request)
        raise WrongCredentialsError("No active account has this address and this password.")
    lockout.forgive(request, user=user)
    with transaction.atomic():
        user_logged_in.send(sender=type(user), request=request, user=user)
        return tokens.begin(user=user)
