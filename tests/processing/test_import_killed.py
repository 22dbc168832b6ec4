"""A process that imports real photos is killed, again and again, at any line: nothing is doubled, nothing lost."""

import hashlib
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import photo_samples
import pytest
from import_samples import counted, open_source, shown, start, tree, work
from proving import NOTHING, prove
from pytest_django import Settings

from accounts.models import Library
from photos.models import Photo
from processing import ledger
from processing.models import ImportedFile, LibraryRun, StageRun

pytestmark = pytest.mark.django_db(transaction=True)

WORKER = """
import sys, django
django.setup()
from processing.pipeline import library_work
print("ready", flush=True)
library_work.work(kind="import", task_id=sys.argv[1], worker="killed@test")
"""
KILLS, PHOTOS = 3, 40


@pytest.fixture
def camera(shared_photos: Path, tmp_path: Path) -> Path:
    """Some real photos in two folders, one of them twice."""
    files = [path for path in sorted(shared_photos.rglob("*.jpg")) if path.stat().st_size < 1_000_000][:PHOTOS]
    assert len(files) == PHOTOS
    for number, path in enumerate(files):
        to = tmp_path / "camera" / f"roll {number % 2}" / f"{number:02}.jpg"
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, to)
    shutil.copy(files[0], tmp_path / "camera" / "again.jpg")
    return tmp_path / "camera"


@pytest.mark.parametrize("mode", ["copy", "reference"])
def test_killed_again_and_again(
    camera: Path,
    library: Library,
    photo_store: Path,
    settings: Settings,
    process_environment: dict[str, str],
    tmp_path: Path,
    mode: str,
) -> None:
    open_source(settings, str(camera))
    before = tree(camera)
    environment = process_environment | {
        "IMPORT_SOURCES": f"camera={camera}",
        "ORIGINALS_DIR": str(photo_store / "originals"),
        "RENDITIONS_DIR": str(photo_store / "renditions"),
    }
    made = start(library, mode=mode)
    done = 0
    for number in range(KILLS):
        done = kill_after(environment, task=f"task {number}", more=done + 5)
        # nobody is left who holds it
        holder = ledger.Holder(task_id=f"task {number}", worker="killed@test", process_id=running().process_id)
        ledger.release_lost(ledger=LibraryRun, holder=holder, error=ledger.RunError("process_killed", "killed"))
        # such a loss is an attempt, unless a step was committed since
        LibraryRun.objects.update(not_before=None, attempt=0)
    assert counted(shown(made))["files"] < PHOTOS

    while shown(made).finished_at is None:
        assert work() == 1

    counts = counted(shown(made))
    hashes = {hashlib.sha256(path.read_bytes()).hexdigest() for path in camera.rglob("*.jpg")}
    assert counts["files"] == ImportedFile.objects.count() == PHOTOS + 1
    assert counts["added"] == Photo.objects.count() == len(hashes)
    assert counts.get("duplicates", 0) == PHOTOS + 1 - len(hashes)
    assert set(Photo.objects.values_list("sha256", flat=True)) == hashes
    assert StageRun.objects.count() == 3 * len(hashes)
    assert tree(camera) == before
    photo_samples.run_everything()
    assert prove().counts == NOTHING


def running() -> LibraryRun:
    return LibraryRun.objects.get(state="running")


def kill_after(environment: dict[str, str], *, task: str, more: int) -> int:
    """Start a process that imports, and kill it when so many files are noted; gives how many are."""
    process = subprocess.Popen([sys.executable, "-c", WORKER, task], env=environment, stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline() == b"ready\n"
        deadline = time.monotonic() + 60
        while ImportedFile.objects.count() < more:
            assert process.poll() is None, "it has ended by itself"
            assert time.monotonic() < deadline, "it takes nothing in"
            time.sleep(0.002)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    return ImportedFile.objects.count()
