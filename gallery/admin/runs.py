"""The ledger in the admin: stage runs and library runs, what went wrong, and what can be done about it."""

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm

from accounts.admin_dialogs import act
from accounts.models import Library
from accounts.roles import Permission
from gallery.admin import files, filters, run_actions
from gallery.admin.base import RUN_STATE_LABELS, ReadOnlyAdmin, page
from gallery.admin.durations import duration
from gallery.admin.run_actions import DISCARD, DISCARD_GROUP, RETRY, DiscardForm
from gallery.admin.visibility import visible_library_runs, visible_runs
from processing.consent import ERASURES
from processing.error_codes import explain
from processing.models import LibraryRun, RunState, StageRun
from processing.models.ledger import DISCARDED, Run
from processing.services import dead_letters

ERROR_FIELDS = (
    "error_code", "meaning", "remedy", "error_detail",
    "exception", "frame_shown", "group_link", "traceback_shown",
)  # fmt: skip
TIME_FIELDS = (
    "created_at", "first_queued_at", "queued_at", "hand_backs", "not_before",
    "started_at", "finished_at", "work", "total",
)  # fmt: skip
EMPTY = (None, "", [], {})
READ_FIELDS = ("work", "total", "meaning", "remedy", "frame_shown", "group_link", "traceback_shown")


