"""What the pipeline promises at this moment, and what keeps it from moving: read once for many photos."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import Max
from django.db.models.functions import Now

from processing.consent import ERASE_FACES
from processing.kinds import registry as kinds
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


@dataclass(frozen=True, slots=True)
class Claimed:
    """What was claimed lately of one lane: when the youngest of it was queued, and when the last of it was claimed."""

    queued_at: datetime
    started_at: datetime


@dataclass(frozen=True)
class Situation:
    """The plan, and the obstacles, at one moment.

    `planned` are the versions by stage; `moving` the queues of which something is in hand or ended lately; `claimed`
    what was claimed of a work and version, by lane, one sweep ago and longer, and is in hand or ended lately;
    `planning` and `erasing` the libraries whose plan, or whose erasure of faces, is under way or waits for a person.
    """

    now: datetime
    planned: dict[str, list[str]]
    paused: set[str]
    moving: set[str]
    claimed: dict[tuple[str, str], dict[int, Claimed]]
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

    def is_passed_by(self, run: object, *, work: str) -> bool:
        """Tell whether others of its work and version are claimed in the place of a pending run that goes before.

        Claims go by lane, then by age. What lies in the way of the run for a moment, a lock or a retry's time, is given
        the time that a sweep needs.
        """
        claimable_at = max(run.queued_at, run.not_before or run.queued_at) + patience()
        return any(
            (lane == run.lane and claimed.queued_at > claimable_at)
            or (lane > run.lane and claimed.started_at > claimable_at)
            for lane, claimed in self.claimed.get((work, run.version), {}).items()
        )


def read() -> Situation:
    """Look at the pipeline: a few queries, whatever its size."""
    moving, claimed = _in_hand()
    alive = WorkerPresence.objects.alive().values_list("versions", flat=True)
    return Situation(
        now=database_now(),
        planned={stage.name: stage.planned_versions() for stage in registry.all_stages()},
        paused=set(StagePause.objects.values_list("work", flat=True)),
        moving=moving,
        claimed=claimed,
        planning=_libraries_with(PLAN.name),
        erasing=_libraries_with(ERASE_FACES),
        served_stages={name for versions in alive for name in versions},
        obstacles=Obstacles(),
    )


def _in_hand() -> tuple[set[str], dict[tuple[str, str], dict[int, Claimed]]]:
    """Give the queues whose work somebody has in hand or has ended lately, and what of it was claimed a while ago."""
    queue_of = {one.name: one.queue for one in (*registry.all_stages(), *kinds.all_kinds())}
    before = database_now() - timedelta(seconds=settings.LEDGER_SWEEP_SECONDS)
    moving: set[str] = set()
    claimed: dict[tuple[str, str], dict[int, Claimed]] = defaultdict(dict)
    for ledger in (StageRun, LibraryRun):
        in_hand = ledger.objects.filter(state=RunState.RUNNING, lease_until__gt=Now())
        ended = ledger.objects.filter(finished_at__gt=Now() - patience(), state__in=[RunState.DONE, RunState.DEAD])
        for runs in (in_hand, ended):
            moving |= {
                queue_of[work]
                for work in runs.order_by().values_list(ledger.WORK, flat=True).distinct()
                if work in queue_of
            }
            older = (
                runs.filter(started_at__lt=before, queued_at__isnull=False)
                .order_by()
                .values_list(ledger.WORK, "version", "lane")
            )
            for work, version, lane, *times in older.annotate(queued=Max("queued_at"), started=Max("started_at")):
                other = claimed[work, version].get(lane, Claimed(*times))
                claimed[work, version][lane] = Claimed(max(times[0], other.queued_at), max(times[1], other.started_at))
    return moving, claimed


def _libraries_with(kind: str) -> set[UUID]:
    runs = LibraryRun.objects.filter(kind=kind, state__in=[*OPEN_STATES, RunState.DEAD])
    return set(runs.values_list("library_id", flat=True))
