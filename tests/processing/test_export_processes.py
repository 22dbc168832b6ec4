"""Exports in processes of their own: killed in the middle, and large ones that take no more memory than small ones."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import factories
import pytest
from export_samples import fill, keys, members, request, shown, sweep_all, work

from accounts.models import Library
from photos import storage
from processing import ledger
from processing.models import LibraryRun, RunState

pytestmark = pytest.mark.django_db(transaction=True)

MIB = 1024 * 1024
WORKER = """
import sys, django
django.setup()
from processing.pipeline import library_work
print("ready", flush=True)
library_work.work(kind="export", task_id=sys.argv[1], worker="killed@test")
"""
# so much the process has used at most, with all that it has imported: made in the background, then streamed
MEASURED = r"""
import re, sys, django
django.setup()
from photos.models import Export
from processing.pipeline import library_work
from processing.services import exports

def peak():
    # not getrusage: that counts the process too which started this one
    return int(re.search(r"VmHWM:\s+(\d+)", open("/proc/self/status").read())[1]) // 1024

export = Export.objects.select_related("requested_by").get(pk=sys.argv[1])
photos = [(export.library_id, one) for one in export.photo_ids]
assert library_work.work(kind="export", task_id="measured", worker="measured@test") == 1
made = peak()
chunks = exports.stream(photos=photos, content="originals", metadata="none", by=export.requested_by)
print(sum(map(len, chunks)), made, peak())
"""


@pytest.fixture(params=["disk", "s3"])
def environment(request: pytest.FixtureRequest, environment_of_processes: dict[str, str]) -> dict[str, str]:
    """The environment of a process that works on this test's photos, on a disk or in buckets."""
    if request.param == "s3":
        request.getfixturevalue("s3_storages")
        return os.environ | environment_of_processes
    folder: Path = request.getfixturevalue("photo_store")
    stores = {f"{alias.upper()}_DIR": str(folder / alias) for alias in (storage.ORIGINALS, storage.RENDITIONS)}
    return os.environ | environment_of_processes | stores


@pytest.fixture
def library() -> Library:
    return factories.make_library()


def test_killed_in_the_middle_it_is_made_once(library: Library, environment: dict[str, str]) -> None:
    photos = fill(library, 30, byte_size=3 * MIB)
    export = request(library)
    process = subprocess.Popen([sys.executable, "-c", WORKER, "task 1"], env=environment, stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline() == b"ready\n"
        deadline = time.monotonic() + 60
        # bytes of it are stored, and it is not finished
        while not is_begun():
            assert process.poll() is None, "it has ended by itself"
            assert time.monotonic() < deadline, "it stores nothing"
            time.sleep(0.002)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    run = LibraryRun.objects.get(kind="export")
    assert (run.state, export.files.count()) == (RunState.RUNNING, 0)
    holder = ledger.Holder(task_id="task 1", worker="killed@test", process_id=run.process_id)
    ledger.release_lost(ledger=LibraryRun, holder=holder, error=ledger.RunError("process_killed", "killed"))

    assert work() == 1

    assert shown(export).shown_state == "ready"
    [file] = export.files.all()
    found = members(file)
    found.pop("manifest.json")
    assert found == {photo.original_filename: photo.sha256 for photo in photos}
    sweep_all()
    assert keys() == {file.storage_key}
    assert list(storage.list_incoming(alias=storage.RENDITIONS)) == []


def is_begun() -> bool:
    """Whether some of a file is stored: a temporary file with bytes, or the parts of an upload."""
    found = list(storage.list_incoming(alias=storage.RENDITIONS))
    return bool(found) and (found[0].size > MIB or storage.is_in_bucket(alias=storage.RENDITIONS))


def test_memory_does_not_grow_with_the_export(environment: dict[str, str]) -> None:
    def cost(count: int) -> list[int]:
        library = factories.make_library()
        fill(library, count, byte_size=6 * MIB)
        export = request(library)
        command = [sys.executable, "-c", MEASURED, str(export.pk)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        [size, *peaks] = map(int, done.stdout.split())
        assert size > count * 6 * MIB
        assert shown(export).shown_state == "ready"
        return peaks

    small, large = cost(5), cost(50)

    # of 30 MiB and of 300 MiB
    assert max(after - before for before, after in zip(small, large, strict=True)) < 30, (small, large)
