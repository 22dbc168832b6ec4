"""A bucket, or what lies below a prefix of one, as a source."""

import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

from botocore.exceptions import ClientError
from storages.backends.s3 import S3Storage

from photos.metrics import storage_operation
from photos.storage.sources.base import (
    MAX_PATH_BYTES,
    Fetched,
    FoundFile,
    Source,
    UnsafePathError,
    check_path,
    path_of_key,
    path_to_text,
    text_to_path,
)

READ_BYTES = 1024 * 1024
# what was listed last, so that files beside a photo are looked for there and not by a request each
PAGES_KEPT = 2


class SourceBucket(Source, S3Storage):
    """A bucket. Keys are read as paths with slashes; a key that ends in one is a folder's marker, and no file."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        location = self.location.strip("/")
        self._root = f"{location}/" if location else ""
        self._pages: deque[_Page] = deque(maxlen=PAGES_KEPT)

    def walk(self, path: str = "", *, after: str = "") -> Iterator[FoundFile]:
        """Give the objects below a path in the order of their keys."""
        check_path(path)
        self._pages.clear()
        if path and (single := self._head(path)):
            yield from [] if after else [single]
            return
        where = {"Prefix": self._key(path) + ("/" if path else "")}
        if after:
            where["StartAfter"] = self._key(after)
        pages = iter(self._client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket_name, **where))
        start = where.get("StartAfter", where["Prefix"])
        while (page := self._next(pages)) is not None:
            listed = page.get("Contents", ())
            self._pages.append(_Page(start, listed, is_last=not page.get("IsTruncated")))
            start = listed[-1]["Key"] if listed else start
            yield from filter(None, map(self._found, listed))

    def present(self, folder: str, names: Sequence[bytes]) -> dict[bytes, FoundFile]:
        """Look in the pages that were listed last, and ask for what cannot have been in them."""
        below = f"{folder}/" if folder else ""
        found = {}
        for name in names:
            path = below + path_to_text(name)
            if len(path.encode()) <= MAX_PATH_BYTES and (one := self._beside(path)):
                found[name] = one
        return found

    def fetch(self, path: str, into: BinaryIO, *, limit: int) -> Fetched:
        """Read an object, in one request; an object is never half another one."""
        digest, size = hashlib.sha256(), 0
        try:
            with storage_operation(alias=self._label, operation="read"):
                answer = self._client.get_object(Bucket=self.bucket_name, Key=self._key(path))
                body = answer["Body"]
                while size <= limit and (part := body.read(READ_BYTES)):
                    digest.update(part)
                    into.write(part)
                    size += len(part)
                body.close()
        except ClientError as error:
            if _is_missing(error):
                raise FileNotFoundError(f"{path} is not in the bucket") from error
            raise
        return Fetched(sha256=digest.hexdigest(), size=size, stamp=answer["ETag"].strip('"'))

    def is_empty(self) -> bool:
        """Ask for one object below the prefix."""
        return not self._client.list_objects_v2(Bucket=self.bucket_name, Prefix=self._root, MaxKeys=1)["KeyCount"]

    def _normalize_name(self, name: str) -> str:
        """Give the bucket's key of a referenced original."""
        return self._key(path_of_key(name))

    @property
    def _client(self) -> Any:
        return self.connection.meta.client

    @property
    def _label(self) -> str:
        return f"source:{self.bucket_name}"

    def _key(self, path: str) -> str:
        try:
            return self._root + text_to_path(path).decode()
        except UnicodeDecodeError as error:
            raise UnsafePathError("The key of an object is UTF-8.") from error

    def _next(self, pages: Iterator[dict[str, Any]]) -> dict[str, Any] | None:
        with storage_operation(alias=self._label, operation="list"):
            return next(pages, None)

    def _beside(self, path: str) -> FoundFile | None:
        key = self._key(path)
        for page in self._pages:
            if page.covers(key):
                listed = page.objects.get(key)
                return self._found(listed) if listed else None
        return self._head(path)

    def _head(self, path: str) -> FoundFile | None:
        try:
            with storage_operation(alias=self._label, operation="find"):
                answer = self._client.head_object(Bucket=self.bucket_name, Key=self._key(path))
        except ClientError as error:
            if _is_missing(error):
                return None
            raise
        return FoundFile(path, size=answer["ContentLength"], stamp=answer["ETag"].strip('"'))

    def _found(self, listed: dict[str, Any]) -> FoundFile | None:
        raw = listed["Key"].removeprefix(self._root).encode()
        if not raw or raw.endswith(b"/") or any(part.startswith(b".") for part in raw.split(b"/")):
            return None
        path = path_to_text(raw)
        if len(path.encode()) > MAX_PATH_BYTES or b"" in raw.split(b"/"):
            short = path.encode()[: MAX_PATH_BYTES - 70].decode(errors="ignore")
            problem = "path_too_long" if len(path.encode()) > MAX_PATH_BYTES else "special"
            return FoundFile(f"{short}…{hashlib.sha256(raw).hexdigest()}", problem=problem, position=path)
        return FoundFile(path, size=listed["Size"], stamp=listed["ETag"].strip('"'))


class _Page:
    """A page of a listing: all keys behind `first`, up to its own last one, that are below the listing's prefix."""

    def __init__(self, first: str, listed: Sequence[dict[str, Any]], *, is_last: bool) -> None:
        self._first = first
        self._last = listed[-1]["Key"] if listed else first
        self._is_last = is_last
        self.objects = {one["Key"]: one for one in listed}

    def covers(self, key: str) -> bool:
        """Tell whether a key would be here if there were such an object."""
        return self._first < key and (self._is_last or key <= self._last)


def _is_missing(error: ClientError) -> bool:
    return error.response["Error"]["Code"] in {"404", "NoSuchKey"}
