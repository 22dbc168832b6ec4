"""Sources for tests of imports, and an import as somebody sees it."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import factories
import photo_samples
from pytest_django import Settings

from accounts.models import Library, User
from config.settings.storage import source_storages
from processing.models import Import, ImportedFile
from processing.services import imports

SOURCE = "camera"


def open_source(settings: Settings, place: str, *, name: str = SOURCE) -> None:
    """Name a place as a source, as IMPORT_SOURCES does."""
    settings.STORAGES = {**settings.STORAGES, **source_storages({name: place})}


def start(library: Library, **values: Any) -> Import:
    """Start an import by somebody who runs the installation."""
    by: User = values.pop("by", None) or factories.make_user(is_superuser=True)
    return imports.start(library_id=library.pk, source=values.pop("source", SOURCE), by=by, **values)


def work() -> int:
    """Run the imports that are pending."""
    return photo_samples.run_library_work("import")


def run(library: Library, **values: Any) -> Import:
    """Start an import and bring it to its end."""
    made = start(library, **values)
    assert work() == 1
    return shown(made)


def shown(one: Import) -> Import:
    """Read an import again, with its state."""
    return Import.objects.with_state().get(pk=one.pk)


def counted(one: Import) -> dict[str, int]:
    """Give the counts that are not zero, without the bytes; refusals by their code."""
    counts = {**one.counts, **{f"refused_{code}": number for code, number in one.counts["refused_by"].items()}}
    return {name: number for name, number in counts.items() if number and name not in {"refused_by", "bytes"}}


def states(library: Library) -> dict[str, str]:
    """Give what is remembered of each file: its state, or the code by which it was refused."""
    rows = ImportedFile.objects.filter(library=library).values_list("path", "state", "code")
    return {path: code or state for path, state, code in rows}


def tree(root: Path) -> dict[str, tuple[str, int, int]]:
    """Give of every file below a folder the hash of its bytes, its time of change and its rights."""
    return {str(path): _fingerprint(path) for path in _files(root)}


def _files(root: Path) -> Iterator[Path]:
    return (path for path in root.rglob("*") if path.is_file())


def _fingerprint(path: Path) -> tuple[str, int, int]:
    found = path.stat()
    return hashlib.sha256(path.read_bytes()).hexdigest(), found.st_mtime_ns, found.st_mode
