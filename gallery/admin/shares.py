"""Shares in the admin: what is shown to people without an account, and the end of it."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm

from accounts.admin_dialogs import act, dialog
from gallery.admin import filters
from gallery.admin.base import ReadOnlyAdmin, say
from gallery.models import Share, ShareState
from gallery.services import shares

STATE_LABELS = {
    ShareState.OPEN: "success",
    ShareState.REVOKED: "danger",
    ShareState.EXPIRED: "default",
    ShareState.SHARER_INACTIVE: "warning",
}


@admin.register(Share)
class ShareAdmin(ReadOnlyAdmin):
    """Links are made through the API, which tells them once; here they are looked through and revoked."""

    list_display = (
        "who",
        "shown_state",
        "library",
        "created_by",
        "photos_shared",
        "views",
        "last_viewed_at",
        "expires_at",
    )
    list_select_related = ("library", "created_by")
    list_filter = (filters.ShareStateFilter, ("library", filters.VisibleSelectFilter))
    list_filter_submit = True
    search_fields = ("title",)
    fields = (
        "title", "state_in_words", "library", "created_by", "photos_shared", "protected", "show_metadata",
        "allow_originals", "created_at", "expires_at", "revoked_at", "views", "last_viewed_at",
    )  # fmt: skip
    readonly_fields = fields
    actions = ("revoke_chosen",)
    actions_detail = ("revoke",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Share]:
        """Shares of libraries in which the user may share."""
        return Share.objects.visible_to(request.user).with_photo_count().with_state()

    def has_revoke_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Whether the user may change shares; of which ones, their role in the library says."""
        return request.user.has_perm("gallery.change_share")

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[Any]:
        """Offer to revoke what is not revoked yet."""
        share = self.get_object(request, object_id)
        return [] if share is None or share.revoked_at else super().get_actions_detail(request, object_id)

    @action(
        description=_("Revoke"),
        icon="link_off",
        permissions=["revoke"],
        dialog=dialog(
            title=_("Revoke this share?"),
            description=_("Its link opens nothing any more, at once and for good: page, images and originals."),
            submit=_("Revoke"),
            is_destructive=True,
        ),
    )
    def revoke(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Revoke a share."""
        share = self.existing(request, object_id)
        return act(
            request,
            lambda: shares.revoke_shares(share_ids=[share.pk], by=request.user),
            done=_("The share is revoked."),
        )

    @action(description=_("Revoke shares"), permissions=["revoke"])
    def revoke_chosen(self, request: HttpRequest, queryset: QuerySet[Share]) -> None:
        """Revoke the chosen shares."""
        count = shares.revoke_shares(share_ids=queryset.values_list("pk", flat=True), by=request.user)
        say(
            request,
            count,
            "%d share is revoked.",
            "%d shares are revoked.",
            none=_("All of these were revoked before."),
            level=messages.SUCCESS,
        )

    @display(description=_("title"))
    def who(self, share: Share) -> str:
        """The title, or that there is none."""
        return share.title or _("without a title")

    @display(description=_("state"), label=STATE_LABELS)
    def shown_state(self, share: Share) -> tuple[str, str]:
        """Whether the link may open something now."""
        return share.state, self.state_in_words(share)

    @display(description=_("state"))
    def state_in_words(self, share: Share) -> str:
        """Whether the link may open something now."""
        return str(ShareState(share.state).label)

    @display(description=_("photos"))
    def photos_shared(self, share: Share) -> int:
        """How many photos are in it."""
        return share.photo_count

    @display(description=_("views"))
    def views(self, share: Share) -> int:
        """How often its page was looked at."""
        return share.view_count

    @display(description=_("password"), boolean=True)
    def protected(self, share: Share) -> bool:
        """Whether it asks for a password."""
        return share.has_password
