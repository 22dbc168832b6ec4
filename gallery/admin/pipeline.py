"""The ledger in the admin: stage runs, library runs, the models that run and the workers that are there."""

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.contrib.filters.admin import AutocompleteSelectFilter, ChoicesDropdownFilter
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm

from gallery.admin import files, filters
from gallery.admin.base import RUN_STATE_LABELS, ReadOnlyAdmin, dialog, reload_page
from gallery.admin.durations import duration
from gallery.admin.visibility import visible_library_runs, visible_runs
from processing.models import LibraryRun, ModelSelection, RunState, StageRun, WorkerPresence
from processing.models.ledger import Run
from processing.services import dead_letters

RETRY = dialog(title=_("Retry this run?"), description=_("It starts over, with all its attempts."), submit=_("Retry"))


class RunAdmin(ReadOnlyAdmin):
    """What the lists of both ledgers share."""

    list_filter_submit = True
    actions = ("retry",)
    actions_detail = ("retry_run",)

    def has_process_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Whether the user may have runs start over."""
        return request.user.has_perm(f"{self.opts.app_label}.change_{self.opts.model_name}")

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[Any]:
        """Offer a retry of what is dead."""
        run = self.get_object(request, object_id)
        return super().get_actions_detail(request, object_id) if run and run.state == RunState.DEAD else []

    @display(description=_("state"), label=RUN_STATE_LABELS)
    def state_shown(self, run: Run) -> str:
        """The state, in its colour."""
        return run.state

    @display(description=_("work"))
    def work(self, run: Run) -> str | None:
        """Seconds of work."""
        return duration(run.work_seconds)

    @display(description=_("in all"))
    def total(self, run: Run) -> str | None:
        """From the claim to the commit."""
        return duration(run.duration)

    @display(description=_("error"))
    def error(self, run: Run) -> SafeString | None:
        """Why it failed, or why it was skipped."""
        if run.error_code:
            return format_html('<span class="dr-error" title="{}">{}</span>', run.error_detail[:400], run.error_code)
        return format_html('<span class="dr-sub">{}</span>', run.skip_reason) if run.skip_reason else None


@admin.register(StageRun)
class StageRunAdmin(RunAdmin):
    """Runs of stages on photos."""

    list_display = (
        "thumbnail", "stage_and_version", "state_shown", "attempt", "work", "total", "error", "lane", "finished_at",
    )  # fmt: skip
    list_display_links = ("stage_and_version",)
    list_select_related = ("photo",)
    list_filter = (
        filters.StageFilter,
        ("state", ChoicesDropdownFilter),
        filters.ErrorCodeFilter,
        ("lane", ChoicesDropdownFilter),
        ("photo__library", AutocompleteSelectFilter),
    )
    search_fields = ("id",)
    search_help_text = _("Run, photo, Celery task or file")
    fieldsets = (
        (None, {"fields": ("photo_link", "stage", "version", "state", "lane", "attempt")}),
        (_("What went wrong"), {"fields": ("error_code", "error_detail", "skip_reason", "warnings")}),
        (_("Times"), {
            "fields": ("created_at", "queued_at", "not_before", "started_at", "finished_at", "work", "total"),
        }),
        (_("Who has it"), {"fields": ("worker", "task_id", "lease_until")}),
        (_("What it read"), {"fields": ("inputs",)}),
    )  # fmt: skip
    readonly_fields = ("photo_link", "work", "total")

    def get_queryset(self, request: HttpRequest) -> QuerySet[StageRun]:
        """Runs that the user may see, with the pictures of their photos."""
        return visible_runs(request.user).prefetch_related(files.smallest_renditions("photo__"))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[StageRun], search_term: str
    ) -> tuple[QuerySet[StageRun], bool]:
        """Find runs by an id, or by a part of the file's name."""
        term = search_term.strip()
        if not term:
            return queryset, False
        return queryset.filter(_named(term)), False

    @action(description=_("Retry dead runs"), permissions=["process"])
    def retry(self, request: HttpRequest, queryset: QuerySet[StageRun]) -> None:
        """Let the dead ones among the chosen runs start over."""
        _say_retried(request, dead_letters.retry(runs=queryset))

    @action(description=_("Retry"), icon="replay", permissions=["process"], dialog=RETRY)
    def retry_run(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Let this run start over."""
        self.retry(request, self.model.objects.filter(pk=self.existing(request, object_id).pk))
        return reload_page()

    @display(description=_("photo"))
    def thumbnail(self, run: StageRun) -> SafeString:
        """The photo, with a link to its page."""
        url = reverse("admin:photos_photo_change", args=[run.photo_id])
        name = run.photo.original_filename
        return format_html('<a href="{}" title="{}">{}</a>', url, name, files.thumbnail(run.photo))

    @display(description=_("stage"))
    def stage_and_version(self, run: StageRun) -> SafeString:
        """The stage, and its version in small print."""
        return format_html('{}<span class="dr-sub dr-mono">{}</span>', run.stage, run.version)

    @display(description=_("photo"))
    def photo_link(self, run: StageRun) -> SafeString:
        """The photo's name, with a link to its page."""
        url = reverse("admin:photos_photo_change", args=[run.photo_id])
        return format_html('<a class="dr-link" href="{}">{}</a>', url, run.photo)


@admin.register(LibraryRun)
class LibraryRunAdmin(RunAdmin):
    """Runs of work whose subject is a library."""

    list_display = (
        "kind", "library", "state_shown", "attempt", "work", "total", "error", "report_shown", "finished_at",
    )  # fmt: skip
    list_select_related = ("library",)
    list_filter = (
        filters.KindFilter,
        ("state", ChoicesDropdownFilter),
        filters.ErrorCodeFilter,
        ("library", AutocompleteSelectFilter),
    )
    fieldsets = (
        (None, {"fields": ("library", "kind", "subject", "version", "state", "lane", "attempt")}),
        (_("What came of it"), {"fields": ("report", "error_code", "error_detail", "skip_reason")}),
        (_("Times"), {
            "fields": ("created_at", "queued_at", "not_before", "started_at", "finished_at", "work", "total"),
        }),
        (_("Who has it"), {"fields": ("worker", "task_id", "lease_until")}),
    )  # fmt: skip
    readonly_fields = ("work", "total")

    def get_queryset(self, request: HttpRequest) -> QuerySet[LibraryRun]:
        """Runs that the user may see."""
        return visible_library_runs(request.user)

    @action(description=_("Retry dead runs"), permissions=["process"])
    def retry(self, request: HttpRequest, queryset: QuerySet[LibraryRun]) -> None:
        """Let the dead ones among the chosen runs start over."""
        _say_retried(request, dead_letters.retry_library_runs(run_ids=queryset.values_list("pk", flat=True)))

    @action(description=_("Retry"), icon="replay", permissions=["process"], dialog=RETRY)
    def retry_run(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Let this run start over."""
        self.retry(request, self.model.objects.filter(pk=self.existing(request, object_id).pk))
        return reload_page()

    @display(description=_("report"))
    def report_shown(self, run: LibraryRun) -> str | None:
        """What the work has to say, as counts."""
        return " · ".join(f"{name.replace('_', ' ')} {count}" for name, count in run.report.items()) or None


@admin.register(ModelSelection)
class ModelSelectionAdmin(ReadOnlyAdmin):
    """Models that this installation runs; `manage.py models` changes them."""

    list_display = ("task", "model", "in_use", "weights", "selected_at")
    ordering = ("task", "-in_use", "model")

    @display(description=_("weights"))
    def weights(self, selection: ModelSelection) -> str:
        """The beginning of the weights' hash."""
        return selection.weights_hash[:12]


@admin.register(WorkerPresence)
class WorkerPresenceAdmin(ReadOnlyAdmin):
    """Workers that have said they are there."""

    list_display = ("name", "alive", "queue_names", "device", "processes", "memory", "started_at", "seen_at")
    ordering = ("-seen_at",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[WorkerPresence]:
        """Workers, and whether they were heard of lately."""
        alive = WorkerPresence.objects.alive().filter(pk=OuterRef("pk"))
        return super().get_queryset(request).annotate(is_alive=Exists(alive))

    @display(description=_("alive"), boolean=True)
    def alive(self, worker: WorkerPresence) -> bool:
        """Whether it was heard of lately."""
        return worker.is_alive

    @display(description=_("queues"))
    def queue_names(self, worker: WorkerPresence) -> str:
        """The queues that it serves."""
        return ", ".join(worker.queues)

    @display(description=_("memory"))
    def memory(self, worker: WorkerPresence) -> str | None:
        """Resident memory."""
        return None if worker.memory_bytes is None else filesizeformat(worker.memory_bytes)


def _named(term: str) -> Q:
    """Match runs by the id of the run, of its photo or of its Celery task, else by the file's name."""
    try:
        key = UUID(term)
    except ValueError:
        return Q(photo__original_filename__icontains=term)
    return Q(pk=key) | Q(photo_id=key) | Q(task_id=str(key))


def _say_retried(request: HttpRequest, count: int) -> None:
    if count:
        messages.success(request, ngettext("%d run starts over.", "%d runs start over.", count) % count)
    else:
        messages.warning(request, _("None of them is dead."))
