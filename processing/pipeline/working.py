"""Running stages: claim, compute outside of any transaction, commit fenced, advance."""

import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from uuid import UUID

from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, close_old_connections, transaction

from photos.models import ObjectSweep, Photo
from processing import circuit, ledger
from processing.consent import libraries_wanting_faces
from processing.failures import DATABASE_UNAVAILABLE, Fault, classify, describe
from processing.ledger import Lease, LeaseLostError, RunError
from processing.metrics import FENCED, RUNS, STAGE_SECONDS
from processing.models import RunState, StageRun
from processing.pipeline.advancing import advance, hold_children
from processing.publish import ring
from processing.services import object_sweeps
from processing.stages import registry
from processing.stages.base import FACE_ANALYSIS_OFF, Loaded, Stage

logger = logging.getLogger(__name__)

# a database that restarts is back within seconds; in all less than a lease, which a task's time limit ends before
GIVE_BACK_AFTER_SECONDS = (0.5, 1, 2, 4, 5, 5, 5)


def work(*, stage_name: str, task_id: str, worker: str) -> int:
    """Claim and run a stage's runs until nothing is left or the budget of a task is spent; gives how many.

    When the budget is spent and there is more, rings again, so that other queues of this worker get their turn.
    """
    stage = registry.get(stage_name)
    try:
        return _work(stage, task_id=task_id, worker=worker)
    except SoftTimeLimitExceeded as error:
        close_old_connections()  # what was interrupted may have left one unusable
        _return_interrupted(stage, task_id, error)
        raise
    except (OperationalError, InterfaceError) as error:
        logger.warning("%s: the database is not there: %s", stage.name, error)
        close_old_connections()
        # the hint is used up and what it was for is still there: it is passed on, at the pace of an outage
        time.sleep(settings.LEDGER_DATABASE_WAIT_SECONDS)
        ring(task=stage.name, queue=stage.queue)
        return 0


@transaction.atomic
def _return_interrupted(stage: Stage, task_id: str, error: BaseException) -> None:
    """Return what a task held when its time was over; where that was the store's doing, no attempt is burnt."""
    fault, described = classify(error).fault, describe(error)
    RUNS.labels(stage.name, fault.value).inc()
    if fault is Fault.INFRASTRUCTURE:
        wait = settings.LEDGER_INFRASTRUCTURE_WAIT_SECONDS
        loss = ledger.hand_back_all(ledger=StageRun, task_id=task_id, error=described, after_seconds=wait)
        circuit.consider(ledger=StageRun, work=stage.name, code=described.code)
    else:
        loss = ledger.release_lost(ledger=StageRun, task_id=task_id, error=described)
    object_sweeps.request_for_lost(loss)


def _work(stage: Stage, *, task_id: str, worker: str) -> int:
    versions = stage.known_versions()
    deadline = time.monotonic() + settings.LEDGER_TASK_SECONDS
    taken = 0
    while taken < settings.LEDGER_TASK_RUNS and time.monotonic() < deadline:
        leases = ledger.claim(
            stage=stage.name, versions=versions, limit=stage.claim_size, task_id=task_id, worker=worker
        )
        if not leases:
            return taken
        taken += len(leases)
        run_batch(stage, leases)
    if ledger.is_more_pending(stage=stage.name, versions=versions):
        ring(task=stage.name, queue=stage.queue)
    return taken


def run_batch(stage: Stage, leases: Sequence[Lease]) -> None:
    """Run one claim. What goes wrong with one photo is kept on its own run and fails no other."""
    started = time.monotonic()
    try:
        inputs, permitted = _versions_of_inputs(stage, leases), _permitted(stage, leases)
    except DatabaseError as error:
        for lease in leases:
            end_attempt(lease, error)
        return
    loaded = {lease: data for lease in permitted if (data := _load(stage, lease)) is not None}
    results = _compute(stage, loaded)
    share = (time.monotonic() - started) / len(leases)
    for lease, result in results.items():
        _commit(stage, lease, loaded[lease], result, share=share, inputs=inputs.get(lease.subject_id, {}))


def _permitted(stage: Stage, leases: Sequence[Lease]) -> list[Lease]:
    """Give the runs that may be worked on; skip face work of libraries where it is switched off or being erased.

    A run may have been opened by a commit that the switch did not see. One that is at work when the switch comes loses
    its lease.
    """
    if not stage.is_face_work:
        return list(leases)
    photos = Photo.objects.filter(pk__in=[lease.subject_id for lease in leases])
    off = set(photos.exclude(library__in=libraries_wanting_faces()).values_list("pk", flat=True))
    for lease in leases:
        if lease.subject_id in off:
            with contextlib.suppress(LeaseLostError):
                ledger.mark_skipped(lease, reason=FACE_ANALYSIS_OFF, work_seconds=0)
    return [lease for lease in leases if lease.subject_id not in off]


