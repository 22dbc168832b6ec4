"""Opening, reading, writing and deleting objects, by alias and key, on a disk or in a bucket."""

import contextlib
import io
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, cast

from django.core.files.base import File
from django.core.files.storage import Storage

from photos.metrics import STORAGE_BYTES, storage_operation
from photos.storage.buckets import S3_READ_AHEAD_BYTES, RangedObject, existing_object
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
        with existing_object(storage, key) as s3_object:
            size = s3_object.content_length
    ranged = RangedObject(alias=alias, s3_object=s3_object, size=size)
    return cast("BinaryIO", io.BufferedReader(ranged, S3_READ_AHEAD_BYTES))


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


def delete_objects(*, alias: str, keys: Iterable[str]) -> None:
    """Delete objects; one that is not there is no error. Raises ReadOnlyStoreError for a source."""
    storage: Storage = store(alias)
    for key in keys:
        with contextlib.suppress(FileNotFoundError), storage_operation(alias=alias, operation="delete"):
            storage.delete(key)
