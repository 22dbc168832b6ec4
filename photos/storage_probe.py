"""Asking a store whether it works, and how much room it has left."""

import shutil
import tempfile
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.core.files.storage import Storage, storages

PROBE = b"darkroom"

# making a boto3 client costs tens of milliseconds; clients, unlike storages' resources, may be shared by threads
_clients: weakref.WeakKeyDictionary[Storage, Any] = weakref.WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class StoreState:
    """A store that answered. The sizes are bytes of a disk; a bucket has none."""

    kind: str
    location: str
    free_bytes: int | None = None
    total_bytes: int | None = None


def probe_store(alias: str) -> StoreState:
    """Write and read a few bytes on a disk, or ask for a bucket.

    Raises OSError for a folder that cannot be written, and botocore's errors for a bucket that cannot be reached.
    """
    storage = storages[alias]
    if hasattr(storage, "bucket_name"):
        if storage not in _clients:
            _clients[storage] = storage.connection.meta.client
        _clients[storage].head_bucket(Bucket=storage.bucket_name)
        return StoreState(kind="s3", location=storage.bucket_name)
    folder = Path(storage.location)  # type: ignore[attr-defined] - what is no bucket is a disk
    usage = shutil.disk_usage(probe_folder(folder))
    return StoreState(kind="disk", location=str(folder), free_bytes=usage.free, total_bytes=usage.total)


def probe_folder(folder: Path) -> Path:
    """Write a file that has no name and read it back; gives the folder that was tried.

    A folder that is not there yet is made by the first upload, so the nearest one above it is tried. Raises OSError.
    """
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(PROBE)
        file.flush()
        file.seek(0)
        if file.read() != PROBE:
            raise OSError(f"{folder} gives back other bytes than were written")
    return folder
