"""Kind `export`: photos that somebody takes out of a library are packed into zip files and kept for a time."""

import hashlib
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from accounts.models import AuditAction
from accounts.services import audit
from photos import storage
from photos.models import Export, ExportState, ObjectSweep, WithdrawReason
from photos.services import exports, object_sweeps
from processing import ledger
from processing.exporting.packing import Package
from processing.kinds.base import Ended, Held
from processing.kinds.stepped import SECONDS, RequestedKind
from processing.models import LibraryRun
from processing.models.ledger import Lane

# where files lie: what can be made again
ALIAS = storage.RENDITIONS
# a file ends after it, however little is in it: what is lost where a worker dies, and what others wait for
FILE_SECONDS = 300
# how often somebody who packs asks whether the export is still wanted, and theirs
LOOK_SECONDS = 5.0
# the reason of a run that is skipped
ENDED = "export_ended"


class ExportEndedError(Exception):
    """The export was deleted, withdrawn, or has expired: nothing is made of it any more."""


class SweptMeanwhileError(Exception):
    """The file was given up as that of a worker that died, and may be deleted: it is made anew."""


class ExportKind(RequestedKind):
    """Makes the files of an export one after the other; the run's `subject` is the export.

    A file is made under a key of its own, which is to be swept unless the file's row is committed: in the transaction
    that brings the export up to it. A worker that is killed at any line costs the file in hand, and the next one makes
    that file anew.
    """

    name = "export"
    queue = "maintenance"
    lane = Lane.IMPORT

    def attempt(self, held: Held) -> Ended:
        """Go on behind the last file, until the export ends, is stopped, or others are to have their turn."""
        export_id = UUID(LibraryRun.objects.values_list("subject", flat=True).get(pk=held.lease.run_id))
        try:
            while True:
                export = _begun(export_id)
                if export.position == export.photo_count:
                    self._end(held, export_id)
                    return Ended.DONE
                self._make_file(held, export)
                if time.monotonic() >= held.until:
                    ledger.give_turn(held.lease)
                    return Ended.INTERRUPTED
        except ExportEndedError:
            with transaction.atomic():
                seconds = ledger.hold(held.lease).progress.get(SECONDS, 0)
                ledger.mark_skipped(held.lease, reason=ENDED, work_seconds=seconds)
            return Ended.SKIPPED

    def _make_file(self, held: Held, export: Export) -> None:
        started = time.monotonic()
        number = export.files.count() + 1
        key = storage.export_key(library_id=export.library_id, export_id=export.pk, number=number)
        # longer than any task may work on it
        latest = timedelta(seconds=settings.LIBRARY_TASK_TIME_LIMIT)
        object_sweeps.request(
            alias=ALIAS, prefix=key, reason=ObjectSweep.Reason.EXPORT, due_in=latest, final_in=2 * latest
        )
        package = Package(
            photo_ids=export.photo_ids[export.position :],
            by=export.requested_by,
            content=export.content,
            metadata=export.metadata,
            heading={"export": str(export.pk), "file": number},
        ).bounded(seconds=FILE_SECONDS)
        made = _Watched(held, export.pk, package)
        with closing(made.chunks()) as chunks:
            storage.write_made(alias=ALIAS, key=key, chunks=chunks)
        with transaction.atomic():
            run = ledger.hold(held.lease)
            row = _locked(export.pk)
            if not object_sweeps.cancel(alias=ALIAS, prefix=key):
                raise SweptMeanwhileError(key)
            row.files.create(
                number=number,
                storage_alias=ALIAS,
                storage_key=key,
                byte_size=made.byte_size,
                sha256=made.digest.hexdigest(),
                photo_ids=package.included,
                photo_count=len(package.included),
            )
            row.position += package.position
            row.left_out = dict(Counter(row.left_out) + package.left_out)
            row.save(update_fields=["position", "left_out"])
            run.progress[SECONDS] = run.progress.get(SECONDS, 0) + time.monotonic() - started
            run.report = {"photos": row.position, "of": row.photo_count, "files": number, **row.left_out}
            lease = ledger.note_progress(held.lease, run)
        held.lease = lease

    def _end(self, held: Held, export_id: UUID) -> None:
        with transaction.atomic():
            run = ledger.hold(held.lease)
            row = _locked(export_id)
            files = list(row.files.order_by("number").values_list("photo_ids", "byte_size"))
            row.photo_ids = [photo_id for included, _ in files for photo_id in included]
            row.state, row.finished_at = ExportState.READY, Now()
            row.expires_at = Now() + timedelta(days=settings.EXPORT_LIFETIME_DAYS)
            row.save(update_fields=["photo_ids", "state", "finished_at", "expires_at"])
            seconds = run.progress.get(SECONDS, 0)
            ledger.mark_done(held.lease, work_seconds=seconds, report=run.report, progress={})
            audit.record(
                action=AuditAction.EXPORT_MADE,
                actor=row.requested_by,
                library_id=row.library_id,
                subject=row,
                details={
                    "content": row.content,
                    "metadata": row.metadata,
                    "photos": len(row.photo_ids),
                    "left_out": row.left_out,
                    "files": len(files),
                    "bytes": sum(size for _, size in files),
                },
            )


class _Watched:
    """The bytes of a file on their way: hashed, counted, and given to nobody who may not make it any more."""

    def __init__(self, held: Held, export_id: UUID, package: Package) -> None:
        self._held, self._export_id, self._package = held, export_id, package
        self.digest, self.byte_size = hashlib.sha256(), 0

    def chunks(self) -> Iterator[bytes]:
        """Give them. Raises LeaseLostError and ExportEndedError within LOOK_SECONDS."""
        looked_at = time.monotonic()
        with closing(self._package.chunks()) as chunks:
            for chunk in chunks:
                self.digest.update(chunk)
                self.byte_size += len(chunk)
                yield chunk
                if time.monotonic() - looked_at >= LOOK_SECONDS:
                    self._look()
                    looked_at = time.monotonic()

    def _look(self) -> None:
        if not ledger.renew(self._held.lease):
            raise ledger.LeaseLostError(f"the export {self._export_id} is no longer ours")
        if not Export.objects.filter(pk=self._export_id, state=ExportState.RUNNING).exists():
            raise ExportEndedError


def _begun(export_id: UUID) -> Export:
    """Give an export that may be made for whoever asked for it. Raises ExportEndedError."""
    export = Export.objects.filter(pk=export_id, state=ExportState.RUNNING).select_related("requested_by").first()
    if export is None:
        raise ExportEndedError
    asker = export.requested_by
    if asker is None or not Export.objects.visible_to(asker).filter(pk=export_id).exists():
        exports.withdraw(export_id=export_id, reason=WithdrawReason.NOT_PERMITTED)
        raise ExportEndedError
    return export


def _locked(export_id: UUID) -> Export:
    """Lock an export for what is committed of it. Raises ExportEndedError where it is over: roll back then.

    Whoever deletes a photo of it at this moment waits, or has ended it.
    """
    rows = Export.objects.select_for_update(of=("self",)).filter(pk=export_id, state=ExportState.RUNNING)
    row = rows.select_related("requested_by").first()
    if row is None:
        raise ExportEndedError
    return row


EXPORT = ExportKind()
