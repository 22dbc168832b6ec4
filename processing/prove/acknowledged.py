"""What a client was promised: a line for each upload that was answered 201."""

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from photos.models import Photo
from processing.prove.findings import Finding
from processing.prove.situation import Situation
from processing.prove.tally import Tally

LINES_AT_ONCE = 1000
DELETED = "deleted"


class AcknowledgedFileError(Exception):
    """The file is not what a client writes."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """One upload that was answered 201; `is_deleted`: the client has had it deleted since, on purpose."""

    photo_id: UUID
    sha256: str
    library_id: UUID
    is_deleted: bool

    @classmethod
    def of_line(cls, line: str) -> "Acknowledged":
        """Read `photo id<TAB>sha256<TAB>library id`, with a fourth field `deleted` or without. Raises ValueError."""
        photo_id, sha256, library_id, *rest = line.split("\t")
        if rest not in ([], [DELETED]) or len(bytes.fromhex(sha256)) != 32:
            raise ValueError(line)
        return cls(UUID(photo_id), sha256.lower(), UUID(library_id), bool(rest))

    @property
    def subject(self) -> str:
        """The line that it was."""
        return "\t".join([str(self.photo_id), self.sha256, str(self.library_id), *[DELETED] * self.is_deleted])


class Found(NamedTuple):
    """What is there of a photo."""

    sha256: str
    library_id: UUID
    trashed_at: datetime | None


class AcknowledgedCheck:
    """Every acknowledged upload against the photo that it must be; of what was deleted, that it is gone.

    The last line of a photo decides: an append-only log says `deleted` after it has said that the photo is there.
    """

    name = "acknowledged"

    def __init__(self, path: Path, database: sqlite3.Connection, *, library_id: UUID | None) -> None:
        self._path = path
        self._database = database
        database.execute("CREATE TABLE deleted (photo TEXT PRIMARY KEY) WITHOUT ROWID")
        self._library_id = library_id

    def total(self) -> int:
        """Count the lines, and note whose last one says `deleted`. Raises AcknowledgedFileError."""
        self._database.execute("DELETE FROM deleted")
        count = 0
        for one in self._lines():
            count += 1
            change = (
                "INSERT OR IGNORE INTO deleted VALUES (?)" if one.is_deleted else "DELETE FROM deleted WHERE photo = ?"
            )
            self._database.execute(change, (str(one.photo_id),))
        return count

    def batches(self) -> Iterator[list[Acknowledged]]:
        """Give the lines, some at a time."""
        lines = self._lines()
        while some := list(islice(lines, LINES_AT_ONCE)):
            yield some

    def examine(self, lines: Sequence[Acknowledged], _situation: Situation, tally: Tally) -> list[Finding]:
        """Look for the photo of each line."""
        tally.acknowledged += len(lines)
        ids = {one.photo_id for one in lines}
        rows = Photo.objects.filter(pk__in=ids).values_list("pk", "sha256", "library_id", "trashed_at")
        there = {pk: Found(*rest) for pk, *rest in rows}
        deleted = self._deleted(ids)
        last_words = (one for one in lines if one.is_deleted == (one.photo_id in deleted))
        return [finding for one in last_words if (finding := _compare(one, there.get(one.photo_id)))]

    def again(self, subjects: Sequence[str], situation: Situation) -> list[Finding]:
        """Look again for lines."""
        return self.examine([Acknowledged.of_line(one) for one in subjects], situation, Tally())

    def _deleted(self, photo_ids: Collection[UUID]) -> set[UUID]:
        marks = ",".join("?" * len(photo_ids))
        query = f"SELECT photo FROM deleted WHERE photo IN ({marks})"  # noqa: S608 - marks alone
        return {UUID(photo) for (photo,) in self._database.execute(query, [str(one) for one in photo_ids])}

    def _lines(self) -> Iterator[Acknowledged]:
        try:
            with self._path.open(encoding="ascii") as file:
                for number, line in enumerate(file, start=1):
                    one = self._read(line.rstrip("\r\n"), number)
                    if one is not None and self._library_id in (None, one.library_id):
                        yield one
        except OSError as error:
            raise AcknowledgedFileError(f"{self._path}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise AcknowledgedFileError(f"{self._path}: {error}") from error

    def _read(self, line: str, number: int) -> Acknowledged | None:
        if not line:
            return None
        try:
            return Acknowledged.of_line(line)
        except ValueError as error:
            raise AcknowledgedFileError(
                f"{self._path}, line {number}: not `photo id<TAB>sha256<TAB>library id`, perhaps with `<TAB>deleted`"
            ) from error


def _compare(one: Acknowledged, found: Found | None) -> Finding | None:
    if one.is_deleted:
        if found is None or found.trashed_at is not None:
            return None
        code, detail = "deleted_photo_there", "its row is there, and not in the trash"
    elif found is None:
        code, detail = "photo_missing", f"no row; SHA-256 {one.sha256[:12]}…"
    elif (found.sha256, found.library_id) == (one.sha256, one.library_id):
        return None
    else:
        code, detail = "photo_changed", _difference(one, found)
    photo, library = str(one.photo_id), str(one.library_id)
    return Finding(AcknowledgedCheck.name, one.subject, code, detail, photo=photo, library=library)


def _difference(one: Acknowledged, found: Found) -> str:
    if found.sha256 != one.sha256:
        return f"SHA-256 {found.sha256[:12]}…, and {one.sha256[:12]}… was acknowledged"
    return f"of library {found.library_id}, and {one.library_id} was acknowledged"
