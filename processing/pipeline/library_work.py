"""Running work whose subject is a library: one run at a time, with a heartbeat that keeps the lease."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db import connection, transaction

from processing import ledger
from processing.ledger import Lease, LeaseLostError
from processing.metrics import FENCED, RUNS, STAGE_SECONDS
from processing.pipeline.working import end_attempt
from processing.services import grouping

logger = logging.getLogger(__name__)


def work(*, kind: str, task_id: str, worker: str) -> int:
    """Claim and run a kind of library work until nothing is pending or the budget of a task is spent."""
    deadline = time.monotonic() + settings.LEDGER_TASK_SECONDS
    taken = 0
    while time.monotonic() < deadline:
        rule = grouping.rule_in_use()
        versions = [rule.version] if rule else []
        lease = ledger.claim_library_run(kind=kind, versions=versions, task_id=task_id, worker=worker)
        if lease is None:
            return taken
        taken += 1
        with heartbeat(lease):
            is_done = _run(lease)
        # what came in meanwhile found this run open; after an error it is the retry that reads it
        if is_done and grouping.is_due(library_id=lease.subject_id, rule=rule):
            grouping.request(library_id=lease.subject_id, model=rule.model.name)
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


def _run(lease: Lease) -> bool:
    """Group one library; tells whether a grouping was written."""
    started = time.monotonic()
    try:
        made = grouping.perform(lease.subject_id)
        spent = time.monotonic() - started
        with transaction.atomic():
            if isinstance(made, grouping.NothingToDo):
                ledger.mark_skipped(lease, reason=made.reason, work_seconds=spent)
                return False
            ledger.mark_done(lease, work_seconds=spent)
            report = made.write()
            lease.ledger.objects.filter(pk=lease.run_id).update(report=report)
    except LeaseLostError as error:
        FENCED.labels(lease.work).inc()
        logger.warning("not written: %s", error)
        return False
    except SoftTimeLimitExceeded as error:
        end_attempt(lease, error)
        raise
    except Exception as error:  # noqa: BLE001 - every error ends on the run's own row
        end_attempt(lease, error)
        return False
    RUNS.labels(lease.work, "done").inc()
    STAGE_SECONDS.labels(lease.work).observe(spent)
    return True
