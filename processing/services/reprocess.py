"""Making results anew: what is out of date, missing or dead, or a stage again whatever came of it.

Results that are there serve until new ones are committed: nothing is taken away here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from photos.models import Photo
from processing.consent import libraries_wanting_faces
from processing.models import RunState, StageRun
from processing.models.ledger import Lane
from processing.outdated import Choice, due_photos, runs_to_reopen, stages_of
from processing.pipeline.advancing import hold_runs, reopen
from processing.pipeline.planning import batched_ids, keep_from_deletion, lock_plan_for_reading, plan
from processing.publish import ring_on_commit
from processing.stages import registry
from processing.stages.base import Stage


@dataclass(frozen=True, slots=True)
class Committed:
    """What one transaction has begun anew: how many photos, how many of their runs, and the last of these photos."""

    photos: int
    runs: int
    last: UUID


def begin_anew(
    *, photos: QuerySet[Photo], choice: Choice, stage: str | None = None, after: UUID | None = None
) -> Iterator[Committed]:
    """Let the runs of photos that `choice` names start over, as a backfill; gives each transaction once committed.

    One stage, or all. It may be ended at any moment and called again: what was begun is not out of date any more. Only
    of `all` that cannot be told, so there `after` names the last photo that was done, by which they are ordered.
    """
    stages = stages_of(choice, stage)
    for photo_ids in due_photos(photos, choice, stage, after=after):
        yield Committed(len(photo_ids), _begin_anew(photo_ids, choice, stages), photo_ids[-1])


@transaction.atomic
def _begin_anew(photo_ids: Sequence[UUID], choice: Choice, stages: Sequence[Stage]) -> int:
    # both before any run, as everybody does
    lock_plan_for_reading()
    photo_ids = keep_from_deletion(photo_ids)
    hold_runs(photo_ids)
    found = {stage.name: list(_ids(runs_to_reopen(choice, stage, photo_ids))) for stage in stages}
    count = _plan_for_dead(photo_ids, stages) if choice == Choice.DEAD else _plan(photo_ids, stages)
    for stage in stages:
        runs = StageRun.objects.filter(pk__in=found[stage.name])
        reopened = reopen(runs, lane=Lane.BACKFILL)
        if reopened:
            ids = list(runs.values_list("photo_id", flat=True))
            ring_on_commit(task=stage.name, queue=stage.queue, ids=ids)
        count += reopened
    return count


def _plan_for_dead(photo_ids: Sequence[UUID], stages: Sequence[Stage]) -> int:
    """Plan in the place of dead runs of versions that are not planned any more, which are superseded by that."""
    count = 0
    for stage in stages:
        dead = StageRun.objects.dead().filter(photo_id__in=photo_ids, stage=stage.name)
        old = dead.exclude(version__in=stage.planned_versions())
        old_of = sorted(set(old.values_list("photo_id", flat=True)))
        count += _plan(old_of, [stage]) if old_of else 0
    return count


def _plan(photo_ids: Sequence[UUID], stages: Sequence[Stage]) -> int:
    """Plan what these stages should have and have not; and what they wait for, where nobody has planned that."""
    count = plan(photo_ids, lane=Lane.BACKFILL, only={stage.name for stage in stages})
    for stage in stages:
        if stage.needs:
            planned = StageRun.objects.filter(photo_id__in=photo_ids, stage=stage.needs)
            bare = set(photo_ids) - set(planned.values_list("photo_id", flat=True))
            count += plan(sorted(bare), lane=Lane.BACKFILL) if bare else 0
    return count


def run_again(*, photos: QuerySet[Photo], stage: str) -> int:
    """Run a stage again for photos; what reads its result follows. Gives how many runs.

    Not where it was skipped, which says that there is nothing to do, nor face work where face analysis is off.
    """
    return sum(_run_again(chunk, stage) for chunk in batched_ids(_ids(photos)))


@transaction.atomic
def _run_again(photo_ids: Sequence[UUID], stage: str) -> int:
    # before any run is changed, and in the order in which commits lock them
    lock_plan_for_reading()
    hold_runs(photo_ids)
    plan(photo_ids, lane=Lane.BACKFILL)
    chosen = registry.get(stage)
    runs = StageRun.objects.filter(photo_id__in=photo_ids, stage=stage, version__in=chosen.planned_versions())
    if chosen.is_face_work:
        runs = runs.filter(photo__library__in=libraries_wanting_faces())
    count = reopen(runs.exclude(state__in=[RunState.WAITING, RunState.SKIPPED]))
    if count:
        ring_on_commit(task=stage, queue=chosen.queue, ids=photo_ids)
    return count


def _ids(rows: QuerySet[Photo] | QuerySet[StageRun]) -> Iterator[UUID]:
    return rows.order_by("pk").values_list("pk", flat=True).iterator()
