"""Where bytes lie: the keys of stored objects, a file system backend that loses nothing, and ranged reads from S3."""

import contextlib
import io
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from botocore.exceptions import ClientError
from django.core.files.base import File
from django.core.files.storage import FileSystemStorage, Storage, storages

from photos.metrics import STORAGE_BYTES, storage_operation

ORIGINALS = "originals"
RENDITIONS = "renditions"

S3_READ_AHEAD_BYTES = 256 * 1024
WHOLE_IN_MEMORY_BYTES = 32 * 1024 * 1024


def original_key(*, library_id: uuid.UUID, photo_id: uuid.UUID) -> str:
    """Give the key of an original. A photo's id is never used again, so neither is its key."""
    return f"{library_id}/{photo_id}"


def derived_prefix(*, library_id: uuid.UUID, photo_id: uuid.UUID) -> str:
    """Give the prefix that all derived objects of a photo share."""
    return f"{library_id}/{photo_id}/"


def rendition_key(*, library_id: uuid.UUID, photo_id: uuid.UUID, kind: str, version: str) -> str:
    """Give the key of a rendition: a pure function, so making it twice writes the same object twice."""
    return f"{derived_prefix(library_id=library_id, photo_id=photo_id)}{kind}.{version}.jpg"


def chip_key(*, library_id: uuid.UUID, photo_id: uuid.UUID, version: str, position: str) -> str:
    """Give the key of a face chip; `position` names the face's place in the photo."""
    return f"{derived_prefix(library_id=library_id, photo_id=photo_id)}face.{version}.{position}.jpg"


class DurableFileSystemStorage(FileSystemStorage):
    """Writes a temporary file beside the target, syncs it and renames it: an object is whole or not there.

    An existing object of the same name is replaced, since keys are pure functions of what they hold. A crash leaves
    at most a file whose name begins with `.incoming-`.
    """

    def get_available_name(self, name: str, max_length: int | None = None) -> str:  # noqa: ARG002 - Django's signature
        """Keep the name: a second write of a key replaces the first."""
        return name

    def _save(self, name: str, content: File) -> str:
        target = Path(self.path(name))
        self._make_directory(target.parent)
        descriptor, incoming = tempfile.mkstemp(prefix=".incoming-", dir=target.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                for chunk in content.chunks():
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            Path(incoming).replace(target)
        except BaseException:
            Path(incoming).unlink(missing_ok=True)
            raise
        _sync_directory(target.parent)
        return name

    def _make_directory(self, directory: Path) -> None:
        """Make a directory and those above it, each synced into the one that holds it."""
        if directory.is_dir():
            return
        self._make_directory(directory.parent)
        directory.mkdir(mode=self.directory_permissions_mode or 0o777, exist_ok=True)
        _sync_directory(directory.parent)


def _sync_directory(directory: Path) -> None:
    """Make a rename durable: it is the directory's data, not the file's."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class RangedObject(io.RawIOBase):
    """A seekable view of an S3 object that fetches only the ranges that are read."""

    def __init__(self, *, alias: str, s3_object: object, size: int) -> None:
        self._alias = alias
        self._object = s3_object
        self._size = size
        self._position = 0

    def readable(self) -> bool:
        """Tell that this can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that this can seek."""
        return True

    def tell(self) -> int:
        """Give the position in bytes from the start."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move the position; nothing is fetched."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: object) -> int:
        """Fetch as many bytes as fit into `buffer`; 0 at the end."""
        view = memoryview(cast("bytearray", buffer)).cast("B")
        last = min(self._position + len(view), self._size) - 1
        if last < self._position:
            return 0
        with storage_operation(alias=self._alias, operation="read"):
            body = self._object.get(Range=f"bytes={self._position}-{last}")["Body"]  # type: ignore[attr-defined]
            data = body.read()
        STORAGE_BYTES.labels(self._alias, "read").inc(len(data))
        view[: len(data)] = data
        self._position += len(data)
        return len(data)


