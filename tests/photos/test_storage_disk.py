"""A disk: what killed writers leave, folders that come and go under a writer, and a disk that is full or not there."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from photos import storage

KEY = "library/photo/preview.jpg"


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def write(key: str, data: bytes = b"12345", *, alias: str = "renditions") -> None:
    storage.write_object(alias=alias, key=key, file=ContentFile(data))


def test_what_a_killed_writer_leaves_lies_in_one_folder(photo_store: Path) -> None:
    script = f"""
import os, signal
from pathlib import Path
from django.conf import settings
settings.configure()
from django.core.files.base import ContentFile
from photos.storage.disk import DurableFileSystemStorage
Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
DurableFileSystemStorage(location={str(photo_store / "renditions")!r}).save({KEY!r}, ContentFile(b"half"))
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -signal.SIGKILL
    [left] = (photo_store / "renditions" / ".incoming").iterdir()
    assert files_below(photo_store) == {f"renditions/.incoming/{left.name}": b"half"}
    assert list(storage.list_objects(alias="renditions")) == []

    assert storage.sweep_incoming(older_than=timedelta(hours=1)) == 0
    then = time.time() - 3601
    os.utime(left, (then, then))
    assert storage.sweep_incoming(older_than=timedelta(hours=1)) == 1
    assert files_below(photo_store) == {}


def test_a_photos_folder_goes_with_its_last_object_and_a_librarys_stays(photo_store: Path) -> None:
    for key in (KEY, "library/photo/chip.jpg"):
        write(key)
    write("library/photo", alias="originals")
    folder = photo_store / "renditions" / "library" / "photo"
    storage.delete_objects(alias="renditions", keys=[KEY])
    assert [path.name for path in folder.iterdir()] == ["chip.jpg"]
    storage.delete_objects(alias="renditions", keys=["library/photo/chip.jpg", KEY])
    assert not folder.exists()
    assert folder.parent.is_dir()
    storage.delete_objects(alias="originals", keys=["library/photo"])
    assert (photo_store / "originals" / "library").is_dir()
    assert not storage.is_store_empty(alias="originals")


