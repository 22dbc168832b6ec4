"""What kinds that erase share: what goes is counted with it, on the run and on the receipt."""

from abc import abstractmethod
from collections.abc import Collection, Iterable
from typing import ClassVar
from uuid import UUID

from django.db import transaction

from accounts.models import ErasureKind
from accounts.services import erasure as receipts
from photos import storage
from photos.services import erasure
from photos.services import object_sweeps as sweep_dates
from processing.kinds.stepped import SteppedKind
from processing.models import LibraryRun, RunState
from processing.models.ledger import Lane
from processing.pipeline.planning import lock_plan_for_change
from processing.services import object_sweeps
from processing.stages.base import SUPERSEDED

PEOPLE_PER_STEP = 500
# less than others wait for their turn
SWEEPS_AT_ONCE = 100
SWEEP_SECONDS = 5


class ErasingKind(SteppedKind):
    """A kind whose steps erase. A step is counted in its own transaction: one that is killed has erased nothing.

    What is asked for again goes on with the counts of the open receipt, also where another run began them and died.
    """

    lane = Lane.UPLOAD
    # where objects lie that go with the rows
    aliases: ClassVar[tuple[str, ...]] = (storage.RENDITIONS,)

    @abstractmethod
    def erase(self, run: LibraryRun) -> dict[str, int] | None:
        """Erase a little, and bring the `progress` of the held run up to it; how many of what, None if none is left."""

    @abstractmethod
    def receipt_of(self, run: LibraryRun) -> tuple[ErasureKind, UUID, tuple[str, ...]]:
        """Give the kind and the subject of the run's receipt, and what it counts."""

    @transaction.atomic
    def request(self, *, library_ids: Iterable[UUID], subject: str = "") -> None:
        """Ask for the erasure, as every kind with steps does; runs of it that died are made up for."""
        wanted = set(library_ids)
        # first: somebody who retries a dead one holds it when they look whether one is open
        self._supersede(wanted, subject)
        super().request(library_ids=wanted, subject=subject)

    def step(self, run: LibraryRun) -> bool:
        """Erase a little, and count it."""
        done = self.erase(run)
        if done is None:
            return False
        before = self.counted(run)
        run.report = before | {name: before[name] + count for name, count in done.items()}
        kind, subject_id, _ = self.receipt_of(run)
        receipts.note(kind=kind, subject_id=subject_id, counts=run.report)
        return True

    def counted(self, run: LibraryRun) -> dict[str, int]:
        """Give how many of what have gone so far: the run's own count, which began with that of the receipt."""
        kind, subject_id, names = self.receipt_of(run)
        return dict.fromkeys(names, 0) | (run.report or receipts.counted(kind=kind, subject_id=subject_id))

    def settle(self, library_id: UUID) -> bool:
        """Help the sweeper, once the rows are gone: objects are to go as fast as they do, however many there are.

        It takes what is due in its order; of other libraries there may always be some, and they are not waited for.
        """
        object_sweeps.sweep(limit=SWEEPS_AT_ONCE, seconds=SWEEP_SECONDS)
        return sweep_dates.is_any_due(library_id=library_id, aliases=self.aliases)

    def lock_before_end(self) -> None:
        """Wait for whoever plans, or asks for the erasure of a library, before the run is held."""
        lock_plan_for_change()

    def end(self, run: LibraryRun) -> None:
        """Close the receipt. A run of the same work that died while this one was being asked for is made up for."""
        self._supersede([run.library_id], run.subject)
        kind, subject_id, _ = self.receipt_of(run)
        receipts.end(
            kind=kind,
            subject_id=subject_id,
            library_id=run.library_id,
            counts=self.final_counts(run),
            begun_at=run.created_at,
        )

    def final_counts(self, run: LibraryRun) -> dict[str, int]:
        """Do what is left to the last transaction; gives what the receipt says in the end."""
        return self.counted(run)

    def _supersede(self, library_ids: Collection[UUID], subject: str) -> None:
        dead = LibraryRun.objects.dead().filter(kind=self.name, subject=subject, library_id__in=library_ids)
        dead.update(state=RunState.SKIPPED, skip_reason=SUPERSEDED)


def erase_people(run: LibraryRun) -> dict[str, int] | None:
    """Erase some people of the run's library: what most erasures end with; None where none is left."""
    people = erasure.erase_people(library_id=run.library_id, limit=PEOPLE_PER_STEP)
    return people if people["people"] else None
