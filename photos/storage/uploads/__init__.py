"""The bytes of uploads that are under way, on the disk of the originals or in their bucket.

A row above says which uploads there are, and keeps of each what is written here into `state` (JSON): with it the bytes
are found again by any process on any host. Bytes are beside the originals and below keys that begin with the upload's
id: what no row names there is nobody's.
"""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.core.files.storage import storages

from photos.storage.keys import ORIGINALS
from photos.storage.uploads.base import COMMIT_BYTES, Part, Parts, PartsLostError
from photos.storage.uploads.bucket import POSTED_BY_CLIENT, BucketParts, PresignedPost
from photos.storage.uploads.disk import DiskParts

__all__ = [
    "COMMIT_BYTES",
    "POSTED_BY_CLIENT",
    "BucketParts",
    "DiskParts",
    "Part",
    "Parts",
    "PartsLostError",
    "PresignedPost",
    "delete_part",
    "list_parts",
    "parts_of",
]


def parts_of(*, upload_id: UUID, length: int, state: dict[str, Any]) -> Parts:
    """Give the bytes of an upload of so many; `state` is what its row keeps of them, and is changed in place."""
    return _kind()(upload_id=upload_id, length=length, state=state)


def list_parts() -> Iterator[Part]:
    """Give all that lies there of any upload, one by one; raises the backend's own error where it does not answer."""
    return _kind().list_all()


def delete_part(part: Part) -> None:
    """Delete a part; one that is not there is no error."""
    _kind().delete(part)


def _kind() -> type[DiskParts] | type[BucketParts]:
    return BucketParts if hasattr(storages[ORIGINALS], "bucket") else DiskParts
