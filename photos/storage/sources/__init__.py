"""Folders and buckets that are not ours: photos are imported from them, or stay there, and nothing is written."""

from photos.storage.sources.base import (
    SOURCE_PREFIX,
    ChangedWhileReadError,
    Fetched,
    FoundFile,
    ReadOnlyStoreError,
    Source,
    SourceUnavailableError,
    UnsafePathError,
    check_path,
    is_source,
    path_to_text,
    reference_key,
    text_to_path,
)
from photos.storage.sources.bucket import SourceBucket
from photos.storage.sources.folder import SourceFolder

__all__ = [
    "SOURCE_PREFIX",
    "ChangedWhileReadError",
    "Fetched",
    "FoundFile",
    "ReadOnlyStoreError",
    "Source",
    "SourceBucket",
    "SourceFolder",
    "SourceUnavailableError",
    "UnsafePathError",
    "check_path",
    "is_source",
    "path_to_text",
    "reference_key",
    "text_to_path",
]