def test_a_deletion_is_on_the_disk_when_it_returns(photo_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def watched(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    for name in ("a.jpg", "b.jpg"):
        write(f"library/photo/{name}")
    monkeypatch.setattr(os, "fsync", watched)
    storage.delete_objects(alias="renditions", keys=["library/photo/a.jpg"])
    assert synced == ["photo"]
    storage.delete_objects(alias="renditions", keys=["library/photo/b.jpg"])
    assert synced == ["photo", "library"]


def test_a_writer_makes_a_folder_again_that_is_removed_under_it(photo_store: Path) -> None:
    """One thread stores objects of a photo while another deletes all that it finds."""
    stop = threading.Event()

    def delete_all() -> int:
        count = 0
        while not stop.is_set():
            keys = [one.key for one in storage.list_objects(alias="renditions", prefix="library/photo/")]
            storage.delete_objects(alias="renditions", keys=keys)
            count += len(keys)
        return count

    with ThreadPoolExecutor(1) as pool:
        deleting = pool.submit(delete_all)
        try:
            for number in range(300):
                write(f"library/photo/{number}.jpg")
        finally:
            stop.set()
        assert deleting.result(30) > 0
    write(KEY)
    assert storage.read_object(alias="renditions", key=KEY) == b"12345"
    assert list((photo_store / "renditions" / ".incoming").iterdir()) == []


def test_a_folder_that_can_never_be_made_is_an_error(photo_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def vanishing(path: Path, _: Path) -> None:
        raise FileNotFoundError(path)

    monkeypatch.setattr(Path, "replace", vanishing)
    with pytest.raises(FileNotFoundError):
        write(KEY)
    assert files_below(photo_store) == {}


def test_an_empty_disk_is_taken_for_one_that_is_not_mounted(photo_store: Path) -> None:
    path = str(photo_store / "renditions" / KEY)
    assert storage.is_store_gone(path)
    (photo_store / "renditions" / ".incoming").mkdir(parents=True)
    assert storage.is_store_gone(path)
    assert storage.is_store_empty(alias="renditions")
    (photo_store / "renditions" / "library").mkdir()
    assert not storage.is_store_gone(path)
    assert not storage.is_store_empty(alias="renditions")
    assert storage.is_store_empty(alias="originals")
    assert not storage.is_store_gone("/elsewhere")


@pytest.fixture
def small_disk(photo_store: Path, tmp_path: Path) -> Iterator[Path]:
    """Renditions on a real file system of 256 KiB."""
    disk = photo_store / "renditions"
    disk.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k,nr_inodes=64,mode=0700", "darkroom-test", disk],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"a file system can only be mounted by root: {mounted.stderr.decode().strip()}")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_full_disk_keeps_no_half_object_and_takes_the_next_try(small_disk: Path) -> None:
    whole = os.urandom(150_000)
    write("library/photo/first.jpg", whole)
    for _ in range(3):
        with pytest.raises(OSError, match="No space left on device"):
            write(KEY, whole)
        # neither a part of the new one, nor the old one lost
        assert files_below(small_disk) == {"library/photo/first.jpg": whole}
    with pytest.raises(OSError, match="No space left on device"):
        write("library/photo/first.jpg", os.urandom(200_000))
    assert files_below(small_disk) == {"library/photo/first.jpg": whole}

    storage.delete_objects(alias="renditions", keys=["library/photo/first.jpg"])
    write(KEY, whole)
    assert files_below(small_disk) == {KEY: whole}


def test_a_disk_that_fills_at_any_moment_keeps_no_half_object(small_disk: Path) -> None:
    """Room for so many names and no more: the disk is full at the folder, the temporary file, its bytes or its name."""
    errors = 0
    for size in range(0, 120_000, 10_000):
        filler = small_disk / "filler"
        filler.write_bytes(bytes(150_000 + size))
        before = files_below(small_disk)
        try:
            write(f"library/{size}/preview.jpg", bytes(40_000))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            errors += 1
            assert files_below(small_disk) == before
        else:
            assert files_below(small_disk) == {**before, f"library/{size}/preview.jpg": bytes(40_000)}
            storage.delete_objects(alias="renditions", keys=[f"library/{size}/preview.jpg"])
        filler.unlink()
    assert 0 < errors < 12


def test_a_disk_without_inodes_keeps_no_half_object(small_disk: Path) -> None:
    stored: dict[str, bytes] = {}
    while True:
        key = f"library/{len(stored)}/preview.jpg"
        try:
            write(key)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            break
        stored[key] = b"12345"
    assert 10 < len(stored) < 64
    assert files_below(small_disk) == stored
    for _ in range(3):
        with pytest.raises(OSError, match="No space left"):
            write("library/more/preview.jpg")
    assert files_below(small_disk) == stored
    storage.delete_objects(alias="renditions", keys=["library/0/preview.jpg"])
    write("library/1/again.jpg")
    del stored["library/0/preview.jpg"]
    assert files_below(small_disk) == {**stored, "library/1/again.jpg": b"12345"}


def test_a_file_becomes_an_object_without_a_copy(photo_store: Path) -> None:
    source = photo_store / "originals" / ".uploads" / "a" / "b"
    source.parent.mkdir(parents=True)
    source.write_bytes(b"12345")
    disk = storages["originals"]
    write("library/photo", b"something else", alias="originals")

    disk.adopt("library/photo", source)

    assert (photo_store / "originals" / "library" / "photo").samefile(source)
    assert [one.key for one in storage.list_objects(alias="originals")] == ["library/photo"]  # nothing of uploads
    source.unlink()
    assert storage.read_object(alias="originals", key="library/photo") == b"12345"
    assert list((photo_store / "originals" / ".incoming").iterdir()) == []
    with pytest.raises(FileNotFoundError):
        disk.adopt("library/other", source)
    assert [one.key for one in storage.list_objects(alias="originals")] == ["library/photo"]


def test_a_disk_with_uploads_alone_is_empty(photo_store: Path) -> None:
    (photo_store / "originals" / ".uploads" / "a").mkdir(parents=True)
    assert storage.is_store_empty(alias="originals")
    write("library/photo", alias="originals")
    assert not storage.is_store_empty(alias="originals")
