"""An upload in the bucket of the originals: full parts of an S3 multipart upload, and an object for the rest.

S3 takes no part below 5 MiB but the last one, and nothing can be added to an object. So bytes are gathered in a
temporary file until they are a part; what is left when a request ends is an object of its own, the tail, which the next
request fetches first. At the end the tail is the last part, copied within the bucket.
"""

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO
from uuid import UUID, uuid4

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError
from django.conf import settings
from django.core.files.storage import storages

from photos.metrics import STORAGE_BYTES, storage_operation
from photos.storage.buckets import open_ranged
from photos.storage.keys import ORIGINALS
from photos.storage.uploads.base import COMMIT_BYTES, Part, PartsLostError, Remember

ROOT = "uploads/"
# of these S3 takes 10,000; the rest is for numbers that were given out to writers that died
PARTS_AT_MOST = 5000
# bytes that are copied by one request: the store's answer comes within the time that is waited for one
COPY = TransferConfig(multipart_threshold=64 * 1024 * 1024, multipart_chunksize=64 * 1024 * 1024, max_concurrency=4)
WHOLE, POSTED = "whole", "posted"
# the state of an upload whose bytes a client sends by itself, before anything is known of them
POSTED_BY_CLIENT = {"posted": True}
_MISSING = frozenset({"404", "NoSuchKey", "NoSuchUpload"})


@dataclass(frozen=True, slots=True)
class PresignedPost:
    """Where a client sends one file to by itself: a form's address and its fields, good for `seconds`."""

    url: str
    fields: dict[str, str]
    seconds: int


