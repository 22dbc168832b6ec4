"""Taking the files of a source in: each with its row, its photo and the import's counts in one transaction."""

from collections import Counter
from typing import BinaryIO
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from accounts.problems import NotFoundError
from photos.models import Photo
from photos.problems import RefusedFileError
from photos.services import quotas
from photos.storage import Fetched, FoundFile
from processing.importing.counts import BYTES, FILES, NAME_OF, PASSED_OVER, SIDECARS, SIDECARS_REFUSED
from processing.importing.progress import ImportStoppedError, Progress
from processing.importing.reading import FOR_GOOD, PROBLEMS, filename_of, is_passed_over, spooled
from processing.importing.sidecars import ReadSidecar, sidecar_of
from processing.ingest import Referenced, take_in
from processing.models import FileState, ImportedFile, ImportMode
from processing.models.ledger import Lane
from processing.pipeline.planning import announce_new, keep_from_deletion
from processing.publish import PHOTOS_PER_MESSAGE

# so many refusals for a quota in a row: the rest would be read for nothing
QUOTA_PATIENCE = 32
DETAIL_LENGTH = ImportedFile._meta.get_field("detail").max_length


class Taker:
    """Takes files in, in their order. Those that are as they were are noted many at a time (`flush`)."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._row = progress.row
        self._over_quota = 0
        self._new: list[UUID] = []
        # what `flush` writes; no position: nothing waits
        self._position: str | None = None
        self._as_they_were: list[ImportedFile] = []
        self._more: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()

    def look_at(self, found: FoundFile, known: ImportedFile | None) -> bool:
        """Do what is to be done about a file, given what is remembered of it; gives whether it was read.

        Raises ImportStoppedError, and whatever is not the file's fault.
        """
        if is_passed_over(found):
            self._more[PASSED_OVER] += 1
            self._position = found.cursor
            return False
        if found.problem:
            self.flush()
            self._refuse(found, known, RefusedFileError(found.problem, PROBLEMS[found.problem]))
            return False
        sidecar = sidecar_of(self._progress.source, found, known=known.sidecar if known else "")
        if known and sidecar is None and not self._row.verify and _is_as_it_was(known, found):
            self._pass_by(found, known)
            return False
        self.flush()
        self._read(found, known, sidecar)
        return True

    def flush(self) -> None:
        """Write down what waits: files that are as they were, and how far the import has come."""
        if self._position is None:
            return
        rows = ImportedFile.objects.filter(pk__in=[row.pk for row in self._as_they_were])
        seen = {"scan": self._row, "seen_at": Now()}
        with transaction.atomic():
            rows.filter(state=FileState.REFUSED).update(**seen)
            rows.exclude(state=FileState.REFUSED).update(state=FileState.UNCHANGED, **seen)
            counts = self._progress.save(cursor=self._position, more=self._more, refused=self._refused)
        self._progress.saved(counts, self._position)
        self._position, self._as_they_were, self._more, self._refused = None, [], Counter(), Counter()

    def ring(self) -> None:
        """Ring for the photos that are new."""
        new, self._new = self._new, []
        for start in range(0, len(new), PHOTOS_PER_MESSAGE):
            announce_new(new[start : start + PHOTOS_PER_MESSAGE])

    def _pass_by(self, found: FoundFile, known: ImportedFile) -> None:
        self._as_they_were.append(known)
        is_refused = known.state == FileState.REFUSED
        state = FileState.REFUSED if is_refused else FileState.UNCHANGED
        self._more.update({NAME_OF[state]: 1, FILES: 1, BYTES: found.size})
        self._refused.update([known.code] if is_refused else [])
        self._position = found.cursor

    def _read(self, found: FoundFile, known: ImportedFile | None, sidecar: ReadSidecar | None) -> None:
        try:
            with spooled(self._progress.source, found) as (file, fetched):
                self._take_in(file, found, fetched, known, sidecar)
        except RefusedFileError as error:
            self._refuse(found, known, error)
            self._over_quota = self._over_quota + 1 if error.code == quotas.CODE else 0
            if self._over_quota == QUOTA_PATIENCE:
                self._progress.pause(quotas.CODE)
        except NotFoundError as error:
            # the library is being erased
            raise ImportStoppedError(error.detail) from error
        else:
            self._over_quota = 0

    def _take_in(
        self,
        file: BinaryIO,
        found: FoundFile,
        fetched: Fetched,
        known: ImportedFile | None,
        sidecar: ReadSidecar | None,
    ) -> None:
        note = _Note(self._progress, found, known, fetched, sidecar)
        if known and known.sha256 == fetched.sha256:
            note.write_for(known.photo_id, FileState.UNCHANGED)
            return
        is_copy = self._row.mode == ImportMode.COPY
        taken = take_in(
            library=self._row.library,
            file=file,
            filename=filename_of(found.path),
            uploader=self._row.requested_by,
            lane=Lane.IMPORT,
            digest=(fetched.sha256, fetched.size),
            announce=False,
            referenced=None if is_copy else Referenced(source=self._row.source, path=found.path),
            note=note.write_new,
        )
        if taken.is_new:
            self._new.append(taken.photo.pk)
            note.committed()
        else:
            note.write_for(taken.photo.pk, FileState.DUPLICATE)

    def _refuse(self, found: FoundFile, known: ImportedFile | None, error: RefusedFileError) -> None:
        _Note(self._progress, found, known).refuse(error)


class _Note:
    """What is written of one file: its row, what its sidecar says, and that the import has come so far."""

    def __init__(
        self,
        progress: Progress,
        found: FoundFile,
        known: ImportedFile | None,
        fetched: Fetched | None = None,
        sidecar: ReadSidecar | None = None,
    ) -> None:
        self._progress = progress
        self._found = found
        self._known = known
        self._fetched = fetched
        self._sidecar = sidecar
        self._counts = progress.counts

    def write_new(self, photo: Photo) -> None:
        """Write of a photo that is new, in its transaction; call `committed` after it."""
        self._write(photo.pk, FileState.ADDED)

    def write_for(self, photo_id: UUID | None, state: FileState) -> None:
        """Write of a file that is no new photo."""
        with transaction.atomic():
            there = keep_from_deletion([photo_id]) if photo_id else []
            self._write(there[0] if there else None, state)
        self.committed()

    def refuse(self, error: RefusedFileError) -> None:
        """Write that a file was refused.

        What was read of it before stays, unless it is refused for good as it is now: then it is not read again.
        """
        values: dict[str, object] = {"code": error.code, "detail": error.detail[:DETAIL_LENGTH]}
        if self._known is None or error.code in FOR_GOOD:
            values |= {"size": self._found.size, "stamp": self._found.stamp}
        with transaction.atomic():
            self._save_row(FileState.REFUSED, values)
            more = {NAME_OF[FileState.REFUSED]: 1, FILES: int(not self._found.problem), BYTES: self._found.size}
            self._counts = self._progress.save(cursor=self._found.cursor, more=more, refused={error.code: 1})
        self.committed()

    def committed(self) -> None:
        """Go on from what was committed."""
        self._progress.saved(self._counts, self._found.cursor)

    def _write(self, photo_id: UUID | None, state: FileState) -> None:
        fetched, known = self._fetched, self._known
        values: dict[str, object] = {"size": fetched.size, "stamp": fetched.stamp, "sha256": fetched.sha256}
        more = Counter({FILES: 1, BYTES: fetched.size})
        values |= {"photo_id": photo_id} | self._write_sidecar(photo_id, state, more)
        if known is not None and known.sha256 != "" and state != FileState.UNCHANGED:
            state = FileState.CHANGED
            values["previous_photo_id"] = known.photo_id
        more[NAME_OF[state]] += 1
        self._save_row(state, values)
        self._counts = self._progress.save(cursor=self._found.cursor, more=more)

    def _write_sidecar(self, photo_id: UUID | None, state: FileState, more: Counter[str]) -> dict[str, object]:
        sidecar = self._sidecar
        if sidecar is None or photo_id is None:
            return {}
        # of two files that are one photo the first one's sidecar is kept
        is_first = state == FileState.DUPLICATE
        is_written = sidecar.write(photo_id=photo_id, source=self._progress.row.source, is_first=is_first)
        more.update({SIDECARS: int(is_written), SIDECARS_REFUSED: int(sidecar.code != "")})
        return {"sidecar": sidecar.mark, "sidecar_code": sidecar.code}

    def _save_row(self, state: FileState, values: dict[str, object]) -> None:
        row = self._progress.row
        said = {"code": "", "detail": "", **values, "state": state, "scan": row, "seen_at": Now()}
        ImportedFile.objects.update_or_create(
            library_id=row.library_id, source=row.source, path=self._found.path, defaults=said
        )


def _is_as_it_was(known: ImportedFile, found: FoundFile) -> bool:
    """Tell whether a file need not be read: it is the one that was read before, or refused for good."""
    if (known.size, known.stamp) != (found.size, found.stamp):
        return False
    return known.code in FOR_GOOD if known.state == FileState.REFUSED else known.sha256 != ""
