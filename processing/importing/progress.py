"""The row of an import while somebody works on it: where it stands, and that nobody else moves it."""

from collections.abc import Mapping
from types import MappingProxyType
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from accounts.problems import DomainError
from photos import storage
from processing import ledger
from processing.importing.counts import Counts, complete, plus
from processing.ledger import Lease
from processing.models import Import, ImportPhase, ImportState
from processing.models.imports import ImportQuerySet

NOTHING: Mapping[str, int] = MappingProxyType({})


class ImportStoppedError(DomainError):
    """The import was paused or cancelled, or its library is being erased: nothing more is written."""

    code = "import_stopped"


class Progress:
    """An import in hand. Whatever it writes is fenced: by its state, and by the lease of the run that holds it.

    What a file changes in it is kept aside until the transaction has committed (`saved`), so that an error leaves the
    counts as they are in the database.
    """

    def __init__(self, row: Import) -> None:
        self.row = row
        self.source = storage.source(row.source)
        self.counts: Counts = complete(row.counts)
        self.cursor = row.cursor

    def save(
        self, *, cursor: str, more: Mapping[str, int] = NOTHING, refused: Mapping[str, int] = NOTHING, **columns: object
    ) -> Counts:
        """Move the row on, as a part of the transaction that is open; gives the counts to go on with.

        Raises ImportStoppedError where it may not be moved any more; roll back then.
        """
        counts = plus(self.counts, more, refused)
        if not _held(self.row).update(cursor=cursor, counts=counts, **columns):
            raise ImportStoppedError("The import was stopped.")
        return counts

    def saved(self, counts: Counts, cursor: str) -> None:
        """Go on from what was committed."""
        self.counts, self.cursor = counts, cursor

    def go_on(self, phase: ImportPhase, **columns: object) -> None:
        """Begin the next phase."""
        with transaction.atomic():
            counts = self.save(cursor="", phase=phase, **columns)
        self.row.phase = phase
        self.saved(counts, "")

    def pause(self, code: str) -> None:
        """Pause by itself, for a reason that is a stable code; then raises ImportStoppedError."""
        with transaction.atomic():
            self.save(cursor=self.cursor, state=ImportState.PAUSED, pause_code=code)
        raise ImportStoppedError("The import has paused.")

    def add_seconds(self, seconds: float) -> None:
        """Count the time of work; call it in a transaction."""
        self.row.seconds += seconds
        Import.objects.filter(pk=self.row.pk).update(seconds=self.row.seconds)

    def finish(self) -> None:
        """End the import, in the transaction that ends its run."""
        self.save(cursor="", state=ImportState.FINISHED, finished_at=Now())


def begin(lease: Lease) -> Progress:
    """Take the import that a run is of into hand. Raises ImportStoppedError where it is not running, LeaseLostError."""
    with transaction.atomic():
        subject = UUID(ledger.hold(lease).subject)
        running = Import.objects.filter(pk=subject, state=ImportState.RUNNING)
        # of a library that is being erased nothing more is read
        erased = running.filter(library__erasure_requested_at__isnull=False)
        Import.objects.filter(pk__in=erased.values("pk")).update(state=ImportState.CANCELLED, finished_at=Now())
        running.update(token=lease.token)
    row = running.select_related("library", "requested_by").first()
    if row is None:
        raise ImportStoppedError("The import does not run.")
    return Progress(row)


def _held(row: Import) -> ImportQuerySet:
    return Import.objects.filter(pk=row.pk, token=row.token, state=ImportState.RUNNING)
