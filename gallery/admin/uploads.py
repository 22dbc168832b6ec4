"""Uploads under way in the admin: how far each is, whose it is, what went wrong, and the end of those that hang."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action, display

from accounts.roles import Permission
from gallery.admin import filters
from gallery.admin.base import ReadOnlyAdmin, say
from gallery.admin.durations import duration
from processing.models import Upload, UploadState
from processing.services.uploads import ending

STATE_LABELS = {
    UploadState.OPEN: "info",
    UploadState.COMPLETE: "success",
    UploadState.REFUSED: "danger",
    UploadState.ENDED: "default",
}


@admin.register(Upload)
class UploadAdmin(ReadOnlyAdmin):
    """Files that come in by more than one request. Their owners go on with them; here they are looked at, and ended."""

    list_display = ("name", "shown_state", "progress", "library", "owner", "age", "expires_at", "error_code")
    list_select_related = ("library", "owner")
    list_filter = (("state", ChoicesDropdownFilter), ("library", filters.VisibleSelectFilter))
    list_filter_submit = True
    search_fields = ("filename",)
    fields = (
        "filename", "state", "progress", "library", "owner", "way", "created_at", "age", "expires_at", "being_written",
        "photo_link", "error_code", "error_detail",
    )  # fmt: skip
    actions = ("end_chosen",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Upload]:
        """Uploads into libraries in which the user may see processing."""
        visible = Upload.objects.in_libraries_of(request.user, Permission.VIEW_PROCESSING)
        return visible.annotate(now=Now())

    def has_end_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Whether the user may end uploads; which ones, their role in the library says."""
        return request.user.has_perm("processing.change_upload")

    @action(description=_("End uploads"), permissions=["end"])
    def end_chosen(self, request: HttpRequest, queryset: QuerySet[Upload]) -> None:
        """End the chosen uploads that are open: what has come in of them is deleted."""
        count = ending.end_chosen(upload_ids=queryset.values_list("pk", flat=True), by=request.user)
        say(
            request,
            count,
            "%d upload is ended.",
            "%d uploads are ended.",
            none=_("None of these is open, or yours to end."),
            level=messages.SUCCESS,
        )

    @display(description=_("file"))
    def name(self, upload: Upload) -> str:
        """The name of the file, or that it has none."""
        return upload.filename or _("without a name")

    @display(description=_("state"), label=STATE_LABELS)
    def shown_state(self, upload: Upload) -> tuple[str, str]:
        """How far it is; one whose bytes are all there is open until it is a photo."""
        return upload.state, upload.get_state_display()

    @display(description=_("progress"))
    def progress(self, upload: Upload) -> str:
        """How much of the file is there."""
        percent = 100 * upload.offset // upload.length
        return f"{percent}\xa0% of\xa0{filesizeformat(upload.length)}"

    @display(description=_("age"))
    def age(self, upload: Upload) -> str:
        """How long ago it was begun."""
        return (duration(upload.now - upload.created_at) or "").replace(" ", "\xa0")

    @display(description=_("being written"), boolean=True)
    def being_written(self, upload: Upload) -> bool:
        """Whether a request is at work on it at this moment."""
        return upload.lease_until is not None and upload.lease_until > upload.now

    @display(description=_("photo"))
    def photo_link(self, upload: Upload) -> Any:
        """The photo that it has become."""
        if upload.photo_id is None:
            return "-"
        address = reverse("admin:photos_photo_change", args=[upload.photo_id])
        return format_html('<a href="{}">{}</a>', address, upload.photo_id)
