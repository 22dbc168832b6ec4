"""Kind `erase_faces`: all that is known of faces in a library goes, after face analysis was switched off."""

from uuid import UUID

from accounts.models import ErasureKind, Library
from photos.models import Photo
from photos.services import erasure
from processing.consent import ERASE_FACES
from processing.kinds.erasing import ErasingKind, erase_people
from processing.kinds.plan import PLAN
from processing.models import LibraryRun
from processing.pipeline.advancing import hold_runs
from processing.services import face_runs

AFTER = "after"
# of few rows, so that whoever wants one of them waits for little
PHOTOS_PER_STEP = 200
RECEIPT = ("photos", "faces", "embeddings", "people")


class EraseFacesKind(ErasingKind):
    """Goes through the photos of a library by their keys, then through its people.

    A step takes a photo's rows, and takes back the runs that made them: it is all there or all gone. While the run is
    open no face work is planned or done in the library, also if face analysis is switched on again; its end plans it.
    """

    name = ERASE_FACES

    def receipt_of(self, run: LibraryRun) -> tuple[ErasureKind, UUID, tuple[str, ...]]:
        """That of a library's faces."""
        return ErasureKind.FACES, run.library_id, RECEIPT

    def erase(self, run: LibraryRun) -> dict[str, int] | None:
        """Erase the faces of the next photos; after the last, people."""
        photos = Photo.objects.filter(library_id=run.library_id)
        if AFTER in run.progress:
            photos = photos.filter(pk__gt=run.progress[AFTER])
        ids = list(photos.order_by("pk").values_list("pk", flat=True)[:PHOTOS_PER_STEP])
        if not ids:
            return erase_people(run)
        # the runs before the rows, as a commit takes them, and in the order in which all take many
        hold_runs(ids)
        unfinished = face_runs.begun_and_not_done(photo_ids=ids)
        face_runs.withdraw_all(photo_ids=ids)
        run.progress[AFTER] = str(ids[-1])
        return erasure.erase_faces(library_id=run.library_id, photo_ids=ids, unfinished=unfinished)

    def end(self, run: LibraryRun) -> None:
        """Have face work planned where it was switched on again meanwhile."""
        super().end(run)
        if Library.objects.filter(pk=run.library_id, face_analysis=True).exists():
            PLAN.request_for_all(libraries=[run.library_id])


ERASE = EraseFacesKind()
