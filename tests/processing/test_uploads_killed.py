"""A process that dies at any line of an upload: nothing is lost, nothing is there twice, and nothing stays behind.

The process dies by an error that nothing catches, and lets go of no lease. After each step that touches the store or
the row it dies once; then the client comes again, or the sweep does.
"""

import errno
import os
import random
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import factories
import pytest
from django.core.files.storage import storages
from django.db.models.functions import Now

from accounts.models import Library, User
from photos import storage
from photos.models import ObjectSweep, Photo
from photos.services import originals
from photos.storage import uploads as stored_uploads
from photos.storage.uploads import BucketParts, DiskParts, bucket
from processing.models import StageRun, Upload, UploadState
from processing.problems import UploadLockedError
from processing.services.uploads import beginning, ending, finishing, leases, receiving, sweeping

pytestmark = pytest.mark.django_db

MIB = 1024 * 1024
CHUNK = 256 * 1024
STEPS: dict[object, tuple[str, ...]] = {
    DiskParts: ("begin", "flush", "tidy", "join", "place", "clear"),
    BucketParts: ("begin", "_put_part", "_put_tail", "flush", "tidy", "join", "_complete", "place", "clear"),
    leases: ("take", "commit", "finish", "release"),
    finishing: ("finish_held", "_take_in"),
    originals: ("store", "save_once"),
    ending: ("clear_bytes",),
}


class Killed(BaseException):
    """The process is gone."""


class Death:
    """Counts the moments at which a process may die, and lets it die at one of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.moments: list[str] = []
        self.at: int | None = None
        for owner, names in STEPS.items():
            for name in names:
                monkeypatch.setattr(owner, name, self._around(getattr(owner, name), name))

    def _around(self, step: Callable[..., Any], name: str) -> Callable[..., Any]:
        def run(*args: Any, **named: Any) -> Any:
            if self.is_dead and name == "release":
                return None  # who is dead lets go of nothing
            result = step(*args, **named)
            self._pass(f"after {name}")
            return result

        return run

    @property
    def is_dead(self) -> bool:
        return self.at is not None and len(self.moments) > self.at

    def _pass(self, moment: str) -> None:
        if self.is_dead:
            return
        self.moments.append(moment)
        if self.is_dead:
            raise Killed(moment)

    def never(self) -> None:
        """Let what comes now live."""
        self.at, self.moments = None, []


@pytest.fixture
def death(monkeypatch: pytest.MonkeyPatch) -> Death:
    return Death(monkeypatch)


@pytest.fixture(params=["disk", "s3"])
def store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The originals on a disk or in a bucket, with parts that are as small as S3 takes them."""
    request.getfixturevalue("photo_store" if request.param == "disk" else "s3_storages")
    monkeypatch.setattr(bucket, "COMMIT_BYTES", 5 * MIB)
    return request.param


@pytest.fixture
def library() -> Library:
    return factories.make_library()


@pytest.fixture
def owner(library: Library) -> User:
    return factories.make_member(library, "editor")


def chunks(data: bytes) -> Iterator[bytes]:
    return (data[start : start + CHUNK] for start in range(0, len(data), CHUNK))


def upload_all(library: Library, owner: User, data: bytes) -> Upload:
    """Send a file by two requests, the first of which breaks off within a part."""
    upload = beginning.begin(library=library, owner=owner, filename="a.jpg", length=len(data))
    cut = len(data) // 2
    for offset, piece in ((0, data[:cut]), (cut, data[cut:])):
        receiving.receive(upload_id=upload.pk, offset=offset, body=chunks(piece))
    return Upload.objects.get(pk=upload.pk)


def go_on(data: bytes, *, by_sweep: bool) -> None:
    """Come again, as a client does: ask where it goes on, and send the rest."""
    Upload.objects.filter(lease_until__isnull=False).update(lease_until=Now())
    upload = Upload.objects.get()
    if upload.has_all_bytes and by_sweep:
        assert sweeping.sweep().finished == (upload.state == UploadState.OPEN)
        return
    receiving.receive(upload_id=upload.pk, offset=upload.offset, body=chunks(data[upload.offset :]))


def assert_one_photo(data: bytes) -> None:
    photo = Photo.objects.get()
    assert storage.read_object(alias="originals", key=photo.storage_key) == data
    upload = Upload.objects.get()
    assert (upload.state, upload.photo_id, upload.offset) == (UploadState.COMPLETE, photo.pk, len(data))
    assert StageRun.objects.filter(photo=photo).count() == 3
    sweeping.sweep()
    sweeping.sweep_unnamed()
    assert Upload.objects.get().stored == {}
    assert list(stored_uploads.list_parts()) == []
    # what a dead process has stored for a photo that was never committed goes by itself
    unnamed = {one.key for one in storage.list_objects(alias="originals")} - {photo.storage_key}
    assert unnamed == set(ObjectSweep.objects.values_list("prefix", flat=True)) & unnamed


def moments_of(death: Death, library: Library, owner: User, data: bytes) -> list[str]:
    upload_all(library, owner, data)
    moments = death.moments
    assert_one_photo(data)
    wipe()
    return moments