class RunAdmin(ReadOnlyAdmin):
    """What the lists of both ledgers share."""

    list_filter_submit = True
    actions = ("retry", "discard", "restore", "download")
    actions_detail = ("retry_run", "discard_run", "download_run")
    change_form_outer_before_template = "admin/processing/discarded.html"
    # the path from a run to its library
    library_path: str

    def has_process_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Whether the user may have runs start over, or give them up."""
        return request.user.has_perm(f"{self.opts.app_label}.change_{self.opts.model_name}")

    def processable(self, request: HttpRequest, runs: QuerySet[Run]) -> QuerySet[Run]:
        """Keep the runs of libraries where the user may retry."""
        chosen = self.model.objects.filter(pk__in=runs.values("pk"))
        if request.user.runs_installation:
            return chosen  # an erasure that died too, of a library into which nobody is let any more
        libraries = Library.objects.permitting(request.user, Permission.RETRY_PROCESSING)
        return chosen.filter(**{f"{self.library_path}__in": libraries})

    def get_fieldsets(self, request: HttpRequest, obj: Run | None = None) -> list[Any]:
        """Leave out what there is nothing to say about."""
        shown = [
            (title, {"fields": [name for name in options["fields"] if self._value(obj, name) not in EMPTY]})
            for title, options in self.fieldsets
        ]
        return [(title, options) for title, options in shown if options["fields"]]

    def _value(self, run: Run | None, name: str) -> object:
        return getattr(self, name)(run) if hasattr(self, name) else getattr(run, name)

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[Any]:
        """Offer what fits the run: nothing is to be done about one that is not dead."""
        run = self.get_object(request, object_id)
        if run is None:
            return []
        fitting = {
            "retry_run": run.state == RunState.DEAD or run.skip_reason == DISCARDED,
            "discard_run": run.state == RunState.DEAD and getattr(run, run.WORK) not in ERASURES,
            "download_run": bool(run.error_code),
        }
        prefix = f"{self.opts.app_label}_{self.opts.model_name}_"
        offered = super().get_actions_detail(request, object_id)
        return [one for one in offered if fitting[one.action_name.removeprefix(prefix)]]

    # actions on many runs

    @action(description=_("Retry dead runs"), permissions=["process"])
    def retry(self, request: HttpRequest, queryset: QuerySet[Run]) -> None:
        """Let the dead ones among the chosen runs start over."""
        run_actions.retry(request, self.processable(request, queryset))

    @action(description=_("Retry discarded runs"), permissions=["process"])
    def restore(self, request: HttpRequest, queryset: QuerySet[Run]) -> None:
        """Let the discarded ones among the chosen runs start over."""
        run_actions.restore(request, self.processable(request, queryset))

    @action(description=_("Discard dead runs"), permissions=["process"])
    def discard(self, request: HttpRequest, queryset: QuerySet[Run]) -> HttpResponse | None:
        """Ask for a reason, and give up the dead ones among the chosen runs."""
        form = DiscardForm(request, data=request.POST if "_form_submitted" in request.POST else None)
        dead = self.processable(request, queryset.dead())
        if form.is_valid():
            run_actions.discard(request, dead, reason=form.cleaned_data["reason"])
            return None
        count, shown = run_actions.count(dead)
        return page(
            request,
            "admin/processing/discard_selected.html",
            title=_("Discard dead runs"),
            question=ngettext("Discard %s dead run?", "Discard %s dead runs?", count) % shown,
            consequence=DISCARD_GROUP["description"],
            form=form,
            kept=[
                (name, value)
                for name in ("action", "index", "select_across", "_selected_action")
                for value in request.POST.getlist(name)
            ],
            back_url=request.get_full_path(),
        )

    @action(description=_("Download as JSON"))
    def download(self, request: HttpRequest, queryset: QuerySet[Run]) -> HttpResponseBase:
        """Give the chosen runs with their errors and tracebacks."""
        return run_actions.download(queryset, name=f"{self.opts.model_name}s")

    # actions on one run

    @action(description=_("Retry"), icon="replay", permissions=["process"], dialog=RETRY)
    def retry_run(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Let this run start over."""
        run_id = self.one(request, object_id)
        return act(
            request, lambda: dead_letters.retry_one(run_id=run_id, by=request.user), done=_("The run starts over.")
        )

    @action(description=_("Discard"), icon="delete_sweep", permissions=["process"], dialog=DISCARD)
    def discard_run(self, request: HttpRequest, form: DiscardForm, object_id: str) -> HttpResponse:
        """Give this run up."""
        run_id, reason = self.one(request, object_id), form.cleaned_data["reason"]
        return act(
            request,
            lambda: dead_letters.discard_one(run_id=run_id, by=request.user, reason=reason),
            done=_("The run is discarded."),
        )

    @action(description=_("Download as JSON"), icon="download", permissions=["view"])
    def download_run(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """Give this run with its error and its traceback."""
        run = self.existing(request, object_id)
        return run_actions.download(self.model.objects.filter(pk=run.pk), name=f"{self.opts.model_name}-{run.pk}")

    def one(self, request: HttpRequest, object_id: str) -> UUID:
        """Give the id of a run that the user may see and retry; Http404 for one that they may not see."""
        run = self.existing(request, object_id)
        if not self.processable(request, self.model.objects.filter(pk=run.pk)).exists():
            raise PermissionDenied(Permission.RETRY_PROCESSING)
        return run.pk

    # columns and fields

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
        said = format_html('<span class="dr-sub">{}</span>', run.skip_reason) if run.skip_reason else ""
        if run.error_code:
            error = '<span class="dr-error" title="{}">{}</span>{}'
            return format_html(error, run.error_detail[:400], run.error_code, said)
        return said or None

    @display(description=_("meaning"))
    def meaning(self, run: Run) -> str:
        """What the error code means."""
        return str(explain(run.error_code).meaning)

    @display(description=_("what to do"))
    def remedy(self, run: Run) -> str:
        """What a person can do about it."""
        return str(explain(run.error_code).remedy)

    @display(description=_("frame"))
    def frame_shown(self, run: Run) -> SafeString | None:
        """The innermost frame of ours."""
        return format_html('<span class="dr-mono">{}</span>', run.frame) if run.frame else None

    @display(description=_("traceback"))
    def traceback_shown(self, run: Run) -> SafeString | None:
        """The whole story, folded."""
        if not run.traceback:
            return None
        lines = run.traceback.strip().splitlines()
        return format_html(
            '<details class="dr-fold"><summary>{}</summary><pre class="dr-trace" tabindex="0">{}</pre></details>',
            lines[-1],
            "\n".join(lines),
        )

    @display(description=_("fingerprint"))
    def group_link(self, run: Run) -> SafeString | None:
        """The fingerprint, with a link to the dead letters that it groups."""
        if not run.fingerprint:
            return None
        url = f"{reverse('admin:dead_letters')}?{urlencode({'fingerprint': run.fingerprint})}"
        return format_html('<a class="dr-link dr-mono" href="{}">{}</a>', url, run.fingerprint)


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
        filters.FingerprintFilter,
        ("lane", ChoicesDropdownFilter),
        ("photo__library", filters.VisibleSelectFilter),
    )
    search_fields = ("id",)
    search_help_text = _("Run, photo, Celery task or file")
    fieldsets = (
        (None, {"fields": ("photo_link", "stage", "version", "state", "lane", "attempt")}),
        (_("What went wrong"), {"fields": (*ERROR_FIELDS, "skip_reason", "warnings")}),
        (_("Times"), {"fields": TIME_FIELDS}),
        (_("Who has it"), {"fields": ("worker", "task_id", "lease_until")}),
        (_("What it read"), {"fields": ("inputs",)}),
    )  # fmt: skip
    readonly_fields = ("photo_link", *READ_FIELDS)
    library_path = "photo__library"

    def get_queryset(self, request: HttpRequest) -> QuerySet[StageRun]:
        """Runs that the user may see, with the pictures of their photos."""
        runs = visible_runs(request.user).defer("traceback")  # long, and read on the page of one run alone
        return runs.prefetch_related(files.smallest_renditions("photo__"))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[StageRun], search_term: str
    ) -> tuple[QuerySet[StageRun], bool]:
        """Find runs by an id, or by a part of the file's name."""
        term = search_term.strip()
        if not term:
            return queryset, False
        return queryset.filter(_named(term)), False

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
        filters.FingerprintFilter,
        ("library", filters.VisibleSelectFilter),
    )
    fieldsets = (
        (None, {"fields": ("library", "kind", "subject", "version", "state", "lane", "attempt")}),
        (_("What came of it"), {"fields": ("report", "skip_reason")}),
        (_("What went wrong"), {"fields": ERROR_FIELDS}),
        (_("Times"), {"fields": TIME_FIELDS}),
        (_("Who has it"), {"fields": ("worker", "task_id", "lease_until")}),
    )  # fmt: skip
    readonly_fields = READ_FIELDS
    library_path = "library"

    def get_queryset(self, request: HttpRequest) -> QuerySet[LibraryRun]:
        """Runs that the user may see."""
        return visible_library_runs(request.user).defer("traceback")

    @display(description=_("report"))
    def report_shown(self, run: LibraryRun) -> str | None:
        """What the work has to say, as counts."""
        return " · ".join(f"{name.replace('_', ' ')} {count}" for name, count in run.report.items()) or None


def _named(term: str) -> Q:
    """Match runs by the id of the run, of its photo or of its Celery task, else by the file's name."""
    try:
        key = UUID(term)
    except ValueError:
        return Q(photo__original_filename__icontains=term)
    return Q(pk=key) | Q(photo_id=key) | Q(task_id=str(key))
