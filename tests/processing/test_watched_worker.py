"""A real worker: a store that goes away pauses its stage until it is back, and a canary is moved."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import factories
import photo_samples
import pytest
from celery import Celery
from django.conf import settings as project_settings
from django.db.models.functions import Now
from pytest_django import Settings

from processing import canaries, publish
from processing.models import Canary, RunState, StagePause, StageRun, WorkerPresence
from processing.services import canaries as canary_service
from processing.stages import registry

FAST = {
    "CIRCUIT_SECONDS": "0",
    # a test says itself when it is time to try again: a machine may stand still for longer than any short wait
    "CIRCUIT_FIRST_WAIT_SECONDS": "300",
    "CIRCUIT_MAX_WAIT_SECONDS": "300",
    "LEDGER_INFRASTRUCTURE_WAIT_SECONDS": "0.5",
    "METRICS_PORT": "0",
}


def wait_until(condition: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


@pytest.fixture
def worker_log(tmp_path: Path, photo_store: Path, process_environment: dict[str, str]) -> Iterator[Path]:
    """The log of a worker of pixels with one process, whose store is this test's."""
    log = tmp_path / "worker.log"
    stores = {"ORIGINALS_DIR": str(photo_store / "originals"), "RENDITIONS_DIR": str(photo_store / "renditions")}
    command = [sys.executable, "-m", "celery", "-A", "config", "worker", "-Q", "ingest", "-c", "1", "-n", "w@here"]
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            cwd=project_settings.BASE_DIR,
            env=process_environment | stores | FAST,
            stdout=output,
            stderr=output,
        )
    try:
        wait_until(lambda: process.poll() is not None or WorkerPresence.objects.exists(), log)
        assert process.poll() is None, log.read_text()
        yield log
    finally:
        process.terminate()
        assert process.wait(60) == 0, log.read_text()


def test_a_store_that_goes_away_pauses_its_stage_until_it_is_back(
    photo_store: Path, process_environment: dict[str, str], worker_log: Path
) -> None:
    library = factories.make_library()
    version = registry.get("exif").base_version
    for _ in range(8):
        photo = factories.make_photo(library, data=photo_samples.picture())
        StageRun.objects.create(photo=photo, stage="exif", version=version, state=RunState.PENDING, queued_at=Now())
    (photo_store / "originals").rename(photo_store / "not mounted")

    with Celery(broker=process_environment["REDIS_URL"], set_as_current=False) as sender:
        sender.send_task("exif", queue="ingest")
        wait_until(StagePause.objects.exists, worker_log)
        pause = StagePause.objects.get()
        assert (pause.work, pause.error_code, pause.paused_by) == ("exif", "storage_unavailable", None)
        failed = StageRun.objects.filter(state=RunState.PENDING, error_code="storage_unavailable", attempt=0)
        assert failed.count() == 5
        assert StageRun.objects.filter(state=RunState.PENDING, error_code="", attempt=0).count() == 3

        # one run is tried and fails, and nobody else tries meanwhile
        StagePause.objects.update(probe_at=Now() + timedelta(seconds=1))
        time.sleep(1.2)
        for _ in range(3):
            sender.send_task("exif", queue="ingest")
        wait_until(lambda: failed.count() == 6, worker_log)
        assert StagePause.objects.values_list("probes", flat=True).get() == 1
        assert StageRun.objects.filter(state=RunState.PENDING, error_code="").count() == 2

        (photo_store / "not mounted").rename(photo_store / "originals")
        # nobody beats here: the runs that failed wait no longer
        StageRun.objects.update(not_before=None)
        StagePause.objects.update(probe_at=Now())
        sender.send_task("exif", queue="ingest")
        # the run that gets through lifts the pause and rings for the others
        wait_until(lambda: StageRun.objects.filter(state=RunState.DONE).count() == 8, worker_log)
    assert StagePause.objects.count() == 0
    assert set(StageRun.objects.values_list("attempt", "error_code")) == {(1, "")}


def test_a_worker_moves_the_canary_of_its_queue(
    process_environment: dict[str, str], worker_log: Path, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    settings.CELERY_BROKER_URL = process_environment["REDIS_URL"]
    monkeypatch.setattr(publish, "_publisher", publish._Publisher())
    assert canary_service.ring() == ["ingest"]
    wait_until(lambda: Canary.objects.filter(moved_at__isnull=False).exists(), worker_log)
    assert Canary.objects.values_list("queue", "worker").get() == ("ingest", "w@here")
    assert [(one.queue, one.seconds) for one in canaries.statuses()] == [("ingest", 0.0)]
