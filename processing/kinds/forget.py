"""Kind `forget`: a person with all faces, or a library with everything in it, is erased for good, in steps."""

from collections.abc import Collection, Sequence
from uuid import UUID

from django.db import transaction

from accounts.models import ErasureKind, Library
from accounts.services import erasure as receipts
from photos import storage
from photos.models import Face, FaceEmbedding, Person, Photo, Rendition
from photos.services import erasure, purge
from photos.services import object_sweeps as sweep_dates
from processing.consent import FORGET
from processing.kinds.base import Ended, Held
from processing.kinds.stepped import SteppedKind
from processing.models import LibraryRun, RunState, StageRun
from processing.models.ledger import Lane
from processing.pipeline.advancing import advance, hold_runs, reopen
from processing.pipeline.planning import lock_plan_for_change
from processing.publish import ring_on_commit
from processing.services import face_runs, grouping, object_sweeps
from processing.stages.face_detection import NO_FACES, FaceDetectionStage

# of few rows, so that whoever wants one of them waits for little
PHOTOS_PER_STEP = 50
PEOPLE_PER_STEP = 500
SWEEPS_AT_ONCE = 100
SWEEP_SECONDS = 5
PERSON_RECEIPT = ("photos", "faces", "embeddings", "people")
LIBRARY_RECEIPT = (
    "photos", "bytes", "renditions", "faces", "embeddings", "stage_runs", "people", "members", "api_keys",
    "library_runs", "libraries",
)  # fmt: skip


class _MoreCameError(Exception):
    """Somebody wrote into the library after the last step."""


class ForgetKind(SteppedKind):
    """Erases the person whom the run's `subject` names, or with an empty one the library.

    A step of a person takes the faces on some photos, with the leases of those who might write them again; the last one
    takes the person. A step of a library deletes some
    photos; its end deletes the library, this run with it. What comes in meanwhile is found by another step.
    """

    name = FORGET
    lane = Lane.UPLOAD

    def attempt(self, held: Held) -> Ended:
        """Go on from where the run stands; of a person's faces none is given to somebody else meanwhile."""
        with transaction.atomic():
            _take_lease_of_grouping(held.lease.subject_id)
        return super().attempt(held)

    def step(self, run: LibraryRun) -> bool:
        """Erase the next photos' part; after the last, people."""
        done = _forget_person(run) if run.subject else _empty_library(run)
        if done is None:
            return False
        before = dict.fromkeys(PERSON_RECEIPT if run.subject else LIBRARY_RECEIPT, 0) | run.report
        run.report = before | {name: before[name] + count for name, count in done.items()}
        receipts.note(kind=_receipt_kind(run), subject_id=_subject_id(run), counts=run.report)
        return True

    def settle(self, library_id: UUID) -> bool:
        """Help the sweeper, once the rows are gone: objects are to go as fast as they do, however many there are."""
        object_sweeps.sweep(limit=SWEEPS_AT_ONCE, seconds=SWEEP_SECONDS)
        return sweep_dates.is_any_due(library_id=library_id, aliases=(storage.RENDITIONS, storage.ORIGINALS))

    def lock_before_end(self) -> None:
        """Wait for whoever plans, or switches face analysis, in a library that is about to go."""
        lock_plan_for_change()

    def end(self, run: LibraryRun) -> None:
        """Delete the library, if it is one that goes, and close the receipt."""
        report = dict.fromkeys(PERSON_RECEIPT, 0) | run.report if run.subject else _delete_library(run)
        kind, subject_id = _receipt_kind(run), _subject_id(run)
        library_id, begun_at = run.library_id, run.created_at
        receipts.end(kind=kind, subject_id=subject_id, library_id=library_id, counts=report, begun_at=begun_at)
        rule = grouping.rule_in_use()
        if run.subject and rule is not None:
            # the groups have lost members, and groupings were put off
            grouping.request(library_id=library_id, model=rule.model.name)

    def _end(self, held: Held) -> bool:
        try:
            return super()._end(held)
        except _MoreCameError:
            return False


FORGETTING = ForgetKind()


def _receipt_kind(run: LibraryRun) -> ErasureKind:
    return ErasureKind.PERSON if run.subject else ErasureKind.LIBRARY


def _subject_id(run: LibraryRun) -> UUID:
    return UUID(run.subject) if run.subject else run.library_id


