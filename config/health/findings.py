"""What a check found."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """`degraded` serves, but somebody should look; `failing` does not serve."""

    OK = "ok"
    DEGRADED = "degraded"
    FAILING = "failing"


_ORDER = list(Status)


def worst(statuses: Iterable[Status]) -> Status:
    """Give the worst of these; `ok` if there are none."""
    return max(statuses, key=_ORDER.index, default=Status.OK)


@dataclass(slots=True)
class Finding:
    """The state of one component: every reason for not being well, and numbers for whoever looks into it."""

    status: Status = Status.OK
    reasons: list[str] = field(default_factory=list)
    detail: dict[str, Any] = field(default_factory=dict)

    def degrade(self, reason: str) -> None:
        """Add a reason why this needs a look."""
        self._lower(Status.DEGRADED, reason)

    def fail(self, reason: str) -> None:
        """Add a reason why this does not serve."""
        self._lower(Status.FAILING, reason)

    def _lower(self, status: Status, reason: str) -> None:
        self.status = worst([self.status, status])
        self.reasons.append(reason)

    def as_json(self) -> dict[str, Any]:
        """Give what an insider reads."""
        return {"status": self.status, "reasons": self.reasons, **self.detail}
