"""Running stages: claim, compute outside of any transaction, commit fenced, advance."""

import contextlib
import logging
import time
from collections.abc import Sequence
from functools import partial
from typing import Any
from uuid import UUID

from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, close_old_connections, transaction

from photos.models import ObjectSweep, Photo
from processing import answering, circuit, ledger, telling
from processing.consent import libraries_wanting_faces
from processing.engines import imaging
from processing.ledger import Holder, Lease, LeaseLostError
from processing.metrics import RUNS, STAGE_SECONDS
from processing.models import RunState, StageRun
from processing.pipeline.advancing import advance, hold_children
from processing.pipeline.giving_back import count_refused, end_attempt, insist, outlast, return_all
from processing.publish import ring
from processing.services import object_sweeps
from processing.stages import registry
from processing.stages.base import FACE_ANALYSIS_OFF, Loaded, Stage
from processing.task_policy import SOFT_SHARE

logger = logging.getLogger(__name__)

# a file that takes until the end of its task is ended by its own limit, which says more
FILES_END_BEFORE_SECONDS = 1
# where the settings leave no time at all
LEAST_CLAIMING_SECONDS = 1


def work(*, stage_name: str, task_id: str, worker: str) -> int:
    """Claim and run a stage's runs until nothing is left or the budget of a task is spent; gives how many.

    When the budget is spent and there is more, rings again, so that other queues of this worker get their turn.
    """
    stage, holder = registry.get(stage_name), Holder(task_id=task_id, worker=worker)
    seconds = settings.STAGE_TASK_TIME_LIMIT * SOFT_SHARE
    try:
        with imaging.task_ends_in(seconds - FILES_END_BEFORE_SECONDS):
            return _work(stage, task_id=task_id, worker=worker)
    except SoftTimeLimitExceeded as error:
        close_old_connections()  # what was interrupted may have left one unusable
        try:
            return_all(ledger_of=StageRun, work=stage.name, holder=holder, error=error)
        finally:
            # the hint is used up, and of what comes back without a wait nobody else would tell before the next sweep
            ring(task=stage.name, queue=stage.queue)
        raise
    except (OperationalError, InterfaceError) as error:
        outlast(ledger_of=StageRun, work=stage.name, queue=stage.queue, holder=holder, error=error)
        return 0


def _claiming_seconds(stage: Stage) -> float:
    """Give for how long a task may claim: the file that it takes last may need the longest that a file may.

    Files that are quick are not held up by it: their task rings again, which costs a message.
    """
    if stage.needs is not None:
        return settings.LEDGER_TASK_SECONDS
    left = settings.STAGE_TASK_TIME_LIMIT * SOFT_SHARE - FILES_END_BEFORE_SECONDS - settings.DECODE_WALL_SECONDS
    return min(settings.LEDGER_TASK_SECONDS, max(left, LEAST_CLAIMING_SECONDS))


def _work(stage: Stage, *, task_id: str, worker: str) -> int:
    versions = stage.known_versions()
    deadline = time.monotonic() + _claiming_seconds(stage)
    taken = 0
    while taken < settings.LEDGER_TASK_RUNS and time.monotonic() < deadline:
        # somebody waits for these, and nobody for a batch
        answering.answer_pending(queue=stage.queue)
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
            with contextlib.suppress(LeaseLostError), transaction.atomic():
                ledger.mark_skipped(lease, reason=FACE_ANALYSIS_OFF, work_seconds=0)
                telling.tell_run(photo_id=lease.subject_id, stage=stage.name, run=RunState.SKIPPED)
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
        RUNS.labels(stage.name, "withdrawn").inc()
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
            telling.tell_run(photo_id=lease.subject_id, stage=stage.name, run=RunState.DONE)
            if written.orphans:
                # last: who holds a sweep's row waits for nothing more
                _request_sweep(loaded, ObjectSweep.Reason.REPLACED)
    except LeaseLostError as error:
        count_refused(lease)
        logger.warning("not written: %s", error)
        if stage.stores_objects:
            insist(partial(_request_sweep, loaded, ObjectSweep.Reason.LOST))
            object_sweeps.ring()
    except SoftTimeLimitExceeded:
        raise
    except Exception as error:  # noqa: BLE001 - as above
        if stage.stores_objects:
            # before the run is given back: whoever is killed in between still holds it, and it is lost
            insist(partial(_request_sweep, loaded, ObjectSweep.Reason.LOST))
        end_attempt(lease, error)
    else:
        RUNS.labels(stage.name, "done").inc()
        STAGE_SECONDS.labels(stage.name).observe(work_seconds)
        if lease.is_probe:
            circuit.close(work=stage.name)


def _request_sweep(loaded: Loaded, reason: ObjectSweep.Reason) -> None:
    object_sweeps.request_for(photo_id=loaded.photo_id, library_id=loaded.library_id, reason=reason)
