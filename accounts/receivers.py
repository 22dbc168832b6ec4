"""What Django tells of logins. Signals are the right hook here, and here alone: Django's own login form, that of the
admin, calls no service of ours, and its backends fail and succeed in one place for every way in.
"""

from collections.abc import Mapping

from django.http import HttpRequest
from rest_framework.request import Request

from accounts.models import AuditAction, User
from accounts.services import audit


def record_login(*, user: User, request: HttpRequest | Request | None = None, **_signal: object) -> None:
    """Write into the trail that somebody has logged in."""
    audit.record(action=AuditAction.LOGIN_SUCCEEDED, actor=user, details={"way": _way(request)})


def record_failure(
    *, credentials: Mapping[str, object], request: HttpRequest | Request | None = None, **_signal: object
) -> None:
    """Write into the trail that somebody could not log in, and as whom if there is such an account.

    What was typed for one that does not exist is not kept: it may be a password in the wrong field.
    """
    address = str(credentials.get(User.USERNAME_FIELD) or credentials.get("username") or "")
    account = User.objects.filter(email=address.lower()).first()
    audit.record(action=AuditAction.LOGIN_FAILED, subject=account, details={"way": _way(request)})


def record_logout(*, user: User | None, request: HttpRequest | None = None, **_signal: object) -> None:
    """Write into the trail that somebody has ended their session."""
    if user is not None:
        audit.record(action=AuditAction.TOKEN_REVOKED, actor=user, details={"way": _way(request)})


def _way(request: HttpRequest | Request | None) -> str:
    """Say what was asked for: tokens by the API, a session by a page, or nothing by a request."""
    if request is None:
        return "program"
    return "token" if isinstance(request, Request) else "session"
