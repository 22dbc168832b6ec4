"""The sweep that makes Redis disposable: whatever a lost message or a lost worker left behind moves again."""

import logging
from collections import Counter
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Count, Exists, OuterRef, Q
from django.db.models.functions import Now

from processing import ledger
from processing.models import LibraryRun, RunState, StageRun, WorkerPresence
from processing.pipeline.planning import batched_ids, plan
from processing.services import grouping
from processing.stages import registry
from processing.sweeps import note_sweep
from processing.task_policy import ring_for

logger = logging.getLogger(__name__)

_RECONCILER_LOCK = 0x7265636F6E63696C  # "reconcil": a key of our own among advisory locks
REPLAN_AT_ONCE = 2000
# longer than the longest transaction that plans
FORGOTTEN_WITHIN = timedelta(hours=1)


def reconcile() -> bool:
    """Sweep once; False if another sweep is under way. May run any number of times, at the same time as itself."""
    with transaction.atomic():
        if not _lock():
            return False
        # first: planning may have to wait for a change of the plan, which waits for runs that are locked below
        plan_forgotten()
        replan_unknown_versions()
        returned: Counter[str] = Counter()
        for model in (StageRun, LibraryRun):
            loss = ledger.expire_leases(ledger=model)
            returned.update(loss.returned)
            if loss.returned or loss.dead:
                logger.warning("leases expired: %s returned, %s dead", dict(loss.returned), dict(loss.dead))
        grouping.request_where_due()
        overdue = _overdue()
    # two counts of different runs: what was returned just now is not overdue yet
    ring_for(returned + Counter(overdue))
    note_sweep()
    return True


def plan_forgotten() -> int:
    """Plan the photos that have a run which still waits although its input was finished lately.

    Such a run was planned while the input was being committed, by a transaction that the commit could not see.
    """
    since = Now() - FORGOTTEN_WITHIN
    found: set[tuple[UUID, int]] = set()
    for stage in [one for one in registry.all_stages() if one.needs]:
        done = StageRun.objects.filter(
            photo=OuterRef("photo"), stage=stage.needs, state=RunState.DONE, finished_at__gt=since
        )
        waiting = StageRun.objects.filter(Exists(done), stage=stage.name, state=RunState.WAITING)
        found.update(waiting.values_list("photo_id", "lane")[:REPLAN_AT_ONCE])
    return _plan_by_lane(found)


def replan_unknown_versions() -> int:
    """Plan anew the photos whose open runs are of a version that is neither planned nor known to any live worker.

    Such runs are left behind when a setting or the code changes under a backlog. While a worker that knows the version
    is alive, as in a rolling upgrade, they wait for it.
    """
    known: dict[str, set[str]] = {stage.name: set(stage.planned_versions()) for stage in registry.all_stages()}
    for versions in WorkerPresence.objects.alive().values_list("versions", flat=True):
        for name, more in versions.items():
            known.setdefault(name, set()).update(more)
    stale = Q()
    for name, versions in known.items():
        stale |= Q(stage=name) & ~Q(version__in=versions)
    runs = StageRun.objects.filter(stale, state__in=[RunState.PENDING, RunState.WAITING])
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
    # a newer release may have planned stages that this one does not know
    known = {grouping.KIND, *(stage.name for stage in registry.all_stages())}
    return {name: count for name, count in counts.items() if name in known}


def _lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_RECONCILER_LOCK])
        return bool(cursor.fetchone()[0])
