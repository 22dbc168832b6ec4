"""System checks of what photos need: folders that can be written, and the vector extension."""

import os
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004 - its own name there
from django.core.files.storage import FileSystemStorage, storages
from django.db import OperationalError, connections

from photos.storage import ORIGINALS, RENDITIONS, SourceFolder, source_alias, source_names
from photos.storage_probe import probe_folder

# iterative scans came with it: without them a filter empties a list of nearest vectors
VECTOR_MINIMUM = (0, 8)


@register()
def check_folders(**_: Any) -> list[CheckMessage]:
    """Write a probe into each folder that uploads and stages write to."""
    folders = {alias: storages[alias] for alias in (ORIGINALS, RENDITIONS)}
    named = {
        f"the storage {alias!r}": Path(storage.location)
        for alias, storage in folders.items()
        if isinstance(storage, FileSystemStorage)
    }
    if settings.FILE_UPLOAD_TEMP_DIR:
        named["uploads under way"] = Path(settings.FILE_UPLOAD_TEMP_DIR)
    return [error for name, folder in named.items() if (error := _error_of(name, folder))]


@register()
def check_import_sources(**_: Any) -> list[CheckMessage]:
    """See that no source shares a folder with a store of ours, and that each can be read now.

    One that cannot be is a warning alone: a disk that is not mounted keeps nobody from their photos.
    """
    found: list[CheckMessage] = []
    ours = [Path(storages[alias].location).resolve() for alias in (ORIGINALS, RENDITIONS) if _is_disk(alias)]
    for name in source_names():
        source = storages[source_alias(name)]
        if not isinstance(source, SourceFolder):
            continue
        folder = Path(source.location).resolve()
        if any(folder.is_relative_to(one) or one.is_relative_to(folder) for one in ours):
            message = f"The source {name!r} and a store of Darkroom share a folder: {folder}."
            hint = "Photos would be imported from themselves. Name another folder in IMPORT_SOURCES."
            found.append(Error(message, hint=hint, id="photos.E005"))
        elif not folder.is_dir() or not os.access(folder, os.R_OK | os.X_OK):
            message = f"The source {name!r} cannot be read: {folder}."
            hint = "Mount it, or give it to the user that Darkroom runs as, or take it out of IMPORT_SOURCES."
            found.append(Warning(message, hint=hint, id="photos.W001"))
    return found


@register(Tags.database)
def check_vector_extension(databases: list[str] | None, **_: Any) -> list[CheckMessage]:
    """See that the database has pgvector, or can have it when the first migration asks for it."""
    return [error for alias in databases or [] for error in _vector_errors(alias)]


def _is_disk(alias: str) -> bool:
    return isinstance(storages[alias], FileSystemStorage)


def _error_of(name: str, folder: Path) -> Error | None:
    try:
        probe_folder(folder)
    except OSError as error:
        return Error(
            f"The folder of {name} cannot be written: {error}",
            hint=f"Make {folder} and give it to the user that Darkroom runs as, or set another folder.",
            id="photos.E001",
        )
    return None


def _vector_errors(alias: str) -> list[CheckMessage]:
    hint = "Install pgvector 0.8 or newer beside this PostgreSQL; the first migration then creates the extension."
    try:
        with connections[alias].cursor() as cursor:
            cursor.execute(
                "SELECT coalesce(installed_version, default_version) FROM pg_available_extensions WHERE name = 'vector'"
            )
            row = cursor.fetchone()
    except OperationalError as error:
        return [
            Error(
                f"The database does not answer: {error}",
                hint="Start it, or correct DATABASE_URL.",
                id="photos.E002",
            )
        ]
    if row is None:
        return [Error("The database has no extension `vector`.", hint=hint, id="photos.E003")]
    version: str = row[0]
    if tuple(int(part) for part in version.split(".")[:2]) < VECTOR_MINIMUM:
        return [
            Error(f"The extension `vector` is {version}, which has no iterative scans.", hint=hint, id="photos.E004")
        ]
    return []
