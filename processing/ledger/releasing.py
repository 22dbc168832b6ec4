"""Giving runs back: after an error, a loss, or trouble that was not theirs."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import BooleanField, DateTimeField, Exists, ExpressionWrapper, F, Func, OuterRef, Q
from django.db.models.functions import Coalesce, Now

from processing.ledger.claiming import Holder, Lease
from processing.ledger.errors import RunError
from processing.ledger.finishing import UNLEASED
from processing.metrics import DEAD_RUNS, EXPIRED_LEASES, LOST_RUNS
from processing.models import RunState, StageRun, WorkerPresence
from processing.models.ledger import Run, RunQuerySet
from processing.telling import tell_run


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
        with transaction.atomic():
            is_dead = bool(held.update(state=RunState.DEAD, finished_at=Now(), **UNLEASED, **columns))
            if is_dead:
                _tell_deaths(lease.ledger, [lease.run_id])
        DEAD_RUNS.labels(lease.work, error.code).inc(is_dead)
        return is_dead
    backoff = settings.LEDGER_BACKOFF_SECONDS * 2 ** (lease.attempt - 1)
    return bool(held.update(**_pending_again(after_seconds=_jittered(backoff)), **columns))


def hand_back(lease: Lease, error: RunError, *, after_seconds: float = 0) -> bool:
    """Return a run without burning the attempt: the trouble was the database's, the broker's, the storage's.

    Where the holder has done other runs of this work since this one last came back for the same reason, the trouble is
    this run's own: that is counted, each one counted doubles the wait, and after LEDGER_HAND_BACKS of them it is an
    attempt that failed.
    """
    held = _held(lease)
    row = held.annotate(is_its_own=_is_its_own(lease.ledger, error)).values_list("hand_backs", "is_its_own").first()
    if row is None:
        return False
    before, is_its_own = row
    if is_its_own and before >= settings.LEDGER_HAND_BACKS:
        return fail(lease, error)
    again = _handed_back(before + is_its_own, error, work=lease.work, after_seconds=after_seconds)
    return bool(held.update(**again))


@transaction.atomic
def release_worker(*, ledger: type[Run], worker: str) -> Counter[str]:
    """Return what a worker holds that is being stopped: no error, no attempt, no wait; gives how many by their work."""
    running = ledger.objects.filter(worker=worker, state=RunState.RUNNING).select_for_update(skip_locked=True)
    held = list(running.values_list("pk", ledger.WORK))
    chosen = ledger.objects.filter(pk__in=[pk for pk, _ in held])
    chosen.update(attempt=F("attempt") - 1, **_pending_again())
    return Counter(work for _, work in held)


def release_lost(*, ledger: type[Run], holder: Holder, error: RunError) -> Loss:
    """Return the runs of a process that died, or was killed for its time, at once."""
    return _return_lost(ledger, _held_by(ledger, holder), error)


@transaction.atomic
def hand_back_all(*, ledger: type[Run], holder: Holder, error: RunError, after_seconds: float = 0) -> Loss:
    """Return all that a process holds for a task, as `hand_back` does with one run.

    Whose trouble it was is known of a run alone: one that came back in company is claimed alone next.
    """
    held = _held_by(ledger, holder).select_for_update(skip_locked=True)
    held = held.annotate(is_its_own=_is_its_own(ledger, error))
    rows = list(held.values_list("pk", ledger.WORK, ledger.SUBJECT, "claimed_with", "hand_backs", "is_its_own"))
    loss = Loss(photo_ids=_photos(ledger, [row[2] for row in rows]))
    for pk, work, _subject, claimed_with, before, is_its_own in rows:
        run = ledger.objects.filter(pk=pk)
        is_counted = is_its_own and claimed_with <= 1
        if is_counted and before >= settings.LEDGER_HAND_BACKS:
            one = _return_lost(ledger, run, error)
            loss.returned.update(one.returned)
            loss.dead.update(one.dead)
            continue
        again = _handed_back(before + is_counted, error, work=work, after_seconds=after_seconds)
        # so that next time it is known
        alone = {"claim_alone": True} if is_its_own and not is_counted else {}
        run.update(**again, **alone)
        loss.returned[work] += 1
    return loss


def expire_leases(*, ledger: type[Run]) -> Loss:
    """Return the runs whose lease has run out: their whole worker is gone, or hangs; or the database was away.

    Of the last no attempt is burnt, as with a run lost in company; so often that a run which takes the database with it
    is found out too.
    """
    error = RunError("lease_expired", "The worker that held this run went silent.")
    excused = _database_was_away() & Q(hand_backs__lt=settings.LEDGER_HAND_BACKS)
    loss = _return_lost(ledger, ledger.objects.filter(lease_until__lt=Now()), error, excused=excused)
    EXPIRED_LEASES.inc((loss.returned + loss.dead).total())
    return loss


def _database_was_away() -> Q:
    """Tell of runs whose holder could not say how they ended, although it lives.

    The database was started after they were; or the worker, which was there before they were, has been heard of after
    the last moment at which a process of it may have worked on them.
    """
    grace = timedelta(seconds=settings.LEDGER_LEASE_SECONDS - settings.STAGE_TASK_TIME_LIMIT)
    lives = WorkerPresence.objects.filter(
        name=OuterRef("worker"), started_at__lt=OuterRef("started_at"), seen_at__gt=OuterRef("lease_until") - grace
    )
    return Q(started_at__lt=_DatabaseStart()) | Q(Exists(lives))


class _DatabaseStart(Func):
    function = "pg_postmaster_start_time"
    arity = 0
    output_field = DateTimeField()


@transaction.atomic
def _return_lost(ledger: type[Run], runs: RunQuerySet, error: RunError, *, excused: Q | None = None) -> Loss:
    """Return lost runs. One lost in company, or `excused`, keeps its attempt count and is claimed alone next."""
    running = runs.filter(state=RunState.RUNNING).select_for_update(skip_locked=True)
    lost = list(running.values_list("pk", ledger.WORK, ledger.SUBJECT))
    pks = [row[0] for row in lost]
    forgiven = list(ledger.objects.filter(excused, pk__in=pks).values_list("pk", flat=True)) if excused else []
    ledger.objects.filter(pk__in=forgiven).update(hand_backs=F("hand_backs") + 1)
    returned, dead = Counter[str](), Counter[str]()
    alone, used_up = Q(claimed_with__lte=1) & ~Q(pk__in=forgiven), Q(attempt__gte=settings.LEDGER_MAX_ATTEMPTS)
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
    if dead.total():
        _tell_deaths(ledger, pks)
    return Loss(returned=+returned, dead=+dead, photo_ids=_photos(ledger, [row[2] for row in lost]))


def _tell_deaths(ledger: type[Run], run_ids: Sequence[UUID]) -> None:
    """Tell of those of these runs that are dead now, photo by photo in the order in which everybody locks them."""
    if ledger is StageRun:
        died = StageRun.objects.dead().filter(pk__in=run_ids).order_by("photo_id", "pk")
        for photo_id, stage, code in died.values_list("photo_id", "stage", "error_code"):
            tell_run(photo_id=photo_id, stage=stage, run=RunState.DEAD, error_code=code)


def _photos(ledger: type[Run], subjects: Sequence[UUID]) -> frozenset[UUID]:
    return frozenset(subjects) if ledger.SUBJECT == "photo_id" else frozenset()


def _held_by(ledger: type[Run], holder: Holder) -> RunQuerySet:
    return ledger.objects.filter(
        task_id=holder.task_id, worker=holder.worker, process_id=holder.process_id, state=RunState.RUNNING
    )


def _is_its_own(ledger: type[Run], error: RunError) -> ExpressionWrapper:
    """Tell of a run that is held whether an error that came again for the same reason is its own trouble.

    It is where the same worker has done others of this work in between: what is missing on one host another may have.
    """
    others = ledger.objects.filter(
        **{ledger.WORK: OuterRef(ledger.WORK)},
        worker=OuterRef("worker"),
        state=RunState.DONE,
        finished_at__gt=OuterRef("queued_at"),
    )
    return ExpressionWrapper(Q(error_code=error.code) & Q(Exists(others)), output_field=BooleanField())


def _handed_back(times: int, error: RunError, *, work: str, after_seconds: float) -> dict[str, object]:
    wait = min(after_seconds * 2**times, settings.LEDGER_HAND_BACK_MAX_WAIT_SECONDS)
    again = _pending_again(after_seconds=_jittered(wait))
    return {"attempt": F("attempt") - 1, "hand_backs": times, **again, **error.columns(work)}


def _held(lease: Lease) -> RunQuerySet:
    return lease.ledger.objects.filter(pk=lease.run_id, lease_token=lease.token, state=RunState.RUNNING)


def _pending_again(*, after_seconds: float = 0) -> dict[str, object]:
    not_before = Now() + timedelta(seconds=after_seconds) if after_seconds else None
    first = Coalesce("first_queued_at", "queued_at")
    again = {"queued_at": Now(), "first_queued_at": first, "not_before": not_before}
    return {"state": RunState.PENDING, **again, **UNLEASED}


def _jittered(seconds: float) -> float:
    """Spread retries out, so that what failed together does not come back together."""
    return seconds * random.uniform(0.75, 1.25)  # noqa: S311 - spreading load, not secrets