class BucketParts:
    """The parts of an upload.

    `state`: `multipart` (the id at S3), `parts` ([number, ETag, bytes] each), `next` (the first number that nobody was
    given), `tail` and `tail_bytes`; `whole`, the name of the object that was made of them; `posted`, where a client
    sends all of it by itself. All may be missing.
    """

    def __init__(self, *, upload_id: UUID, length: int, state: dict[str, Any]) -> None:
        self.state = state
        self._length = length
        self._prefix = f"{ROOT}{upload_id}/"
        self._bucket = storages[ORIGINALS].bucket_name  # type: ignore[attr-defined]
        self._client = storages[ORIGINALS].bucket.meta.client  # type: ignore[attr-defined]
        self._part_bytes = max(COMMIT_BYTES, -(-length // PARTS_AT_MOST))
        # put, and not in the state before the next flush: a wrong checksum takes them back
        self._put: list[list[Any]] = []
        self._gathered: BinaryIO | None = None
        self._gathered_bytes = 0
        self._superseded: list[str] = []
        self._remember: Remember = _nothing

    def begin(self, *, offset: int, was_abandoned: bool, remember: Remember) -> None:  # noqa: ARG002
        """Fetch the tail. Who takes over needs no more: no two writers are given one part number or one tail's name."""
        self._remember = remember
        if offset != self._offset():
            raise PartsLostError(f"{self._prefix} names {self._offset()} bytes where {offset} were committed")
        self._gathered = tempfile.TemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR)  # type: ignore[assignment] # noqa: SIM115
        if self.state.get("tail"):
            with _found(), storage_operation(alias=ORIGINALS, operation="read"):
                self._client.download_fileobj(self._bucket, self._prefix + self.state["tail"], self._gathered)
            self._gathered_bytes = self._gathered.tell()
            if self._gathered_bytes != self.state["tail_bytes"]:
                raise PartsLostError(f"{self._prefix}{self.state['tail']} has not the bytes that were committed")

    def write(self, data: bytes) -> None:
        """Gather the next bytes, and put a part as often as there are enough of them."""
        rest = memoryview(data)
        while rest:
            some = rest[: self._part_bytes - self._gathered_bytes]
            self._gathered.write(some)
            self._gathered_bytes += len(some)
            rest = rest[len(some) :]
            if self._gathered_bytes == self._part_bytes:
                self._put_part()

    @property
    def is_due(self) -> bool:
        """Whether a part was put."""
        return bool(self._put)

    def flush(self, *, whole: bool) -> int:
        """Take the parts that were put into the state; of the whole also the rest, as the new tail."""
        tail = self.state.get("tail")
        if self._put:
            self._superseded += [tail] if tail else []
            self.state |= {"parts": [*self.state.get("parts", []), *self._put], "tail": "", "tail_bytes": 0}
            self._put = []
        if whole and self._gathered_bytes > self.state.get("tail_bytes", 0):
            self._superseded += [self.state["tail"]] if self.state.get("tail") else []
            self.state |= {"tail": self._put_tail(), "tail_bytes": self._gathered_bytes}
        return self._offset()

    def tidy(self) -> None:
        """Delete the tails that parts, or longer tails, have taken the place of."""
        for name in self._superseded:
            with storage_operation(alias=ORIGINALS, operation="delete"):
                self._client.delete_object(Bucket=self._bucket, Key=self._prefix + name)
        self._superseded = []

    def close(self) -> None:
        """Let go of the temporary file; parts that no state names are dropped when the upload ends."""
        if self._gathered is not None:
            self._gathered.close()

    def join(self) -> None:
        """Complete the multipart upload with the tail as its last part; a small file's tail is all there is of it.

        Done before, by somebody who died before the state was committed, it is found to be done.
        """
        if self.state.get("whole"):
            return
        if not self.state.get("multipart"):
            if not self.state.get("tail"):
                raise PartsLostError(f"nothing of {self._prefix} is there")
            self.state["whole"] = self.state["tail"]
            return
        if self._size_of(WHOLE) != self._length:
            try:
                with storage_operation(alias=ORIGINALS, operation="join"):
                    self._complete()
            except ClientError as error:
                # somebody else may have been at the same
                if _code(error) not in _MISSING or self._size_of(WHOLE) != self._length:
                    raise _as_lost(error) from error
        self.state["whole"] = WHOLE

    def open(self) -> BinaryIO:
        """Open the object; what is read is fetched."""
        with _found():
            return open_ranged(alias=ORIGINALS, storage=storages[ORIGINALS], name=self._prefix + self.state["whole"])

    def place(self, key: str) -> None:
        """Copy the object within the bucket."""
        target = storages[ORIGINALS]._normalize_name(key)  # type: ignore[attr-defined] # noqa: SLF001
        with _found(), storage_operation(alias=ORIGINALS, operation="copy"):
            self._copy(self.state["whole"], target)

    def names(self, part: Part) -> bool:
        """Whether it is the tail, the object that was made of all parts, or what those are in the meantime.

        What a client may send by itself is its own business until the upload is over.
        """
        if part.multipart_id:
            return part.multipart_id == self.state.get("multipart")
        name = part.key.rpartition("/")[2]
        return name in {POSTED, WHOLE, self.state.get("tail"), self.state.get("whole")}

    def clear(self) -> None:
        """Abort the multipart upload, and delete the objects; what comes later is found by its key."""
        if self.state.get("multipart"):
            self._abort(self._prefix + WHOLE, self.state["multipart"])
        for key, _, _ in _objects(self._prefix):
            self._client.delete_object(Bucket=self._bucket, Key=key)

    # sent by the client itself

    def presign(self, *, seconds: int, byte_size: int) -> PresignedPost:
        """Let a client send one object of exactly so many bytes; the policy that S3 holds it to is signed."""
        made = self._client.generate_presigned_post(
            self._bucket,
            self._prefix + POSTED,
            Conditions=[["content-length-range", byte_size, byte_size]],
            ExpiresIn=seconds,
        )
        return PresignedPost(url=made["url"], fields=made["fields"], seconds=seconds)

    def posted_bytes(self) -> int | None:
        """Give the size of what a client has sent; none if nothing has come."""
        return self._size_of(POSTED)

    def seal(self) -> None:
        """Copy what a client has sent to where it cannot write: nothing changes while it is looked at and taken in."""
        with _found(), storage_operation(alias=ORIGINALS, operation="copy"):
            self._copy(POSTED, self._prefix + WHOLE)
        self.state["whole"] = WHOLE

    def sealed_bytes(self) -> int:
        """Give the size of what was sealed: what was sent may have been replaced just before."""
        size = self._size_of(WHOLE)
        if size is None:
            raise PartsLostError(f"{self._prefix}{WHOLE} is not there")
        return size

    @staticmethod
    def list_all() -> Iterator[Part]:
        """Give every object and every multipart upload."""
        for key, size, modified_at in _objects(ROOT):
            yield Part(_upload_of(key), key.removeprefix(ROOT), size, modified_at)
        client, bucket = _client()
        for page in client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=ROOT):
            for one in page.get("Uploads", ()):
                key, begun = one["Key"], one["Initiated"]
                yield Part(_upload_of(key), key.removeprefix(ROOT), 0, begun, multipart_id=one["UploadId"])

    @staticmethod
    def delete(part: Part) -> None:
        """Delete an object, or abort a multipart upload."""
        client, bucket = _client()
        if not part.multipart_id:
            client.delete_object(Bucket=bucket, Key=ROOT + part.key)
            return
        with _already_gone():
            client.abort_multipart_upload(Bucket=bucket, Key=ROOT + part.key, UploadId=part.multipart_id)

    def _size_of(self, name: str) -> int | None:
        try:
            return int(self._client.head_object(Bucket=self._bucket, Key=self._prefix + name)["ContentLength"])
        except ClientError as error:
            if _code(error) not in _MISSING:
                raise
            return None

    def _offset(self) -> int:
        parts = sum(size for _, _, size in self.state.get("parts", []))
        return parts + self.state.get("tail_bytes", 0)

    def _put_part(self) -> None:
        named = {"Bucket": self._bucket, "Key": self._prefix + WHOLE}
        if not self.state.get("multipart"):
            self.state["multipart"] = self._client.create_multipart_upload(**named)["UploadId"]
        number = self.state.get("next", 1)
        # committed before the number is used: one who is taken over from without knowing never puts the same part
        self.state["next"] = number + 1
        self._remember()
        self._gathered.seek(0)
        with _found(), storage_operation(alias=ORIGINALS, operation="append"):
            answer = self._client.upload_part(
                **named, UploadId=self.state["multipart"], PartNumber=number, Body=self._gathered
            )
        STORAGE_BYTES.labels(ORIGINALS, "write").inc(self._gathered_bytes)
        self._put.append([number, answer["ETag"], self._gathered_bytes])
        self._gathered.seek(0)
        self._gathered.truncate()
        self._gathered_bytes = 0

    def _put_tail(self) -> str:
        name = f"tail-{uuid4().hex}"
        # whose lease is lost puts nothing that would have to be found and deleted
        self._remember()
        self._gathered.seek(0)
        with storage_operation(alias=ORIGINALS, operation="append"):
            self._client.put_object(Bucket=self._bucket, Key=self._prefix + name, Body=self._gathered)
        STORAGE_BYTES.labels(ORIGINALS, "write").inc(self._gathered_bytes)
        self._gathered.seek(self._gathered_bytes)
        return name

    def _complete(self) -> None:
        named = {"Bucket": self._bucket, "Key": self._prefix + WHOLE, "UploadId": self.state["multipart"]}
        parts = [(number, etag) for number, etag, _ in self.state["parts"]]
        if self.state.get("tail"):
            source = {"Bucket": self._bucket, "Key": self._prefix + self.state["tail"]}
            number = self.state["next"]
            copied = self._client.upload_part_copy(**named, PartNumber=number, CopySource=source)
            parts.append((number, copied["CopyPartResult"]["ETag"]))
        given = [{"PartNumber": number, "ETag": etag} for number, etag in parts]
        self._client.complete_multipart_upload(**named, MultipartUpload={"Parts": given})

    def _copy(self, name: str, target: str) -> None:
        source = {"Bucket": self._bucket, "Key": self._prefix + name}
        self._client.copy(source, self._bucket, target, Config=COPY)

    def _abort(self, key: str, multipart_id: str) -> None:
        with _already_gone():
            self._client.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=multipart_id)


