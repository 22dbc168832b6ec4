"""Where bytes lie: the keys of stored objects, a file system backend that loses nothing, and ranged reads from S3."""

from photos.storage.buckets import S3_READ_AHEAD_BYTES, RangedObject
from photos.storage.disk import INCOMING, DurableFileSystemStorage, is_store_empty, is_store_gone
from photos.storage.keys import (
    ORIGINALS,
    RENDITIONS,
    chip_key,
    derived_prefix,
    original_key,
    photo_of_prefix,
    rendition_key,
)
from photos.storage.links import check_object, is_in_bucket, presigned_url
from photos.storage.listing import StoredObject, find_object, list_incoming, list_objects, sweep_incoming
from photos.storage.objects import (
    WHOLE_IN_MEMORY_BYTES,
    delete_objects,
    open_object,
    open_whole_object,
    read_object,
    write_object,
)

__all__ = [
    "INCOMING",
    "ORIGINALS",
    "RENDITIONS",
    "S3_READ_AHEAD_BYTES",
    "WHOLE_IN_MEMORY_BYTES",
    "DurableFileSystemStorage",
    "RangedObject",
    "StoredObject",
    "check_object",
    "chip_key",
    "delete_objects",
    "derived_prefix",
    "find_object",
    "is_in_bucket",
    "is_store_empty",
    "is_store_gone",
    "list_incoming",
    "list_objects",
    "open_object",
    "open_whole_object",
    "original_key",
    "photo_of_prefix",
    "presigned_url",
    "read_object",
    "rendition_key",
    "sweep_incoming",
    "write_object",
]
