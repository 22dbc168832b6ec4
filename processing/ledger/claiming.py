"""Taking runs: one UPDATE over a materialised FOR UPDATE SKIP LOCKED selection."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q
from django.db.models.functions import Now

from processing.ledger.pauses import NOT_PAUSED, take_probe
from processing.models import LibraryRun, RunState, StageRun, WorkerPresence
from processing.models.ledger import Run


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds runs: one process of a worker, at one task. A message that is given out again makes it two."""

    task_id: str
    worker: str
    process_id: int | None = field(default_factory=os.getpid)


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to commit one run, for as long as nobody else was given it. `subject` is the photo or the library."""

    ledger: type[Run]
    run_id: UUID
    subject_id: UUID
    work: str
    version: str
    token: UUID
    attempt: int
    # the one run by which a circuit tries whether the trouble is over
    is_probe: bool = False
    # of the monotonic clock
    renewed_at: float = field(default_factory=time.monotonic, compare=False)

    @property
    def has_run_out(self) -> bool:
        """Whether its time is over by this host's reckoning; one that is lost sooner was withdrawn."""
        return time.monotonic() - self.renewed_at > settings.LEDGER_LEASE_SECONDS


# Nothing is claimed of work that is paused, nor by a worker that is to finish and take nothing new: asked in the same
# statement, once and not per row. The head is the most urgent run. The rest fills the batch with runs of the head's
# version, and leaves out runs that were lost in company before: those are claimed alone, so that the next loss names
# the culprit.
_CLAIM = """
WITH head AS MATERIALIZED (
    SELECT id, version, claim_alone FROM {table}
    WHERE state = 'pending' AND {kind} = %(kind)s AND version = ANY(%(versions)s)
      AND (not_before IS NULL OR not_before <= now())
      AND {not_paused}
      AND NOT EXISTS (SELECT FROM {workers} WHERE name = %(worker)s AND draining_since IS NOT NULL)
    ORDER BY {first} lane, queued_at LIMIT 1 FOR UPDATE SKIP LOCKED
), rest AS MATERIALIZED (
    SELECT id FROM {table}
    WHERE state = 'pending' AND {kind} = %(kind)s AND version = (SELECT version FROM head)
      AND (not_before IS NULL OR not_before <= now())
      AND NOT claim_alone AND NOT (SELECT claim_alone FROM head) AND id <> (SELECT id FROM head)
    ORDER BY lane, queued_at LIMIT %(more)s FOR UPDATE SKIP LOCKED
), picked AS MATERIALIZED (
    SELECT id FROM head UNION ALL SELECT id FROM rest
)
UPDATE {table} AS run
SET state = 'running', attempt = run.attempt + 1, started_at = now(), finished_at = NULL,
    lease_token = gen_random_uuid(), lease_until = now() + %(lease)s,
    task_id = %(task_id)s, worker = %(worker)s, process_id = %(process_id)s,
    claimed_with = (SELECT count(*) FROM picked)
FROM picked WHERE run.id = picked.id
RETURNING run.id, run.{subject}, run.version, run.lease_token, run.attempt, run.lane, run.queued_at
"""


def _claim(ledger: type[Run], values: dict[str, object]) -> list[Lease]:
    is_probe = False
    rows = _take(ledger, values)
    if not rows:
        rows = _take_probe(ledger, values)
        is_probe = bool(rows)
    rows.sort(key=lambda row: row[5:7])
    work = str(values["kind"])
    return [Lease(ledger, row[0], row[1], work, row[2], row[3], row[4], is_probe) for row in rows]


def _take(
    ledger: type[Run], values: dict[str, object], *, not_paused: str = NOT_PAUSED, first: str = ""
) -> list[tuple]:
    names = {"kind": ledger.WORK, "subject": ledger.SUBJECT, "table": ledger._meta.db_table}
    sql = _CLAIM.format(workers=WorkerPresence._meta.db_table, not_paused=not_paused, first=first, **names)
    with connection.cursor() as cursor:
        cursor.execute(sql, {**values, "process_id": os.getpid(), "lease": lease_duration()})
        return cursor.fetchall()


def _take_probe(ledger: type[Run], values: dict[str, object]) -> list[tuple]:
    """Take the one run by which a circuit tries again, if it is time: one that never failed, rather."""
    with transaction.atomic():
        rows: list[tuple] = []
        if take_probe(work=str(values["kind"])):
            rows = _take(ledger, {**values, "more": 0}, not_paused="TRUE", first="(error_code <> ''),")
        if not rows:
            transaction.set_rollback(True)
    return rows


def lease_duration() -> timedelta:
    """Give the time after which a run that nobody renews is taken from its holder."""
    return timedelta(seconds=settings.LEDGER_LEASE_SECONDS)


def claim(*, stage: str, versions: Sequence[str], limit: int, task_id: str, worker: str) -> list[Lease]:
    """Take up to `limit` of the most urgent pending runs of `stage` whose version is one of `versions`.

    None where the stage is paused, or where the worker takes nothing new. The attempt is counted here, so that work
    that kills its process is counted too.
    """
    if not versions:
        return []
    values = {"kind": stage, "versions": list(versions), "more": limit - 1, "task_id": task_id, "worker": worker}
    return _claim(StageRun, values)


def claim_library_run(*, kind: str, versions: Sequence[str], task_id: str, worker: str) -> Lease | None:
    """Take the most urgent pending run of work whose subject is a library."""
    values = {"kind": kind, "versions": list(versions), "more": 0, "task_id": task_id, "worker": worker}
    return next(iter(_claim(LibraryRun, values)), None)


def is_more_pending(*, stage: str, versions: Sequence[str]) -> bool:
    """Tell whether a run of `stage` could be claimed at this moment."""
    due = Q(not_before__isnull=True) | Q(not_before__lte=Now())
    return StageRun.objects.filter(due, state=RunState.PENDING, stage=stage, version__in=versions).exists()


def renew(lease: Lease) -> bool:
    """Extend a lease that is still held; False if it was taken away."""
    held = lease.ledger.objects.filter(pk=lease.run_id, lease_token=lease.token, state=RunState.RUNNING)
    return bool(held.update(lease_until=Now() + lease_duration()))
