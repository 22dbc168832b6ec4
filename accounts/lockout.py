"""Who guesses passwords is locked out for a while: one address by account, and an account whoever guesses.

An account that does not exist is locked like one that does, so that nobody learns which do.
"""

import math
from typing import Any

from axes.attempts import get_cool_off_threshold
from axes.handlers.database import AxesDatabaseHandler
from axes.handlers.proxy import AxesProxyHandler
from axes.helpers import get_client_username, get_cool_off
from axes.models import AccessAttempt
from django.conf import settings
from django.db import transaction
from django.db.models import Q, Sum
from django.db.models.functions import Now
from django.http import HttpRequest
from rest_framework.request import Request

from accounts.models import AuditAction, User
from accounts.problems import DomainError
from accounts.services import audit

DETAIL = "Too many wrong passwords. Wait before you try again, or ask whoever runs this installation."
NAME_MAX_LENGTH = 254


class LoginLockedError(DomainError):
    """Too many wrong passwords were tried; `wait` is after how many seconds at most another may be."""

    code = "login_locked"

    def __init__(self) -> None:
        super().__init__(DETAIL)
        self.wait = locked_seconds()


class LockoutHandler(AxesDatabaseHandler):
    """Counts failures in the database, with a second bound for an account from all addresses together."""

    def get_failures(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> int:
        """Give the failures of this account from this address, and the limit where the account has reached its own."""
        recent = AccessAttempt.objects.filter(
            username=get_client_username(request, credentials), attempt_time__gte=get_cool_off_threshold(request)
        )
        failures = recent.aggregate(
            here=Sum("failures_since_start", filter=Q(ip_address=request.axes_ip_address), default=0),
            everywhere=Sum("failures_since_start", default=0),
        )
        if failures["everywhere"] >= settings.LOCKOUT_ACCOUNT_FAILURES:
            return max(failures["here"], settings.AXES_FAILURE_LIMIT)
        return int(failures["here"])

    @transaction.atomic
    def user_login_failed(
        self, sender: object, credentials: dict[str, Any], request: HttpRequest | None = None, **kwargs: Any
    ) -> None:
        """Count a failure; the trail tells of the one that locks, and not of those that come after it."""
        was_locked = getattr(request, "axes_locked_out", False)
        super().user_login_failed(sender, credentials, request, **kwargs)
        if getattr(request, "axes_locked_out", False) and not was_locked:
            account = User.objects.filter(email=get_client_username(request, credentials)).first()
            audit.record(action=AuditAction.LOGIN_LOCKED, subject=account)


def account_name(request: HttpRequest, credentials: dict[str, Any] | None) -> str:  # noqa: ARG001 - axes calls it
    """Name the account that somebody tries, as it is counted: in lower case, whether there is one or not."""
    given = credentials or {}
    name = str(given.get("email") or given.get("username") or "")
    return name.strip().lower().replace("\0", "")[:NAME_MAX_LENGTH]


def is_locked(*, user: User) -> bool:
    """Tell whether wrong passwords keep an account's owner out now: from some address at least, or from all."""
    # a row is of an address and a browser
    recent = AccessAttempt.objects.filter(username=user.email, attempt_time__gt=Now() - get_cool_off())
    by_address = recent.values("ip_address").annotate(failures=Sum("failures_since_start")).order_by()
    counted = list(by_address.values_list("failures", flat=True))
    return max(counted, default=0) >= settings.AXES_FAILURE_LIMIT or sum(counted) >= settings.LOCKOUT_ACCOUNT_FAILURES


def unlock(*, user: User) -> bool:
    """Forget the wrong passwords of an account from everywhere; gives whether there were any."""
    return bool(AxesProxyHandler.reset_attempts(username=user.email))


def locked_seconds() -> int:
    """Give how long a lock lasts at most, in seconds."""
    return math.ceil(get_cool_off().total_seconds())


def refuse_if_locked(request: Request | HttpRequest) -> None:
    """Raise LoginLockedError if a login of this request failed for being locked, or was the failure that locks."""
    if getattr(request, "axes_locked_out", False):
        raise LoginLockedError
