"""Giving runs back: after an error, a loss, or trouble that was not theirs."""

import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from processing.ledger.claiming import Lease
from processing.ledger.errors import RunError
from processing.ledger.finishing import UNLEASED
from processing.metrics import DEAD_RUNS, EXPIRED_LEASES, LOST_RUNS
from processing.models import RunState
from processing.models.ledger import Run, RunQuerySet


@dataclass(frozen=True, slots=True)
class Loss:
    """Runs that were taken from a holder that is gone, by the name of their work: those returned, and those now dead.

    `photo_ids` are the photos they were of; for library runs none.
    """

    returned: Counter[str] = field(default_factory=Counter)
    dead: Counter[str] = field(default_factory=Counter)
    photo_ids: frozenset[UUID] = frozenset()


def fail(lease: Lease, error: RunError, *, permanent: bool = False) -> bool:
    """End an attempt with an error: pending again after a backoff, or dead if permanent or tried often enough.

    Gives False, and changes nothing, where the lease is not held any more.
    """
    held, columns = _held(lease), error.columns(lease.work)
    if permanent or lease.attempt >= settings.LEDGER_MAX_ATTEMPTS:
        is_dead = bool(held.update(state=RunState.DEAD, finished_at=Now(), **UNLEASED, **columns))
        DEAD_RUNS.labels(lease.work, error.code).inc(is_dead)
        return is_dead
    backoff = settings.LEDGER_BACKOFF_SECONDS * 2 ** (lease.attempt - 1)
    return bool(held.update(**_pending_again(after_seconds=_jittered(backoff)), **columns))


def hand_back(lease: Lease, error: RunError, *, after_seconds: float = 0) -> bool:
    """Return a run without burning the attempt: the trouble was the database's, the broker's, the storage's."""
    again = _pending_again(after_seconds=_jittered(after_seconds))
    return bool(_held(lease).update(attempt=F("attempt") - 1, **again, **error.columns(lease.work)))


@transaction.atomic
def release_worker(*, ledger: type[Run], worker: str) -> Counter[str]:
    """Return what a worker holds that is being stopped: no error, no attempt, no wait; gives how many by their work."""
    running = ledger.objects.filter(worker=worker, state=RunState.RUNNING).select_for_update(skip_locked=True)
    held = list(running.values_list("pk", ledger.WORK))
    chosen = ledger.objects.filter(pk__in=[pk for pk, _ in held])
    chosen.update(attempt=F("attempt") - 1, **_pending_again())
    return Counter(work for _, work in held)


def release_lost(*, ledger: type[Run], task_id: str, error: RunError) -> Loss:
    """Return the runs of a task whose process died or was killed for its time, at once."""
    return _return_lost(ledger, ledger.objects.filter(task_id=task_id), error)


@transaction.atomic
def hand_back_all(*, ledger: type[Run], task_id: str, error: RunError, after_seconds: float = 0) -> Loss:
    """Return all that a task holds, as `hand_back` does with one run."""
    held = ledger.objects.filter(task_id=task_id, state=RunState.RUNNING).select_for_update(skip_locked=True)
    rows = list(held.values_list("pk", ledger.WORK, ledger.SUBJECT))
    returned = Counter(work for _, work, _ in rows)
    again = _pending_again(after_seconds=_jittered(after_seconds))
    for work in returned:
        chosen = ledger.objects.filter(pk__in=[pk for pk, other, _ in rows if other == work])
        chosen.update(attempt=F("attempt") - 1, **again, **error.columns(work))
    photo_ids = frozenset(row[2] for row in rows) if ledger.SUBJECT == "photo_id" else frozenset()
    return Loss(returned=returned, photo_ids=photo_ids)


def expire_leases(*, ledger: type[Run]) -> Loss:
    """Return the runs whose lease has run out: their whole worker is gone, or hangs."""
    error = RunError("lease_expired", "The worker that held this run went silent.")
    loss = _return_lost(ledger, ledger.objects.filter(lease_until__lt=Now()), error)
    EXPIRED_LEASES.inc((loss.returned + loss.dead).total())
    return loss


@transaction.atomic
def _return_lost(ledger: type[Run], runs: RunQuerySet, error: RunError) -> Loss:
    """Return lost runs. One lost in company keeps its attempt count and is claimed alone next."""
    running = runs.filter(state=RunState.RUNNING).select_for_update(skip_locked=True)
    lost = list(running.values_list("pk", ledger.WORK, "claimed_with", "attempt", ledger.SUBJECT))
    returned, dead = Counter[str](), Counter[str]()
    alone, used_up = Q(claimed_with__lte=1), Q(attempt__gte=settings.LEDGER_MAX_ATTEMPTS)
    for work in {row[1] for row in lost}:
        chosen = ledger.objects.filter(pk__in=[row[0] for row in lost if row[1] == work])
        columns = error.columns(work)
        dead[work] = chosen.filter(alone & used_up).update(
            state=RunState.DEAD, finished_at=Now(), **UNLEASED, **columns
        )
        rest = chosen.filter(state=RunState.RUNNING)
        returned[work] = rest.filter(alone).update(**_pending_again(), **columns)
        returned[work] += rest.filter(~alone).update(
            attempt=F("attempt") - 1, claim_alone=True, **_pending_again(), **columns
        )
        LOST_RUNS.labels(work, error.code).inc(dead[work] + returned[work])
        DEAD_RUNS.labels(work, error.code).inc(dead[work])
    photo_ids = frozenset(row[4] for row in lost) if ledger.SUBJECT == "photo_id" else frozenset()
    return Loss(returned=+returned, dead=+dead, photo_ids=photo_ids)


def _held(lease: Lease) -> RunQuerySet:
    return lease.ledger.objects.filter(pk=lease.run_id, lease_token=lease.token, state=RunState.RUNNING)


def _pending_again(*, after_seconds: float = 0) -> dict[str, object]:
    not_before = Now() + timedelta(seconds=after_seconds) if after_seconds else None
    return {"state": RunState.PENDING, "queued_at": Now(), "not_before": not_before, **UNLEASED}


def _jittered(seconds: float) -> float:
    """Spread retries out, so that what failed together does not come back together."""
    return seconds * random.uniform(0.75, 1.25)  # noqa: S311 - spreading load, not secrets
