"""What staff change in the admin is in the audit trail, whichever page they change it on."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.apps import apps
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from accounts.models import AuditAction, Library
from accounts.services import audit

POPUP = "admin/popup_response.html"
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
        of = _model_admin(match.url_name or "")
        subject = _subject(of, kwargs)
        library_id = _library_id(subject)
        with transaction.atomic():
            response = view(request, *args, **kwargs)
            if has_acted(request, response):
                details = {"page": match.url_name, "action": _action(request, of)}
                audit.record(
                    action=AuditAction.ADMIN_CHANGED,
                    actor=request.user,
                    library_id=library_id,
                    subject=subject,
                    details={name: value for name, value in details.items() if value},
                )
        return response


def has_acted(request: HttpRequest, response: HttpResponseBase) -> bool:
    """Tell whether the admin did what was asked: it leads away then, or has the page load again, or closes a popup.

    A form with mistakes and a dialog that asks first are shown again instead, and where all that is said is a warning
    or an error nothing was done.
    """
    is_done = response.status_code == 302 or "HX-Refresh" in response or "HX-Redirect" in response
    if not is_done and POPUP not in getattr(response, "template_name", ()):
        return False
    # to read them in the public way is to show them
    levels = {message.level for message in messages.get_messages(request)._queued_messages}  # noqa: SLF001
    return not levels or min(levels) < messages.WARNING


def _model_admin(page: str) -> admin.ModelAdmin | None:
    """Give what a page belongs to, by its name: `<app>_<model>_<page>`."""
    for model in apps.get_models():
        if page.startswith(f"{model._meta.app_label}_{model._meta.model_name}_") and admin.site.is_registered(model):
            return admin.site.get_model_admin(model)
    return None


def _action(request: HttpRequest, of: admin.ModelAdmin | None) -> str:
    """Name the action on chosen rows, if it is one of the page's."""
    named = request.POST.get("action", "")
    return named if of is not None and named in of.get_actions(request) else ""


def _subject(of: admin.ModelAdmin | None, kwargs: dict[str, Any]) -> Model | None:
    """Read what the page is about, as it was before."""
    if of is None or "object_id" not in kwargs:
        return None
    try:
        return of.model._base_manager.filter(pk=unquote(kwargs["object_id"])).first()  # noqa: SLF001
    except (ValidationError, ValueError):  # what is no id has no row
        return None


def _library_id(subject: Model | None) -> UUID | None:
    """Tell in which library it lies, so that those who read its trail learn of it too."""
    if isinstance(subject, Library):
        return subject.pk
    lies_in = getattr(subject, "photo", subject)
    return getattr(lies_in, "library_id", None)
