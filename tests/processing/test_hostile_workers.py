"""A real worker of pixels, given the worst files beside ordinary ones: it loses a few children, and nothing else."""

import contextlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import factories
import hostile_files
import photo_samples
import psutil
import pytest
from hostile_worker import Worker, ring_until_final, running_worker

from photos import storage
from photos.models import Photo
from processing.models import RunState, StageRun, WorkerPresence

PATIENCE_SECONDS = 150
# a child without a photo has mapped 500 MB
MEMORY_BYTES = 700 << 20
LIMITS = {
    # of which the small files here have a twentieth
    "DECODE_CPU_SECONDS": "9",
    "DECODE_WALL_SECONDS": "45",
    "DECODE_MEMORY_BYTES": str(MEMORY_BYTES),
    # less than when the files were let in
    "IMAGE_MAX_PIXELS": "80000000",
    "LEDGER_BACKOFF_SECONDS": "0.2",
}
HARMFUL = {
    # what the decoder does, or what the file is: how its renditions end, after how many attempts
    "segfault": ("process_crashed", 3),
    "abort": ("process_crashed", 3),
    "sleep": ("decode_timed_out", 3),
    "spin": ("decode_cpu_exceeded", 3),
    "killed": ("process_killed", 3),
    "exit": ("worker_lost", 3),
    "memory": ("out_of_memory", 3),
    "pixels": ("too_many_pixels", 1),
    "many scans": ("too_many_scans", 1),
    "truncated": ("damaged", 1),
}
HARMLESS = ("exif loop", "many frames")


def hostile_file(name: str) -> bytes:
    crafted = {
        "many scans": lambda: hostile_files.many_scans_jpeg(scans=8000, size=(2000, 1000)),
        "memory": hostile_files.memory_bomb,
        "pixels": hostile_files.too_many_pixels,
        "truncated": photo_samples.damaged_picture,
        "exif loop": hostile_files.exif_loop,
        "many frames": lambda: hostile_files.many_frames_gif(100_000),
    }
    return crafted[name]() if name in crafted else hostile_files.marked(name)


@pytest.fixture
def worker(tmp_path: Path, process_environment: dict[str, str]) -> Iterator[Worker]:
    """Two children and strict limits."""
    with running_worker(process_environment | LIMITS, log=tmp_path / "worker.log") as running:
        yield running


@pytest.mark.timeout(290)
def test_each_file_ends_in_its_state_and_the_others_do_not_notice(
    worker: Worker, process_environment: dict[str, str]
) -> None:
    library = factories.make_library()
    harmful = {name: photo_samples.take_in(library, hostile_file(name)) for name in HARMFUL}
    harmless = {name: photo_samples.take_in(library, hostile_file(name)) for name in HARMLESS}
    ordinary = [photo_samples.take_in(library, photo_samples.picture(size=(800, 600))) for _ in range(24)]
    presence = WorkerPresence.objects.get()
    first_children = {child.pid for child in worker.children()}
    runs = StageRun.objects.filter(photo__library=library)
    ring_until_final(runs, worker, broker=process_environment["REDIS_URL"], patience=PATIENCE_SECONDS)

    ends = {
        name: StageRun.objects.values_list("state", "error_code", "attempt").get(photo=photo, stage="renditions")
        for name, photo in harmful.items()
    }
    assert ends == {name: (RunState.DEAD, code, attempts) for name, (code, attempts) in HARMFUL.items()}
    for photo in (*ordinary, *harmless.values()):
        assert {run.stage: (run.state, run.attempt) for run in photo.stage_runs.all()} == {
            "exif": (RunState.DONE, 1),
            "renditions": (RunState.DONE, 1),
            # none of them says where it was taken
            "place": (RunState.SKIPPED, 0),
        }
    # what every file says of itself was read, whatever its pixels did
    assert not StageRun.objects.filter(stage="exif").exclude(state=RunState.DONE).exists()
    assert_originals_are_kept([*harmful.values(), *harmless.values()])

    # the same parent, with as many children as before, of which some are new
    now = WorkerPresence.objects.get()
    assert (now.name, now.started_at) == (presence.name, presence.started_at)
    assert worker.process.is_running()
    while len(children := worker.children()) < 2:  # the last one to die is being replaced
        time.sleep(0.1)
    assert len(children) == 2
    assert {child.pid for child in children} != first_children
    for child in children:
        assert_limited_and_without_models(child)


@pytest.mark.timeout(120)
def test_a_process_is_replaced_once_it_is_dead(worker: Worker, process_environment: dict[str, str]) -> None:
    """Each of the three that the file costs; Celery's own pool looks for them every 5 s."""
    photo = photo_samples.take_in(factories.make_library(), hostile_files.marked("linger"))
    gaps = Gaps(worker)
    with ThreadPoolExecutor(1) as pool:
        watching = pool.submit(gaps.watch)
        try:
            ring_until_final(photo.stage_runs.all(), worker, broker=process_environment["REDIS_URL"], patience=60)
        finally:
            time.sleep(1)  # for the one that takes the place of the last
            gaps.ended.set()
    watching.result()
    run = StageRun.objects.get(photo=photo, stage="renditions")
    assert (run.state, run.error_code, run.attempt) == (RunState.DEAD, "process_killed", 3)
    assert len(gaps.seconds) == run.attempt
    assert max(gaps.seconds) < 1


class Gaps:
    """The times, in seconds, for which a worker had a process less than it should."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self.seconds: list[float] = []
        self.ended = threading.Event()

    def watch(self) -> None:
        """Look until the end is told."""
        since = None
        while not self.ended.wait(0.01):
            is_whole = sum(is_alive(child) for child in self._worker.process.children()) == 2
            if is_whole and since is not None:
                self.seconds.append(time.monotonic() - since)
                since = None
            elif not is_whole and since is None:
                since = time.monotonic()


def is_alive(process: psutil.Process) -> bool:
    """A process that is dead and not yet waited for is not."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.status() != psutil.STATUS_ZOMBIE
    return False


def assert_originals_are_kept(photos: list[Photo]) -> None:
    for photo in photos:
        assert len(storage.read_object(alias=photo.storage_alias, key=photo.storage_key)) == photo.byte_size


def assert_limited_and_without_models(child: psutil.Process) -> None:
    """The process that opens strangers' files: bounded, and without torch or any other library of models."""
    while child.rlimit(psutil.RLIMIT_CORE) != (0, 0):  # it may be beginning
        time.sleep(0.1)
    assert child.rlimit(psutil.RLIMIT_AS) == (MEMORY_BYTES, MEMORY_BYTES)
    libraries = {Path(mapped.path).name.partition(".")[0] for mapped in child.memory_maps()}
    assert "_imaging" in libraries
    assert not libraries & {"libtorch", "libtorch_cpu", "libopenvino", "_dlib_pybind11", "libcudart"}
