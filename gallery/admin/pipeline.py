"""The pipeline page: what waits, runs and fails of each kind of work, who works on it, and the switch that pauses."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from django import forms
from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.defaultfilters import filesizeformat
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminTextareaWidget

from accounts import admin_permissions
from accounts.admin_dialogs import act, ask, dialog
from accounts.models import User
from gallery.admin.base import RUN_STATE_LABELS, page, require
from gallery.admin.durations import duration
from gallery.admin.pauses import Condition, condition_of_pause, condition_of_work
from processing import backlog, canaries
from processing.models import Canary, RunState
from processing.services import stage_control
from processing.services.stage_control import StageStatus, WorkerStatus

# of the page as a whole
admin_permissions.also_offer("processing.stagepause")

COUNTED_STATES = (RunState.WAITING, RunState.PENDING, RunState.RUNNING)


class PauseForm(BaseDialogForm):
    """Why nothing more is claimed: whoever finds the stage paused wants to know."""

    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=stage_control.REASON_MAX_LENGTH,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 2, "autofocus": True}),
    )


@dataclass(frozen=True, slots=True)
class Cell:
    """A count with its colour, and where its runs are listed."""

    label: str
    shown: str
    tone: str
    url: str


@dataclass(frozen=True, slots=True)
class StageRow:
    """A stage, or a kind of library work, as a line of the table."""

    status: StageStatus
    url: str
    cells: list[Cell]
    oldest: str
    rate: str
    conditions: list[Condition]


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """A worker as a line of the table."""

    status: WorkerStatus
    node: str
    models: str
    running: str
    memory: str
    up: str
    seen: str
    condition: Condition


@dataclass(frozen=True, slots=True)
class CanaryRow:
    """A queue, and the message that has to move through it."""

    queue: str
    dot: str
    said: str


def urls() -> list[URLPattern]:
    """Give the addresses of the page and of its switches."""
    view = admin.site.admin_view
    return [
        path("pipeline/", view(pipeline_page), name="pipeline"),
        path("pipeline/<str:work>/pause/", view(pause_work), name="pipeline_pause"),
        path("pipeline/<str:work>/resume/", view(resume_work), name="pipeline_resume"),
    ]


def pipeline_page(request: HttpRequest) -> HttpResponse:
    """Show the pipeline of the whole installation as it is now."""
    require(request, "processing.view_stagepause")
    workers = [_worker_row(one) for one in stage_control.workers()]
    return page(
        request,
        "admin/pipeline/page.html",
        title=_("Pipeline"),
        stages=[_stage_row(one, request.user) for one in stage_control.stages()],
        workers=workers,
        canaries=list(_canary_rows()),
        may_pause=request.user.is_superuser,
        now=timezone.now(),
    )


def pause_work(request: HttpRequest, work: str) -> HttpResponse:
    """Ask for a reason, and have nothing more claimed of a stage or a kind of library work."""
    _require_switch(request, work)
    form = PauseForm(request, data=request.POST or None)
    if form.is_valid():
        reason = form.cleaned_data["reason"]
        return act(
            request,
            lambda: stage_control.pause(work=work, by=request.user, reason=reason),
            done=_("%(work)s is paused.") % {"work": work},
        )
    asked = dialog(
        title=_("Pause %(work)s?") % {"work": work},
        description=_("Nothing more of it is claimed, by any worker, until it is resumed. What runs is finished."),
        submit=_("Pause"),
    )
    return ask(request, asked=asked, form=form)


def resume_work(request: HttpRequest, work: str) -> HttpResponse:
    """Ask, and let a stage or a kind of library work go on."""
    _require_switch(request, work)
    form = BaseDialogForm(request, data=request.POST or None)
    if form.is_valid():
        return act(request, lambda: stage_control.resume(work=work), done=_("%(work)s goes on.") % {"work": work})
    asked = dialog(
        title=_("Resume %(work)s?") % {"work": work},
        description=_("Workers are told at once, and claim what is pending."),
        submit=_("Resume"),
    )
    return ask(request, asked=asked, form=form)


def _require_switch(request: HttpRequest, work: str) -> None:
    if not request.user.is_superuser:
        raise PermissionDenied("Only a superuser pauses and resumes.")
    if work not in backlog.queues():
        raise Http404(f"There is no work named {work}.")


def _stage_row(status: StageStatus, user: User) -> StageRow:
    model = "libraryrun" if status.is_library_work else "stagerun"
    may_list = user.has_perm(f"processing.view_{model}")
    lists = reverse(f"admin:processing_{model}_changelist")
    chosen = {"kind" if status.is_library_work else "stage": status.name}
    may_see_dead = user.has_perm("processing.view_stagerun")
    cells = [
        Cell(
            label=state.value,
            shown=_count(status.counts[state]),
            tone=RUN_STATE_LABELS[state],
            url=f"{lists}?{urlencode({**chosen, 'state__exact': state})}" if may_list else "",
        )
        for state in COUNTED_STATES
    ]
    dead_url = f"{reverse('admin:dead_letters')}?{urlencode({'work': status.name})}" if may_see_dead else ""
    failed = Cell(_("died in the last hour"), _count(status.failures_last_hour), "danger", dead_url)
    dead = Cell(_("dead"), _count(status.counts[RunState.DEAD]), "danger", dead_url)
    return StageRow(
        status=status,
        url=f"{lists}?{urlencode(chosen)}" if may_list else "",
        cells=[*cells, failed, dead],
        oldest=duration(status.oldest_pending_seconds) or "",
        rate=_rate(status.done_per_minute),
        conditions=list(_conditions(status)),
    )


def _conditions(status: StageStatus) -> Iterator[Condition]:
    if status.pause:
        yield condition_of_pause(status.pause)
    if status.obstacle:
        yield condition_of_work(status.obstacle, status.queue)
    if not status.pause and not status.obstacle:
        if status.counts[RunState.RUNNING]:
            yield Condition(tone="success", label=_("working"))
        elif status.counts[RunState.PENDING]:
            yield Condition(tone="info", label=_("pending"))
        else:
            yield Condition(tone="default", label=_("idle"))


def _worker_row(status: WorkerStatus) -> WorkerRow:
    seen = duration(status.seen_seconds_ago)
    if not status.is_alive:
        condition = Condition(tone="danger", label=_("silent"), detail=_("not heard of for %s") % seen)
    elif status.draining_since:
        ago = duration(timezone.now() - status.draining_since)
        condition = Condition(tone="warning", label=_("draining"), detail=_("takes nothing new for %s") % ago)
    else:
        condition = Condition(tone="success", label=_("alive"))
    return WorkerRow(
        status=status,
        node=status.name.partition("@")[0],
        models=" · ".join(one for one in (status.device, *status.models) if one),
        running=", ".join(f"{name} {count}" for name, count in status.running_by_work.items()),
        memory="" if status.memory_bytes is None else filesizeformat(status.memory_bytes),
        up=duration(timezone.now() - status.started_at) or "",
        seen=seen or "",
        condition=condition,
    )


def _canary_rows() -> Iterator[CanaryRow]:
    rows = Canary.objects.in_bulk()
    late = {one.queue for one in canaries.statuses() if one.is_late}
    now = timezone.now()
    for queue in settings.QUEUES:
        row = rows.get(queue)
        if row is None:
            yield CanaryRow(queue, "idle", _("not rung yet"))
        elif queue in late:
            yield CanaryRow(queue, "off", _("deaf: rung %s ago, and nobody answers") % _ago(now, row.rung_at))
        elif row.moved_at is None or row.moved_at < row.rung_at:
            yield CanaryRow(queue, "idle", _("rung %s ago, no answer yet") % _ago(now, row.rung_at))
        else:
            said = _("answered %(ago)s ago by %(worker)s")
            yield CanaryRow(queue, "on", said % {"ago": _ago(now, row.moved_at), "worker": row.worker})


def _ago(now: datetime, then: datetime) -> str:
    return duration(max(now, then) - then) or ""


def _count(count: int) -> str:
    return f"{count:,}+" if count >= backlog.COUNT_LIMIT else f"{count:,}"


def _rate(per_minute: float) -> str:
    return f"{per_minute:,.0f}" if per_minute >= 100 or not per_minute else f"{per_minute:.1f}"
