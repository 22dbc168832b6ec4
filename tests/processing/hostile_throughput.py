"""What one hostile file in 500 costs the other photos: `make hostile`. It takes minutes, and a machine of its own.

Photos of 12 megapixels, in rounds: for each kind of harm one with a hostile file per 500, between two without. It goes
ahead of the photos at each attempt, and the round ends when the photos are done. What it costs is the same however fast
the others are, so small pictures pay more for it. KINDS=loop,crash names some kinds, COUNT=<number> and PHOTOS=<folder>
the photos.
"""

import io
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import factories
import hostile_files
import photo_samples
import pytest
import redis
from hostile_worker import Worker, ring_until_final, running_worker
from PIL import Image
from real_photos import REAL_PHOTOS

from photos.models import Photo
from processing import ingest
from processing.models import RunState, StageRun
from processing.models.ledger import Lane

COUNT = int(os.environ.get("COUNT") or 500)
ONE_IN = 500
LEAST_RATIO = 0.90
SAMPLES = 40
SIZE = (4000, 3000)
KINDS: dict[str, Callable[[], bytes]] = {
    "crash": lambda: hostile_files.marked("segfault"),
    "loop": lambda: hostile_files.marked("spin"),
    "hang": lambda: hostile_files.marked("sleep"),
    "many scans": lambda: hostile_files.many_scans_jpeg(scans=8000, size=SIZE),
    "memory bomb": hostile_files.memory_bomb,
    "exif loop": hostile_files.exif_loop,
    "many frames": lambda: hostile_files.many_frames_gif(100_000),
}


@pytest.mark.timeout(3600)
def test_other_photos_keep_their_throughput(tmp_path: Path, process_environment: dict[str, str]) -> None:
    samples = ordinary_photos(Path(os.environ.get("PHOTOS") or REAL_PHOTOS))
    ratios = {}
    # the retries of the hostile file come while there are photos left, not after them
    environment = process_environment | {"LEDGER_BACKOFF_SECONDS": "1"}
    with running_worker(environment, log=tmp_path / "worker.log") as worker:
        broker = environment["REDIS_URL"]
        measure(worker, samples[:20], count=20, broker=broker)  # warms the caches
        alone = [measure(worker, samples, count=COUNT, broker=broker)]
        for kind in os.environ.get("KINDS", ",".join(KINDS)).split(","):
            beside = measure(worker, samples, count=COUNT, broker=broker, hostile=KINDS[kind])
            alone.append(measure(worker, samples, count=COUNT, broker=broker))
            # a machine that grows slower or faster meanwhile does so to the rounds before and after
            ratios[kind] = statistics.mean(alone[-2:]) / beside
            say(f"{kind:<12} {COUNT / beside:6.1f} photos/s, ratio {ratios[kind]:.3f}")
        say(f"alone        {COUNT / statistics.median(alone):6.1f} photos/s")
    assert min(ratios.values()) >= LEAST_RATIO, ratios


def ordinary_photos(folder: Path) -> list[bytes]:
    """The photos of the folder in the size that a telephone takes them, whatever size they were published in."""
    paths = [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in {".jpg", ".jpeg"} and "broken" not in str(path.relative_to(folder))
    ]
    if not paths:
        pytest.fail(f"There is no JPEG in {folder}: name a folder by PHOTOS=.")
    # evenly spread over the folder
    return [as_taken(path) for path in paths[:: -(-len(paths) // SAMPLES)]]


def as_taken(path: Path) -> bytes:
    """Give a picture as a JPEG of 12 megapixels."""
    taken = io.BytesIO()
    with Image.open(path) as picture:
        picture.convert("RGB").resize(SIZE, Image.Resampling.BICUBIC).save(taken, "JPEG", quality=90)
    return taken.getvalue()


def measure(
    worker: Worker, samples: list[bytes], *, count: int, broker: str, hostile: Callable[[], bytes] | None = None
) -> float:
    """Give the seconds until `count` photos are finished."""
    library = factories.make_library()
    harmful = [photo_samples.take_in(library, hostile()) for _ in range(-(-count // ONE_IN))] if hostile else []
    # the same bytes are another photo in another library
    libraries = [factories.make_library() for _ in range(-(-count // len(samples)))]
    places = [(libraries[number // len(samples)], samples[number % len(samples)]) for number in range(count)]
    photos = [take_in(*place) for place in places]
    runs = StageRun.objects.filter(photo__in=photos)
    seconds = ring_until_final(runs, worker, broker=broker, patience=20 + 3 * count)
    assert not runs.exclude(state=RunState.DONE).exists()
    ends = StageRun.objects.filter(photo__in=harmful, stage="renditions")
    say(f"  {seconds:6.1f} s; hostile: {list(ends.values_list('state', 'attempt', 'error_code'))}")
    ring_until_final(StageRun.objects.all(), worker, broker=broker, patience=300)
    wait_for_silence(broker)
    return seconds


def wait_for_silence(broker: str) -> None:
    """Wait until no hint is left: one too many would begin the next round while its photos are still taken in."""
    with redis.Redis.from_url(broker) as client:
        while client.exists("ingest", "unacked"):
            time.sleep(0.1)


def take_in(library: factories.Library, data: bytes) -> Photo:
    return ingest.take_in(
        library=library, file=photo_samples.content(data), filename="photo.jpg", lane=Lane.IMPORT, announce=False
    ).photo


def say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
