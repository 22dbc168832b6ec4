"""What a kind of library work is: which versions are known, what an attempt does, and when the work is due."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar
from uuid import UUID

from processing.ledger import Lease


class Ended(Enum):
    """How an attempt ended that met no error."""

    DONE = "done"
    SKIPPED = "skipped"
    INTERRUPTED = "interrupted"  # pending again, with what was done kept


@dataclass(slots=True)
class Held:
    """A run in hand. `until` is the moment, of the monotonic clock, at which others are to have their turn."""

    lease: Lease
    until: float


class Kind(ABC):
    """One kind of work on a library. An attempt of it runs under a heartbeat that renews the lease."""

    name: ClassVar[str]
    queue: ClassVar[str] = "people"

    @abstractmethod
    def known_versions(self) -> list[str]:
        """Versions that this process can run."""

    @abstractmethod
    def attempt(self, held: Held) -> Ended:
        """Do the work, and end the run in a fenced transaction. Raises LeaseLostError, or the work's own errors."""

    def request_if_due(self, library_id: UUID) -> None:  # noqa: B027 - most kinds are asked for by those who need them
        """Ask for the work again, if something came that the run which has just ended did not read."""

    def request_where_due(self) -> int:
        """Ask for the work wherever it is due; gives for how many libraries. Called by the reconciler."""
        return 0
