"""Work on a library that may be long: done in steps, each a short transaction, and gone on with after any end."""

import time
from abc import abstractmethod
from collections.abc import Iterable
from typing import ClassVar
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from processing import ledger
from processing.kinds.base import Ended, Held, Kind
from processing.models import LibraryRun, RunState
from processing.models.ledger import Lane
from processing.publish import ring_on_commit

# what every kind keeps in `progress`: that it was asked for again meanwhile, and its seconds of work so far
AGAIN = "again"
SECONDS = "seconds"


class RequestedKind(Kind):
    """A kind that is asked for, and whose run can be gone on with after any end."""

    # counted up by hand when a run that another version began cannot be gone on with
    code_version: ClassVar[str] = "1"
    lane: ClassVar[Lane]

    def known_versions(self) -> list[str]:
        """The one of this code."""
        return [self.code_version]

    @transaction.atomic
    def request(self, *, library_ids: Iterable[UUID], subject: str = "") -> None:
        """Ask for the work on libraries, or on a `subject` in them; a run that has begun goes over it once more.

        Call it in the transaction that makes the work due, if there is one; where that changes what is planned, under
        the lock of such a change, which comes before the run's row.
        """
        missing = set(library_ids)
        while missing:
            missing -= self._found_open(missing, subject)
            rows = [self._new_run(one, subject) for one in sorted(missing)]
            LibraryRun.objects.bulk_create(rows, ignore_conflicts=True)
            # not one where a dead run was retried at this moment
            made = set(LibraryRun.objects.filter(pk__in=[row.pk for row in rows]).values_list("library_id", flat=True))
            missing -= made
            if made:
                ring_on_commit(task=self.name, queue=self.queue, ids=sorted(made))

    def _new_run(self, library_id: UUID, subject: str) -> LibraryRun:
        work = {"kind": self.name, "version": self.code_version, "lane": self.lane}
        return LibraryRun(library_id=library_id, subject=subject, queued_at=Now(), **work)

    def _found_open(self, library_ids: set[UUID], subject: str) -> set[UUID]:
        runs = LibraryRun.objects.open().filter(kind=self.name, subject=subject, library_id__in=library_ids)
        # locked: one that is about to end has ended then, or sees that it is asked for again
        found = list(runs.select_for_update(no_key=True).order_by("pk"))
        for run in found:
            if run.progress or run.state == RunState.RUNNING:
                LibraryRun.objects.filter(pk=run.pk).update(progress={**run.progress, AGAIN: True})
        if found:
            ring_on_commit(task=self.name, queue=self.queue, ids=[run.library_id for run in found])
        return {run.library_id for run in found}


class SteppedKind(RequestedKind):
    """A kind whose run keeps in `progress` where it stands and in `report` what it has done.

    After each step others get their turn if the time is up, and a lease that was taken away ends the attempt: so a
    worker that stops, a lost process and a long run all cost no more than the step at hand.
    """

    @abstractmethod
    def step(self, run: LibraryRun) -> bool:
        """Do a little, and bring the `progress` and `report` of the held run up to it; False if nothing is left."""

    def lock_before_step(self) -> None:
        """Take, in the step's transaction, the locks that others take before the run's row."""

    def settle(self, library_id: UUID) -> bool:  # noqa: ARG002 - most kinds wait for nothing
        """Do what the end waits for, when no step is left, outside of any transaction; True if there may be more."""
        return False

    def lock_before_end(self) -> None:
        """Take, in the last transaction, the locks that others take before the run's row."""

    def end(self, run: LibraryRun) -> None:
        """Do what the end of the work means for others, in the transaction that marks the run done."""

    def attempt(self, held: Held) -> Ended:
        """Go on from where the run stands."""
        while True:
            is_more = self._step(held) or self.settle(held.lease.subject_id)
            if not is_more and self._end(held):
                return Ended.DONE
            if time.monotonic() >= held.until:
                ledger.give_turn(held.lease)
                return Ended.INTERRUPTED

    def _step(self, held: Held) -> bool:
        started = time.monotonic()
        with transaction.atomic():
            self.lock_before_step()
            run = ledger.hold(held.lease)
            if not self.step(run):
                return False
            run.progress[SECONDS] = run.progress.get(SECONDS, 0) + time.monotonic() - started
            lease = ledger.note_progress(held.lease, run)
        held.lease = lease
        return True

    def _end(self, held: Held) -> bool:
        """End the run; False if it was asked for again and has to begin anew."""
        with transaction.atomic():
            self.lock_before_end()
            run = ledger.hold(held.lease)
            seconds = run.progress.get(SECONDS, 0)
            if run.progress.get(AGAIN):
                run.progress = {SECONDS: seconds}
                held.lease = ledger.note_progress(held.lease, run)
                return False
            ledger.mark_done(held.lease, work_seconds=seconds, report=run.report, progress={})
            self.end(run)
        return True
