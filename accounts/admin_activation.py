"""Opening, closing and unlocking accounts on the page of a user: superusers do, and are asked before."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action
from unfold.forms import BaseDialogForm

from accounts import lockout
from accounts.admin_dialogs import act, dialog
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
        dialog=dialog(
            title=_("Deactivate this account?"),
            description=_(
                "Its sessions, tokens and API keys are worth nothing from now on, also if the account is reactivated. "
                "Its memberships stay."
            ),
            submit=_("Deactivate"),
        ),
    )
    def deactivate(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Close the account, and say where an admin is wanted now."""
        user = self.existing(request, object_id)

        def close() -> None:
            if without_admin := users.deactivate(user=user, actor=request.user):
                names = ", ".join(library.name for library in without_admin)
                messages.warning(request, _("Without an active admin now: %s. Give somebody the role.") % names)

        return act(request, close, done=_("The account is closed."))

    @action(
        description=_("Reactivate"),
        icon="person_check",
        permissions=["activation"],
        dialog=dialog(
            title=_("Reactivate this account?"),
            description=_("Whoever it belongs to logs in anew, and makes new API keys."),
            submit=_("Reactivate"),
        ),
    )
    def reactivate(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Open the account again."""
        user = self.existing(request, object_id)
        return act(request, lambda: users.reactivate(user=user, actor=request.user), done=_("The account is open."))

    @action(
        description=_("Unlock"),
        icon="lock_open",
        permissions=["activation"],
        dialog=dialog(
            title=_("Let this account be tried again?"),
            description=_("Too many wrong passwords keep it locked for a while. They are forgotten, from everywhere."),
            submit=_("Unlock"),
        ),
    )
    def unlock(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Let somebody in who was locked out."""
        user, done = self.existing(request, object_id), _("The account may be tried again.")
        return act(request, lambda: users.unlock(user=user, actor=request.user), done=done)
