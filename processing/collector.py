"""What Prometheus is told of the ledger: read from the database when it is asked for, by the web process alone."""

import logging
import threading
import time
from collections.abc import Iterator
from datetime import timedelta

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.models import F
from django.db.models.functions import Now
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from photos.models import ObjectSweep
from photos.services.object_sweeps import longest_life
from processing import backlog, broker, canaries, sweeps
from processing.models import RunState, StagePause, WorkerPresence
from processing.models.ledger import Lane

logger = logging.getLogger(__name__)

# several scrapers, or several web processes behind one address, ask the database once
FRESH_SECONDS = 5.0
QUERY_SECONDS = 5


class LedgerCollector(Collector):
    """Runs that are not finished, how long they wait, what keeps them, the workers that are there."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._metrics: list[Metric] = []
        self._until = 0.0

    def collect(self) -> Iterator[Metric]:
        """Give the gauges; without a database only the broker's and `darkroom_ledger_up`, which is 0 then."""
        with self._lock:
            if time.monotonic() >= self._until:
                self._metrics = self._read()
                self._until = time.monotonic() + FRESH_SECONDS
            yield from self._metrics

    def _read(self) -> list[Metric]:
        return [*_broker(), *self._read_ledger()]

    def _read_ledger(self) -> list[Metric]:
        up = GaugeMetricFamily("darkroom_ledger_up", "Whether the ledger could be read: 1 or 0.")
        try:
            with transaction.atomic():
                with connection.cursor() as cursor:
                    cursor.execute("SET LOCAL statement_timeout = %s", [f"{QUERY_SECONDS}s"])
                readers = (_runs, _waiting, _pauses, _workers, _canaries, _sweep, _object_sweeps)
                metrics = [metric for read in readers for metric in read()]
        except DatabaseError as error:
            logger.warning("the ledger cannot be read for metrics: %s", error)
            up.add_metric([], 0)
            return [up]
        up.add_metric([], 1)
        return [up, *metrics]


def _runs() -> Iterator[Metric]:
    runs = GaugeMetricFamily(
        "darkroom_unfinished_runs", "Runs that are open or dead, by stage and state.", labels=["stage", "state"]
    )
    pending = GaugeMetricFamily(
        "darkroom_queue_pending_runs", "Runs that a worker of the queue could take.", labels=["queue"]
    )
    by_queue = dict.fromkeys(settings.QUEUES, 0)
    queues = backlog.queues()
    for name, states in backlog.unfinished().items():
        for state, count in states.items():
            runs.add_metric([name, state], count)
        by_queue[queues[name]] += states[RunState.PENDING]
    for queue, count in by_queue.items():
        pending.add_metric([queue], count)
    yield from (runs, pending)


def _waiting() -> Iterator[Metric]:
    ages = GaugeMetricFamily(
        "darkroom_oldest_pending_seconds", "Age of the run that has been pending longest; 0: none.", labels=["stage"]
    )
    uploads = GaugeMetricFamily(
        "darkroom_oldest_pending_upload_seconds", "The same of runs that a person's upload waits for.", labels=["stage"]
    )
    for work in backlog.waiting():
        ages.add_metric([work.name], work.longest or 0)
        uploads.add_metric([work.name], work.seconds_by_lane.get(Lane.UPLOAD, 0))
    yield from (ages, uploads)


def _pauses() -> Iterator[Metric]:
    paused = GaugeMetricFamily(
        "darkroom_paused_seconds",
        "How long work has been paused: by a person, or by its circuit, which lifts itself.",
        labels=["stage", "by"],
    )
    for pause in StagePause.objects.annotate(age=Now() - F("paused_at")):
        paused.add_metric([pause.work, "circuit" if pause.is_circuit else "person"], _seconds(pause.age))
    yield paused


def _workers() -> Iterator[Metric]:
    workers = GaugeMetricFamily("darkroom_workers", "Workers that are there, by queue served.", labels=["queue"])
    processes = GaugeMetricFamily("darkroom_queue_processes", "Their processes.", labels=["queue"])
    alive = list(WorkerPresence.objects.alive().values_list("queues", "processes"))
    for queue in settings.QUEUES:
        serving = [count for queues, count in alive if queue in queues]
        workers.add_metric([queue], len(serving))
        processes.add_metric([queue], sum(serving))
    yield from (workers, processes)
    seen = GaugeMetricFamily("darkroom_worker_silent_seconds", "Since a worker was heard of.", labels=["worker"])
    for name, silence in WorkerPresence.objects.annotate(silence=Now() - F("seen_at")).values_list("name", "silence"):
        seen.add_metric([name], _seconds(silence))
    yield seen


def _canaries() -> Iterator[Metric]:
    under_way = GaugeMetricFamily(
        "darkroom_canary_seconds", "How long a queue's canary has been under way; 0: answered.", labels=["queue"]
    )
    deaf = GaugeMetricFamily(
        "darkroom_queue_deaf", "Whether a queue's workers take no messages: 1 or 0.", labels=["queue"]
    )
    for canary in canaries.statuses():
        under_way.add_metric([canary.queue], canary.seconds)
        deaf.add_metric([canary.queue], canary.is_late)
    yield from (under_way, deaf)


def _sweep() -> Iterator[Metric]:
    since = sweeps.seconds_since_last()
    if since is not None:
        yield GaugeMetricFamily("darkroom_sweep_seconds_ago", "Since the reconciler swept.", since)


def _object_sweeps() -> Iterator[Metric]:
    due = ObjectSweep.objects.filter(due_at__lte=Now())
    count = due[: backlog.COUNT_LIMIT].count()
    oldest = due.order_by("due_at").annotate(age=Now() - F("due_at")).values_list("age", flat=True).first()
    # one that is put off again and again is never due for long; keys are in the order of creation
    first = (
        ObjectSweep.objects.order_by("pk").annotate(age=Now() - F("created_at")).values_list("age", flat=True).first()
    )
    late = max(_seconds(oldest), _seconds(first) - longest_life().total_seconds())
    yield GaugeMetricFamily("darkroom_due_object_sweeps", "Places to be cleared of objects that no row names.", count)
    yield GaugeMetricFamily(
        "darkroom_oldest_object_sweep_seconds",
        "Since the first of them was due, or should have been over; 0: none.",
        late,
    )


def _broker() -> Iterator[Metric]:
    writable = GaugeMetricFamily("darkroom_broker_writable", "Whether the broker takes messages: 1 or 0.")
    writable.add_metric([], not broker.trouble())
    yield writable


def _seconds(age: timedelta | None) -> float:
    return 0.0 if age is None else max(0.0, age.total_seconds())
