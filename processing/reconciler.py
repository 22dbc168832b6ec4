"""The sweep that makes Redis disposable: whatever a lost message or a lost worker left behind moves again."""

import logging
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from uuid import UUID

from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Count, Exists, OuterRef, Q
from django.db.models.functions import Now

from photos.services import events
from processing import circuit, ledger
from processing.kinds import registry as kinds
from processing.models import LibraryRun, RunState, StagePause, StageRun, WorkerPresence
from processing.models.ledger import DISCARDED, INPUT_DISCARDED
from processing.pipeline.planning import batched_ids, plan
from processing.services import canaries, object_sweeps, questions
from processing.stages import registry
from processing.sweeps import note_sweep
from processing.task_policy import ring_for

logger = logging.getLogger(__name__)

_RECONCILER_LOCK = 0x7265636F6E63696C  # "reconcil": a key of our own among advisory locks
REPLAN_AT_ONCE = 2000
TENDED_AT_ONCE = 1000
# longer than the longest transaction that plans
FORGOTTEN_WITHIN = timedelta(hours=1)


def reconcile(*, worker: str = "") -> bool:
    """Sweep once; False if another sweep is under way. May run any number of times, at the same time as itself.

    `worker` is the name of the worker that sweeps: how old its code is decides what it may plan anew.
    """
    with transaction.atomic():
        if not _lock():
            return False
        circuit.review()
        # last: who holds a sweep's row waits for nothing more
        returned, overdue = _return_expired(), _overdue()
    # different runs: what was returned just now is not overdue yet
    ring_for(returned, was_lost=True)
    ring_for(overdue)
    # after the hints, for which what lies in the queues is counted
    canaries.ring()
    note_sweep()
    # each by itself: what one of them meets keeps no lease from being returned, nor the others from their work
    _try(plan_forgotten)
    _try(partial(replan_unknown_versions, worker=worker))
    for kind in kinds.all_kinds():
        _try(kind.request_where_due)
    _try(events.prune)
    object_sweeps.sweep()
    return True


def _try(step: Callable[[], int]) -> None:
    """Do a part of a sweep; its trouble is logged, and it is tried again by the next sweep."""
    try:
        step()
    except SoftTimeLimitExceeded:
        raise
    except Exception as error:
        logger.exception("a part of the sweep failed: %s", error)  # noqa: TRY401 - what failed is in the message, too


def tend() -> dict[str, int]:
    """Return expired leases, and ring for runs whose `not_before` has come; gives how many, by the name of their work.

    Done every few seconds, so that neither waits for the next sweep as well: indexes of such runs alone serve, whatever
    the backlog is. Questions that nobody waits for any more go too.
    """
    with transaction.atomic():
        returned = _return_expired()
    ring_for(returned, was_lost=True)
    counts: dict[str, int] = Counter()
    for model in (StageRun, LibraryRun):
        due = model.objects.filter(state=RunState.PENDING, not_before__lte=Now()).order_by()
        counts.update(due.values_list(model.WORK, flat=True)[:TENDED_AT_ONCE])
    claimable = _claimable(counts)
    ring_for(claimable)
    _try(questions.forget_expired)
    return returned + Counter(claimable)


def _return_expired() -> Counter[str]:
    """Return the runs whose lease has run out, in the caller's transaction; gives how many by their work."""
    returned: Counter[str] = Counter()
    for model in (StageRun, LibraryRun):
        loss = ledger.expire_leases(ledger=model)
        object_sweeps.request_for_lost(loss)
        returned.update(loss.returned)
        if loss.returned or loss.dead:
            logger.warning("leases expired: %s returned, %s dead", dict(loss.returned), dict(loss.dead))
    return returned


def plan_forgotten() -> int:
    """Plan the photos that have a run which still waits although its input was finished or discarded lately.

    Such a run was planned while the input was being committed, by a transaction that the commit could not see.
    """
    since = Now() - FORGOTTEN_WITHIN
    found: set[tuple[UUID, int]] = set()
    for stage in [one for one in registry.all_stages() if one.needs]:
        inputs = StageRun.objects.filter(photo=OuterRef("photo"), stage=stage.needs)
        lately = inputs.filter(finished_at__gt=since)
        given_up = Exists(lately.filter(skip_reason__in=[DISCARDED, INPUT_DISCARDED]))
        waiting = StageRun.objects.filter(stage=stage.name, state=RunState.WAITING)
        for forgotten in (
            waiting.filter(Exists(lately.filter(state=RunState.DONE))),
            waiting.filter(given_up, ~Exists(inputs.exclude(state=RunState.SKIPPED))),
        ):
            found.update(forgotten.values_list("photo_id", "lane")[:REPLAN_AT_ONCE])
    return _plan_by_lane(found)


def replan_unknown_versions(*, worker: str = "") -> int:
    """Plan anew the photos whose open runs are of a version that is neither planned nor known to any live worker.

    Such runs are left behind when a setting or the code changes under a backlog. In a rolling upgrade they wait: while
    a worker that knows the version is alive, and, where the sweeping worker was started before they were made and so
    may be the older one, for UNKNOWN_VERSION_WAIT_SECONDS.
    """
    known: dict[str, set[str]] = {stage.name: set(stage.planned_versions()) for stage in registry.all_stages()}
    for versions in WorkerPresence.objects.alive().values_list("versions", flat=True):
        for name, more in versions.items():
            known.setdefault(name, set()).update(more)
    stale = Q()
    for name, versions in known.items():
        stale |= Q(stage=name) & ~Q(version__in=versions)
    patience = Now() - timedelta(seconds=settings.UNKNOWN_VERSION_WAIT_SECONDS)
    started_at = WorkerPresence.objects.filter(name=worker).values_list("started_at", flat=True).first()
    old = Q(created_at__lt=patience) | Q(created_at__lt=started_at or Now())
    runs = StageRun.objects.filter(stale, old, state__in=[RunState.PENDING, RunState.WAITING])
    return _plan_by_lane(set(runs.values_list("photo_id", "lane")[:REPLAN_AT_ONCE]))


def _plan_by_lane(photos: set[tuple[UUID, int]]) -> int:
    for lane in {lane for _, lane in photos}:
        for chunk in batched_ids({photo_id for photo_id, its in photos if its == lane}):
            plan(chunk, lane=lane)
    return len(photos)


def _overdue() -> dict[str, int]:
    """Count, by the name of their work, runs that could be claimed and that nobody was told of lately."""
    since = Now() - timedelta(seconds=settings.LEDGER_SWEEP_SECONDS)
    due = Q(not_before__lte=Now()) | Q(not_before__isnull=True, queued_at__lt=since)
    counts: dict[str, int] = {}
    for model, work in ((StageRun, "stage"), (LibraryRun, "kind")):
        rows = model.objects.filter(due, state=RunState.PENDING).values_list(work).annotate(count=Count("pk"))
        counts.update(rows.values_list(work, "count"))
    return _claimable(counts)


def _claimable(counts: dict[str, int]) -> dict[str, int]:
    """Leave out what no worker of this release would claim."""
    # of paused work nothing is claimed, but for the one run by which a circuit tries again
    for pause in StagePause.objects.annotate(now=Now()):
        tries = pause.is_circuit and pause.probe_at <= pause.now
        counts[pause.work] = min(counts.get(pause.work, 0), 1 if tries else 0)
    return {name: count for name, count in counts.items() if count}


def _lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_RECONCILER_LOCK])
        return bool(cursor.fetchone()[0])
