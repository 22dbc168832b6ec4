"""How much work is open and how long it waits, at the cost of the backlog and not of the ledger."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.db.models import Min, QuerySet
from django.db.models.functions import Now

from processing.kinds import registry as kinds
from processing.models import LibraryRun, RunState, StageRun
from processing.models.ledger import OPEN_STATES, Lane
from processing.stages import registry

UNFINISHED_STATES = (*OPEN_STATES, RunState.DEAD)
COUNT_LIMIT = 200_000


@dataclass(frozen=True, slots=True)
class Waiting:
    """How long the longest-waiting pending runs of one kind of work have been pending, in seconds, by lane.

    Of one that came back, after an error or from a holder that is gone, since it was pending first.
    """

    name: str
    queue: str
    seconds_by_lane: dict[Lane, float]

    @property
    def longest(self) -> float | None:
        """The longest of all lanes; none if nothing is pending."""
        return max(self.seconds_by_lane.values(), default=None)


def waiting() -> list[Waiting]:
    """Look up the oldest pending run of each stage and lane, and of work on libraries: an index entry each."""
    return [Waiting(name, queue, _seconds_by_lane(runs)) for name, queue, runs in _all_work()]


def unfinished() -> dict[str, dict[RunState, int]]:
    """Count the runs that are open or dead: {stage or kind of library work: {state: how many}}, zeros included.

    A count ends at COUNT_LIMIT: whoever watches it sees a backlog then, and waits for no longer.
    """
    return {name: {state: _count(runs, state) for state in UNFINISHED_STATES} for name, _, runs in _all_work()}


def queues() -> dict[str, str]:
    """Give the queue of each stage, and of each kind of work on libraries, in the order in which they are shown."""
    return {name: queue for name, queue, _ in _all_work()}


def dead() -> int:
    """Count the dead letters of all work, each kind up to COUNT_LIMIT."""
    return sum(_count(runs, RunState.DEAD) for _, _, runs in _all_work())


def _all_work() -> Iterator[tuple[str, str, QuerySet]]:
    """Give the name, the queue and the runs of each stage, and of work on libraries."""
    for stage in registry.all_stages():
        yield stage.name, stage.queue, StageRun.objects.filter(stage=stage.name)
    for kind in kinds.all_kinds():
        yield kind.name, kind.queue, LibraryRun.objects.filter(kind=kind.name)


def _count(runs: QuerySet, state: RunState) -> int:
    """Count runs of one state, so that the partial index of that state serves."""
    return runs.filter(state=state)[:COUNT_LIMIT].count()


def _seconds_by_lane(runs: QuerySet) -> dict[Lane, float]:
    ages = {}
    for lane in Lane:
        pending = runs.filter(lane=lane, state=RunState.PENDING)
        # of the two each has an index; of the earlier of both none could be made that serves the claim too
        found = pending.aggregate(queued=Now() - Min("queued_at"), first=Now() - Min("first_queued_at"))
        if known := [age.total_seconds() for age in found.values() if age is not None]:
            ages[lane] = max(0.0, *known)
    return ages
