"""Saying that a worker is there: a row that its parent process writes every few seconds.

The thread and the pool share a process that forks. A child must not inherit an open connection, nor a lock that the
thread holds at that moment, so a fork waits for the end of a beat.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import timedelta

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models.functions import Now

from processing import process_tree, stopping
from processing.engines import installation
from processing.models import WorkerPresence
from processing.stages import registry

logger = logging.getLogger(__name__)

BEAT_SECONDS = 10.0
# rows of workers that were killed: kept for a while, so that somebody can see who is missing
FORGOTTEN_AFTER = timedelta(days=1)
# a fork waits no longer for a beat whose database does not answer
FORK_WAIT_SECONDS = 3.0
STOP_WAIT_SECONDS = 5.0
STOP_POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class WorkerFacts:
    """What a worker says of itself, as the fields of WorkerPresence. `versions` are by stage."""

    queues: list[str]
    versions: dict[str, list[str]]
    processes: int
    device: str
    metrics_port: int | None
    memory_bytes: int


def known_versions(queues: set[str]) -> dict[str, list[str]]:
    """Give the versions that this host can run of each stage that these queues serve."""
    return {stage.name: stage.known_versions() for stage in registry.of_queue(queues)}


def expected_device(setting: str) -> str:
    """Give the device that the children of this worker will find, for DEVICE, without importing torch to ask.

    With `auto` the driver is taken for the device: a host that has one without the other is misread, here alone.
    """
    if setting != "auto":
        return setting
    return "cuda" if any(path.exists() for path in installation.DRIVER_FILES) else "cpu"


def memory_bytes() -> int:
    """Give the resident memory of this process and its children."""
    return process_tree.measure().memory_bytes


class Presence:
    """The row of one worker, and the thread that keeps it fresh."""

    def __init__(
        self, *, name: str, facts: Callable[[], WorkerFacts], consume: Callable[[bool], None] = lambda _: None
    ) -> None:
        """Speak for the worker `name`; `consume` lets it take messages, or none any more, at once or soon."""
        self.name = name
        self._facts = facts
        self._consume = consume
        self._is_draining = self._is_stopping = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="presence", daemon=True)
        self._is_failing = False
        self._is_new = True
        self._works: tuple[str, ...] = ()

    def begin(self) -> None:
        """Say it now and every BEAT_SECONDS, from a thread."""
        _beating.guard_forks()
        self._thread.start()

    def begin_stopping(self) -> None:
        """Let the worker claim nothing new and, after a moment for what it has in hand, hand back the rest.

        In a thread: Celery calls from a signal handler, and goes on to wait for its tasks.
        """
        self._is_stopping = True
        threading.Thread(target=self._stop_working, name="stopping", daemon=True).start()

    def _stop_working(self) -> None:
        deadline = time.monotonic() + settings.WORKER_STOP_GRACE_SECONDS
        try:
            with _beating.lock:
                stopping.take_nothing_new(worker=self.name)
                connection.close()
            while time.monotonic() < deadline and self._holds_runs():
                time.sleep(STOP_POLL_SECONDS)
            self._hand_back()
        except DatabaseError as error:
            logger.warning("worker %s could not hand back what it holds; its leases run out: %s", self.name, error)

    def _holds_runs(self) -> bool:
        with _beating.lock:
            try:
                return stopping.holds_runs(worker=self.name)
            finally:
                connection.close()

    def _hand_back(self) -> None:
        with _beating.lock:
            try:
                stopping.hand_back(worker=self.name, works=self._works)
            finally:
                connection.close()

    def end(self) -> None:
        """Stop saying it, hand back what is still leased to this worker, and remove the row."""
        self._stop.set()
        self._thread.join(STOP_WAIT_SECONDS)
        try:
            self._hand_back()
            WorkerPresence.objects.filter(name=self.name).delete()
        except Exception as error:  # noqa: BLE001 - the row goes stale by itself
            logger.warning("the row of worker %s stays until it is stale: %s", self.name, error)
        finally:
            connection.close()

    def _run(self) -> None:
        while True:
            with _beating.lock:
                self._beat()
            if self._stop.wait(BEAT_SECONDS):
                return

    def _beat(self) -> None:
        try:
            facts = self._facts()
            write(name=self.name, facts=facts, is_new=self._is_new)
            self._is_new, self._works = False, tuple(facts.versions)
            self._heed_draining()
        except Exception as error:  # noqa: BLE001 - an outage must not end the thread, and is said once
            if not self._is_failing:
                logger.warning("worker %s cannot say that it is there: %s", self.name, error)
            self._is_failing = True
        else:
            if self._is_failing:
                logger.info("worker %s says again that it is there", self.name)
            self._is_failing = False
        finally:
            connection.close()

    def _heed_draining(self) -> None:
        """Take no messages while the worker may claim nothing: each would be a hint that is used up in vain."""
        row = WorkerPresence.objects.filter(name=self.name, draining_since__isnull=False)
        # one that stops has its own way of ending
        if self._is_stopping or (is_draining := row.exists()) is self._is_draining:
            return
        self._consume(not is_draining)
        self._is_draining = is_draining
        if is_draining:
            stopping.pass_on(works=self._works)


def write(*, name: str, facts: WorkerFacts, is_new: bool = False) -> None:
    """Write a worker's row, seen now by the database's clock, and remove the rows of workers long gone.

    A new worker takes work, whatever one of the same name was told before it.
    """
    row = WorkerPresence(name=name, started_at=Now(), seen_at=Now(), **asdict(facts))
    fresh = ["seen_at", *asdict(facts), *(["started_at", "draining_since"] if is_new else [])]
    WorkerPresence.objects.bulk_create([row], update_conflicts=True, unique_fields=["name"], update_fields=fresh)
    WorkerPresence.objects.filter(seen_at__lt=Now() - FORGOTTEN_AFTER).delete()


class _Beating:
    """The lock that a beat holds, and for which a fork waits."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._is_guarding = False
        self._held_for_fork = False

    def guard_forks(self) -> None:
        """Make every fork of this process wait; a second call does nothing, since it cannot be undone."""
        if not self._is_guarding:
            self._is_guarding = True
            os.register_at_fork(before=self._hold, after_in_parent=self._let_go, after_in_child=self._start_over)

    def _hold(self) -> None:
        self._held_for_fork = self.lock.acquire(timeout=FORK_WAIT_SECONDS)

    def _let_go(self) -> None:
        if self._held_for_fork:
            self.lock.release()

    def _start_over(self) -> None:
        self.lock = threading.Lock()


_beating = _Beating()
