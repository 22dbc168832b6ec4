"""The pipeline: workers, backlog, the reconciler, the models."""

from typing import Any

from django.conf import settings
from django.db.models import F
from django.db.models.functions import Now

from config.health.database import hurried_connection
from config.health.findings import Finding
from processing import attention, backlog, canaries, sweeps
from processing.model_overview import models_overview
from processing.models import WorkerPresence
from processing.models.ledger import Lane
from processing.overview import MODEL_NOT_INSTALLED, Obstacles
from processing.stages import registry

# somebody who has uploaded a photo should not wait longer for it; imports and backfills may
UPLOADS_WAIT_SECONDS = 15 * 60
SWEEPS_MISSED = 4


def check_workers() -> Finding:
    """List the live workers by queue; a queue that nobody serves is a reason to look."""
    finding = Finding()
    with hurried_connection():
        alive = list(WorkerPresence.objects.alive().annotate(silence=Now() - F("seen_at")).order_by("name"))
    finding.detail = {"queues": {}, "workers": [_described(worker) for worker in alive]}
    for queue in settings.QUEUES:
        serving = [worker for worker in alive if queue in worker.queues]
        finding.detail["queues"][queue] = {
            "workers": len(serving),
            "processes": sum(worker.processes for worker in serving),
        }
        if not serving:
            finding.degrade(f"no worker serves the queue {queue}")
    return finding


def check_pipeline() -> Finding:
    """Give how long work waits and why, how much of it is dead, and when the reconciler swept last."""
    finding = Finding()
    with hurried_connection():
        waiting = backlog.waiting()
        dead = backlog.dead()
        obstacles = Obstacles()
        stages = {stage.name: stage for stage in registry.all_stages()}
        in_the_way = {
            work.name: obstacles.of_stage(stages[work.name]) if work.name in stages else obstacles.of_queue(work.queue)
            for work in waiting
            if work.seconds_by_lane
        }
        paused = attention.paused()
        queues = canaries.statuses()
        since = sweeps.seconds_since_last()
    finding.detail = {
        "oldest_pending_seconds": {work.name: _rounded(work.longest) for work in waiting},
        "dead": dead,
        "obstacles": {name: obstacle for name, obstacle in in_the_way.items() if obstacle},
        "paused": {pause.work: pause.as_json() for pause in paused},
        "canary_seconds": {canary.queue: _rounded(canary.seconds) for canary in queues},
    }
    for name, obstacle in finding.detail["obstacles"].items():
        finding.degrade(f"{name} waits: {obstacle}")
    for work in waiting:
        age = work.seconds_by_lane.get(Lane.UPLOAD, 0)
        if age > UPLOADS_WAIT_SECONDS:
            finding.degrade(f"{work.name} of an upload has been pending for {age / 60:.0f} minutes")
    for pause in paused:
        finding.degrade(pause.sentence)
    for canary in queues:
        if canary.is_late:
            finding.degrade(attention.deaf(canary))
    _judge_sweeps(finding, since)
    return finding


def check_models() -> Finding:
    """List the models; one that is selected and that no live worker can run is a reason to look."""
    finding = Finding()
    with hurried_connection():
        models = models_overview()
    finding.detail["models"] = [
        {
            "name": model.name,
            "task": model.task,
            "selected": model.is_selected,
            "in_use": model.is_in_use,
            "workers": model.workers,
            "reason": model.obstacle,
        }
        for model in models
    ]
    for model in models:
        if model.obstacle == MODEL_NOT_INSTALLED:
            finding.degrade(f"{model.name} is selected, and no live worker has it: {MODEL_NOT_INSTALLED}")
        elif model.obstacle:
            finding.degrade(f"{model.name} is selected, and nobody serves its queue: {model.obstacle}")
    return finding


def _judge_sweeps(finding: Finding, since: float | None) -> None:
    finding.detail["last_sweep_seconds_ago"] = _rounded(since)
    if since is None:
        finding.degrade("no sweep of the reconciler is known: is beat running, and a worker of `maintenance`?")
    elif since > SWEEPS_MISSED * settings.LEDGER_SWEEP_SECONDS:
        finding.degrade(f"the reconciler has not swept for {since:.0f} s: is beat running?")


def _described(worker: WorkerPresence) -> dict[str, Any]:
    return {
        "name": worker.name,
        "queues": worker.queues,
        "processes": worker.processes,
        "device": worker.device,
        "memory_bytes": worker.memory_bytes,
        "metrics_port": worker.metrics_port,
        "started_at": worker.started_at,
        "seen_seconds_ago": _rounded(worker.silence.total_seconds()),
        "versions": worker.versions,
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