def _forget_person(run: LibraryRun) -> dict[str, int] | None:
    """Erase the faces on some photos, or else the person; gives how many of what, or None where nothing is left."""
    person_id = UUID(run.subject)
    faces = Face.objects.filter(person_id=person_id)
    photos = list(faces.order_by("photo_id").values_list("photo_id", flat=True).distinct()[:PHOTOS_PER_STEP])
    if photos:
        # the runs before the rows, as a commit takes them
        hold_runs(photos)
        done = erasure.forget_faces_of_person(library_id=run.library_id, person_id=person_id, photo_ids=photos)
        _begin_face_work_anew(photos)
        return done
    if not Person.objects.filter(pk=person_id).exists():
        return None
    deleted = erasure.delete_person(person_id=person_id)
    receipts.blank_admin_log(Person, [person_id])
    return {"people": int(deleted)}


def _take_lease_of_grouping(library_id: UUID) -> None:
    """Wait for a grouping that is being written, or see to it that it will not be; those that follow leave faces alone.

    In a transaction of its own: a commit that holds a run of a photo reaches for the request of a grouping.
    """
    running = LibraryRun.objects.filter(library_id=library_id, kind=grouping.KIND, state=RunState.RUNNING)
    if reopen(running):
        ring_on_commit(task=grouping.KIND, queue=grouping.QUEUE, ids=[library_id])


def _begin_face_work_anew(photo_ids: Sequence[UUID]) -> None:
    """Take the leases of face work on these photos, and end what has no face left to read."""
    having_faces = set(Face.objects.filter(photo_id__in=photo_ids).values_list("photo_id", flat=True))
    for photo_id in set(photo_ids) - having_faces:
        advance(photo_id=photo_id, stage=FaceDetectionStage.name, skip_children=NO_FACES)
    for stage in face_runs.face_stages():
        running = StageRun.objects.filter(photo_id__in=photo_ids, stage=stage.name, state=RunState.RUNNING)
        if reopen(running):
            ring_on_commit(task=stage.name, queue=stage.queue, ids=list(photo_ids))


def _empty_library(run: LibraryRun) -> dict[str, int] | None:
    """Delete some photos, or else people; gives how many of what, or None where nothing is left."""
    photos = Photo.objects.filter(library_id=run.library_id).order_by("pk")
    ids = list(photos.values_list("pk", flat=True)[:PHOTOS_PER_STEP])
    if not ids:
        people = erasure.erase_people(library_id=run.library_id, limit=PEOPLE_PER_STEP)
        return people if people["people"] else None
    found: dict[str, int] = {}

    def hold(chunk: Collection[UUID]) -> None:
        hold_runs(chunk)
        found.update(_count(chunk))

    purged = purge.purge_photos(photo_ids=ids, only=purge.ANY, hold=hold)
    receipts.blank_admin_log(Photo, ids)
    return found | {"photos": purged}


def _count(photo_ids: Collection[UUID]) -> dict[str, int]:
    rows = {"renditions": Rendition, "faces": Face, "stage_runs": StageRun}
    counts = {name: model.objects.filter(photo_id__in=photo_ids).count() for name, model in rows.items()}
    sizes = Photo.objects.filter(pk__in=photo_ids).values_list("byte_size", flat=True)
    embeddings = FaceEmbedding.objects.filter(face__photo_id__in=photo_ids).count()
    return {**counts, "embeddings": embeddings, "bytes": sum(sizes)}


def _delete_library(run: LibraryRun) -> dict[str, int]:
    """Delete a library that is empty, with its members and runs; raises _MoreCameError if it is not.

    Its other runs are locked before it, and it for good: whoever writes into it at this moment has committed then, or
    finds it gone.
    """
    runs = LibraryRun.objects.filter(library_id=run.library_id).order_by("pk")
    count = len(runs.select_for_update(of=("self",)).values_list("pk"))
    library = Library.objects.select_for_update().get(pk=run.library_id)
    if Photo.objects.filter(library=library).exists() or Person.objects.filter(library=library).exists():
        raise _MoreCameError
    counts = {"library_runs": count, "members": library.memberships.count(), "api_keys": library.api_keys.count()}
    receipts.blank_admin_log(Library, [library.pk])
    # their runs go with it
    receipts.end_all_of_library(library_id=library.pk)
    library.delete()
    return dict.fromkeys(LIBRARY_RECEIPT, 0) | run.report | counts | {"libraries": 1}
