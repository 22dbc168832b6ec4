"""Making results anew: planning what is missing, and running a stage again."""

from collections.abc import Iterator, Sequence
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from photos.models import Photo
from processing.models import RunState, StageRun
from processing.models.ledger import Lane
from processing.pipeline.advancing import reopen
from processing.pipeline.planning import batched_ids, plan
from processing.publish import ring_on_commit
from processing.stages import registry


def plan_missing(*, photos: QuerySet[Photo]) -> int:
    """Plan the runs that photos should have and have not: after a new version, a new setting, a new stage."""
    return sum(plan(chunk, lane=Lane.BACKFILL) for chunk in batched_ids(_ids(photos)))


def run_again(*, photos: QuerySet[Photo], stage: str) -> int:
    """Run a stage again for photos; what reads its result follows. Gives how many runs.

    Not where it was skipped, which says that there is nothing to do, nor face work where face analysis is off.
    """
    return sum(_run_again(chunk, stage) for chunk in batched_ids(_ids(photos)))


@transaction.atomic
def _run_again(photo_ids: Sequence[UUID], stage: str) -> int:
    plan(photo_ids, lane=Lane.BACKFILL)
    chosen = registry.get(stage)
    runs = StageRun.objects.filter(photo_id__in=photo_ids, stage=stage, version__in=chosen.planned_versions())
    if chosen.is_face_work:
        runs = runs.filter(photo__library__face_analysis=True)
    count = reopen(runs.exclude(state__in=[RunState.WAITING, RunState.SKIPPED]))
    if count:
        ring_on_commit(task=stage, queue=chosen.queue, ids=photo_ids)
    return count


def _ids(photos: QuerySet[Photo]) -> Iterator[UUID]:
    return photos.order_by("pk").values_list("pk", flat=True).iterator()
