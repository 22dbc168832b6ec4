"""What staff change in the admin is in the audit trail, whichever page they change it on."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from accounts.models import AuditAction
from accounts.services import audit

READING = frozenset({"GET", "HEAD", "OPTIONS"})
# pages that tell the trail of themselves
_of_their_own = {"login", "logout"}


def leave_alone(*names: str) -> None:
    """Let a page, or `<page> <action on chosen rows>`, tell of itself: its service has transactions of its own.

    It changes very many rows, some at a time: in one transaction they would be locked until the last one, and all would
    be as before where it is interrupted.
    """
    _of_their_own.update(names)


class AdminAuditMiddleware:
    """Runs each change of the admin in one transaction with the event that tells of it.

    The last of the middlewares: what others have to refuse, they have refused before.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request."""
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponseBase], args: Any, kwargs: dict[str, Any]
    ) -> HttpResponseBase | None:
        """Answer a request that may change something; leave others alone."""
        match = request.resolver_match
        if request.method in READING or match.app_name != "admin":
            return None
        if _of_their_own & {match.url_name, f"{match.url_name} {request.POST.get('action')}"}:
            return None
        if not admin.site.has_permission(request):
            return None  # led to the login
        with transaction.atomic():
            response = view(request, *args, **kwargs)
            if has_acted(request, response):
                details = {"page": match.url_name, "action": request.POST.get("action", ""), "id": _id(kwargs)}
                audit.record(
                    action=AuditAction.ADMIN_CHANGED,
                    actor=request.user,
                    details={name: value for name, value in details.items() if value},
                )
        return response


def has_acted(request: HttpRequest, response: HttpResponseBase) -> bool:
    """Tell whether the admin did what was asked: it leads away then, or has the page load again or another one.

    A form with mistakes and a dialog that asks first are shown again instead, and where all that is said is a warning
    or an error nothing was done.
    """
    if response.status_code != 302 and "HX-Refresh" not in response and "HX-Redirect" not in response:
        return False
    # to read them in the public way is to show them
    levels = {message.level for message in messages.get_messages(request)._queued_messages}  # noqa: SLF001
    return not levels or min(levels) < messages.WARNING


def _id(kwargs: dict[str, Any]) -> str:
    return str(kwargs.get("object_id", ""))[:64]
