"""Opening, reading, writing and deleting objects, by alias and key, on a disk or in a bucket."""

import contextlib
import io
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

from django.core.files.base import File
from django.core.files.storage import Storage

from photos.metrics import STORAGE_BYTES, storage_operation
from photos.storage.buckets import existing_object, open_ranged, put_made
from photos.storage.sources import SourceFolder
from photos.storage.stores import store

WHOLE_IN_MEMORY_BYTES = 32 * 1024 * 1024


def open_object(*, alias: str, key: str) -> BinaryIO:
    """Open a stored object for reading, seekable, without fetching more than is read.

    Raises FileNotFoundError where the object is missing, and the backend's own error where it cannot be reached.
    """
    storage = store(alias)
    with storage_operation(alias=alias, operation="open"):
        if isinstance(storage, SourceFolder):
            return storage.open_key(key)
        if not hasattr(storage, "bucket"):
            return cast("BinaryIO", Path(storage.path(key)).open("rb"))
        return open_ranged(alias=alias, storage=storage, name=storage._normalize_name(key))  # noqa: SLF001


def open_whole_object(*, alias: str, key: str) -> BinaryIO:
    """Open a stored object that will be read from end to end: from a bucket it is fetched in one request.

    What is fetched lies in memory up to WHOLE_IN_MEMORY_BYTES, beyond that in a temporary file. Raises as `open_object`
    does.
    """
    storage = store(alias)
    if not hasattr(storage, "bucket"):
        return open_object(alias=alias, key=key)
    with contextlib.ExitStack() as closing:
        fetched = closing.enter_context(tempfile.SpooledTemporaryFile(max_size=WHOLE_IN_MEMORY_BYTES))
        with storage_operation(alias=alias, operation="read"), existing_object(storage, key) as s3_object:
            shutil.copyfileobj(s3_object.get()["Body"], fetched)
        STORAGE_BYTES.labels(alias, "read").inc(fetched.tell())
        fetched.seek(0)
        closing.pop_all()  # the caller closes it
    return cast("BinaryIO", fetched)


def read_object(*, alias: str, key: str) -> bytes:
    """Read a whole small object (a rendition or a chip), in one request. Raises as `open_object` does."""
    storage = store(alias)
    with storage_operation(alias=alias, operation="read"):
        if hasattr(storage, "bucket"):
            with existing_object(storage, key) as s3_object:
                data = cast("bytes", s3_object.get()["Body"].read())
        else:
            data = Path(storage.path(key)).read_bytes()
    STORAGE_BYTES.labels(alias, "read").inc(len(data))
    return data


def write_object(*, alias: str, key: str, file: File) -> None:
    """Store an object under exactly this key, replacing what lies there. Raises ReadOnlyStoreError for a source."""
    size = file.size
    with storage_operation(alias=alias, operation="write"):
        stored = store(alias).save(key, file)
    STORAGE_BYTES.labels(alias, "write").inc(size)
    if stored != key:
        raise RuntimeError(f"storage {alias!r} put {key!r} under {stored!r}: it must keep names")


def write_made(*, alias: str, key: str, chunks: Iterable[bytes]) -> None:
    """Store an object under exactly this key that is made while it is stored: there is never more of it in memory.

    An error of whoever makes it leaves no object; what was written of it goes with `sweep_incoming` at the latest.
    """
    target = store(alias)
    counted = _Made(alias, chunks)
    # an operation of its own: its time is that of the making
    with storage_operation(alias=alias, operation="make"):
        if hasattr(target, "bucket"):
            put_made(target, key, io.BufferedReader(counted))
        else:
            target.save(key, counted)


class _Made(io.RawIOBase):
    """Bytes in the making, as a disk takes them (`chunks`) and as a bucket does (a file that cannot seek)."""

    name = None

    def __init__(self, alias: str, chunks: Iterable[bytes]) -> None:
        self._alias, self._chunks, self._rest = alias, iter(chunks), memoryview(b"")

    def chunks(self) -> Iterator[bytes]:
        """Give the bytes as they come."""
        for chunk in self._chunks:
            STORAGE_BYTES.labels(self._alias, "write").inc(len(chunk))
            yield chunk

    def readable(self) -> bool:
        """Tell that this can be read."""
        return True

    def readinto(self, buffer: object) -> int:
        """Give the next bytes, as many as there are; 0 at the end."""
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        view = memoryview(cast("bytearray", buffer)).cast("B")
        some = self._rest[: len(view)]
        view[: len(some)] = some
        self._rest = self._rest[len(some) :]
        STORAGE_BYTES.labels(self._alias, "write").inc(len(some))
        return len(some)


def delete_objects(*, alias: str, keys: Iterable[str]) -> None:
    """Delete objects; one that is not there is no error. Raises ReadOnlyStoreError for a source."""
    storage: Storage = store(alias)
    for key in keys:
        with contextlib.suppress(FileNotFoundError), storage_operation(alias=alias, operation="delete"):
            storage.delete(key)