def _client() -> tuple[Any, str]:
    storage: Any = storages[ORIGINALS]
    return storage.bucket.meta.client, storage.bucket_name


def _objects(prefix: str) -> Iterator[tuple[str, int, Any]]:
    client, bucket = _client()
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for one in page.get("Contents", ()):
            yield one["Key"], one["Size"], one["LastModified"]


def _upload_of(key: str) -> UUID | None:
    """Give the upload that a key is of; none where it is none of ours, as in a bucket that others use too."""
    upload_id, _, name = key.removeprefix(ROOT).partition("/")
    try:
        return UUID(upload_id) if name in {WHOLE, POSTED} or name.startswith("tail-") else None
    except ValueError:
        return None


def _code(error: ClientError) -> str:
    return str(error.response["Error"]["Code"])


def _as_lost(error: ClientError) -> Exception:
    return PartsLostError(str(error)) if _code(error) in _MISSING else error


@contextlib.contextmanager
def _found() -> Iterator[None]:
    """Say of what is missing that it is lost."""
    try:
        yield
    except ClientError as error:
        raise _as_lost(error) from error
    except FileNotFoundError as error:
        raise PartsLostError(str(error)) from error


@contextlib.contextmanager
def _already_gone() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if _code(error) not in _MISSING:
            raise


def _nothing() -> None:
    return
