"""An upload on the disk of the originals: one file, which becomes the original by a second name."""

import errno
import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, cast
from uuid import UUID, uuid4

from django.core.files.base import File
from django.core.files.storage import storages

from photos.metrics import STORAGE_BYTES, storage_operation
from photos.storage.disk import UPLOADS, is_store_empty, sync_directory
from photos.storage.keys import ORIGINALS
from photos.storage.objects import write_object
from photos.storage.uploads.base import COMMIT_BYTES, Part, PartsLostError, Remember

# a file system without hard links, or one that takes no more of them
_NO_LINKS = frozenset({errno.EPERM, errno.EXDEV, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EACCES})


class DiskParts:
    """The file of an upload. `state`: {"file": its name}; nothing before the first byte."""

    def __init__(self, *, upload_id: UUID, length: int, state: dict[str, Any]) -> None:
        self.state = state
        self._length = length
        self._storage = storages[ORIGINALS]
        self._folder = _root() / str(upload_id)
        self._file: BinaryIO | None = None
        self._unsynced = 0
        self._superseded = ""

    def begin(self, *, offset: int, was_abandoned: bool, remember: Remember) -> None:
        """Open the file and cut off what was written and never committed.

        After a writer that never let go it is another file, into which the committed bytes are copied: should that
        writer be alive after all, it goes on in a file that nobody names.
        """
        name = self.state.get("file", "")
        if name and not was_abandoned:
            self._file = cast("BinaryIO", self._path().open("r+b", buffering=0))
        else:
            self._file = self._new(self._path() if name else None, offset=offset)
            remember()
            self._superseded = name
        if self._file.seek(0, os.SEEK_END) < offset:
            raise PartsLostError(f"{self._folder} has fewer bytes than were committed")
        self._file.truncate(offset)
        self._file.seek(offset)

    def write(self, data: bytes) -> None:
        """Write the next bytes."""
        _write(self._file, data)
        self._unsynced += len(data)

    @property
    def is_due(self) -> bool:
        """Whether so much is not synced yet that a sync is worth its while."""
        return self._unsynced >= COMMIT_BYTES

    def flush(self, *, whole: bool) -> int:  # noqa: ARG002 - a disk takes any number of bytes
        """Sync the file: what the database says is there survives a power cut."""
        with storage_operation(alias=ORIGINALS, operation="append"):
            os.fsync(self._file.fileno())
        STORAGE_BYTES.labels(ORIGINALS, "write").inc(self._unsynced)
        self._unsynced = 0
        return self._file.tell()

    def tidy(self) -> None:
        """Delete the file of the writer that was taken over from."""
        if self._superseded:
            (self._folder / self._superseded).unlink(missing_ok=True)
            self._superseded = ""

    def close(self) -> None:
        """Close the file; bytes behind the committed offset are cut off by whoever writes next."""
        if self._file is not None:
            self._file.close()

    def join(self) -> None:
        """See that all of the file is there: it is one already."""
        path = self._path()
        if path.stat().st_size != self._length:
            raise PartsLostError(f"{path} does not have the bytes that were committed")

    def open(self) -> BinaryIO:
        """Open the file."""
        return cast("BinaryIO", self._path().open("rb"))

    def place(self, key: str) -> None:
        """Give the file the name of the original too; where there are no hard links, copy it."""
        try:
            with storage_operation(alias=ORIGINALS, operation="adopt"):
                self._storage.adopt(key, self._path())  # type: ignore[attr-defined]
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            with self.open() as file:
                write_object(alias=ORIGINALS, key=key, file=File(file))

    def names(self, part: Part) -> bool:
        """Whether it is the file, or the folder of one that is about to be made."""
        return part.key.rpartition("/")[2] in {self.state.get("file", ""), self._folder.name}

    def clear(self) -> None:
        """Delete the folder of the upload."""
        for path in self._folder.glob("*"):
            path.unlink(missing_ok=True)
        _remove(self._folder)

    @staticmethod
    def list_all() -> Iterator[Part]:
        """Give every file of every upload, and the folders in which there is none."""
        for folder in _root().glob("*"):
            upload_id = _uuid(folder.name)
            files = list(folder.iterdir()) if folder.is_dir() else []
            for path in files or [folder]:
                try:
                    found = path.stat()
                except FileNotFoundError:
                    continue  # removed meanwhile
                key = path.relative_to(_root()).as_posix()
                modified_at = datetime.fromtimestamp(found.st_mtime, tz=UTC)
                yield Part(upload_id, key, found.st_size if path != folder else 0, modified_at)

    @staticmethod
    def delete(part: Part) -> None:
        """Delete a file, and its folder with the last one."""
        path = _root() / part.key
        if path.is_dir():
            _remove(path)
            return
        path.unlink(missing_ok=True)
        if path.parent != _root():
            _remove(path.parent)

    def _path(self) -> Path:
        path = self._folder / self.state.get("file", "")
        if path.is_file():
            return path
        if not _root().is_dir() and is_store_empty(alias=ORIGINALS):
            # a disk that is not mounted: what lies on it is not lost
            raise FileNotFoundError(errno.ENOENT, "nothing of the store is there", str(path))
        raise PartsLostError(f"{path} is not there")

    def _new(self, before: Path | None, *, offset: int) -> BinaryIO:
        self._storage.make_directory(self._folder)  # type: ignore[attr-defined]
        name = uuid4().hex
        descriptor = os.open(self._folder / name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        file = os.fdopen(descriptor, "r+b", buffering=0)
        try:
            if before is not None:
                _copy(before, file, offset)
                os.fsync(file.fileno())
            sync_directory(self._folder)
        except BaseException:
            file.close()
            raise
        self.state["file"] = name
        return cast("BinaryIO", file)


def _root() -> Path:
    return Path(storages[ORIGINALS].path(UPLOADS))


def _copy(before: Path, file: BinaryIO, count: int) -> None:
    with before.open("rb") as source:
        while count > 0 and (data := source.read(min(count, shutil.COPY_BUFSIZE))):
            _write(file, data)
            count -= len(data)


def _write(file: BinaryIO, data: bytes) -> None:
    """Write all of it: a file without a buffer may take less at once."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def _remove(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError as error:
        if error.errno not in {errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST}:
            raise


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