def open_object(*, alias: str, key: str) -> BinaryIO:
    """Open a stored object for reading, seekable, without fetching more than is read.

    Raises FileNotFoundError where the object is missing, and the backend's own error where it cannot be reached.
    """
    storage = storages[alias]
    with storage_operation(alias=alias, operation="open"):
        if not hasattr(storage, "bucket"):
            return cast("BinaryIO", Path(storage.path(key)).open("rb"))
        with _missing_object_of(storage, key) as s3_object:
            size = s3_object.content_length
    ranged = RangedObject(alias=alias, s3_object=s3_object, size=size)
    return cast("BinaryIO", io.BufferedReader(ranged, S3_READ_AHEAD_BYTES))


def open_whole_object(*, alias: str, key: str) -> BinaryIO:
    """Open a stored object that will be read from end to end: from a bucket it is fetched in one request.

    What is fetched lies in memory up to WHOLE_IN_MEMORY_BYTES, beyond that in a temporary file. Raises as `open_object`
    does.
    """
    storage = storages[alias]
    if not hasattr(storage, "bucket"):
        return open_object(alias=alias, key=key)
    with contextlib.ExitStack() as closing:
        fetched = closing.enter_context(tempfile.SpooledTemporaryFile(max_size=WHOLE_IN_MEMORY_BYTES))
        with storage_operation(alias=alias, operation="read"), _missing_object_of(storage, key) as s3_object:
            shutil.copyfileobj(s3_object.get()["Body"], fetched)
        STORAGE_BYTES.labels(alias, "read").inc(fetched.tell())
        fetched.seek(0)
        closing.pop_all()  # the caller closes it
    return cast("BinaryIO", fetched)


def read_object(*, alias: str, key: str) -> bytes:
    """Read a whole small object (a rendition or a chip), in one request. Raises as `open_object` does."""
    storage = storages[alias]
    with storage_operation(alias=alias, operation="read"):
        if hasattr(storage, "bucket"):
            with _missing_object_of(storage, key) as s3_object:
                data = cast("bytes", s3_object.get()["Body"].read())
        else:
            data = Path(storage.path(key)).read_bytes()
    STORAGE_BYTES.labels(alias, "read").inc(len(data))
    return data


@contextlib.contextmanager
def _missing_object_of(storage: Any, key: str) -> Iterator[Any]:
    """Give an S3 object; one that is missing is FileNotFoundError, unless its bucket is missing with it."""
    try:
        yield storage.bucket.Object(storage._normalize_name(key))  # noqa: SLF001 - no public way to the object
    except ClientError as error:
        if error.response["Error"]["Code"] not in {"404", "NoSuchKey"}:
            raise
        storage.bucket.meta.client.head_bucket(Bucket=storage.bucket_name)
        raise FileNotFoundError(f"{key} is not in the bucket {storage.bucket_name}") from error


def is_store_gone(path: str) -> bool:
    """Tell whether the file at `path` is missing because nothing of its store is there, as of an unmounted disk."""
    for alias in (ORIGINALS, RENDITIONS):
        storage = storages[alias]
        if isinstance(storage, FileSystemStorage) and Path(path).is_relative_to(storage.location):
            folder = Path(storage.location)
            return not folder.is_dir() or not any(folder.iterdir())
    return False


def write_object(*, alias: str, key: str, file: File) -> None:
    """Store an object under exactly this key, replacing what lies there."""
    size = file.size
    with storage_operation(alias=alias, operation="write"):
        stored = storages[alias].save(key, file)
    STORAGE_BYTES.labels(alias, "write").inc(size)
    if stored != key:
        raise RuntimeError(f"storage {alias!r} put {key!r} under {stored!r}: it must keep names")


def delete_objects(*, alias: str, keys: Iterable[str]) -> None:
    """Delete objects; one that is not there is no error."""
    storage: Storage = storages[alias]
    for key in keys:
        with contextlib.suppress(FileNotFoundError), storage_operation(alias=alias, operation="delete"):
            storage.delete(key)
