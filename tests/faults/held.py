"""What this process holds at this moment: the runs that are lost if it dies now."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from celery import current_task

from processing.ledger import Lease

_leases: dict[UUID, Lease] = {}
_company = 0


def take(leases: Iterable[Lease]) -> None:
    """Remember one claim; what an earlier one left is not held any more."""
    global _company  # noqa: PLW0603 - a process works on one claim at a time
    _leases.clear()
    _leases.update({lease.run_id: lease for lease in leases})
    _company = len(_leases)


def let_go(lease: Lease) -> None:
    """Forget a run that was committed or given back."""
    _leases.pop(lease.run_id, None)


def attempts() -> list[int]:
    """Give the attempts of the runs that are held."""
    return [lease.attempt for lease in _leases.values()]


def described() -> dict[str, Any]:
    """Say which runs are held and how many were claimed together, and which task and photos rang."""
    request = current_task.request if current_task else None
    return {
        "task": getattr(request, "id", None) or "",
        "worker": getattr(request, "hostname", None) or "",
        "rung_by": _rung_by(request),
        "company": _company,
        "runs": [described_lease(lease) for lease in _leases.values()],
    }


def _rung_by(request: Any) -> list[str]:
    ids = (getattr(request, "kwargs", None) or {}).get("ids")
    # the plain pipeline's task is told its photo, as its first argument
    return ids if ids is not None else [str(one) for one in (getattr(request, "args", None) or [])[:1]]


def described_lease(lease: Lease) -> dict[str, Any]:
    """Say which run, whose, and which attempt."""
    return {"run": lease.run_id, "subject": lease.subject_id, "attempt": lease.attempt}