def wipe() -> None:
    Upload.objects.all().delete()
    StageRun.objects.all().delete()
    for photo in Photo.objects.all():
        storage.delete_objects(alias="originals", keys=[photo.storage_key])
    storage.delete_objects(alias="originals", keys=ObjectSweep.objects.values_list("prefix", flat=True))
    Photo.objects.all().delete()
    ObjectSweep.objects.all().delete()


def test_dying_anywhere_loses_nothing(
    store: str, library: Library, owner: User, death: Death, capsys: pytest.CaptureFixture[str]
) -> None:
    head = factories.image_bytes()
    data = head + random.Random(3).randbytes(6 * MIB)
    moments = moments_of(death, library, owner, data)
    expected = {"after flush", "after commit", "after join", "after place", "after save_once", "after finish"}
    of_store = {"after _put_part", "after _put_tail", "after _complete"} if store == "s3" else {"after begin"}
    assert expected | of_store <= set(moments)
    for number, moment in enumerate(moments):
        death.never()
        death.at = number
        with pytest.raises(Killed, match=moment):
            upload_all(library, owner, data)
        death.never()
        if Upload.objects.exists():
            go_on(data, by_sweep=number % 2 == 0)
            assert_one_photo(data)
        wipe()
    with capsys.disabled():
        print(f"\nA process died at {len(moments)} moments of an upload ({store}): one photo each time")  # noqa: T201


def test_a_server_that_is_only_slow_spoils_nothing(store: str, library: Library, owner: User) -> None:
    """One who was taken over from without knowing writes on, and commits nothing."""
    data = factories.image_bytes() + random.Random(4).randbytes(7 * MIB)
    upload = beginning.begin(library=library, owner=owner, filename="a.jpg", length=len(data))
    receiving.receive(upload_id=upload.pk, offset=0, body=[data[:MIB]])
    seen: list[int] = []

    def slowly() -> Iterator[bytes]:
        """Wrong bytes; in their middle somebody else comes, sends the right ones, and is done."""
        yield b"x" * (2 * MIB)
        Upload.objects.update(lease_until=Now())
        done = receiving.receive(upload_id=upload.pk, offset=MIB, body=chunks(data[MIB:]))
        seen.append(done.offset)
        yield b"x" * (5 * MIB)

    with pytest.raises(UploadLockedError):
        receiving.receive(upload_id=upload.pk, offset=MIB, body=slowly())
    assert seen == [len(data)]
    assert_one_photo(data)


def test_one_who_comes_to_life_while_another_writes_spoils_nothing(store: str, library: Library, owner: User) -> None:
    data = factories.image_bytes() + random.Random(5).randbytes(7 * MIB)
    upload = beginning.begin(library=library, owner=owner, filename="a.jpg", length=len(data))
    receiving.receive(upload_id=upload.pk, offset=0, body=[data[:MIB]])
    lease, row = leases.take(upload_id=upload.pk)
    zombie = stored_uploads.parts_of(upload_id=upload.pk, length=len(data), state=row.stored)
    zombie.begin(
        offset=MIB, was_abandoned=lease.was_abandoned, remember=lambda: leases.commit(lease, stored=zombie.state)
    )
    zombie.write(b"x" * 1000)
    Upload.objects.update(lease_until=Now())

    def come_to_life() -> None:
        with closing(zombie):
            zombie.write(b"x" * 5 * MIB)
            offset = zombie.flush(whole=True)
            leases.commit(lease, offset=offset, stored=zombie.state)

    def meanwhile() -> Iterator[bytes]:
        for number, piece in enumerate(chunks(data[MIB : 6 * MIB])):
            yield piece
            if number == 10:
                with pytest.raises(UploadLockedError):
                    come_to_life()

    receiving.receive(upload_id=upload.pk, offset=MIB, body=meanwhile())
    receiving.receive(upload_id=upload.pk, offset=6 * MIB, body=chunks(data[6 * MIB :]))
    assert_one_photo(data)


def test_a_disk_keeps_no_copy_while_it_takes_in(photo_store: Path, library: Library, owner: User) -> None:
    """The last step costs no second file: the original is the file that the bytes were written to."""
    data = factories.image_bytes()
    upload = beginning.begin(library=library, owner=owner, filename="a.jpg", length=len(data))
    receiving.receive(upload_id=upload.pk, offset=0, body=[data[:-1]])
    [part] = (photo_store / "originals" / ".uploads" / str(upload.pk)).iterdir()
    inode = part.stat().st_ino
    receiving.receive(upload_id=upload.pk, offset=len(data) - 1, body=[data[-1:]])
    original = Path(storages["originals"].path(Photo.objects.get().storage_key))
    assert (original.stat().st_ino, original.stat().st_nlink) == (inode, 1)
    assert original.stat().st_mode & 0o777 == 0o600


def test_a_file_system_without_hard_links_gets_a_copy(
    photo_store: Path, library: Library, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object, **_named: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    data = factories.image_bytes()
    upload_all(library, owner, data)
    assert_one_photo(data)
