"""Draining: what runs is finished, and nothing new is taken; before an upgrade, or before a host goes."""

from collections import Counter
from functools import partial

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from accounts.problems import NotFoundError
from processing import backlog
from processing.models import LibraryRun, RunState, StagePause, StageRun, WorkerPresence
from processing.task_policy import ring_for, ring_for_many

# tells its pauses from those of people, and people how to lift them
REASON = "drain; manage.py drain --end lets it go on"


@transaction.atomic
def begin() -> list[str]:
    """Pause all work that no person has paused; gives its names. A circuit's pause becomes this one's."""
    rows = [StagePause(work=work, paused_at=Now(), reason=REASON) for work in backlog.queues()]
    StagePause.objects.bulk_create(rows, ignore_conflicts=True)
    # afterwards: a circuit that pauses work at the same time was waited for
    StagePause.objects.filter(error_code__gt="").update(error_code="", probe_at=None, paused_at=Now(), reason=REASON)
    return sorted(_pauses().values_list("work", flat=True))


@transaction.atomic
def end() -> list[str]:
    """Lift the pauses that `begin` made, and ring for what waits; gives their names."""
    works = sorted(_pauses().values_list("work", flat=True))
    _pauses().filter(work__in=works).delete()
    transaction.on_commit(partial(ring_for_many, works), robust=True)
    return works


def begin_worker(*, name: str) -> None:
    """Let one worker take nothing new. Raises NotFoundError for one that there is not."""
    _require(name)
    WorkerPresence.objects.filter(name=name, draining_since=None).update(draining_since=Now())


@transaction.atomic
def end_worker(*, name: str) -> None:
    """Let a worker take work again, and ring for what it may take. Raises NotFoundError for one that there is not."""
    queues = _require(name)
    WorkerPresence.objects.filter(name=name).update(draining_since=None)
    works = [work for work, queue in backlog.queues().items() if queue in queues]
    transaction.on_commit(partial(ring_for, dict.fromkeys(works, settings.LEDGER_TASK_RUNS)), robust=True)


def running(*, worker: str | None = None) -> Counter[str]:
    """Count what runs at this moment by stage or kind of library work, of one worker or of all."""
    counts: Counter[str] = Counter()
    for model in (StageRun, LibraryRun):
        held = model.objects.filter(state=RunState.RUNNING, **({} if worker is None else {"worker": worker}))
        counts.update(held.values_list(model.WORK, flat=True))
    return counts


def _pauses() -> QuerySet[StagePause]:
    return StagePause.objects.filter(reason=REASON, paused_by=None, error_code="")


def _require(name: str) -> list[str]:
    queues = WorkerPresence.objects.filter(name=name).values_list("queues", flat=True).first()
    if queues is None:
        names = ", ".join(WorkerPresence.objects.order_by("name").values_list("name", flat=True))
        raise NotFoundError(f"There is no worker named {name}. There are: {names or 'none'}.")
    return queues
