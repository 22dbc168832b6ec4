"""What can be done about offences: each a short transaction over a few photos, and safe to repeat."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from accounts.models import Library
from photos.models import Face, ImageEmbedding, ObjectSweep, Rendition
from photos.services import broken_decisions, faces, quotas, shown
from processing import ledger
from processing.consent import libraries_wanting_faces
from processing.kinds.erase_faces import ERASE
from processing.models import LibraryRun, RunState, StageRun
from processing.models.ledger import DISCARDED, Lane
from processing.pipeline.advancing import hold_runs, reopen
from processing.pipeline.planning import lock_plan_for_change, lock_plan_for_reading, plan
from processing.prove.batches import Batch, RunRow
from processing.prove.effects import doubled_faces
from processing.publish import ring_on_commit
from processing.services import grouping, object_sweeps
from processing.stages import registry
from processing.stages.face_detection import NO_FACES
from processing.task_policy import ring_for

Row = TypeVar("Row")


def plan_missing(*, photo_ids: Sequence[UUID]) -> int:
    """Plan the runs that photos should have and have not; gives how many."""
    return plan(photo_ids, lane=Lane.BACKFILL)


@transaction.atomic
def run_again(*, photo_ids: Sequence[UUID], stage: str) -> int:
    """Run a stage again for photos whose rows or objects are not what they should be; gives how many runs there are.

    Not where it is dead or was given up, which is for a person, nor where it is open already.
    """
    plan(photo_ids, lane=Lane.BACKFILL)
    chosen = registry.get(stage)
    runs = StageRun.objects.filter(photo_id__in=photo_ids, stage=stage)
    if chosen.is_face_work:
        runs = runs.filter(photo__library__in=libraries_wanting_faces())
    planned = runs.filter(version__in=chosen.planned_versions())
    # of a version that is no longer planned nothing is left that could be made anew
    runs.filter(commits__gt=1).exclude(pk__in=planned.values("pk")).delete()
    redone = planned.filter(Q(state=RunState.DONE) | Q(skip_reason=NO_FACES, photo__faces__isnull=False))
    found = set(redone.values_list("pk", "photo_id"))
    count = reopen(StageRun.objects.filter(pk__in=[pk for pk, _ in found], state__in=[RunState.DONE, RunState.SKIPPED]))
    ring_on_commit(task=stage, queue=chosen.queue, ids=sorted({photo_id for _, photo_id in found}))
    return count


def given_up(*, photo_ids: Sequence[UUID], stage: str) -> int:
    """Count the photos that `run_again` leaves to a person, who retries dead letters and discarded ones."""
    planned = StageRun.objects.filter(
        photo_id__in=photo_ids, stage=stage, version__in=registry.get(stage).planned_versions()
    )
    return planned.filter(Q(state=RunState.DEAD) | Q(skip_reason=DISCARDED)).values("photo").distinct().count()


@transaction.atomic
def remove_vectors(*, embedding_ids: Sequence[UUID]) -> None:
    """Remove vectors that cannot come from their model, so that others are made in their place."""
    faces.forget_embeddings(embedding_ids=embedding_ids)
    ImageEmbedding.objects.filter(pk__in=embedding_ids).delete()


def release(*, photo_ids: Sequence[UUID], stages: Iterable[str]) -> int:
    """Take back the leases that have run out, plan what waits for nothing, and ring; gives how many runs moved."""
    moved = plan(photo_ids, lane=Lane.BACKFILL) if photo_ids else 0
    returned: dict[str, int] = defaultdict(int)
    for model in (StageRun, LibraryRun):
        with transaction.atomic():
            loss = ledger.expire_leases(ledger=model)
            object_sweeps.request_for_lost(loss)
        moved += (loss.returned + loss.dead).total()
        for work, count in loss.returned.items():
            returned[work] += count
    ring_for({**dict.fromkeys(stages, 1), **returned})
    return moved


@transaction.atomic
def group(*, library_ids: Iterable[UUID]) -> int:
    """Ask for the grouping of libraries; gives how many."""
    rule = grouping.rule_in_use()
    wanted = list(library_ids) if rule else []
    for library_id in wanted:
        grouping.request(library_id=library_id, model=rule.model.name)
    return len(wanted)


@transaction.atomic
def erase_faces(*, library_ids: Iterable[UUID]) -> int:
    """Ask for the erasure of the faces of libraries whose face analysis is off by now; gives how many."""
    lock_plan_for_change()
    # whoever switches it on again holds the same lock
    off = Library.objects.filter(pk__in=set(library_ids), face_analysis=False)
    wanted = sorted(off.values_list("pk", flat=True))
    ERASE.request(library_ids=wanted)
    return len(wanted)


def obey(*, library_id: UUID, face_ids: Iterable[UUID]) -> int:
    """Put faces of a library where what was decided of them says; gives for how many it did not hold by now."""
    return broken_decisions.obey(library_id=library_id, face_ids=list(face_ids))


def show(*, photo_ids: Sequence[UUID]) -> int:
    """Reckon anew what is shown of photos; gives how many were shown otherwise."""
    return shown.refresh(photo_ids=photo_ids)


def recount(*, library: str, user: str) -> bool:
    """Count the bytes of a library, or of a user, again; False if they were counted right by now."""
    of: quotas.Of = "library" if library else "user"
    return quotas.mend_counter(of=of, subject_id=UUID(library or user)) is not None


@transaction.atomic
def remove_doubles(*, photo_id: UUID) -> bool:
    """Keep one row of whatever a photo has twice, and run the stages again that made it; False if it is in hand.

    Kept are the face that a person has decided on, else the older one; the run that ended last; the newer rendition
    and the newer vector, which are those that the last commit wrote.
    """
    # before runs are held: whoever changes the plan reaches for runs while holding it
    lock_plan_for_reading()
    hold_runs([photo_id])
    if StageRun.objects.filter(photo_id=photo_id, state=RunState.RUNNING).exists():
        return False
    # people decide about faces without holding runs
    list(Face.objects.select_for_update().filter(photo_id=photo_id).order_by("pk").values_list("pk"))
    batch = Batch([photo_id])
    again: set[str] = set()
    surplus = _surplus(batch.runs[photo_id], lambda run: (run.stage, run.version), best=_ended_last)
    StageRun.objects.filter(pk__in=[run.pk for run in surplus]).delete()
    again |= {run.stage for run in surplus}
    rows = _surplus(batch.renditions[photo_id], lambda row: row.kind, best=lambda row: row.pk)
    Rendition.objects.filter(pk__in=[row.pk for row in rows]).delete()
    again |= {"renditions"} if rows else set()
    gone = _doubles_to_forget(batch, photo_id)
    faces.forget_faces(face_ids=gone)
    vectors = _surplus(batch.embeddings[photo_id], lambda row: (row.face_id, row.model), best=lambda row: row.pk)
    faces.forget_embeddings(embedding_ids=[row.pk for row in vectors])
    of_photo = _surplus(batch.image_vectors[photo_id], lambda row: row.model, best=lambda row: row.pk)
    ImageEmbedding.objects.filter(pk__in=[row.pk for row in of_photo]).delete()
    again |= {"image_embedding"} if of_photo else set()
    again |= {"face_detection"} if gone else set()
    again |= {"face_embedding"} if vectors else set()
    for photo in batch.photos:
        object_sweeps.request_for(photo_id=photo_id, library_id=photo.library_id, reason=ObjectSweep.Reason.REPLACED)
    for stage in again:
        run_again(photo_ids=[photo_id], stage=stage)
    return True


def _doubles_to_forget(batch: Batch, photo_id: UUID) -> list[UUID]:
    gone: set[UUID] = set()
    for first, second, _ in doubled_faces(batch.faces[photo_id]):
        if first.pk in gone or second.pk in gone or (first.is_decided and second.is_decided):
            continue  # two decisions of people are for people to bring together
        gone.add(first.pk if second.is_decided else second.pk)
    return sorted(gone)


def _surplus(rows: Sequence[Row], key: Callable[[Row], object], *, best: Callable[[Row], object]) -> list[Row]:
    """Give the rows that are there beside the best one of the same key."""
    by_key: dict[object, list[Row]] = defaultdict(list)
    for row in rows:
        by_key[key(row)].append(row)
    return [row for same in by_key.values() for row in sorted(same, key=best)[:-1]]


def _ended_last(run: RunRow) -> tuple[bool, bool, object]:
    is_final = run.finished_at is not None
    return (run.state == RunState.DONE, is_final, run.finished_at if is_final else run.pk)
