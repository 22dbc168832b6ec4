"""The front page of the admin: how far the photos are, what was finished lately, and what needs a person."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import Library, User
from accounts.roles import Permission
from gallery.admin.base import PHOTO_STATE_LABELS, RUN_STATE_LABELS
from gallery.admin.durations import duration
from gallery.admin.pauses import condition_of_pause, condition_of_work
from gallery.admin.visibility import visible_library_runs, visible_photos, visible_runs
from photos.models import Photo
from processing import attention, broker, canaries
from processing.history import DeadLetters, ThroughputBin, dead_letters, throughput
from processing.kinds import registry as kinds
from processing.models import ModelSelection, RunState, StagePause, WorkerPresence
from processing.overview import NO_WORKER, Overview, WorkOverview, overview
from processing.stages import registry
from processing.states import PhotoState, count_by_state

PHOTO_STATE_ICONS = {
    PhotoState.READY: "check_circle",
    PhotoState.PROCESSING: "autorenew",
    PhotoState.PENDING: "schedule",
    PhotoState.ATTENTION: "error",
}
# told apart on a white and on a dark ground
STAGE_COLOURS = ("#0ea5e9", "#6366f1", "#f59e0b", "#10b981", "#a855f7", "#14b8a6")
DEAD_COLOUR = "#ef4444"
TICK_COLOUR = "#9ca3af"


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that needs a person: how bad, what, and where to look."""

    tone: str
    icon: str
    title: str
    detail: str
    url: str


