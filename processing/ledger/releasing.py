"""Giving runs back: after an error, a loss, or trouble that was not theirs."""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from processing.ledger.claiming import Lease
from processing.ledger.finishing import UNLEASED
from processing.models import RunState
from processing.models.ledger import Run, RunQuerySet

DETAIL_MAX_LENGTH = 4000


@dataclass(frozen=True, slots=True)
class Loss:
    """Runs that were taken from a holder that is gone: how many by the name of their work, and how many are dead."""

    returned: dict[str, int]
    dead: int


def fail(lease: Lease, *, code: str, detail: str, permanent: bool = False) -> bool:
    """End an attempt with an error: pending again after a backoff, or dead if permanent or tried often enough.

    Gives False, and changes nothing, where the lease is not held any more.
    """
    error = {"error_code": code, "error_detail": detail[:DETAIL_MAX_LENGTH]}
    held = _held(lease)
    if permanent or lease.attempt >= settings.LEDGER_MAX_ATTEMPTS:
        return bool(held.update(state=RunState.DEAD, finished_at=Now(), **UNLEASED, **error))
    backoff = settings.LEDGER_BACKOFF_SECONDS * 2 ** (lease.attempt - 1)
    return bool(held.update(**_pending_again(after_seconds=_jittered(backoff)), **error))


def hand_back(lease: Lease, *, code: str, detail: str, after_seconds: float = 0) -> bool:
    """Return a run without burning the attempt: the trouble was the database's, the broker's, the storage's."""
    error = {"error_code": code, "error_detail": detail[:DETAIL_MAX_LENGTH]}
    wait = _jittered(after_seconds)
    return bool(_held(lease).update(attempt=F("attempt") - 1, **_pending_again(after_seconds=wait), **error))


def release_lost(*, ledger: type[Run], task_id: str, code: str, detail: str) -> Loss:
    """Return the runs of a task whose process died or was killed for its time, at once."""
    return _return_lost(ledger, ledger.objects.filter(task_id=task_id), code=code, detail=detail)


def expire_leases(*, ledger: type[Run]) -> Loss:
    """Return the runs whose lease has run out: their whole worker is gone, or hangs."""
    expired = ledger.objects.filter(lease_until__lt=Now())
    return _return_lost(ledger, expired, code="lease_expired", detail="The worker that held this run went silent.")


@transaction.atomic
def _return_lost(ledger: type[Run], runs: RunQuerySet, *, code: str, detail: str) -> Loss:
    """Return lost runs. One lost in company keeps its attempt count and is claimed alone next."""
    work = "stage" if hasattr(ledger, "stage") else "kind"
    running = runs.filter(state=RunState.RUNNING).select_for_update(skip_locked=True)
    lost = list(running.values_list("pk", work, "claimed_with", "attempt"))
    error = {"error_code": code, "error_detail": detail[:DETAIL_MAX_LENGTH]}
    chosen = ledger.objects.filter(pk__in=[row[0] for row in lost])
    alone, used_up = Q(claimed_with__lte=1), Q(attempt__gte=settings.LEDGER_MAX_ATTEMPTS)
    dead = chosen.filter(alone & used_up).update(state=RunState.DEAD, finished_at=Now(), **UNLEASED, **error)
    rest = chosen.filter(state=RunState.RUNNING)
    rest.filter(alone).update(**_pending_again(), **error)
    rest.filter(~alone).update(attempt=F("attempt") - 1, claim_alone=True, **_pending_again(), **error)
    is_dead = [row[2] <= 1 and row[3] >= settings.LEDGER_MAX_ATTEMPTS for row in lost]
    return Loss(returned=_count(row[1] for row, gone in zip(lost, is_dead, strict=True) if not gone), dead=dead)


def _held(lease: Lease) -> RunQuerySet:
    return lease.ledger.objects.filter(pk=lease.run_id, lease_token=lease.token, state=RunState.RUNNING)


def _pending_again(*, after_seconds: float = 0) -> dict[str, object]:
    not_before = Now() + timedelta(seconds=after_seconds) if after_seconds else None
    return {"state": RunState.PENDING, "queued_at": Now(), "not_before": not_before, **UNLEASED}


def _jittered(seconds: float) -> float:
    """Spread retries out, so that what failed together does not come back together."""
    return seconds * random.uniform(0.75, 1.25)  # noqa: S311 - spreading load, not secrets


def _count(names: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return counts
