"""What the pipeline promises at this moment, and what keeps it from moving: read once for many photos."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models.functions import Now

from processing.consent import ERASE_FACES
from processing.kinds.plan import PLAN
from processing.models import LibraryRun, RunState, StagePause, StageRun, WorkerPresence
from processing.models.ledger import OPEN_STATES
from processing.overview import Obstacles
from processing.stages import registry
from processing.stages.base import Stage


def patience() -> timedelta:
    """Give the time within which the sweep finds whatever was forgotten, and somebody takes it up."""
    return timedelta(seconds=3 * settings.LEDGER_SWEEP_SECONDS)


def lease() -> timedelta:
    """Give the time for which what a process is about to commit may be half there."""
    return timedelta(seconds=settings.LEDGER_LEASE_SECONDS)


def database_now() -> datetime:
    """Give the database's time, which every time in the ledger is."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        return cursor.fetchone()[0]


@dataclass(frozen=True)
class Situation:
    """The plan, and the obstacles, at one moment.

    `planned` are the versions by stage; `moving` the work of which something was taken up or ended lately;
    `planning` and `erasing` the libraries whose plan, or whose erasure of faces, is under way or waits for a person.
    """

    now: datetime
    planned: dict[str, list[str]]
    paused: set[str]
    moving: set[str]
    planning: set[UUID]
    erasing: set[UUID]
    served_stages: set[str]
    obstacles: Obstacles = field(repr=False)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages of this release."""
        return registry.all_stages()

    def is_overdue(self, since: datetime | None) -> bool:
        """Tell whether something has waited for longer than a sweep takes to find it."""
        return since is None or since < self.now - patience()


def read() -> Situation:
    """Look at the pipeline: a few queries, whatever its size."""
    alive = WorkerPresence.objects.alive().values_list("versions", flat=True)
    return Situation(
        now=database_now(),
        planned={stage.name: stage.planned_versions() for stage in registry.all_stages()},
        paused=set(StagePause.objects.values_list("work", flat=True)),
        moving=_moving(),
        planning=_libraries_with(PLAN.name),
        erasing=_libraries_with(ERASE_FACES),
        served_stages={name for versions in alive for name in versions},
        obstacles=Obstacles(),
    )


def _moving() -> set[str]:
    """Name the work that somebody has in hand, or has ended lately."""
    found: set[str] = set()
    for ledger, work in ((StageRun, "stage"), (LibraryRun, "kind")):
        in_hand = ledger.objects.filter(state=RunState.RUNNING, lease_until__gt=Now())
        ended = ledger.objects.filter(finished_at__gt=Now() - patience(), state__in=[RunState.DONE, RunState.DEAD])
        for runs in (in_hand, ended):
            found.update(runs.order_by().values_list(work, flat=True).distinct())
    return found


def _libraries_with(kind: str) -> set[UUID]:
    runs = LibraryRun.objects.filter(kind=kind, state__in=[*OPEN_STATES, RunState.DEAD])
    return set(runs.values_list("library_id", flat=True))
