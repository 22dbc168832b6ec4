"""Real workers: what they say of themselves, what they count, what their children may take."""

import contextlib
import io
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import factories
import psutil
import pytest
import redis
import requests
from celery import Celery
from django.conf import settings
from django.db.models.functions import Now
from PIL import Image

from photos.models import Photo
from processing.models import Canary, RunState, StageRun, WorkerPresence
from processing.services import draining
from processing.stages import registry

TOKEN = {"X-Internal-Token": settings.INTERNAL_TOKEN}


def wait_until(condition: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


Worker = Callable[..., contextlib.AbstractContextManager[tuple[psutil.Process, WorkerPresence, Path]]]


@pytest.fixture
def worker(tmp_path: Path, process_environment: dict[str, str]) -> Worker:
    """Run a worker with one process until a block ends; gives its process, its row and its log."""

    @contextlib.contextmanager
    def run(queues: str, *arguments: str, **environment: str) -> Iterator[tuple[psutil.Process, WorkerPresence, Path]]:
        log = tmp_path / "worker.log"
        named = ["-Q", queues, "-c", "1", "-n", "w@here", *arguments]
        with log.open("w") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", "config", "worker", *named],
                cwd=settings.BASE_DIR,
                env=process_environment | environment,
                stdout=output,
                stderr=output,
            )
        try:
            wait_until(lambda: process.poll() is not None or WorkerPresence.objects.exists(), log)
            assert process.poll() is None, log.read_text()
            yield psutil.Process(process.pid), WorkerPresence.objects.get(), log
        finally:
            process.terminate()
            assert process.wait(60) == 0, log.read_text()

    return run


def pool_child(process: psutil.Process) -> psutil.Process:
    (child,) = [one for one in process.children() if "semaphore_tracker" not in " ".join(one.cmdline())]
    return child


def scrape(row: WorkerPresence, **headers: str) -> requests.Response:
    return requests.get(f"http://127.0.0.1:{row.metrics_port}/metrics", headers=headers, timeout=5)


def test_a_worker_of_pixels(worker: Worker, process_environment: dict[str, str]) -> None:
    limits = {"DECODE_MEMORY_BYTES": str(3 * 1024**3), "DECODE_FILE_BYTES": "1000000", "UPLOAD_MAX_BYTES": "1000000"}
    library = factories.make_library()
    factories.make_photo(library, data=b"a store without anything is taken for a disk that is not mounted")
    photo = factories.make_photo(library)
    stage = registry.get("exif")

    with worker("ingest", **limits) as (process, row, log):
        child = pool_child(process)

        assert (row.name, row.queues, row.processes, row.device) == ("w@here", ["ingest"], 1, "")
        assert row.versions == {name: [registry.get(name).base_version] for name in ("exif", "renditions")}
        assert row.memory_bytes > child.memory_info().rss
        assert child.rlimit(psutil.RLIMIT_AS) == (3 * 1024**3, 3 * 1024**3)
        assert child.rlimit(psutil.RLIMIT_FSIZE) == (1000000, 1000000)
        assert child.rlimit(psutil.RLIMIT_CORE) == (0, 0)
        assert process.rlimit(psutil.RLIMIT_AS) != (3 * 1024**3, 3 * 1024**3)

        assert scrape(row).status_code == 403
        assert scrape(row, **{"X-Internal-Token": "wrong"}).status_code == 403
        assert requests.get(f"http://127.0.0.1:{row.metrics_port}/", headers=TOKEN, timeout=5).status_code == 404
        assert 'darkroom_runs_total{outcome="attempt",stage="exif"}' not in scrape(row, **TOKEN).text

        # what the child counts is in what the parent says
        run_without_bytes(photo, version=stage.base_version, broker=process_environment["REDIS_URL"], log=log)
        text = scrape(row, **TOKEN).text
        assert 'darkroom_runs_total{outcome="attempt",stage="exif"} 1.0' in text
        assert 'darkroom_storage_seconds_count{alias="originals",operation="open",outcome="missing"} 1.0' in text
        assert "darkroom_worker_processes 2.0" in text

        # a child in the place of one that was killed has the same limits, and none of the parent's sockets
        child.send_signal(signal.SIGKILL)
        wait_until(lambda: pool_children_differ(process, child), log)
        replaced = pool_child(process)
        wait_until(lambda: replaced.rlimit(psutil.RLIMIT_AS) == (3 * 1024**3, 3 * 1024**3), log)
        assert row.metrics_port not in listening(replaced)
        assert row.metrics_port in listening(process)

    assert WorkerPresence.objects.count() == 0


