"""Exports in the making, for tests of what goes wrong meanwhile."""

import hashlib
import io
import random
import threading
import zipfile
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

import factories
import photo_samples
import pytest
from django.db.models.functions import Now

from accounts.models import Library, User
from photos import storage
from photos.models import Export, ExportFile, ExportMetadata, ObjectSweep, Photo
from processing.kinds import exporting
from processing.models import LibraryRun
from processing.services import exports, object_sweeps


def fill(library: Library, count: int, *, byte_size: int = 1000) -> list[Photo]:
    """Store photos that no compression makes smaller."""
    randoms = random.Random(count)
    return [factories.make_photo(library, data=randoms.randbytes(byte_size)) for _ in range(count)]


def request(library: Library, *, by: User | None = None, metadata: str = "none") -> Export:
    """Ask for an export of all photos of a library."""
    by = by or factories.make_member(library, "editor")
    photos = list(Photo.objects.filter(library=library).values_list("library_id", "pk"))
    [made] = exports.request(photos=photos, content="originals", metadata=ExportMetadata(metadata), by=by)
    return made


def work() -> int:
    """Make the exports that are pending, however soon."""
    LibraryRun.objects.filter(kind="export").update(not_before=None)
    return photo_samples.run_library_work("export")


def shown(export: Export) -> Export:
    """Read an export again, with its state."""
    return exports.with_state(Export.objects.all()).get(pk=export.pk)


def keys() -> set[str]:
    """Give the keys of all zip files that lie in the store."""
    return {one.key for one in storage.list_objects(alias=storage.RENDITIONS) if one.key.endswith(".zip")}


def members(file: ExportFile) -> dict[str, str]:
    """Give what is in a file, whole and as its row says: the SHA-256 of each member, by its name."""
    data = storage.read_object(alias=file.storage_alias, key=file.storage_key)
    assert (len(data), hashlib.sha256(data).hexdigest()) == (file.byte_size, file.sha256)
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        assert opened.testzip() is None
        return {name: hashlib.sha256(opened.read(name)).hexdigest() for name in opened.namelist()}


def sweep_all() -> None:
    """Do what the sweeps do, as if their times had come."""
    # each has a last time
    for _ in range(2):
        ObjectSweep.objects.update(due_at=Now() - timedelta(seconds=1), final_at=Now() - timedelta(seconds=1))
        object_sweeps.sweep()
    storage.sweep_incoming(older_than=timedelta(seconds=-10))


class Held:
    """Makes whoever packs wait when a file is stored and not committed yet, until they are told to go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_stored, self.go_on = threading.Event(), threading.Event()
        write = storage.write_made

        def slow(**values: Any) -> None:
            write(**values)
            self.is_stored.set()
            assert self.go_on.wait(60), "nobody said to go on"

        monkeypatch.setattr(exporting.storage, "write_made", slow)


def before_each_chunk(monkeypatch: pytest.MonkeyPatch, do: Any) -> None:
    """Do something before each block of a file is stored."""
    write = storage.write_made

    def slow(*, chunks: Iterable[bytes], **values: Any) -> None:
        write(chunks=_preceded(chunks, do), **values)

    monkeypatch.setattr(exporting.storage, "write_made", slow)


def _preceded(chunks: Iterable[bytes], do: Any) -> Iterator[bytes]:
    for chunk in chunks:
        do()
        yield chunk
