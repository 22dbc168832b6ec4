"""API keys in the admin: who has which, and an end to one that got lost. For superusers."""

from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm

from accounts.admin_dialogs import dialog, reload_page
from accounts.models import ApiKey, KeyState
from accounts.roles import Permission
from accounts.services import api_keys
from gallery.admin.base import ReadOnlyAdmin, say
from gallery.admin.filters import KeyStateFilter

NONE_REVOKED = _("None of them had to be revoked: they were before.")
STATE_LABELS = {
    KeyState.USABLE: "success",
    KeyState.REVOKED: "danger",
    KeyState.EXPIRED: "warning",
    KeyState.OWNER_INACTIVE: "warning",
}


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    """Keys of everybody. Their owners make them, by the API; what opens is kept nowhere and so never shown."""

    list_display = ("name", "beginning", "owner", "library_or_all", "shown_state", "last_used_at", "expires_at")
    list_select_related = ("owner", "library")
    list_filter = (KeyStateFilter,)
    list_filter_submit = True
    search_fields = ("name", "prefix", "owner__email")
    search_help_text = _("Name, beginning of the key after dk_, or the owner's address.")
    fields = (
        "name", "beginning", "owner", "library_or_all", "permissions", "state_in_words", "created_at", "last_used_at",
        "expires_at", "revoked_at",
    )  # fmt: skip
    actions = ("revoke",)
    actions_detail = ("revoke_key",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiKey]:
        """All keys, with their states."""
        return super().get_queryset(request).with_state()

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Let nobody but those who run the installation see everybody's keys."""
        return request.user.is_authenticated and request.user.runs_installation

    def has_module_permission(self, request: HttpRequest) -> bool:
        """As for seeing them."""
        return self.has_view_permission(request)

    def has_revoke_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        """As for seeing them."""
        return self.has_view_permission(request)

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[Any]:
        """Offer nothing for a key that was revoked."""
        key = self.get_object(request, object_id)
        is_open = key is not None and key.revoked_at is None
        return super().get_actions_detail(request, object_id) if is_open else []

    @action(description=_("Revoke"), permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        """End the chosen keys."""
        count = api_keys.revoke(keys=queryset.order_by(), actor=request.user)
        say(request, count, "%d key is revoked.", "%d keys are revoked.", none=NONE_REVOKED)

    @action(
        description=_("Revoke"),
        icon="key_off",
        permissions=["revoke"],
        dialog=dialog(
            title=_("Revoke this key?"),
            description=_("Whatever uses it is refused from now on. This cannot be undone."),
            submit=_("Revoke"),
            is_destructive=True,
        ),
    )
    def revoke_key(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """End this key."""
        self.revoke(request, ApiKey.objects.filter(pk=self.existing(request, object_id).pk))
        return reload_page()

    @display(description=_("begins with"))
    def beginning(self, key: ApiKey) -> str:
        """What a lost key is recognised by."""
        return f"dk_{key.prefix}…"

    @display(description=_("library"))
    def library_or_all(self, key: ApiKey) -> str:
        """The only library that it opens, or all those of its owner."""
        return str(key.library) if key.library_id else str(_("all of the owner's"))

    @display(description=_("state"), label=STATE_LABELS)
    def shown_state(self, key: ApiKey) -> tuple[str, str]:
        """Whether it opens anything now."""
        return key.state, self.state_in_words(key)

    @display(description=_("state"))
    def state_in_words(self, key: ApiKey) -> str:
        """Whether it opens anything now."""
        return str(KeyState(key.state).label)

    @display(description=_("permissions"))
    def permissions(self, key: ApiKey) -> str:
        """What it may do, in words, as far as its owner may."""
        return "\n".join(str(Permission(scope).label) for scope in key.scopes)
