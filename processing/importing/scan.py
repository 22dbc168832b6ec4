"""One attempt at an import: its phases in turn, in steps that are bounded in files and in time."""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from photos.storage import FoundFile, SourceUnavailableError
from processing.importing.counts import NAME_OF, NAMES
from processing.importing.progress import Progress, begin
from processing.importing.reading import is_passed_over
from processing.importing.taking import Taker
from processing.ledger import Lease
from processing.models import FileState, ImportedFile, ImportPhase

STEP_SECONDS = 5
# what a killed worker leaves to be listed, or to be looked at, again; of what it took in nothing is
COUNTED_PER_STEP = 5000
READ_PER_STEP = 32
LOOKED_AT_PER_STEP = 1000
COMPARED_PER_STEP = 1000
# files whose rows are read at once
ASKED_AT_ONCE = 200
# folders that could not be looked into, of which what is below is not called missing
MAX_CLOSED_FOLDERS = 10_000


class Scan:
    """An import in hand, with the walk through its source that one attempt goes on with from step to step."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self._row = progress.row
        self._taker = Taker(progress)
        self._walk: Iterator[FoundFile] | None = None
        self._ahead: deque[tuple[FoundFile, ImportedFile | None]] = deque()
        self._phases = {
            ImportPhase.COUNTING: self._count,
            ImportPhase.TAKING: self._take,
            ImportPhase.COMPARING: self._compare,
        }

    def step(self) -> bool:
        """Do a little; False if nothing is left. Raises ImportStoppedError, and the errors of source and stores."""
        phase = self._phases.get(ImportPhase(self._row.phase))
        if phase is None:
            return False
        try:
            phase()
        finally:
            self._taker.ring()
        return True

    def report(self) -> dict[str, int]:
        """Give the counts as the run shows them."""
        return {name: self.progress.counts[name] for name in NAMES}

    def _count(self) -> None:
        """Count the files and their bytes: how much there is to do, which is all that a dry run wants to know."""
        files, size, position = self._row.total_files or 0, self._row.total_bytes or 0, self.progress.cursor
        deadline, looked_at, is_more = time.monotonic() + STEP_SECONDS, 0, True
        while looked_at < COUNTED_PER_STEP and time.monotonic() < deadline:
            found = self._next_found()
            if found is None:
                is_more = False
                break
            looked_at += 1
            position = found.cursor
            if not found.problem and not is_passed_over(found):
                files, size = files + 1, size + found.size
        self._row.total_files, self._row.total_bytes = files, size
        totals = {"total_files": files, "total_bytes": size}
        if is_more:
            with transaction.atomic():
                counts = self.progress.save(cursor=position, **totals)
            self.progress.saved(counts, position)
            return
        if not files:
            self._require_contents()
        self._begin(ImportPhase.DONE if self._row.is_dry_run else ImportPhase.TAKING, **totals)

    def _take(self) -> None:
        """Take the next files in."""
        deadline, read, looked_at = time.monotonic() + STEP_SECONDS, 0, 0
        while read < READ_PER_STEP and looked_at < LOOKED_AT_PER_STEP and time.monotonic() < deadline:
            if not self._ahead:
                self._look_ahead()
            if not self._ahead:
                self._taker.flush()
                self._begin(ImportPhase.COMPARING)
                return
            read += self._taker.look_at(*self._ahead.popleft())
            looked_at += 1
        self._taker.flush()

    def _compare(self) -> None:
        """Find files that are remembered and were not there."""
        unseen = self._remembered().filter(seen_at__lt=self._row.created_at)
        if self.progress.cursor:
            unseen = unseen.filter(pk__gt=UUID(self.progress.cursor))
        some = list(unseen.order_by("pk")[:COMPARED_PER_STEP])
        if not some:
            self._begin(ImportPhase.DONE)
            return
        closed = self._closed_folders()
        gone = [one for one in some if not one.path.startswith(closed)]
        # of what was never taken in nothing is missing
        never_taken = [one.pk for one in gone if not one.sha256]
        missing = [one.pk for one in gone if one.sha256]
        position = str(some[-1].pk)
        with transaction.atomic():
            rows = ImportedFile.objects.filter(pk__in=missing)
            rows.update(state=FileState.MISSING, code="", detail="", scan=self._row)
            ImportedFile.objects.filter(pk__in=never_taken).delete()
            counts = self.progress.save(cursor=position, more={NAME_OF[FileState.MISSING]: len(missing)})
        self.progress.saved(counts, position)

    def _begin(self, phase: ImportPhase, **columns: object) -> None:
        self.progress.go_on(phase, **columns)
        self._walk = None

    def _next_found(self) -> FoundFile | None:
        if self._walk is None:
            self._walk = self.progress.source.walk(self._row.path, after=self.progress.cursor)
        return next(self._walk, None)

    def _look_ahead(self) -> None:
        """Find the next files, and read what is remembered of them."""
        batch = list(islice(iter(self._next_found, None), ASKED_AT_ONCE))
        rows = ImportedFile.objects.filter(
            library_id=self._row.library_id, source=self._row.source, path__in=[one.path for one in batch]
        )
        known = {row.path: row for row in rows}
        self._ahead.extend((one, known.get(one.path)) for one in batch)

    def _remembered(self) -> QuerySet[ImportedFile]:
        files = ImportedFile.objects.filter(library_id=self._row.library_id, source=self._row.source)
        return files.below(self._row.path)

    def _closed_folders(self) -> tuple[str, ...]:
        closed = ImportedFile.objects.filter(scan=self._row, state=FileState.REFUSED, path__endswith="/")
        return tuple(closed.values_list("path", flat=True)[:MAX_CLOSED_FOLDERS])

    def _require_contents(self) -> None:
        """Raise SourceUnavailableError where a source is empty of which something is remembered: perhaps unmounted."""
        if self._remembered().exists() and self.progress.source.is_empty():
            raise SourceUnavailableError(f"Nothing lies in the source {self._row.source!r}. Is it mounted?")


@contextmanager
def opened(lease: Lease) -> Iterator[Scan]:
    """Take the import of a run into hand. Raises as `progress.begin` does."""
    yield Scan(begin(lease))
