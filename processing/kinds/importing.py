"""Kind `import`: the files of a folder or a bucket that is not ours are taken into a library."""

import time
from uuid import UUID

from django.db import transaction

from photos.services import events
from processing import ledger
from processing.importing.progress import ImportStoppedError
from processing.importing.scan import Scan, opened
from processing.kinds.base import Ended, Held
from processing.kinds.stepped import SECONDS, RequestedKind
from processing.models import Import, ImportState, LibraryRun
from processing.models.imports import KIND
from processing.models.ledger import Lane


class ImportKind(RequestedKind):
    """Goes through the files of a source in their order; the run's `subject` is the import.

    Where it stands is kept on the import's own row, file by file, in the transaction that makes the file a photo: so a
    worker that is killed at any line has taken in what it counted, and the next one goes on behind it. Headers are read
    as of an upload, and nothing is decoded: that is no work of `ingest`, whose processes are one for each core.
    """

    name = KIND
    queue = "maintenance"
    lane = Lane.IMPORT

    def attempt(self, held: Held) -> Ended:
        """Go on from where the import stands, until it ends, is stopped, or others are to have their turn."""
        try:
            with opened(held.lease) as scan:
                while True:
                    if not self._step(held, scan):
                        self._end(held, scan)
                        return Ended.DONE
                    if time.monotonic() >= held.until:
                        ledger.give_turn(held.lease)
                        return Ended.INTERRUPTED
        except ImportStoppedError:
            return self._stop(held)

    def _step(self, held: Held, scan: Scan) -> bool:
        """Take some files in, then bring the run up to it."""
        started = time.monotonic()
        is_more = scan.step()
        with transaction.atomic():
            run = ledger.hold(held.lease)
            seconds = time.monotonic() - started
            run.report, run.progress[SECONDS] = scan.report(), run.progress.get(SECONDS, 0) + seconds
            scan.progress.add_seconds(seconds)
            lease = ledger.note_progress(held.lease, run)
            _tell(run, is_finished=False)
        held.lease = lease
        return is_more

    def _end(self, held: Held, scan: Scan) -> None:
        with transaction.atomic():
            run = ledger.hold(held.lease)
            scan.progress.finish()
            seconds = run.progress.get(SECONDS, 0)
            ledger.mark_done(held.lease, work_seconds=seconds, report=run.report, progress={})
            _tell(run, is_finished=True)

    def _stop(self, held: Held) -> Ended:
        """End the run of an import that was stopped; of one that goes on by now it is not the end."""
        with transaction.atomic():
            run = ledger.hold(held.lease)
            state = Import.objects.filter(pk=UUID(run.subject)).values_list("state", flat=True).first()
            if state == ImportState.RUNNING:
                ledger.give_turn(held.lease)
                return Ended.INTERRUPTED
            seconds = run.progress.get(SECONDS, 0)
            ledger.mark_skipped(held.lease, reason=state or ImportState.CANCELLED, work_seconds=seconds)
        return Ended.SKIPPED


def _tell(run: LibraryRun, *, is_finished: bool) -> None:
    counts = {name: count for name, count in run.report.items() if isinstance(count, int)}
    import_id = UUID(run.subject)
    events.record_import(library_id=run.library_id, import_id=import_id, counts=counts, is_finished=is_finished)


IMPORTING = ImportKind()
