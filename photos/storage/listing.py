"""What lies in a store, object by object, and what writers that were killed have left in it."""

import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.core.files.storage import storages

from photos.metrics import storage_operation
from photos.storage.buckets import existing_object
from photos.storage.disk import INCOMING
from photos.storage.keys import ORIGINALS, RENDITIONS
from photos.storage.sources import SourceFolder
from photos.storage.stores import store


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object as its store lists it: `size` in bytes, `modified_at` by the store's clock."""

    key: str
    size: int
    modified_at: datetime


def list_objects(*, alias: str, prefix: str = "") -> Iterator[StoredObject]:
    """Give the objects whose key begins with `prefix`, one by one and in no order that could be relied on.

    Nothing is held in memory but a page, so a store may be of any size. What is deleted meanwhile may be given or not,
    and so may what is added. Raises the backend's own error where the store cannot be reached; a disk that is not
    mounted looks like an empty one (`is_store_empty`).
    """
    storage = storages[alias]
    if hasattr(storage, "bucket"):
        return _in_bucket(storage, alias=alias, prefix=prefix)
    folder, _, beginning = prefix.rpartition("/")
    start = Path(storage.path(folder)) if folder else Path(storage.location)  # type: ignore[attr-defined]
    return _below(start, key=f"{folder}/" if folder else "", beginning=beginning)


def find_object(*, alias: str, key: str) -> StoredObject | None:
    """Give one object by its key, as `list_objects` would; none if it is not there. Costs no listing.

    Raises the backend's own error where the store cannot be reached.
    """
    storage = store(alias)
    try:
        with storage_operation(alias=alias, operation="find"):
            if isinstance(storage, SourceFolder):
                with storage.open_key(key) as file:
                    return _stored(key, os.fstat(file.fileno()))
            if not hasattr(storage, "bucket"):
                return _on_disk(Path(storage.path(key)), key=key)  # type: ignore[attr-defined]
            with existing_object(storage, key) as found:
                return StoredObject(key=key, size=found.content_length, modified_at=found.last_modified)
    except (FileNotFoundError, NotADirectoryError):
        return None


def list_incoming(*, alias: str) -> Iterator[StoredObject]:
    """Give what `sweep_incoming` looks at: temporary files on a disk; unfinished uploads in a bucket, of size 0."""
    storage = storages[alias]
    if not hasattr(storage, "bucket"):
        yield from _below(storage.path(INCOMING), key=f"{INCOMING}/")
        return
    root = _root_of(storage)
    for page in _paginate(storage, "list_multipart_uploads", root):
        for upload in page.get("Uploads", ()):
            yield StoredObject(key=upload["Key"].removeprefix(root), size=0, modified_at=upload["Initiated"])


def sweep_incoming(*, older_than: timedelta) -> int:
    """Delete what writers that were killed have left: temporary files on a disk, parts of uploads in a bucket.

    `older_than` is longer than any write takes, and than any two clocks are apart. Gives how many.
    """
    return sum(_sweep_incoming(alias, older_than) for alias in (ORIGINALS, RENDITIONS))


def _below(folder: Path | str, *, key: str, beginning: str = "") -> Iterator[StoredObject]:
    try:
        entries = os.scandir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return  # removed meanwhile, or never there
    with entries:
        for entry in entries:
            if not entry.name.startswith(beginning) or (not key and entry.name == INCOMING):
                continue
            if entry.is_dir():
                yield from _below(entry.path, key=f"{key}{entry.name}/")
                continue
            try:
                found = entry.stat()
            except FileNotFoundError:
                continue
            yield _stored(f"{key}{entry.name}", found)


def _on_disk(path: Path, *, key: str) -> StoredObject | None:
    found = path.stat()
    return None if stat.S_ISDIR(found.st_mode) else _stored(key, found)


def _stored(key: str, found: os.stat_result) -> StoredObject:
    modified_at = datetime.fromtimestamp(found.st_mtime, tz=UTC)
    return StoredObject(key=key, size=found.st_size, modified_at=modified_at)


def _in_bucket(storage: Any, *, alias: str, prefix: str) -> Iterator[StoredObject]:
    root = _root_of(storage)
    pages = iter(_paginate(storage, "list_objects_v2", root + prefix))
    while True:
        with storage_operation(alias=alias, operation="list"):
            page = next(pages, None)
        if page is None:
            return
        for found in page.get("Contents", ()):
            key = found["Key"].removeprefix(root)
            yield StoredObject(key=key, size=found["Size"], modified_at=found["LastModified"])


def _sweep_incoming(alias: str, older_than: timedelta) -> int:
    storage = storages[alias]
    if hasattr(storage, "bucket"):
        return _abort_uploads(storage, older_than)
    limit = time.time() - older_than.total_seconds()
    count = 0
    for path in Path(storage.path(INCOMING)).glob("*"):
        try:
            if path.stat().st_mtime < limit:
                path.unlink()
                count += 1
        except FileNotFoundError:
            continue  # its writer was only slow, or somebody else swept it
    return count


def _abort_uploads(storage: Any, older_than: timedelta) -> int:
    limit = datetime.now(tz=UTC) - older_than
    client = storage.bucket.meta.client
    count = 0
    for page in _paginate(storage, "list_multipart_uploads", _root_of(storage)):
        for upload in page.get("Uploads", ()):
            if upload["Initiated"] < limit:
                named = {"Bucket": storage.bucket_name, "Key": upload["Key"], "UploadId": upload["UploadId"]}
                client.abort_multipart_upload(**named)
                count += 1
    return count


def _paginate(storage: Any, operation: str, prefix: str) -> Any:
    paginator = storage.bucket.meta.client.get_paginator(operation)
    return paginator.paginate(Bucket=storage.bucket_name, Prefix=prefix)


def _root_of(storage: Any) -> str:
    """Give what the keys of a bucket begin with, so that both stores may share one bucket."""
    location = storage.location.strip("/")
    return f"{location}/" if location else ""
