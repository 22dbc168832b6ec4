"""A worker that is asked to stop: it claims nothing new, and what it cannot finish in a moment others get at once."""

import logging
from collections import Counter
from collections.abc import Iterable

from django.db.models.functions import Now

from processing import ledger
from processing.models import LibraryRun, RunState, StageRun, WorkerPresence
from processing.services import object_sweeps
from processing.task_policy import ring_for

logger = logging.getLogger(__name__)

RING_FOR_AT_MOST = 256


def take_nothing_new(*, worker: str) -> None:
    """Let the claims of a worker find nothing from now on, for good: a process that was asked to stop does."""
    WorkerPresence.objects.filter(name=worker, draining_since__isnull=True).update(draining_since=Now())


def holds_runs(*, worker: str) -> bool:
    """Tell whether a worker still has runs in hand."""
    return any(model.objects.filter(worker=worker, state=RunState.RUNNING).exists() for model in (StageRun, LibraryRun))


def hand_back(*, worker: str, works: Iterable[str]) -> Counter[str]:
    """Return what a worker still holds, and ring for what is pending of its kinds of work; gives what was returned.

    A message that it has read and not worked on is a hint that is lost: others would hear of that work only when the
    reconciler rings next.
    """
    returned: Counter[str] = Counter()
    # first: what it has stored and will not name is looked at even if this process does not get further
    object_sweeps.request_for_held(worker=worker)
    for model in (StageRun, LibraryRun):
        returned += ledger.release_worker(ledger=model, worker=worker)
    if returned:
        logger.info("worker %s stops and hands back %s", worker, dict(returned))
    pass_on(works={*works, *returned})
    return returned


def pass_on(*, works: Iterable[str]) -> None:
    """Ring for what is pending of these kinds of work: messages that told of it were read by one who does not do it."""
    ring_for({name: count for name in works if (count := _pending(name))}, was_lost=True)


def _pending(name: str) -> int:
    stages = StageRun.objects.filter(stage=name, state=RunState.PENDING)[:RING_FOR_AT_MOST]
    return stages.count() or LibraryRun.objects.filter(kind=name, state=RunState.PENDING)[:RING_FOR_AT_MOST].count()
