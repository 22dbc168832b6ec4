"""Imports in the admin: how far each is, what it refused, and what may be done about it. For superusers."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm

from accounts.admin_dialogs import act, dialog, reload_page
from accounts.problems import DomainError
from gallery.admin import filters
from gallery.admin.base import ReadOnlyAdmin
from gallery.admin.durations import duration
from processing.importing.counts import BYTES, FILES, NAMES, REFUSED_BY, complete
from processing.models import FileState, Import, ImportState
from processing.services import imports

STATE_LABELS = {
    ImportState.RUNNING: "primary",
    ImportState.PAUSED: "warning",
    ImportState.FINISHED: "success",
    ImportState.FAILED: "danger",
    ImportState.CANCELLED: "default",
}
# of the files that want a person
SHOWN_FILES = 50
TOLD_STATES = (FileState.REFUSED, FileState.CHANGED, FileState.MISSING)
# what may be done about an import in each state
OFFERED = {
    ImportState.RUNNING: {"pause", "cancel"},
    ImportState.PAUSED: {"resume", "cancel"},
    ImportState.FAILED: {"resume", "cancel"},
    ImportState.FINISHED: {"rescan"},
    ImportState.CANCELLED: {"rescan"},
}


@admin.register(Import)
class ImportAdmin(ReadOnlyAdmin):
    """Imports are started through the API; here they are watched, held up, ended and repeated."""

    list_display = (
        "place",
        "state_shown",
        "library",
        "progress",
        "outcome",
        "requested_by",
        "created_at",
        "finished_at",
    )
    list_select_related = ("library", "requested_by")
    list_filter = (("state", ChoicesDropdownFilter), ("library", filters.VisibleSelectFilter))
    list_filter_submit = True
    search_fields = ("source", "path")
    fieldsets = (
        (None, {"fields": ("place", "library", "way", "requested_by")}),
        (_("How far it is"), {"fields": ("state_in_words", "trouble", "phase", "progress", "pace", "left")}),
        (_("What came of it"), {"fields": ("counted", "refused_by", "files_shown")}),
        (_("Times"), {"fields": ("created_at", "finished_at", "work")}),
    )  # fmt: skip
    actions_detail = ("pause", "resume", "cancel", "rescan")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Import]:
        """Imports that the user may see, with their states."""
        return Import.objects.visible_to(request.user).with_state()

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Let nobody but those who run the installation see what lies on the server."""
        return request.user.is_authenticated and request.user.runs_installation

    def has_module_permission(self, request: HttpRequest) -> bool:
        """As for seeing them."""
        return self.has_view_permission(request)

    def has_steer_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        """As for seeing them."""
        return self.has_view_permission(request)

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[Any]:
        """Offer what may be done about it now."""
        one = self.get_object(request, object_id)
        offered = OFFERED[ImportState(one.shown_state)] if one else set()
        return [one for one in super().get_actions_detail(request, object_id) if one.path.split("/")[-1] in offered]

    @action(
        description=_("Pause"),
        icon="pause",
        permissions=["steer"],
        dialog=dialog(
            title=_("Pause this import?"),
            description=_("It rests behind the file in hand, until somebody resumes it."),
            submit=_("Pause"),
        ),
    )
    def pause(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Pause an import."""
        return self._steer(request, object_id, imports.pause, done=_("The import is paused."))

    @action(
        description=_("Resume"),
        icon="play_arrow",
        permissions=["steer"],
        dialog=dialog(
            title=_("Let this import go on?"), description=_("It goes on behind the last file."), submit=_("Resume")
        ),
    )
    def resume(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Resume an import."""
        return self._steer(request, object_id, imports.resume, done=_("The import goes on."))

    @action(
        description=_("Cancel"),
        icon="cancel",
        permissions=["steer"],
        dialog=dialog(
            title=_("Cancel this import?"),
            description=_("It ends behind the file in hand. What it has taken in stays."),
            submit=_("Cancel the import"),
            is_destructive=True,
        ),
    )
    def cancel(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Cancel an import."""
        return self._steer(request, object_id, imports.cancel, done=_("The import is cancelled."))

    @action(
        description=_("Read again"),
        icon="sync",
        permissions=["steer"],
        dialog=dialog(
            title=_("Read this place again?"),
            description=_(
                "Another import finds what is new, what has changed and what is missing. Nothing is deleted for it."
            ),
            submit=_("Read again"),
        ),
    )
    def rescan(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Import the same place once more, and go to that import's page."""
        try:
            made = imports.rescan(import_id=self.existing(request, object_id).pk, by=request.user)
        except DomainError as error:
            messages.error(request, error.detail)
            return reload_page()
        messages.success(request, _("The place is read again."))
        return HttpResponse(headers={"HX-Redirect": reverse("admin:processing_import_change", args=[made.pk])})

    def _steer(self, request: HttpRequest, object_id: str, change: Callable[..., Import], *, done: Any) -> HttpResponse:
        import_id: UUID = self.existing(request, object_id).pk
        return act(request, lambda: change(import_id=import_id, by=request.user), done=done)

    # columns and fields

    @display(description=_("place"))
    def place(self, one: Import) -> SafeString:
        """The source, and the path below it in small print."""
        if not one.path:
            return format_html('{}<span class="dr-sub nowrap">{}</span>', one.source, _("all of it"))
        return format_html('{}<span class="dr-sub dr-mono">{}</span>', one.source, one.path)

    @display(description=_("originals"))
    def way(self, one: Import) -> str:
        """What becomes of the originals, and what is special about this import."""
        special = {_("counts alone"): one.is_dry_run, _("reads unchanged files too"): one.verify}
        return " · ".join(map(str, [one.get_mode_display(), *(said for said, is_so in special.items() if is_so)]))

    @display(description=_("state"), label=STATE_LABELS)
    def state_shown(self, one: Import) -> tuple[str, str]:
        """The state, in its colour."""
        return one.shown_state, self.state_in_words(one)

    @display(description=_("state"))
    def state_in_words(self, one: Import) -> str:
        """The state."""
        return str(ImportState(one.shown_state).label)

    @display(description=_("trouble"))
    def trouble(self, one: Import) -> SafeString | None:
        """Why it has paused or failed, or waits."""
        code = one.pause_code or ("" if one.finished_at else one.error_code)
        detail = "" if one.pause_code else one.error_detail
        return format_html('<span class="dr-error">{}</span> {}', code, detail) if code else None

    @display(description=_("progress"))
    def progress(self, one: Import) -> SafeString | None:
        """How many files of how many, and how many bytes."""
        counts = complete(one.counts)
        if one.total_files is None:
            return format_html("{}", _("counting")) if one.shown_state == ImportState.RUNNING else None
        if one.is_dry_run:
            return _told(f"{one.total_files:,}", filesizeformat(one.total_bytes))
        done = f"{counts[FILES]:,} / {one.total_files:,}"
        return _told(done, f"{filesizeformat(counts[BYTES])} / {filesizeformat(one.total_bytes)}")

    @display(description=_("files per second"))
    def pace(self, one: Import) -> str | None:
        """How fast it is."""
        return None if one.files_per_second is None else f"{one.files_per_second:,.1f}"

    @display(description=_("time left"))
    def left(self, one: Import) -> str | None:
        """How long the rest takes at this pace."""
        return duration(one.seconds_left)

    @display(description=_("time of work"))
    def work(self, one: Import) -> str | None:
        """Seconds of work, without pauses."""
        return duration(one.seconds)

    @display(description=_("outcome"))
    def outcome(self, one: Import) -> str | None:
        """What the files came to, in one line."""
        counts = complete(one.counts)
        told = (name for name in NAMES if counts[name] and name not in {FILES, BYTES})
        return " · ".join(f"{name.replace('_', ' ')} {counts[name]:,}" for name in told) or None

    @display(description=_("counts"))
    def counted(self, one: Import) -> str | None:
        """As in the list."""
        return self.outcome(one)

    @display(description=_("refused for"))
    def refused_by(self, one: Import) -> str | None:
        """The refusals, by their code."""
        by = complete(one.counts)[REFUSED_BY]
        return " · ".join(f"{code} {count:,}" for code, count in sorted(by.items())) or None

    @display(description=_("files that want a look"))
    def files_shown(self, one: Import) -> SafeString | None:
        """The newest files that were refused, have changed or are missing."""
        files = one.files.filter(state__in=TOLD_STATES).order_by("-pk")[:SHOWN_FILES]
        rows = [(file.path, " ".join([str(file.get_state_display()), file.code, file.detail])) for file in files]
        return format_html_join("", '<div class="dr-mono">{}</div><span class="dr-sub">{}</span>', rows) or None


def _told(first: str, second: str) -> SafeString:
    return format_html('<span class="nowrap">{}</span><span class="dr-sub">{}</span>', first, second)
