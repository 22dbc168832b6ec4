"""Opening, closing and unlocking accounts on the page of a user: superusers do, and are asked before."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action
from unfold.forms import BaseDialogForm

from accounts import lockout
from accounts.models import Library, User
from accounts.problems import DomainError
from accounts.services import users


class ActivationActions:
    """Actions of a user's page, of which those are offered that would do something."""

    actions_detail = ("deactivate", "reactivate", "unlock")

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[Any]:
        """Offer to superusers what can be done with the account of somebody else."""
        user = self.get_object(request, object_id)
        if user is None or user == request.user or not request.user.is_superuser:
            return []
        unwanted = ["_reactivate" if user.is_active else "_deactivate"]
        if not lockout.is_locked(user=user):
            unwanted.append("_unlock")
        actions = super().get_actions_detail(request, object_id)
        return [one for one in actions if not one.action_name.endswith(tuple(unwanted))]

    def has_activation_permission(self, request: HttpRequest, _object_id: object = None) -> bool:
        """Superusers alone."""
        return request.user.is_superuser

    @action(
        description=_("Deactivate"),
        icon="person_off",
        permissions=["activation"],
        dialog={
            "title": _("Deactivate this account?"),
            "description": _(
                "Its sessions, tokens and API keys are worth nothing from now on, also if the account is reactivated. "
                "Its memberships stay."
            ),
            "form_class": None,
            "form_submit_text": _("Deactivate"),
        },
    )
    def deactivate(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Close the account, and say where an admin is wanted now."""
        return self._act(request, object_id, users.deactivate, done=_("The account is closed."))

    @action(
        description=_("Reactivate"),
        icon="person_check",
        permissions=["activation"],
        dialog={
            "title": _("Reactivate this account?"),
            "description": _("Whoever it belongs to logs in anew, and makes new API keys."),
            "form_class": None,
            "form_submit_text": _("Reactivate"),
        },
    )
    def reactivate(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Open the account again."""
        return self._act(request, object_id, users.reactivate, done=_("The account is open."))

    @action(
        description=_("Unlock"),
        icon="lock_open",
        permissions=["activation"],
        dialog={
            "title": _("Let this account be tried again?"),
            "description": _(
                "Too many wrong passwords keep it locked for a while. They are forgotten, from everywhere."
            ),
            "form_class": None,
            "form_submit_text": _("Unlock"),
        },
    )
    def unlock(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Let somebody in who was locked out."""
        return self._act(request, object_id, users.unlock, done=_("The account may be tried again."))

    def _act(
        self, request: HttpRequest, object_id: str, change: Callable[..., list[Library] | None], *, done: Any
    ) -> HttpResponse:
        user: User | None = self.get_object(request, object_id)
        if user is None:
            raise Http404(object_id)
        try:
            without_admin = change(user=user, actor=request.user)
        except DomainError as error:
            messages.error(request, error.detail)
        else:
            messages.success(request, done)
            if without_admin:
                names = ", ".join(library.name for library in without_admin)
                messages.warning(request, _("Without an active admin now: %s. Give somebody the role.") % names)
        # the page beneath the dialog loads again and shows the message
        return HttpResponse(headers={"HX-Refresh": "true"})
