"""Sources for tests of imports, and an import as somebody sees it."""

import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import factories
import photo_samples
import pytest
from pytest_django import Settings

from accounts.models import Library, User
from config.settings.storage import source_storages
from photos.models import Photo
from photos.storage import SourceFolder
from processing.models import Import, ImportedFile, StageRun
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


def fill(root: Path, count: int) -> None:
    """Put photos into a folder: `000.jpg` and so on."""
    for number in range(count):
        (root / f"{number:03}.jpg").write_bytes(photo_samples.picture())


def rows() -> dict[str, list[dict[str, Any]]]:
    """Give all photos, runs and remembered files."""
    models = (Photo, StageRun, ImportedFile)
    return {model.__name__: list(model.objects.order_by("pk").values()) for model in models}


def watch_reading(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give the paths of the files that are read, as they are."""
    fetch, paths = SourceFolder.fetch, []

    def note(self: SourceFolder, path: str, into: BinaryIO, *, limit: int) -> Any:
        paths.append(path)
        return fetch(self, path, into, limit=limit)

    monkeypatch.setattr(SourceFolder, "fetch", note)
    return paths


class Held:
    """Makes an import wait before it reads a file, until it is told to go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, path: str) -> None:
        self.is_waiting, self.go_on = threading.Event(), threading.Event()
        fetch = SourceFolder.fetch

        def slow(source: SourceFolder, wanted: str, into: BinaryIO, *, limit: int) -> Any:
            if wanted == path:
                self.is_waiting.set()
                assert self.go_on.wait(60), "nobody said to go on"
            return fetch(source, wanted, into, limit=limit)

        monkeypatch.setattr(SourceFolder, "fetch", slow)


def refuse_to_open(monkeypatch: pytest.MonkeyPatch, name: bytes, number: int) -> None:
    """Make the system refuse to open a file: the tests may run as root, whom nothing is refused."""
    opened = os.open

    def refusing(path: Any, *arguments: Any, **named: Any) -> int:
        if path == name:
            raise OSError(number, os.strerror(number), path)
        return opened(path, *arguments, **named)

    monkeypatch.setattr(os, "open", refusing)


def before_reading(monkeypatch: pytest.MonkeyPatch, path: str, do: Callable[[], object]) -> None:
    """Do something right before a file is read."""
    fetch = SourceFolder.fetch

    def prepared(self: SourceFolder, wanted: str, into: BinaryIO, *, limit: int) -> Any:
        if wanted == path:
            do()
        return fetch(self, wanted, into, limit=limit)

    monkeypatch.setattr(SourceFolder, "fetch", prepared)


def _files(root: Path) -> Iterator[Path]:
    return (path for path in root.rglob("*") if path.is_file())


def _fingerprint(path: Path) -> tuple[str, int, int]:
    found = path.stat()
    return hashlib.sha256(path.read_bytes()).hexdigest(), found.st_mtime_ns, found.st_mode
