"""Kind `erase_faces`: all that is known of faces in a library goes, after face analysis was switched off."""

from uuid import UUID

from accounts.models import ErasureKind, Library
from accounts.services import erasure as receipts
from photos.models import Photo
from photos.services import erasure
from photos.services import object_sweeps as sweep_dates
from processing.consent import ERASE_FACES
from processing.kinds.plan import PLAN
from processing.kinds.stepped import SteppedKind
from processing.models import LibraryRun, RunState
from processing.models.ledger import Lane
from processing.pipeline.advancing import hold_runs
from processing.pipeline.planning import lock_plan_for_change
from processing.services import face_runs, object_sweeps
from processing.stages.base import SUPERSEDED

AFTER = "after"
# of few rows, so that whoever wants one of them waits for little
PHOTOS_PER_STEP = 200
PEOPLE_PER_STEP = 500
# less than others wait for their turn
SWEEPS_AT_ONCE = 100
SWEEP_SECONDS = 5
RECEIPT = ("photos", "faces", "embeddings", "people")


class EraseFacesKind(SteppedKind):
    """Goes through the photos of a library by their keys, then through its people.

    A step takes a photo's rows, and takes back the runs that made them: it is all there or all gone. While the run is
    open no face work is planned or done in the library, also if face analysis is switched on again; its end plans it.
    """

    name = ERASE_FACES
    lane = Lane.UPLOAD

    def step(self, run: LibraryRun) -> bool:
        """Erase the faces of the next photos; after the last, people."""
        photos = Photo.objects.filter(library_id=run.library_id)
        if AFTER in run.progress:
            photos = photos.filter(pk__gt=run.progress[AFTER])
        ids = list(photos.order_by("pk").values_list("pk", flat=True)[:PHOTOS_PER_STEP])
        if ids:
            # the runs before the rows, as a commit takes them, and in the order in which all take many
            hold_runs(ids)
            unfinished = face_runs.begun_and_not_done(photo_ids=ids)
            face_runs.withdraw_all(photo_ids=ids)
            erased = erasure.erase_faces(library_id=run.library_id, photo_ids=ids, unfinished=unfinished)
            run.progress[AFTER] = str(ids[-1])
        else:
            erased = erasure.erase_people(library_id=run.library_id, limit=PEOPLE_PER_STEP)
        before = dict.fromkeys(RECEIPT, 0) | run.report
        run.report = before | {name: before[name] + count for name, count in erased.items()}
        receipts.note(kind=ErasureKind.FACES, subject_id=run.library_id, counts=run.report)
        return bool(ids) or any(erased.values())

    def settle(self, library_id: UUID) -> bool:
        """Help the sweeper, once the rows are gone: chips are to go as fast as they do, however many there are.

        It takes what is due in its order; of other libraries there may always be some, and they are not waited for.
        """
        object_sweeps.sweep(limit=SWEEPS_AT_ONCE, seconds=SWEEP_SECONDS)
        return sweep_dates.is_any_due(library_id=library_id)

    def lock_before_end(self) -> None:
        """Wait for whoever has planned without face work because of this run, before the run is held."""
        lock_plan_for_change()

    def end(self, run: LibraryRun) -> None:
        """Close the receipt, and have face work planned where it was switched on again meanwhile.

        Older erasures that died are made up for.
        """
        dead = LibraryRun.objects.filter(library_id=run.library_id, kind=self.name, state=RunState.DEAD)
        dead.update(state=RunState.SKIPPED, skip_reason=SUPERSEDED)
        library_id, counts = run.library_id, dict.fromkeys(RECEIPT, 0) | run.report
        receipts.end(
            kind=ErasureKind.FACES,
            subject_id=library_id,
            library_id=library_id,
            counts=counts,
            begun_at=run.created_at,
        )
        if Library.objects.filter(pk=run.library_id, face_analysis=True).exists():
            PLAN.request_for_all(libraries=[run.library_id])


ERASE = EraseFacesKind()
