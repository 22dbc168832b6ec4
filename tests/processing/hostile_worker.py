"""A real worker of pixels whose decoder has the faults that some files ask for."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from celery import Celery
from django.conf import settings

from processing.models import RunState, WorkerPresence
from processing.models.ledger import RunQuerySet

OPEN = [RunState.WAITING, RunState.PENDING, RunState.RUNNING]


@dataclass
class Worker:
    """A worker of the queue of pixels."""

    process: psutil.Process
    log: Path

    def children(self) -> list[psutil.Process]:
        return [one for one in self.process.children() if "semaphore_tracker" not in " ".join(one.cmdline())]


@contextmanager
def running_worker(environment: dict[str, str], *, log: Path) -> Iterator[Worker]:
    """Run a worker with two children until the block ends."""
    own = {"DJANGO_SETTINGS_MODULE": "hostile_settings", "PYTHONPATH": str(Path(__file__).parent), "METRICS_PORT": "0"}
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "config", "worker", "-Q", "ingest", "-c", "2", "-n", "w@here"],
            cwd=settings.BASE_DIR,
            env=environment | own,
            stdout=output,
            stderr=output,
        )
    try:
        while not WorkerPresence.objects.exists():
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
        yield Worker(psutil.Process(process.pid), log)
    finally:
        process.terminate()
        assert process.wait(60) == 0, log.read_text()


def ring_until_final(runs: RunQuerySet, worker: Worker, *, broker: str, patience: float) -> float:
    """Ring as the reconciler does, since nobody else does here; gives the seconds until none of the runs is open."""
    started = time.monotonic()
    still_open = runs.filter(state__in=OPEN)
    with Celery(broker=broker, set_as_current=False) as sender:
        while still_open.exists():
            assert time.monotonic() - started < patience, worker.log.read_text()
            for stage in ("exif", "renditions"):
                sender.send_task(stage, queue="ingest")
            time.sleep(0.5)
    return time.monotonic() - started
