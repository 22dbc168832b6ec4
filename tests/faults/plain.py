"""The comparison: what most projects write. One task with `acks_late`, sent by `delay_on_commit`, and nothing else.

It runs the same stages on the same processes under the same faults, and keeps its states in the same rows, so that the
same checker can judge it. Nobody leases, fences, counts, reconciles or hands back, and the ledger's own tasks of stages
find nothing to do. What is done for a library, such as grouping people, is done as ever.
"""

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from celery import shared_task
from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from faults.installation import PLAIN_TASK

_LIMIT = settings.STAGE_TASK_TIME_LIMIT


@shared_task(name=PLAIN_TASK, acks_late=True, ignore_result=True, time_limit=_LIMIT, soft_time_limit=0.9 * _LIMIT)
def work(photo_id: str, stage_name: str, version: str) -> None:
    """Run one stage of one photo, and send for those that read its result."""
    stage, runs = _stage(stage_name), _runs(photo_id)
    loaded = stage.load(SimpleNamespace(subject_id=UUID(photo_id)))
    [result] = stage.compute([loaded], version=version)
    stored = stage.store(loaded, result, version=version)
    with transaction.atomic():
        written = stage.write(loaded, stored, version=version)
        runs.filter(stage=stage_name).update(state="done", finished_at=Now(), commits=F("commits") + 1)
        _send_children(photo_id, stage_name, skip=written.skip_children)


def install(folder: Path) -> None:
    """Let uploads send that task where they would ring for the ledger's, in every process of the harness."""
    from faults import points
    from processing import tasks
    from processing.pipeline import planning, working
    from processing.stages import registry

    points.begin(folder)
    # nobody comes to look what was forgotten, even if asked: a run that is lost here is not found by the ledger
    points.wrap(tasks, "reconcile_once", lambda _reconcile, **_keywords: False)
    points.wrap(tasks, "tend_once", lambda _tend: {})
    points.wrap(working, "work", lambda _work, **_keywords: 0)
    points.wrap(planning, "_ring", _around_ring)
    points.wrap_stages()
    points.wrap_store(folder)
    for stage in {type(stage) for stage in registry.all_stages()}:
        points.wrap(stage, "write", _around_write)
    points.wrap(work, "run", _around_run)


def _around_ring(_ring: Any, runs: Iterable[Any]) -> None:
    for run in runs:
        if run.state == "pending":
            _send(str(run.photo_id), run.stage, run.version)


def _around_run(run: Any, photo_id: str, stage_name: str, version: str) -> None:
    from faults import points

    points.reach("before_claim", stage=stage_name)
    points.reach("after_claim", stage=stage_name)  # it claims nothing: the two are one place
    run(photo_id, stage_name, version)
    points.reach("after_commit", stage=stage_name)


def _around_write(write: Any, stage: Any, loaded: Any, stored: Any, *, version: str) -> Any:
    from faults import points

    written = write(stage, loaded, stored, version=version)
    points.reach("before_commit", stage=stage.name)
    return written


def _send_children(photo_id: str, stage_name: str, *, skip: str) -> None:
    from processing.stages import registry

    for child in registry.children_of(stage_name):
        runs = _runs(photo_id).filter(stage=child.name)
        if skip:
            runs.update(state="skipped", skip_reason=skip, finished_at=Now(), queued_at=None, commits=0)
            _send_children(photo_id, child.name, skip=skip)
            continue
        # as in Darkroom, a result that is due anew has not been committed yet: else a parent that ran twice would count
        # once more for each child
        runs.update(state="pending", queued_at=Now(), finished_at=None, commits=0)
        for version in runs.values_list("version", flat=True):
            _send(photo_id, child.name, version)


def _send(photo_id: str, stage_name: str, version: str) -> None:
    queue = _stage(stage_name).queue
    transaction.on_commit(partial(work.apply_async, args=[photo_id, stage_name, version], queue=queue))


def _stage(name: str) -> Any:
    from processing.stages import registry

    return registry.get(name)


def _runs(photo_id: object) -> Any:
    from processing.models import StageRun

    return StageRun.objects.filter(photo_id=photo_id)
