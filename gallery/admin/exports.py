"""Exports in the admin: whose they are, how far each is, and the end of those that take too much room."""

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action, display

from gallery.admin import filters
from gallery.admin.base import ReadOnlyAdmin, say
from photos.models import Export, ExportState
from processing.services import exports

STATE_LABELS = {
    ExportState.RUNNING: "primary",
    ExportState.READY: "success",
    ExportState.FAILED: "danger",
    ExportState.EXPIRED: "default",
    ExportState.WITHDRAWN: "warning",
}


@admin.register(Export)
class ExportAdmin(ReadOnlyAdmin):
    """Exports are asked for and downloaded through the API, by their askers; here they are watched and deleted."""

    list_display = (
        "requested_by",
        "state_shown",
        "library",
        "content",
        "progress",
        "size",
        "created_at",
        "expires_at",
    )
    list_select_related = ("library", "requested_by")
    list_filter = (("state", ChoicesDropdownFilter), ("library", filters.VisibleSelectFilter))
    list_filter_submit = True
    fields = (
        "requested_by", "library", "state_in_words", "trouble", "content", "metadata", "progress", "missing", "size",
        "created_at", "finished_at", "expires_at",
    )  # fmt: skip
    actions = ("delete_chosen",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Export]:
        """Give all exports, with their states."""
        return exports.with_state(Export.objects.filter(library__erasure_requested_at__isnull=True))

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Let nobody but those who run the installation see what others take out of it."""
        return request.user.is_authenticated and request.user.runs_installation

    def has_module_permission(self, request: HttpRequest) -> bool:
        """As for seeing them."""
        return self.has_view_permission(request)

    def has_end_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """As for seeing them."""
        return self.has_view_permission(request)

    @action(description=_("Delete exports with their files"), permissions=["end"])
    def delete_chosen(self, request: HttpRequest, queryset: QuerySet[Export]) -> None:
        """Delete the chosen exports; those that are being made end."""
        chosen = Export.objects.filter(pk__in=queryset.values("pk"))
        count = exports.delete(exports_of=chosen, by=request.user)
        say(request, count, "%d export is deleted.", "%d exports are deleted.", level=messages.SUCCESS)

    @display(description=_("state"), label=STATE_LABELS)
    def state_shown(self, export: Export) -> tuple[str, str]:
        """The state, in its colour."""
        return export.shown_state, self.state_in_words(export)

    @display(description=_("state"))
    def state_in_words(self, export: Export) -> str:
        """The state."""
        return str(ExportState(export.shown_state).label)

    @display(description=_("trouble"))
    def trouble(self, export: Export) -> SafeString | str | None:
        """Why it has failed, waits or was withdrawn."""
        if export.reason:
            return export.get_reason_display()
        code = export.error_code if export.state == ExportState.RUNNING else ""
        return format_html('<span class="dr-error">{}</span>', code) if code else None

    @display(description=_("photos"))
    def progress(self, export: Export) -> str:
        """How many of the photos were gone through."""
        if export.position == export.photo_count:
            return f"{export.photo_count:,}"
        return f"{export.position:,}\xa0/\xa0{export.photo_count:,}"

    @display(description=_("left out"))
    def missing(self, export: Export) -> str | None:
        """How many photos are in no file, by code."""
        return " · ".join(f"{code} {count:,}" for code, count in sorted(export.left_out.items())) or None

    @display(description=_("size"))
    def size(self, export: Export) -> str:
        """How much room its files take."""
        return filesizeformat(export.byte_size)
