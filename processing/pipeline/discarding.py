"""What a discarded run means for the runs that wait for its result; in the transaction that discards or restores it.

Which holds all runs of the photos before it changes the first one.
"""

from collections.abc import Collection
from uuid import UUID

from django.db.models import Exists, OuterRef
from django.db.models.functions import Now

from processing.models import RunState, StageRun
from processing.models.ledger import INPUT_DISCARDED, RunQuerySet
from processing.pipeline.advancing import FRESH
from processing.stages import registry

SKIPPED_BELOW = {"state": RunState.SKIPPED, "skip_reason": INPUT_DISCARDED}


def skip_below(*, photo_ids: Collection[UUID], stage: str) -> None:
    """Skip what waits for `stage`, and what waits for that, where no run of the stage may give it an input any more."""
    for child in registry.children_of(stage):
        # of two models one may be given up, while the other one's result is still to come
        hopeful = StageRun.objects.filter(photo=OuterRef("photo"), stage=stage).exclude(state=RunState.SKIPPED)
        waiting = StageRun.objects.filter(~Exists(hopeful), stage=child.name, state=RunState.WAITING)
        photos = _change(waiting.filter(photo_id__in=photo_ids), **SKIPPED_BELOW, finished_at=Now())
        if photos:
            skip_below(photo_ids=photos, stage=child.name)


def await_again(*, photo_ids: Collection[UUID], stage: str) -> None:
    """Let what was skipped because a run of `stage` was discarded wait for it again, and what reads that result."""
    for child in registry.children_of(stage):
        skipped = StageRun.objects.filter(stage=child.name, photo_id__in=photo_ids, skip_reason=INPUT_DISCARDED)
        photos = _change(skipped, **{**FRESH, "state": RunState.WAITING})
        if photos:
            await_again(photo_ids=photos, stage=child.name)


def _change(runs: RunQuerySet, **columns: object) -> set[UUID]:
    """Change runs; gives their photos."""
    found = dict(runs.values_list("pk", "photo_id"))
    StageRun.objects.filter(pk__in=found).update(**columns)
    return set(found.values())
