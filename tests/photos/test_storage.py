"""Where bytes lie: keys, a disk that loses nothing, and reading no more of an S3 object than is asked for."""

import io
import os
import resource
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import ContentFile, File
from django.core.files.storage import storages
from pytest_django import Settings

from photos import storage

LIBRARY = uuid.UUID(int=1)
PHOTO = uuid.UUID(int=2)
PREFIX = "00000000-0000-0000-0000-000000000001/00000000-0000-0000-0000-000000000002"


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_keys_are_functions_of_what_they_name() -> None:
    assert storage.original_key(library_id=LIBRARY, photo_id=PHOTO) == PREFIX
    assert storage.derived_prefix(library_id=LIBRARY, photo_id=PHOTO) == f"{PREFIX}/"
    rendition = storage.rendition_key(library_id=LIBRARY, photo_id=PHOTO, kind="preview", version="1.abc")
    assert rendition == f"{PREFIX}/preview.1.abc.jpg"
    chip = storage.chip_key(library_id=LIBRARY, photo_id=PHOTO, version="1.abc.mtcnn.def", position="0123")
    assert chip == f"{PREFIX}/face.1.abc.mtcnn.def.0123.jpg"


def test_what_is_written_is_readable_by_its_owner_alone(photo_store: Path) -> None:
    storage.write_object(alias="originals", key="a/b/c", file=ContentFile(b"12345"))
    assert files_below(photo_store) == {"originals/a/b/c": b"12345"}
    stored = photo_store / "originals/a/b/c"
    assert [oct(path.stat().st_mode & 0o777) for path in (stored, stored.parent)] == ["0o600", "0o700"]


def test_a_second_write_replaces_the_first(photo_store: Path) -> None:
    storage.write_object(alias="renditions", key="a/b.jpg", file=ContentFile(b"first"))
    storage.write_object(alias="renditions", key="a/b.jpg", file=ContentFile(b"second"))
    assert files_below(photo_store) == {"renditions/a/b.jpg": b"second"}


def test_the_bytes_are_on_the_disk_before_they_have_their_name(
    photo_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def watched_fsync(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        order.append("sync file" if path.parent.name == ".incoming" else f"sync {path.name}/")
        fsync(descriptor)

    def watched_replace(path: Path, target: Path) -> Path:
        order.append(f"rename to {target.name}")
        return replace(path, target)

    photo_store.mkdir()
    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(Path, "replace", watched_replace)
    storage.write_object(alias="originals", key="a/b/c", file=ContentFile(b"12345"))
    # each new folder into the one that holds it, then the file, then its name
    incoming = ["sync photo_store/", "sync originals/", "sync file"]
    assert order == [*incoming, "sync originals/", "sync a/", "rename to c", "sync b/"]
    order.clear()
    storage.write_object(alias="originals", key="a/b/d", file=ContentFile(b"12345"))
    assert order == ["sync file", "rename to d", "sync b/"]


class BrokenUpload(File):
    """A file whose second chunk never comes."""

    def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
        yield b"the first chunk"
        raise ConnectionResetError("the client has gone")


def test_an_error_leaves_nothing_behind_and_the_old_object_whole(photo_store: Path) -> None:
    storage.write_object(alias="originals", key="a/old", file=ContentFile(b"old"))
    for key in ("a/new", "a/old"):
        with pytest.raises(ConnectionResetError):
            storage.write_object(alias="originals", key=key, file=BrokenUpload(io.BytesIO(b"x" * 100)))
    assert files_below(photo_store) == {"originals/a/old": b"old"}


def test_a_file_that_grows_too_large_leaves_nothing_behind(photo_store: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            storage.write_object(alias="originals", key="a/b", file=ContentFile(bytes(10_000)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert files_below(photo_store) == {}


def test_a_key_does_not_lead_out_of_the_store(photo_store: Path, tmp_path: Path) -> None:
    with pytest.raises(SuspiciousFileOperation):
        storage.write_object(alias="originals", key="../../escaped", file=ContentFile(b"12345"))
    assert files_below(tmp_path) == {}


def test_a_store_that_gives_another_name_is_refused(photo_store: Path, settings: Settings) -> None:
    plain = {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": str(photo_store / "plain")},
    }
    settings.STORAGES = {**settings.STORAGES, "renditions": plain}
    storage.write_object(alias="renditions", key="a.jpg", file=ContentFile(b"first"))
    with pytest.raises(RuntimeError, match="it must keep names"):
        storage.write_object(alias="renditions", key="a.jpg", file=ContentFile(b"second"))


def test_deleting_what_is_not_there_is_no_error(photo_store: Path) -> None:
    storage.write_object(alias="renditions", key="a.jpg", file=ContentFile(b"12345"))
    storage.delete_objects(alias="renditions", keys=["nowhere.jpg", "a.jpg", "a.jpg"])
    assert files_below(photo_store) == {}


class Requests(list[str]):
    """The ranges that were asked for, in order."""

    def note(self, request: object, **_: object) -> None:
        self.append(request.headers.get("Range", b"all").decode())


@pytest.fixture
def requests(s3_storages: None) -> Requests:
    noted = Requests()
    events = storages["originals"].connection.meta.client.meta.events
    events.register("before-send.s3.GetObject", noted.note)
    return noted


def test_only_what_is_read_of_an_s3_object_is_fetched(requests: Requests) -> None:
    data = os.urandom(1_000_000)
    storage.write_object(alias="originals", key="a/b", file=ContentFile(data))
    with storage.open_object(alias="originals", key="a/b") as file:
        assert requests == []
        assert file.read(10) == data[:10]
        assert file.read(10) == data[10:20]
        # read ahead once, then from memory
        assert requests == ["bytes=0-262143"]
        assert file.seek(-16, os.SEEK_END) == 999_984
        assert file.read() == data[-16:]
        assert file.read() == b""
        assert requests == ["bytes=0-262143", "bytes=999984-999999"]
        assert file.seek(600_000) == 600_000
        assert file.seek(5, os.SEEK_CUR) == 600_005
        assert file.tell() == 600_005
        assert file.read(4) == data[600_005:600_009]
        assert requests[2:] == ["bytes=600005-862148"]
        assert file.seek(2_000_000) == 2_000_000
        assert file.read(1) == b""
        assert len(requests) == 3


def test_an_s3_object_is_read_whole_and_replaced_whole(requests: Requests) -> None:
    data = os.urandom(600_000)
    storage.write_object(alias="originals", key="a/b", file=ContentFile(b"older and shorter"))
    storage.write_object(alias="originals", key="a/b", file=ContentFile(data))
    with storage.open_object(alias="originals", key="a/b") as file:
        assert file.read() == data
    assert storage.read_object(alias="originals", key="a/b") == data
    storage.delete_objects(alias="originals", keys=["a/b", "a/b"])
    with pytest.raises(FileNotFoundError):
        storage.open_object(alias="originals", key="a/b")
    with pytest.raises(FileNotFoundError):
        storage.read_object(alias="originals", key="a/b")
