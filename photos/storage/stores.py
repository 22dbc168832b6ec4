"""The stores by their aliases: ours, and the sources that IMPORT_SOURCES names."""

from typing import Any

from django.conf import settings
from django.core.files.storage import InvalidStorageError, storages

from photos.storage.sources import SOURCE_PREFIX, Source, SourceUnavailableError, is_source


def store(alias: str) -> Any:
    """Give a store. Raises SourceUnavailableError for a source that is not in IMPORT_SOURCES any more."""
    try:
        return storages[alias]
    except InvalidStorageError as error:
        if is_source(alias):
            raise SourceUnavailableError(f"IMPORT_SOURCES names no {alias.removeprefix(SOURCE_PREFIX)!r}.") from error
        raise


def source_names() -> list[str]:
    """Give the names of all sources, in order."""
    return sorted(alias.removeprefix(SOURCE_PREFIX) for alias in settings.STORAGES if is_source(alias))


def source_alias(name: str) -> str:
    """Give the alias of a source."""
    return f"{SOURCE_PREFIX}{name}"


def source(name: str) -> Source:
    """Give a source by its name. Raises SourceUnavailableError."""
    found: Source = store(source_alias(name))
    return found