def dashboard_context(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add what the dashboard shows to the context of the front page, as far as the user may see it."""
    user = request.user
    context["title"] = _("Dashboard")
    if user.has_perm("photos.view_photo"):
        context["photo_cards"] = _photo_cards(user)
    if user.has_perm("processing.view_stagerun"):
        pipeline = _pipeline(user)
        dead = dead_letters(visible_runs(user), visible_library_runs(user))
        pauses = list(StagePause.objects.select_related("paused_by").order_by("work"))
        selections = list(ModelSelection.objects.order_by("task", "-in_use", "model"))
        paused = {pause.work for pause in pauses}
        context |= {
            "stage_rows": [_stage_row(one, is_paused=one.name in paused) for one in pipeline.work],
            "run_states": [(state, state.value) for state in RunState],
            "notices": [
                *_broker(user),
                *_deaf(user),
                *_paused(pauses, user),
                *_dead(dead),
                *_obstacles(pipeline),
                *_blocked(pipeline),
                *_models_missing(user, selections),
            ],
            "chart": _chart(throughput(visible_runs(user))),
            "queues": _queues(),
            "models": selections,
        }
    return context


def _pipeline(user: User) -> Overview:
    """Count the runs that the lists of both ledgers would show to the user."""
    pipeline = overview(None if user.is_superuser else visible_photos(user, Permission.VIEW_PROCESSING))
    if user.has_perm("processing.view_libraryrun"):
        return pipeline
    return Overview(work=[one for one in pipeline.work if one.name not in kinds.names()])


def _photo_cards(user: User) -> list[dict[str, Any]]:
    counts = count_by_state(Photo.objects.visible_to(user))
    photos = reverse("admin:photos_photo_changelist")
    return [
        {
            "state": state,
            "label": state.label,
            "shown": f"{counts[state]:,}",
            "icon": icon,
            "tone": PHOTO_STATE_LABELS[state] if counts[state] or state == PhotoState.READY else "default",
            "url": f"{photos}?{urlencode({'state': state})}",
        }
        for state, icon in PHOTO_STATE_ICONS.items()
    ]


def _runs_url(work: str, **filters: str) -> str:
    """Give the address of the list of a stage's runs, or of a kind of library work."""
    is_library_work = work in kinds.names()
    page = "admin:processing_libraryrun_changelist" if is_library_work else "admin:processing_stagerun_changelist"
    return f"{reverse(page)}?{urlencode({'kind' if is_library_work else 'stage': work, **filters})}"


def _stage_row(work: WorkOverview, *, is_paused: bool) -> dict[str, Any]:
    return {
        "name": work.name,
        "is_paused": is_paused,
        "queue": work.queue,
        "url": _runs_url(work.name),
        "cells": [
            {
                "count": work.counts[state],
                "shown": f"{work.counts[state]:,}",
                "tone": RUN_STATE_LABELS[state],
                "url": _runs_url(work.name, state__exact=state),
            }
            for state in RunState
        ],
        "oldest": duration(work.oldest_pending_seconds),
        "blocked": f"{work.blocked:,}" if work.blocked else "",
    }


def _broker(user: User) -> Iterator[Notice]:
    """Say that Redis is away, hangs or is full: nothing else does where no work waits yet."""
    if trouble := broker.trouble():
        yield Notice(
            tone="danger",
            icon="cloud_off",
            title=_("Redis takes no messages"),
            detail=_("%(trouble)s. Uploads are kept, and their work begins when Redis is back")
            % {"trouble": trouble[:1].upper() + trouble[1:]},
            url=_pipeline_url(user),
        )


def _deaf(user: User) -> Iterator[Notice]:
    """Say which queues' workers are there and take nothing."""
    for canary in canaries.late():
        yield Notice(
            tone="danger",
            icon="hearing_disabled",
            title=_("The workers of %s take no messages") % canary.queue,
            detail=attention.deaf(canary),
            url=_pipeline_url(user),
        )


def _pipeline_url(user: User) -> str:
    return reverse("admin:pipeline") if user.has_perm("processing.view_stagepause") else reverse("admin:index")


def _paused(pauses: list[StagePause], user: User) -> Iterator[Notice]:
    for pause in pauses:
        condition = condition_of_pause(pause)
        yield Notice(
            tone=condition.tone,
            icon="pause_circle",
            title=_("%(work)s is %(paused)s") % {"work": pause.work, "paused": condition.label},
            detail=condition.detail,
            url=reverse("admin:pipeline") if user.has_perm("processing.view_stagepause") else _runs_url(pause.work),
        )


def _dead(dead: list[DeadLetters]) -> Iterator[Notice]:
    for one in dead:
        yield Notice(
            tone="danger",
            icon="dangerous",
            title=ngettext("%d dead run of %s", "%d dead runs of %s", one.count) % (one.count, one.work),
            detail=one.error_code,
            url=f"{reverse('admin:dead_letters')}?{urlencode({'work': one.work, 'error_code': one.error_code})}",
        )


def _obstacles(pipeline: Overview) -> Iterator[Notice]:
    for work in pipeline.work:
        if work.obstacle:
            pending = work.counts[RunState.PENDING]
            condition = condition_of_work(work.obstacle, work.queue)
            yield Notice(
                tone=condition.tone,
                icon="power_off" if work.obstacle == NO_WORKER else "neurology",
                title=ngettext("%d pending run of %s", "%d pending runs of %s", pending) % (pending, work.name),
                detail=f"{condition.detail} ({condition.label})",
                url=_runs_url(work.name, state__exact=RunState.PENDING),
            )


def _blocked(pipeline: Overview) -> Iterator[Notice]:
    for work in pipeline.work:
        if work.blocked:
            yield Notice(
                tone="warning",
                icon="block",
                title=ngettext("%d blocked run of %s", "%d blocked runs of %s", work.blocked)
                % (work.blocked, work.name),
                detail=_("waits for a dead run: it moves when that is retried"),
                url=_runs_url(work.name, state__exact=RunState.WAITING),
            )


def _models_missing(user: User, selections: list[ModelSelection]) -> Iterator[Notice]:
    in_use = {one.task for one in selections if one.in_use}
    missing = {stage.model_task for stage in registry.all_stages() if stage.model_task} - in_use
    if not missing or not Library.objects.visible_to(user).filter(face_analysis=True).exists():
        return
    for task in sorted(missing):
        yield Notice(
            tone="warning",
            icon="neurology",
            title=_("No model in use for %s") % task,
            detail=_("its runs are planned by: manage.py models use …"),
            url=reverse("admin:processing_modelselection_changelist"),
        )


def _queues() -> list[dict[str, Any]]:
    """Give the live workers of each queue; a queue without any is said too."""
    workers = list(WorkerPresence.objects.alive().order_by("name"))
    served = {queue: [worker for worker in workers if queue in worker.queues] for queue in settings.QUEUES}
    return [{"name": queue, "is_served": bool(found), "detail": _strength(found)} for queue, found in served.items()]


def _strength(workers: list[WorkerPresence]) -> str:
    if not workers:
        return _("no worker")
    processes = sum(worker.processes for worker in workers)
    return ", ".join(
        [
            ngettext("%d worker", "%d workers", len(workers)) % len(workers),
            ngettext("%d process", "%d processes", processes) % processes,
            *sorted({worker.device for worker in workers if worker.device}),
        ]
    )


def _chart(bins: list[ThroughputBin]) -> dict[str, Any]:
    stages = [stage.name for stage in registry.all_stages()]
    series = [(name, [one.done[name] for one in bins]) for name in stages]
    datasets = [
        {"label": name, "data": data, "backgroundColor": STAGE_COLOURS[number % len(STAGE_COLOURS)], "stack": "runs"}
        for number, (name, data) in enumerate(series)
    ]
    dead = [one.dead for one in bins]
    if any(dead):
        datasets.append({"label": _("dead"), "data": dead, "backgroundColor": DEAD_COLOUR, "stack": "runs"})
    labels = [f"{timezone.localtime(one.start):%H:%M}" for one in bins]
    done = sum(sum(data) for _name, data in series)
    return {
        "data": json.dumps({"labels": labels, "datasets": datasets}),
        "options": json.dumps(_chart_options()),
        "done": f"{done:,}",
    }


def _chart_options() -> dict[str, Any]:
    ticks = {"color": TICK_COLOUR}
    return {
        "animation": False,
        "responsive": True,
        "maintainAspectRatio": False,
        "maxBarThickness": 36,
        "interaction": {"mode": "index", "intersect": False},
        "plugins": {
            "legend": {
                "align": "end",
                "labels": {**ticks, "boxHeight": 6, "boxWidth": 6, "usePointStyle": True, "pointStyle": "circle"},
            },
        },
        "scales": {
            "x": {"stacked": True, "grid": {"display": False}, "ticks": {**ticks, "maxRotation": 0}},
            "y": {
                "stacked": True,
                "beginAtZero": True,
                "border": {"display": False},
                "grid": {"lineWidth": 0.5},
                "ticks": {**ticks, "precision": 0, "maxTicksLimit": 6},
            },
        },
    }
