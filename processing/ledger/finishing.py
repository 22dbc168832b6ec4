"""Ending a run with a result. Fenced: whoever does not hold the lease any more commits nothing."""

from collections.abc import Mapping

from django.db.models import F
from django.db.models.functions import Now

from processing.ledger.claiming import Lease
from processing.models import RunState

UNLEASED = {"lease_token": None, "lease_until": None}
NO_ERROR = {"error_code": "", "error_detail": "", "exception": "", "frame": "", "traceback": "", "fingerprint": ""}
NEVER_CAME_BACK = {"first_queued_at": None, "hand_backs": 0}


class LeaseLostError(Exception):
    """Somebody else was given the run, or it was withdrawn; this result must not be written."""


def mark_done(lease: Lease, *, work_seconds: float, **columns: object) -> None:
    """Mark a run done. Call it first in the transaction that writes the results: it locks the row against others.

    Raises LeaseLostError if the lease is not held; roll back then.
    """
    _finish(lease, {"state": RunState.DONE, "work_seconds": work_seconds, **columns})


def mark_skipped(lease: Lease, *, reason: str, work_seconds: float, **columns: object) -> None:
    """Mark a run skipped, for a reason that is a stable code. Raises LeaseLostError as `mark_done` does."""
    _finish(lease, {"state": RunState.SKIPPED, "skip_reason": reason, "work_seconds": work_seconds, **columns})


def _finish(lease: Lease, columns: Mapping[str, object]) -> None:
    held = lease.ledger.objects.filter(pk=lease.run_id, lease_token=lease.token, state=RunState.RUNNING)
    clean = {**NO_ERROR, **NEVER_CAME_BACK, "not_before": None, "claim_alone": False, "commits": F("commits") + 1}
    if not held.update(finished_at=Now(), **UNLEASED, **clean, **columns):
        raise LeaseLostError(f"{lease.work} of {lease.subject_id} is no longer ours")
