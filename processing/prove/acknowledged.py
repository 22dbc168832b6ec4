"""What a client was promised: a line for each upload that was answered 201."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
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


class AcknowledgedCheck:
    """Every acknowledged upload against the photo that it must be. A photo's later lines hold for its earlier ones."""

    name = "acknowledged"

    def __init__(self, path: Path, *, library_id: UUID | None) -> None:
        self._path = path
        self._library_id = library_id

    def total(self) -> int:
        """Count the lines. Raises AcknowledgedFileError where one cannot be read."""
        return sum(1 for _ in self._lines())

    def batches(self) -> Iterator[list[Acknowledged]]:
        """Give the lines, some at a time."""
        lines = self._lines()
        while some := list(islice(lines, LINES_AT_ONCE)):
            yield some

    def examine(self, lines: Sequence[Acknowledged], _situation: Situation, tally: Tally) -> list[Finding]:
        """Look for the photo of each line."""
        tally.acknowledged += len(lines)
        rows = Photo.objects.filter(pk__in={one.photo_id for one in lines}).values_list("pk", "sha256", "library_id")
        there = {pk: (sha256, library_id) for pk, sha256, library_id in rows}
        return [finding for one in lines if not one.is_deleted and (finding := _compare(one, there.get(one.photo_id)))]

    def again(self, subjects: Sequence[str], situation: Situation) -> list[Finding]:
        """Look again for lines."""
        return self.examine([Acknowledged.of_line(one) for one in subjects], situation, Tally())

    def _lines(self) -> Iterator[Acknowledged]:
        try:
            with self._path.open(encoding="ascii") as file:
                for number, line in enumerate(file, start=1):
                    one = self._read(line.rstrip("\r\n"), number)
                    if one is not None and self._library_id in (None, one.library_id):
                        yield one
        except (OSError, UnicodeDecodeError) as error:
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


def _compare(one: Acknowledged, found: tuple[str, UUID] | None) -> Finding | None:
    if found == (one.sha256, one.library_id):
        return None
    code, detail = "photo_missing", f"no row; SHA-256 {one.sha256[:12]}…"
    if found is not None:
        code, detail = "photo_changed", _difference(one, *found)
    photo, library = str(one.photo_id), str(one.library_id)
    return Finding(AcknowledgedCheck.name, one.subject, code, detail, photo=photo, library=library)


def _difference(one: Acknowledged, sha256: str, library_id: UUID) -> str:
    if sha256 != one.sha256:
        return f"SHA-256 {sha256[:12]}…, and {one.sha256[:12]}… was acknowledged"
    return f"of library {library_id}, and {one.library_id} was acknowledged"