def run_without_bytes(photo: Photo, *, version: str, broker: str, log: Path) -> None:
    """Let the worker try a run whose original is nowhere."""
    pending = {"state": RunState.PENDING, "queued_at": Now()}
    run = StageRun.objects.create(photo=photo, stage="exif", version=version, **pending)
    with Celery(broker=broker, set_as_current=False) as sender:
        sender.send_task("exif", queue="ingest")
    wait_until(lambda: StageRun.objects.exclude(error_code="").exists(), log)
    run.refresh_from_db()
    assert (run.state, run.attempt, run.error_code) == (RunState.PENDING, 1, "object_missing")


def pool_children_differ(process: psutil.Process, child: psutil.Process) -> bool:
    return [one.pid for one in process.children()] not in ([], [child.pid])


def listening(process: psutil.Process) -> set[int]:
    return {one.laddr.port for one in process.net_connections("tcp") if one.status == psutil.CONN_LISTEN}


def test_a_worker_of_models_has_a_light_parent_and_no_limits(worker: Worker) -> None:
    with worker("faces,embeddings", DEVICE="cpu", METRICS_PORT="0") as (process, row, _log):
        assert (row.queues, row.device, row.metrics_port) == (["embeddings", "faces"], "cpu", None)
        assert sorted(row.versions) == ["face_detection", "face_embedding", "image_embedding"]
        loaded = {Path(mapped.path).name.partition(".")[0] for mapped in process.memory_maps()}
        assert not loaded & {"libtorch", "libtorch_cpu", "libopenvino", "_dlib_pybind11"}
        assert pool_child(process).rlimit(psutil.RLIMIT_AS)[0] == psutil.RLIM_INFINITY
    assert WorkerPresence.objects.count() == 0


def test_children_of_an_interpreter_of_their_own_are_limited_too(worker: Worker) -> None:
    spawned = ["--pool-start-method", "spawn"]
    with worker("ingest", *spawned, DECODE_FILE_BYTES="1000000", UPLOAD_MAX_BYTES="1000000") as (process, _row, log):
        wait_until(lambda: pool_child(process).rlimit(psutil.RLIMIT_FSIZE) == (1000000, 1000000), log)


def test_a_killed_child_gives_its_run_back_at_once(worker: Worker, process_environment: dict[str, str]) -> None:
    slow = io.BytesIO()
    Image.new("RGB", (9000, 9000)).save(slow, "PNG", compress_level=1)
    # a row that says less than the file would give it less time than it needs
    size = {"width": 9000, "height": 9000}
    photo = factories.make_photo(factories.make_library(), data=slow.getvalue(), image_format="PNG", **size)
    version = registry.get("renditions").base_version
    run = StageRun.objects.create(
        photo=photo, stage="renditions", version=version, state=RunState.PENDING, queued_at=Now()
    )
    with worker("ingest", METRICS_PORT="0") as (process, _row, log):
        child = pool_child(process)
        with Celery(broker=process_environment["REDIS_URL"], set_as_current=False) as sender:
            sender.send_task("renditions", queue="ingest")
        wait_until(lambda: StageRun.objects.get().state == RunState.RUNNING, log)
        child.send_signal(signal.SIGKILL)
        killed_at = time.monotonic()
        wait_until(lambda: StageRun.objects.get().error_code == "process_killed", log)
        # the lease would have held it for a minute
        assert time.monotonic() - killed_at < 10
        wait_until(lambda: StageRun.objects.get().state == RunState.DONE, log)
    run.refresh_from_db()
    assert (run.attempt, run.error_code) == (2, "")


def test_a_worker_that_is_drained_leaves_messages_to_others(
    worker: Worker, process_environment: dict[str, str]
) -> None:
    broker = redis.Redis.from_url(process_environment["REDIS_URL"])
    broker.flushdb()
    with worker("people,maintenance") as (_, row, log), Celery(broker=process_environment["REDIS_URL"]) as sender:
        draining.begin_worker(name=row.name)
        wait_until(lambda: "Canceling queue people" in log.read_text(), log)
        time.sleep(2)  # longer than the read that is under way
        for queue in ("people", "maintenance"):
            sender.send_task("canary", kwargs={"queue": queue}, queue=queue)
            Canary.objects.create(queue=queue, rung_at=Now())
        time.sleep(3)
        assert (broker.llen("people"), broker.llen("maintenance")) == (1, 1)
        # what it serves is not forgotten
        assert WorkerPresence.objects.get().queues == ["maintenance", "people"]
        draining.end_worker(name=row.name)
        wait_until(lambda: Canary.objects.filter(moved_at__isnull=False).count() == 2, log)
    broker.close()
