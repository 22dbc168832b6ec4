"""What Prometheus is told of the ledger: read from the database when it is asked for, by the web process alone."""

import logging
import threading
import time
from collections.abc import Iterator

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.models import F
from django.db.models.functions import Now
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from processing import backlog, sweeps
from processing.models import WorkerPresence

logger = logging.getLogger(__name__)

# several scrapers, or several web processes behind one address, ask the database once
FRESH_SECONDS = 5.0
QUERY_SECONDS = 5


class LedgerCollector(Collector):
    """Runs that are not finished, how long they wait, the workers that are there."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._metrics: list[Metric] = []
        self._until = 0.0

    def collect(self) -> Iterator[Metric]:
        """Give the gauges; without a database only `darkroom_ledger_up`, which is 0 then."""
        with self._lock:
            if time.monotonic() >= self._until:
                self._metrics = self._read()
                self._until = time.monotonic() + FRESH_SECONDS
            yield from self._metrics

    def _read(self) -> list[Metric]:
        up = GaugeMetricFamily("darkroom_ledger_up", "Whether the ledger could be read: 1 or 0.")
        try:
            with transaction.atomic():
                with connection.cursor() as cursor:
                    cursor.execute("SET LOCAL statement_timeout = %s", [f"{QUERY_SECONDS}s"])
                metrics = [*_runs(), *_waiting(), *_workers(), *_sweep()]
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
    for name, states in backlog.unfinished().items():
        for state, count in states.items():
            runs.add_metric([name, state], count)
    yield runs


def _waiting() -> Iterator[Metric]:
    ages = GaugeMetricFamily(
        "darkroom_oldest_pending_seconds", "Age of the run that has been pending longest; 0: none.", labels=["stage"]
    )
    for work in backlog.waiting():
        ages.add_metric([work.name], work.longest or 0)
    yield ages


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
        seen.add_metric([name], max(0.0, silence.total_seconds()))
    yield seen


def _sweep() -> Iterator[Metric]:
    since = sweeps.seconds_since_last()
    if since is not None:
        yield GaugeMetricFamily("darkroom_sweep_seconds_ago", "Since the reconciler swept.", since)
