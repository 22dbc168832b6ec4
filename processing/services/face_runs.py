"""The face runs of photos where consent has gone: withdrawn, leases too, so that a worker at work writes nothing."""

from collections.abc import Collection, Sequence
from uuid import UUID

from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from photos.models import Photo
from processing.models import RunState, StageRun
from processing.models.ledger import DISCARDED, INPUT_DISCARDED, OPEN_STATES
from processing.pipeline.advancing import FRESH
from processing.stages import registry
from processing.stages.base import FACE_ANALYSIS_OFF, SUPERSEDED, Stage

WITHDRAWN = {**FRESH, "state": RunState.SKIPPED, "skip_reason": FACE_ANALYSIS_OFF, "finished_at": Now()}
# what another version has replaced says nothing of faces
_LEFT_ALONE = (FACE_ANALYSIS_OFF, SUPERSEDED)
# open, dead, or given up: restoring that, or a new result of its input, would look for faces again
# One by one: for each of them there is an index of a few rows. What is open comes last, as it is then.
_REVOCABLE = (
    Q(skip_reason=DISCARDED),
    Q(skip_reason=INPUT_DISCARDED),
    Q(state=RunState.DEAD),
    Q(state__in=OPEN_STATES),
)


def withdraw_open(*, photos: QuerySet[Photo]) -> None:
    """Withdraw the face runs that are open, dead or discarded."""
    for runs in _by_stage(photos):
        for revocable in _REVOCABLE:
            runs.filter(revocable).update(**WITHDRAWN)


def withdraw_all(*, photo_ids: Sequence[UUID]) -> None:
    """Withdraw all face runs of photos whose faces are erased: one that says "done" of rows that are gone would lie."""
    for runs in _by_stage(photo_ids):
        runs.exclude(skip_reason__in=_LEFT_ALONE).update(**WITHDRAWN)


def begun_and_not_done(*, photo_ids: Sequence[UUID]) -> Collection[UUID]:
    """Give the photos of which a worker has, or had, a face run in hand that was never committed.

    It may have stored chips that no row names, and may still store some until its lease would have run out.
    """
    runs = StageRun.objects.filter(photo_id__in=photo_ids, stage__in=[stage.name for stage in face_stages()])
    return set(runs.exclude(task_id="").exclude(state=RunState.DONE).values_list("photo_id", flat=True))


def _by_stage(photos: QuerySet[Photo] | Sequence[UUID]) -> list[QuerySet[StageRun]]:
    """Give the face runs stage by stage, in the order of the pipeline: a commit that holds a run wants its children's.

    By the photos, not by a join: an update that had to wait for a commit must look at the state again.
    """
    return [StageRun.objects.filter(photo__in=photos, stage=stage.name) for stage in face_stages()]


def face_stages() -> list[Stage]:
    """Give the stages that look for faces or read them, in the order of the pipeline."""
    return [stage for stage in registry.all_stages() if stage.is_face_work]
