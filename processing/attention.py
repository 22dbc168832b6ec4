"""What keeps the pipeline from moving that no run can say of itself: pauses, and queues that are deaf."""

from dataclasses import dataclass
from typing import Any

from django.db.models import F
from django.db.models.functions import Now

from processing.canaries import CanaryStatus
from processing.models import StagePause

MINUTE = 60


@dataclass(frozen=True, slots=True)
class Paused:
    """Work of which nothing is claimed: for how many seconds by now, why, and when its circuit tries again, if it does.

    `tries_in_seconds` is none where a person has paused it; `tries` counts those that failed.
    """

    work: str
    seconds: float
    reason: str
    error_code: str
    tries_in_seconds: float | None
    tries: int

    @property
    def sentence(self) -> str:
        """Say it to an operator."""
        if self.tries_in_seconds is None:
            return f"{self.work} was paused {_ago(self.seconds)}" + (f": {self.reason}" if self.reason else "")
        when = f"in {self.tries_in_seconds:.0f} s" if self.tries_in_seconds > 0 else "now"
        return f"{self.work} paused itself {_ago(self.seconds)}: {self.error_code}; it tries again {when}"

    def as_json(self) -> dict[str, Any]:
        """Give what an insider reads."""
        return {
            "seconds": round(self.seconds, 1),
            "reason": self.reason,
            "error_code": self.error_code,
            "tries": self.tries,
            "tries_in_seconds": None if self.tries_in_seconds is None else round(self.tries_in_seconds, 1),
        }


def paused() -> list[Paused]:
    """Give what is paused, longest first."""
    rows = StagePause.objects.annotate(age=Now() - F("paused_at"), wait=F("probe_at") - Now()).order_by("paused_at")
    return [
        Paused(
            work=row.work,
            seconds=max(0.0, row.age.total_seconds()),
            reason=row.reason,
            error_code=row.error_code,
            tries_in_seconds=max(0.0, row.wait.total_seconds()) if row.is_circuit else None,
            tries=row.probes,
        )
        for row in rows
    ]


def deaf(canary: CanaryStatus) -> str:
    """Say that the workers of a queue are there and take no messages."""
    sent = f"one sent {_ago(canary.seconds)} was not answered"
    return f"the workers of the queue {canary.queue} are there and take no messages: {sent}"


def _ago(seconds: float) -> str:
    return f"{seconds / MINUTE:.0f} minutes ago" if seconds >= 2 * MINUTE else f"{seconds:.0f} s ago"