def _versions_of_inputs(stage: Stage, leases: Sequence[Lease]) -> dict[UUID, dict[str, str]]:
    """Give the version of the input that each run is about to read; a newer one would take the lease away."""
    if stage.needs is None:
        return {}
    done = StageRun.objects.filter(
        photo_id__in=[lease.subject_id for lease in leases], stage=stage.needs, state=RunState.DONE
    )
    rows = done.order_by("finished_at").values_list("photo_id", "version")
    return {photo_id: {stage.needs: version} for photo_id, version in rows}


def _load(stage: Stage, lease: Lease) -> Loaded | None:
    try:
        return stage.load(lease)
    except SoftTimeLimitExceeded:
        raise
    except Photo.DoesNotExist:
        # deleted since the claim, and the run with it
        FENCED.labels(stage.name).inc()
        logger.info("%s of %s: the photo is gone", stage.name, lease.subject_id)
        return None
    except Exception as error:  # noqa: BLE001 - every error of one photo ends on its own row
        end_attempt(lease, error)
        return None


def _compute(stage: Stage, loaded: dict[Lease, Loaded]) -> dict[Lease, Any]:
    """Compute a batch; if it fails as a whole, one by one, so that the culprit is alone with its error."""
    if not loaded:
        return {}
    version = next(iter(loaded)).version
    try:
        return dict(zip(loaded, stage.compute(list(loaded.values()), version=version), strict=True))
    except SoftTimeLimitExceeded:
        raise
    except Exception as error:  # noqa: BLE001 - as above
        if len(loaded) == 1:
            end_attempt(next(iter(loaded)), error)
            return {}
    singles = ((lease, _compute(stage, {lease: data})) for lease, data in loaded.items())
    return {lease: result[lease] for lease, result in singles if lease in result}


def _commit(stage: Stage, lease: Lease, loaded: Loaded, result: Any, *, share: float, inputs: dict[str, str]) -> None:
    started = time.monotonic()
    try:
        stored = stage.store(loaded, result, version=lease.version)
        work_seconds = share + time.monotonic() - started
        with transaction.atomic():
            ledger.mark_done(lease, work_seconds=work_seconds, inputs=inputs, warnings=[])
            hold_children(photo_id=lease.subject_id, stage=stage.name)
            written = stage.write(loaded, stored, version=lease.version)
            advance(photo_id=lease.subject_id, stage=stage.name, skip_children=written.skip_children)
            if written.warnings:
                StageRun.objects.filter(pk=lease.run_id).update(warnings=list(written.warnings))
            if written.orphans:
                # last: who holds a sweep's row waits for nothing more
                _request_sweep(loaded, ObjectSweep.Reason.REPLACED)
    except LeaseLostError as error:
        FENCED.labels(stage.name).inc()
        logger.warning("not written: %s", error)
        if stage.stores_objects:
            _insist(partial(_request_sweep, loaded, ObjectSweep.Reason.LOST))
            object_sweeps.ring()
    except SoftTimeLimitExceeded:
        raise
    except Exception as error:  # noqa: BLE001 - as above
        if stage.stores_objects:
            # before the run is given back: whoever is killed in between still holds it, and it is lost
            _insist(partial(_request_sweep, loaded, ObjectSweep.Reason.LOST))
        end_attempt(lease, error)
    else:
        RUNS.labels(stage.name, "done").inc()
        STAGE_SECONDS.labels(stage.name).observe(work_seconds)
        if lease.is_probe:
            circuit.close(work=stage.name)


def end_attempt(lease: Lease, error: BaseException) -> None:
    """Give a run back with its error, as soon as the database takes it.

    If it does not for as long as the lease holds, the lease runs out and the reconciler returns the run.
    """
    fault, described = classify(error).fault, describe(error)
    RUNS.labels(lease.work, fault.value).inc()
    logger.warning("%s of %s, attempt %d: %s", lease.work, lease.subject_id, lease.attempt, described.detail)
    if described.code == "unexpected_error":
        logger.error("unexpected error in %s of %s", lease.work, lease.subject_id, exc_info=error)
    _insist(partial(_give_back, lease, fault, described))


def _insist(write: Callable[[], None]) -> None:
    """Write something as soon as the database takes it; raises its error where it does not for nearly a lease."""
    for wait in (*GIVE_BACK_AFTER_SECONDS, None):
        close_old_connections()  # a broken one could not take it
        try:
            write()
        except (OperationalError, InterfaceError):
            if wait is None:
                raise
            time.sleep(wait)
        else:
            return


def _request_sweep(loaded: Loaded, reason: ObjectSweep.Reason) -> None:
    object_sweeps.request_for(photo_id=loaded.photo_id, library_id=loaded.library_id, reason=reason)


def _give_back(lease: Lease, fault: Fault, error: RunError) -> None:
    if fault is Fault.INFRASTRUCTURE:
        is_database = error.code == DATABASE_UNAVAILABLE
        wait = settings.LEDGER_DATABASE_WAIT_SECONDS if is_database else settings.LEDGER_INFRASTRUCTURE_WAIT_SECONDS
        ledger.hand_back(lease, error, after_seconds=wait)
        circuit.consider(ledger=lease.ledger, work=lease.work, code=error.code)
        return
    ledger.fail(lease, error, permanent=fault is Fault.PERMANENT)
    if lease.is_probe:
        circuit.close(work=lease.work)
