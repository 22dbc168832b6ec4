"""Long work that is committed step by step: each step is fenced, and whoever comes next goes on where it ended."""

import time
from dataclasses import replace

from django.db.models import F
from django.db.models.functions import Now

from processing.ledger.claiming import Lease, lease_duration
from processing.ledger.finishing import NEVER_CAME_BACK, UNLEASED, LeaseLostError
from processing.models import LibraryRun, RunState
from processing.models.ledger import RunQuerySet


def hold(lease: Lease) -> LibraryRun:
    """Lock the run of a lease until the transaction ends. Call it before the step's rows are touched.

    Raises LeaseLostError if the lease is not held; roll back then.
    """
    run = _held(lease).select_for_update(no_key=True).first()
    if run is None:
        raise _lost(lease)
    return run


def note_progress(lease: Lease, run: LibraryRun) -> Lease:
    """Keep how far a held run has come, in the transaction of the step; gives the lease to go on with.

    A step that was committed ends the count of attempts: those that count are the ones that get nowhere.
    """
    until = Now() + lease_duration()
    _held(lease).update(progress=run.progress, report=run.report, attempt=1, lease_until=until, **NEVER_CAME_BACK)
    return replace(lease, attempt=1, renewed_at=time.monotonic())


def give_turn(lease: Lease) -> None:
    """Return a run between two steps, so that others have their turn: no error, no attempt, no wait.

    Raises LeaseLostError if the lease is not held.
    """
    again = {"state": RunState.PENDING, "queued_at": Now(), "not_before": None, "attempt": F("attempt") - 1}
    if not _held(lease).update(**again, **UNLEASED):
        raise _lost(lease)


def _held(lease: Lease) -> RunQuerySet:
    return lease.ledger.objects.filter(pk=lease.run_id, lease_token=lease.token, state=RunState.RUNNING)


def _lost(lease: Lease) -> LeaseLostError:
    return LeaseLostError(f"{lease.work} of {lease.subject_id} is no longer ours")
