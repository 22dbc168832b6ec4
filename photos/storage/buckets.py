"""Reading from S3: ranges, and what is missing; and writing what is made meanwhile."""

import contextlib
import io
import os
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from photos.metrics import STORAGE_BYTES, storage_operation

S3_READ_AHEAD_BYTES = 256 * 1024
# of what is made while it is stored one part is in memory; of 10,000 parts the largest object is 80 GB
MADE_PART_BYTES = 8 * 1024 * 1024
# by the thread that makes it: its connection to the database is its own
_MAKING = TransferConfig(multipart_threshold=MADE_PART_BYTES, multipart_chunksize=MADE_PART_BYTES, use_threads=False)


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


def open_ranged(*, alias: str, storage: Any, name: str) -> BinaryIO:
    """Open an object by the name that it has in the bucket; raises as `existing_object` does."""
    with _existing(storage, name) as s3_object:
        size = s3_object.content_length
    ranged = RangedObject(alias=alias, s3_object=s3_object, size=size)
    return cast("BinaryIO", io.BufferedReader(ranged, S3_READ_AHEAD_BYTES))


def put_made(storage: Any, key: str, file: BinaryIO) -> None:
    """Store what a file that cannot seek gives, part by part; an error of the file's aborts the upload."""
    s3_object = storage.bucket.Object(storage._normalize_name(key))  # noqa: SLF001 - no public way to the object
    s3_object.upload_fileobj(file, Config=_MAKING)


@contextlib.contextmanager
def existing_object(storage: Any, key: str) -> Iterator[Any]:
    """Give an S3 object; one that is missing is FileNotFoundError, unless its bucket is missing with it."""
    with _existing(storage, storage._normalize_name(key)) as found:  # noqa: SLF001 - no public way to the object
        yield found


@contextlib.contextmanager
def _existing(storage: Any, name: str) -> Iterator[Any]:
    try:
        yield storage.bucket.Object(name)
    except ClientError as error:
        if error.response["Error"]["Code"] not in {"404", "NoSuchKey"}:
            raise
        storage.bucket.meta.client.head_bucket(Bucket=storage.bucket_name)
        raise FileNotFoundError(f"{name} is not in the bucket {storage.bucket_name}") from error
