"""Giving runs back after trouble, whatever the trouble was; and the hint that a task has used up."""

import logging
import time
from collections.abc import Callable
from functools import partial

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import InterfaceError, OperationalError, close_old_connections, transaction

from processing import circuit, ledger
from processing.failures import DATABASE_UNAVAILABLE, Fault, classify, describe
from processing.ledger import Holder, Lease, RunError
from processing.metrics import FENCED, RUNS
from processing.models.ledger import Run
from processing.publish import ring
from processing.services import object_sweeps

logger = logging.getLogger(__name__)

# a database that restarts is back within seconds; in all less than a lease, which a task's time limit ends before
AGAIN_AFTER_SECONDS = (0.5, 1, 2, 4, 5, 5, 5)


def end_attempt(lease: Lease, error: BaseException) -> None:
    """Give a run back with its error, as soon as the database takes it.

    If it does not for nearly a lease, its error is raised: whoever works on gives back all that it holds.
    """
    fault, described = classify(error).fault, describe(error)
    RUNS.labels(lease.work, fault.value).inc()
    logger.warning("%s of %s, attempt %d: %s", lease.work, lease.subject_id, lease.attempt, described.detail)
    if described.code == "unexpected_error":
        logger.error("unexpected error in %s of %s", lease.work, lease.subject_id, exc_info=error)
    insist(partial(_give_back, lease, fault, described))


def insist(write: Callable[[], None]) -> None:
    """Write something as soon as the database takes it; raises its error where it does not for nearly a lease."""
    for wait in (*AGAIN_AFTER_SECONDS, None):
        close_old_connections()  # a broken one could not take it
        try:
            write()
        except (OperationalError, InterfaceError):
            if wait is None:
                raise
            time.sleep(wait)
        else:
            return


@transaction.atomic
def return_all(*, ledger_of: type[Run], work: str, holder: Holder, error: BaseException) -> None:
    """Return what a process still holds for a task that an error has ended; the infrastructure's burns no attempt."""
    fault, described = classify(error).fault, describe(error)
    if fault is Fault.INFRASTRUCTURE:
        wait = _wait_after(described.code)
        loss = ledger.hand_back_all(ledger=ledger_of, holder=holder, error=described, after_seconds=wait)
        circuit.consider(ledger=ledger_of, work=work, code=described.code)
    else:
        loss = ledger.release_lost(ledger=ledger_of, holder=holder, error=described)
    object_sweeps.request_for_lost(loss)
    RUNS.labels(work, fault.value).inc((loss.returned + loss.dead).total())


def outlast(*, ledger_of: type[Run], work: str, queue: str, holder: Holder, error: BaseException) -> None:
    """Wait for a database that is not there, return what the task holds, and pass its hint on.

    A claim whose answer was lost is among what it holds. If the database stays away for longer, the leases run out, and
    whoever returns them sees why.
    """
    logger.warning("%s: the database is not there: %s", work, error)
    try:
        insist(partial(return_all, ledger_of=ledger_of, work=work, holder=holder, error=error))
        time.sleep(settings.LEDGER_DATABASE_WAIT_SECONDS)
    except DatabaseError as again:
        logger.warning("%s: what it holds stays leased: %s", work, again)
    finally:
        # the hint is used up and what it was for is still there
        ring(task=work, queue=queue)


def count_refused(lease: Lease) -> None:
    """Count a commit that was refused: as stale where the lease had run out, else it was taken away on purpose."""
    if lease.has_run_out:
        FENCED.labels(lease.work).inc()
    else:
        RUNS.labels(lease.work, "withdrawn").inc()


def _give_back(lease: Lease, fault: Fault, error: RunError) -> None:
    if fault is Fault.INFRASTRUCTURE:
        ledger.hand_back(lease, error, after_seconds=_wait_after(error.code))
        circuit.consider(ledger=lease.ledger, work=lease.work, code=error.code)
        return
    ledger.fail(lease, error, permanent=fault is Fault.PERMANENT)
    if lease.is_probe:
        circuit.close(work=lease.work)


def _wait_after(code: str) -> float:
    if code == DATABASE_UNAVAILABLE:
        return settings.LEDGER_DATABASE_WAIT_SECONDS
    return settings.LEDGER_INFRASTRUCTURE_WAIT_SECONDS
