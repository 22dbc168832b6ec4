"""Waiting until nothing moves any more by itself."""

import time
from collections.abc import Callable

from django.conf import settings
from django.db.models import Exists, OuterRef, Q

from processing.models import LibraryRun, RunState, StagePause, StageRun
from processing.models.worker import ALIVE_FOR
from processing.overview import Obstacles
from processing.services import grouping
from processing.stages import registry

LOOK_EVERY_SECONDS = 1.0
_AT_HAND = (RunState.PENDING, RunState.RUNNING)


def wait(seconds: float, *, watch: Callable[[str], None]) -> bool:
    """Wait until the pipeline is settled; False if it is not after so many seconds.

    Settled: nothing is running, and what is pending is paused by a person or has been without a worker for longer than
    a worker takes to come back; no run waits for an input that is there. `watch` is told what is being waited for.
    """
    deadline = time.monotonic() + seconds
    hindered_since: float | None = None
    while True:
        moving, hindered = _open_work()
        hindered_since = (hindered_since or time.monotonic()) if hindered else None
        is_hindered = hindered and time.monotonic() - hindered_since > _worker_comes_back_seconds()
        if not moving and (not hindered or is_hindered):
            return True
        if time.monotonic() >= deadline:
            return False
        watch(moving or hindered)
        time.sleep(min(LOOK_EVERY_SECONDS, max(0.0, deadline - time.monotonic())))


def _worker_comes_back_seconds() -> float:
    return ALIVE_FOR.total_seconds() + settings.LEDGER_SWEEP_SECONDS


def _open_work() -> tuple[str, str]:
    """Name work that moves by itself, and work that would if there were a worker; empty if there is none."""
    # a circuit's pause lifts itself
    paused = set(StagePause.objects.filter(error_code="").values_list("work", flat=True))
    obstacles = Obstacles()
    moving: list[str] = []
    hindered: list[str] = []
    for stage in registry.all_stages():
        runs = StageRun.objects.filter(stage=stage.name)
        if runs.filter(state=RunState.RUNNING).exists():
            moving.append(stage.name)
        elif stage.name not in paused and runs.filter(state=RunState.PENDING).exists():
            (hindered if obstacles.of_stage(stage) else moving).append(stage.name)
        elif stage.needs and _is_forgotten(stage.name, stage.needs):
            moving.append(stage.name)
    for kind, state in LibraryRun.objects.filter(state__in=_AT_HAND).values_list("kind", "state").distinct():
        if state == RunState.RUNNING or kind not in paused:
            moving.append(kind)
    rule = grouping.rule_in_use()
    if not moving and rule and grouping.KIND not in paused and grouping.libraries_due(rule):
        moving.append(grouping.KIND)  # the sweep is going to ask for it
    return ", ".join(moving), ", ".join(hindered)


def _is_forgotten(stage: str, needs: str) -> bool:
    """Tell whether a run waits for an input that is there: the sweep is going to find it."""
    inputs = StageRun.objects.filter(photo=OuterRef("photo"), stage=needs)
    done, is_open = inputs.filter(state=RunState.DONE), inputs.filter(Q(state__in=_AT_HAND) | Q(state=RunState.WAITING))
    waiting = StageRun.objects.filter(stage=stage, state=RunState.WAITING)
    return waiting.filter(Exists(done), ~Exists(is_open)).exists()
