"""A disk that loses nothing: objects are whole or not there, and what a killed writer leaves lies in one folder."""

import contextlib
import errno
import os
import tempfile
from pathlib import Path

from django.core.files.base import File
from django.core.files.storage import FileSystemStorage, storages

from photos.storage.keys import ORIGINALS, RENDITIONS
from photos.storage.sources import SourceFolder
from photos.storage.stores import store

INCOMING = ".incoming"
# a target's folder may be removed as empty between making it and the rename: again and again only by a miracle
FOLDER_ATTEMPTS = 20


class DurableFileSystemStorage(FileSystemStorage):
    """Writes a temporary file into `.incoming/`, syncs it and renames it: an object is whole or not there.

    An existing object of the same name is replaced, since keys are pure functions of what they hold. A crash leaves
    at most a file in `.incoming/`, which lies in the same file system. A photo's folder goes with its last object; a
    library's stays, since a store without any folder is taken for an unmounted disk.
    """

    def get_available_name(self, name: str, max_length: int | None = None) -> str:  # noqa: ARG002 - Django's signature
        """Keep the name: a second write of a key replaces the first."""
        return name

    def _save(self, name: str, content: File) -> str:
        target = Path(self.path(name))
        incoming = Path(self.path(INCOMING))
        self._make_directory(incoming)
        descriptor, path = tempfile.mkstemp(dir=incoming)
        try:
            with os.fdopen(descriptor, "wb") as file:
                for chunk in content.chunks():
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            self._rename(Path(path), target)
        except BaseException:
            Path(path).unlink(missing_ok=True)
            raise
        # no folder: whoever deleted the object meanwhile has removed it
        with contextlib.suppress(FileNotFoundError):
            _sync_directory(target.parent)
        return name

    def _rename(self, incoming: Path, target: Path) -> None:
        for attempts_left in reversed(range(FOLDER_ATTEMPTS)):
            try:
                self._make_directory(target.parent)
                incoming.replace(target)
            except FileNotFoundError:
                if not attempts_left:
                    raise
            else:
                return

    def delete(self, name: str) -> None:
        """Delete an object, for good when this returns; one that is not there is no error."""
        path = Path(self.path(name))
        path.unlink(missing_ok=True)
        folder = path.parent
        if len(folder.relative_to(self.location).parts) > 1 and _remove_if_empty(folder):
            folder = folder.parent
        with contextlib.suppress(FileNotFoundError):
            _sync_directory(folder)

    def _make_directory(self, directory: Path) -> None:
        """Make a directory and those above it, each synced into the one that holds it."""
        if directory.is_dir():
            return
        self._make_directory(directory.parent)
        directory.mkdir(mode=self.directory_permissions_mode or 0o777, exist_ok=True)
        _sync_directory(directory.parent)


def is_store_gone(path: str) -> bool:
    """Tell whether the file at `path` is missing because nothing of its store is there, as of an unmounted disk."""
    for alias in (ORIGINALS, RENDITIONS):
        storage = storages[alias]
        if isinstance(storage, FileSystemStorage) and Path(path).is_relative_to(storage.location):
            return is_store_empty(alias=alias)
    return False


def is_store_empty(*, alias: str) -> bool:
    """Tell whether nothing at all lies on a disk, be it new or not mounted. A bucket that is gone says so itself."""
    storage = store(alias)
    if isinstance(storage, SourceFolder):
        return storage.is_empty()
    if not isinstance(storage, FileSystemStorage):
        return False
    folder = Path(storage.location)
    return not folder.is_dir() or all(path.name == INCOMING for path in folder.iterdir())


def _remove_if_empty(folder: Path) -> bool:
    try:
        folder.rmdir()
    except OSError as error:
        if error.errno in {errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT}:
            return False
        raise
    return True


def _sync_directory(directory: Path) -> None:
    """Make a rename durable: it is the directory's data, not the file's."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
