"""Importing a folder: every file through the same door as an upload."""

import math
import mimetypes
import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from uuid import UUID

from uuid_utils.compat import uuid7

from accounts.models import Library, User
from accounts.problems import DomainError
from photos.problems import RefusedFileError
from photos.services import events, quotas
from processing.ingest import take_in
from processing.models.ledger import Lane
from processing.pipeline.planning import announce_new
from processing.publish import PHOTOS_PER_MESSAGE

NEW = "new"
DUPLICATE = "duplicate"
REFUSED = "refused"
PASSED_OVER = "passed over"
# as events name them
OUTCOMES = {"new": NEW, "duplicate": DUPLICATE, "refused": REFUSED, "passed_over": PASSED_OVER}
TOLD_EVERY_SECONDS = 1.0
# what cameras, editors and desktops lay beside photos, of which the registry of media types knows nothing
SIDECARS = frozenset({".aae", ".db", ".dop", ".ini", ".pp3", ".thm", ".xmp"})


@dataclass(frozen=True, slots=True)
class ImportedFile:
    """What became of one file. `code` and `detail` say why it was refused; `photo_id` is the photo it is now.

    `room` is how many bytes of a quota were left, where that was why.
    """

    path: Path
    outcome: str
    code: str = ""
    detail: str = ""
    photo_id: UUID | None = None
    room: int | None = None


class QuotaUsedUpError(DomainError):
    """None of the files that are left fits into the quota."""

    code = quotas.CODE


def files_below(root: Path) -> list[Path]:
    """Give the regular files below `root` (or `root` itself), sorted; hidden ones and links are left out."""
    if root.is_file():
        return [root]
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        paths = (Path(folder, name) for name in names if not name.startswith("."))
        found += [path for path in paths if path.is_file() and not path.is_symlink()]
    return sorted(found)


def import_files(*, paths: list[Path], library: Library, uploader: User | None = None) -> Iterator[ImportedFile]:
    """Take files in one by one and say what became of each.

    May be cut off anywhere and repeated: what is there already is a duplicate. Workers are rung for many at a time.
    Raises NotFoundError where the library is gone or is being erased, QuotaUsedUpError where no file that is left fits
    into a quota: it would be read for nothing. What was taken in before stays.
    """
    new: list[UUID] = []
    told = _Told(library, total=len(paths))
    try:
        for path, smallest_left in zip(paths, _smallest_after(paths), strict=True):
            result = _import_file(path, library, uploader)
            if result.outcome == NEW:
                new.append(result.photo_id)
            if len(new) == PHOTOS_PER_MESSAGE:
                announce_new(new)
                new = []
            told.count(result)
            yield result
            if result.room is not None and result.room < smallest_left < math.inf:
                told.end()
                raise QuotaUsedUpError(f"{result.detail} No file that is left fits either: none of them was looked at.")
    finally:
        if new:
            announce_new(new)
    told.end()


class _Told:
    """Tells those who listen how far an import is, about once a second. One that is cut off ends without a word."""

    def __init__(self, library: Library, *, total: int) -> None:
        self._library_id = library.pk
        self._import_id = uuid7()
        self._total = total
        self._counts = Counter[str]()
        self._told_at = time.monotonic()

    def count(self, result: ImportedFile) -> None:
        """Count a file that was looked at."""
        self._counts[result.outcome] += 1
        if time.monotonic() - self._told_at >= TOLD_EVERY_SECONDS:
            self._tell(is_finished=False)

    def end(self) -> None:
        """Tell that no further file is looked at."""
        self._tell(is_finished=True)

    def _tell(self, *, is_finished: bool) -> None:
        self._told_at = time.monotonic()
        by_outcome = {key: self._counts[outcome] for key, outcome in OUTCOMES.items()}
        counts = {"total": self._total, "looked_at": self._counts.total(), **by_outcome}
        events.record_import(
            library_id=self._library_id, import_id=self._import_id, counts=counts, is_finished=is_finished
        )


def _smallest_after(paths: list[Path]) -> list[float]:
    """Give for each path the bytes of the smallest file after it that is looked into; infinity where there is none."""
    sizes = (math.inf if is_something_else(path) else _size(path) for path in reversed(paths[1:]))
    return [*accumulate(sizes, min, initial=math.inf)][::-1] if paths else []


def _size(path: Path) -> float:
    try:
        # an empty one is refused without being read
        return path.stat().st_size or math.inf
    except OSError:
        return math.inf


def _import_file(path: Path, library: Library, uploader: User | None) -> ImportedFile:
    if is_something_else(path):
        return ImportedFile(path, PASSED_OVER)
    try:
        file = path.open("rb")
    except OSError as error:
        return ImportedFile(path, REFUSED, "unreadable", str(error))
    with file:
        try:
            taken = take_in(
                library=library, file=file, filename=path.name, uploader=uploader, lane=Lane.IMPORT, announce=False
            )
        except RefusedFileError as error:
            room = error.extra["limit"] - error.extra["used"] if error.code == quotas.CODE else None
            return ImportedFile(path, REFUSED, error.code, error.detail, room=room)
    return ImportedFile(path, NEW if taken.is_new else DUPLICATE, photo_id=taken.photo.pk)


def is_something_else(path: Path) -> bool:
    """Tell whether a file's name says that it is no image: a sidecar, a text, a film. Unknown names are looked into."""
    media_type, _ = mimetypes.guess_type(path.name)
    is_no_image = media_type is not None and not media_type.startswith("image/")
    return is_no_image or path.suffix.lower() in SIDECARS
