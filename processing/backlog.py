"""How much work is open and how long it waits, at the cost of the backlog and not of the ledger."""

from dataclasses import dataclass

from django.db.models import Count, F, Min, QuerySet
from django.db.models.functions import Now

from processing.models import LibraryRun, RunState, StageRun
from processing.models.ledger import OPEN_STATES, Lane
from processing.services import grouping
from processing.stages import registry

UNFINISHED_STATES = (*OPEN_STATES, RunState.DEAD)


@dataclass(frozen=True, slots=True)
class Waiting:
    """How long the longest-waiting pending runs of one kind of work have been pending, in seconds, by lane."""

    name: str
    queue: str
    seconds_by_lane: dict[Lane, float]

    @property
    def longest(self) -> float | None:
        """The longest of all lanes; none if nothing is pending."""
        return max(self.seconds_by_lane.values(), default=None)


def waiting() -> list[Waiting]:
    """Look up the oldest pending run of each stage and lane, and of work on libraries: an index entry each."""
    found = [
        Waiting(stage.name, stage.queue, _seconds_by_lane(StageRun.objects.filter(stage=stage.name)))
        for stage in registry.all_stages()
    ]
    people = _seconds_by_lane(LibraryRun.objects.filter(kind=grouping.KIND))
    return [*found, Waiting(grouping.KIND, grouping.QUEUE, people)]


def unfinished() -> dict[str, dict[str, int]]:
    """Count the runs that are open or dead: {stage or kind of library work: {state: how many}}, zeros included.

    Costs in proportion to the backlog, not to the ledger.
    """
    names = [*(stage.name for stage in registry.all_stages()), grouping.KIND]
    counts = {name: dict.fromkeys(UNFINISHED_STATES, 0) for name in names}
    for ledger, work in ((StageRun, "stage"), (LibraryRun, "kind")):
        rows = ledger.objects.filter(state__in=UNFINISHED_STATES).order_by()
        for name, state, count in rows.values_list(work, "state").annotate(count=Count("pk")):
            counts.setdefault(name, dict.fromkeys(UNFINISHED_STATES, 0))[RunState(state)] = count
    return counts


def _seconds_by_lane(runs: QuerySet) -> dict[Lane, float]:
    ages = {}
    for lane in Lane:
        oldest = runs.filter(lane=lane, state=RunState.PENDING).aggregate(age=Now() - Min(F("queued_at")))["age"]
        if oldest is not None:
            ages[lane] = max(0.0, oldest.total_seconds())
    return ages
