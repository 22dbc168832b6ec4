"""What one hostile file in 500 costs the other photos: `make hostile`. It takes minutes, and a machine of its own.

For each kind of harm four rounds of the same photos follow each other, the two in the middle with a hostile file per
500. It goes ahead of the photos at each attempt, and the round ends when the photos are done. KINDS=loop,crash names
some kinds, COUNT=<number> and PHOTOS=<folder> the photos.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import factories
import hostile_files
import photo_samples
import pytest
from hostile_worker import Worker, ring_until_final, running_worker
from real_photos import REAL_PHOTOS

from photos.models import Photo
from processing import ingest
from processing.models import RunState, StageRun
from processing.models.ledger import Lane

COUNT = int(os.environ.get("COUNT") or 500)
ONE_IN = 500
LEAST_RATIO = 0.90
FORMATS = frozenset({".avif", ".heic", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
LARGEST_BYTES = 3_000_000
KINDS: dict[str, Callable[[], bytes]] = {
    "crash": lambda: hostile_files.marked("segfault"),
    "loop": lambda: hostile_files.marked("spin"),
    "many scans": lambda: hostile_files.many_scans_jpeg(scans=8000, size=(4000, 3000)),
    "hang": lambda: hostile_files.marked("sleep"),
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
        for kind in os.environ.get("KINDS", ",".join(KINDS)).split(","):
            make = KINDS[kind]
            # a machine that grows slower or faster meanwhile does so to both
            rounds = [
                measure(worker, samples, count=COUNT, broker=broker, hostile=one) for one in (None, make, make, None)
            ]
            alone, beside = rounds[0] + rounds[3], rounds[1] + rounds[2]
            ratios[kind] = alone / beside
            rates = f"{2 * COUNT / alone:6.1f} photos/s alone, {2 * COUNT / beside:6.1f} beside"
            say(f"{kind:<12} {rates}, ratio {ratios[kind]:.3f}")
    assert min(ratios.values()) >= LEAST_RATIO, ratios


def ordinary_photos(folder: Path) -> list[bytes]:
    """The photos of the folder, in all formats: a mix of cheap and dear ones, as in a library of people's."""
    found = [
        path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in FORMATS
        and "broken" not in str(path.relative_to(folder))
        and 0 < path.stat().st_size < LARGEST_BYTES
    ]
    if not found:
        pytest.fail(f"There is no photo below {LARGEST_BYTES:,} bytes in {folder}: name a folder by PHOTOS=.")
    return list(dict.fromkeys(found))


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
    return seconds


def take_in(library: factories.Library, data: bytes) -> Photo:
    return ingest.take_in(
        library=library, file=photo_samples.content(data), filename="photo.jpg", lane=Lane.IMPORT, announce=False
    ).photo


def say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
