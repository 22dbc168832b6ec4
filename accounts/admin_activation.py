"""Opening and closing accounts on the page of a user: superusers do, each time asked whether they mean it."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action
from unfold.forms import BaseDialogForm

from accounts.models import User
from accounts.problems import DomainError
from accounts.services import users


class ActivationActions:
    """Two actions of a user's page, of which one is offered."""

    actions_detail = ("deactivate", "reactivate")

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[Any]:
        """Offer to superusers what can be done with the account of somebody else."""
        user = self.get_object(request, object_id)
        if user is None or user == request.user or not request.user.is_superuser:
            return []
        unwanted = "_reactivate" if user.is_active else "_deactivate"
        actions = super().get_actions_detail(request, object_id)
        return [one for one in actions if not one.action_name.endswith(unwanted)]

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
        """Close the account."""
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

    def _act(self, request: HttpRequest, object_id: str, change: Callable[..., None], *, done: Any) -> HttpResponse:
        user: User | None = self.get_object(request, object_id)
        if user is None:
            raise Http404(object_id)
        try:
            change(user=user, actor=request.user)
        except DomainError as error:
            messages.error(request, error.detail)
        else:
            messages.success(request, done)
        # the page beneath the dialog loads again and shows the message
        return HttpResponse(headers={"HX-Refresh": "true"})
