"""Running work whose subject is a library: one run at a time, with a heartbeat that keeps the lease."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection
from django.db.models import Q
from django.db.models.functions import Now

from processing import circuit, ledger
from processing.kinds import registry
from processing.kinds.base import Ended, Held, Kind
from processing.ledger import Holder, Lease, LeaseLostError
from processing.metrics import RUNS, STAGE_SECONDS
from processing.models import LibraryRun, RunState
from processing.pipeline.giving_back import count_refused, end_attempt, outlast
from processing.publish import ring

logger = logging.getLogger(__name__)


def work(*, kind: str, task_id: str, worker: str) -> int:
    """Claim and run a kind of library work until nothing is pending or the budget of a task is spent; gives how many.

    When the budget is spent and there is more, rings again, so that other kinds of work get their turn.
    """
    chosen = registry.get(kind)
    try:
        return _work(chosen, task_id=task_id, worker=worker)
    except (OperationalError, InterfaceError) as error:
        holder = Holder(task_id=task_id, worker=worker)
        outlast(ledger_of=LibraryRun, work=chosen.name, queue=chosen.queue, holder=holder, error=error)
        return 0


def _work(chosen: Kind, *, task_id: str, worker: str) -> int:
    deadline = time.monotonic() + settings.LEDGER_TASK_SECONDS
    taken = 0
    while time.monotonic() < deadline:
        versions = chosen.known_versions()
        lease = ledger.claim_library_run(kind=chosen.name, versions=versions, task_id=task_id, worker=worker)
        if lease is None:
            return taken
        taken += 1
        with heartbeat(lease):
            ended = _run(chosen, Held(lease=lease, until=deadline))
        if ended is Ended.DONE:
            chosen.request_if_due(lease.subject_id)
    if _is_more_pending(chosen):
        ring(task=chosen.name, queue=chosen.queue)
    return taken


@contextmanager
def heartbeat(lease: Lease) -> Iterator[None]:
    """Renew a lease from a thread for as long as the block runs; the commit is fenced all the same."""
    stop = threading.Event()
    thread = threading.Thread(target=_beat, args=(lease, stop), name=f"lease-{lease.run_id}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _beat(lease: Lease, stop: threading.Event) -> None:
    try:
        while not stop.wait(settings.LEDGER_LEASE_SECONDS / 4):
            try:
                if not ledger.renew(lease):
                    return
            except Exception:
                logger.exception("the lease of %s was not renewed", lease.run_id)
                connection.close()
    finally:
        connection.close()  # a thread's connection is its own


def _run(kind: Kind, held: Held) -> Ended | None:
    """Make one attempt; tells how it ended, or nothing where it failed."""
    started = time.monotonic()
    try:
        ended = kind.attempt(held)
    except LeaseLostError as error:
        count_refused(held.lease)
        logger.warning("not written: %s", error)
        return None
    except SoftTimeLimitExceeded as error:
        end_attempt(held.lease, error)
        raise
    except Exception as error:  # noqa: BLE001 - every error ends on the run's own row
        end_attempt(held.lease, error)
        return None
    if held.lease.is_probe and ended is not None:
        circuit.close(work=kind.name)
    if ended is Ended.DONE:
        RUNS.labels(kind.name, "done").inc()
        STAGE_SECONDS.labels(kind.name).observe(time.monotonic() - started)
    return ended


def _is_more_pending(kind: Kind) -> bool:
    due = Q(not_before__isnull=True) | Q(not_before__lte=Now())
    runs = LibraryRun.objects.filter(due, state=RunState.PENDING, kind=kind.name, version__in=kind.known_versions())
    return runs.exists()
