"""Kind `forget`: a person with all faces, or a library with everything in it, is erased for good, in steps."""

import logging
from collections.abc import Collection, Sequence
from uuid import UUID

from django.db import transaction

from accounts.models import ErasureKind, Library
from accounts.problems import ConflictError
from accounts.services import erasure as receipts
from photos import storage
from photos.models import Export, Face, FaceEmbedding, ImageEmbedding, Person, Photo, Rendition
from photos.services import erasure, events, exports, purge, sidecars
from processing import ledger
from processing.consent import FORGET
from processing.kinds.base import Ended, Held
from processing.kinds.erasing import SWEEP_SECONDS, ErasingKind, erase_people
from processing.models import ImportedFile, LibraryRun, RunState, StageRun, Upload
from processing.pipeline.advancing import advance, hold_runs, reopen
from processing.publish import ring_on_commit
from processing.services import face_runs, grouping
from processing.services.uploads import ending, sweeping
from processing.stages.face_detection import NO_FACES, FaceDetectionStage

logger = logging.getLogger(__name__)

# of few rows, so that whoever wants one of them waits for little
PHOTOS_PER_STEP = 50
FILES_PER_STEP = 2000
PERSON_RECEIPT = ("photos", "faces", "embeddings", "people")
LIBRARY_RECEIPT = (
    "photos", "bytes", "renditions", "faces", "embeddings", "stage_runs", "people", "members", "api_keys", "shares",
    "uploads", "exports", "imported_files", "library_runs", "libraries",
)  # fmt: skip


class _MoreCameError(Exception):
    """Somebody wrote into the library after the last step."""


class ForgetKind(ErasingKind):
    """Erases the person whom the run's `subject` names, or with an empty one the library.

    A step of a person takes the faces on some photos, with the leases of those who might write them again; the last one
    takes the person. A step of a library deletes some photos; its end deletes the library, this run with it. What comes
    in meanwhile is found by another step.
    """

    name = FORGET
    aliases = (storage.RENDITIONS, storage.ORIGINALS)

    def receipt_of(self, run: LibraryRun) -> tuple[ErasureKind, UUID, tuple[str, ...]]:
        """That of the person, or of the library."""
        if run.subject:
            return ErasureKind.PERSON, UUID(run.subject), PERSON_RECEIPT
        return ErasureKind.LIBRARY, run.library_id, LIBRARY_RECEIPT

    def attempt(self, held: Held) -> Ended:
        """Go on from where the run stands; of a person's faces none is given to somebody else meanwhile.

        Photos that others hold for longer than a purge waits are no trouble of the run's: it is gone on with later.
        """
        with transaction.atomic():
            _take_lease_of_grouping(held.lease.subject_id)
        try:
            return super().attempt(held)
        except ConflictError as error:
            logger.info("the erasure of %s has its turn again: %s", held.lease.subject_id, error)
            ledger.give_turn(held.lease)
            return Ended.INTERRUPTED

    def erase(self, run: LibraryRun) -> dict[str, int] | None:
        """Erase the next photos' part; after the last, people."""
        return _forget_person(run) if run.subject else _empty_library(run)

    def settle(self, library_id: UUID) -> bool:
        """Help the sweepers, that of uploads too."""
        sweeping.sweep(seconds=SWEEP_SECONDS)
        return super().settle(library_id)

    def end(self, run: LibraryRun) -> None:
        """Have the groups looked at that have lost members: groupings were put off."""
        super().end(run)
        rule = grouping.rule_in_use()
        if run.subject and rule is not None:
            grouping.request(library_id=run.library_id, model=rule.model.name)

    def final_counts(self, run: LibraryRun) -> dict[str, int]:
        """Delete the library, if it is one that goes."""
        counts = self.counted(run)
        if not run.subject:
            return counts | _delete_library(run.library_id)
        # also one without a face and without the name, which this took, may be tidied away by others: gone is gone
        receipts.blank_admin_log(Person, [UUID(run.subject)])
        return counts | {"people": 1}

    def _end(self, held: Held) -> bool:
        try:
            return super()._end(held)
        except _MoreCameError:
            return False


FORGETTING = ForgetKind()


def _forget_person(run: LibraryRun) -> dict[str, int] | None:
    """Erase the faces on some photos, or else the person; gives how many of what, or None where nothing is left."""
    person_id = UUID(run.subject)
    faces = Face.objects.filter(person_id=person_id)
    photos = list(faces.order_by("photo_id").values_list("photo_id", flat=True).distinct()[:PHOTOS_PER_STEP])
    if photos:
        # the runs before the rows, as a commit takes them
        hold_runs(photos)
        done = erasure.forget_faces_of_person(library_id=run.library_id, person_id=person_id, photo_ids=photos)
        # what photo tools and Takeout wrote beside the photos names people too
        sidecars.forget_people(photo_ids=photos)
        _begin_face_work_anew(photos)
        return done
    if not Person.objects.filter(pk=person_id).exists():
        return None
    return {"people": int(erasure.delete_person(person_id=person_id))}


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
    """End uploads or exports, or delete some photos, or else what is remembered of files, or people.

    Gives how many of what; None if none is left. A library may remember millions of files, whose paths tell of people
    too.
    """
    # first: none of them becomes a photo any more
    if uploads := ending.end_in_library(library_id=run.library_id):
        return {"uploads": uploads}
    if packed := exports.delete(exports=Export.objects.filter(library_id=run.library_id)):
        return {"exports": packed}
    photos = Photo.objects.filter(library_id=run.library_id).order_by("pk")
    ids = list(photos.values_list("pk", flat=True)[:PHOTOS_PER_STEP])
    if not ids:
        files = ImportedFile.objects.filter(library_id=run.library_id)
        deleted, _ = ImportedFile.objects.filter(
            pk__in=list(files.values_list("pk", flat=True)[:FILES_PER_STEP])
        ).delete()
        return {"imported_files": deleted} if deleted else erase_people(run)
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
    embeddings += ImageEmbedding.objects.filter(photo_id__in=photo_ids).count()
    return {**counts, "embeddings": embeddings, "bytes": sum(sizes)}


def _delete_library(library_id: UUID) -> dict[str, int]:
    """Delete a library that is empty, with its members and runs; raises _MoreCameError if it is not.

    Its other runs are locked before it, and it for good: whoever writes into it at this moment has committed then, or
    finds it gone. Gives how many of what went with it.
    """
    runs = LibraryRun.objects.filter(library_id=library_id).order_by("pk")
    count = len(runs.select_for_update(of=("self",)).values_list("pk"))
    library = Library.objects.select_for_update().get(pk=library_id)
    if any(model.objects.filter(library=library).exists() for model in (Photo, Person, Upload, Export)):
        raise _MoreCameError
    counts = {
        "library_runs": count,
        "members": library.memberships.count(),
        "api_keys": library.api_keys.count(),
        # by what the library is called there: who shares is of a layer above
        "shares": library.shares.count(),
    }
    receipts.blank_admin_log(Library, [library.pk])
    # their runs go with it
    receipts.end_all_of_library(library_id=library.pk)
    events.forget_library(library_id=library.pk)
    library.delete()
    return counts | {"libraries": 1}
