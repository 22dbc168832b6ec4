"""The folder that is uploaded: which files of it are photos, and what they hash to."""

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from darkroom_cli.problems import RefusedFileError

# of the formats that Darkroom takes in; what else there is is asked for with --all
PHOTO_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".avif", ".tif", ".tiff", ".heic", ".heif", ".hif"}
)
SIDECAR_SUFFIXES = frozenset({".xmp", ".json"})
SYSTEM_FILES = frozenset({"thumbs.db", "desktop.ini"})


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file, its size in bytes and when it was changed (ns); `name` is its path within the folder."""

    path: Path
    name: str
    size: int
    changed_ns: int

    @property
    def original_name(self) -> str:
        """What the server is told that it is called: UTF-8, whatever the file system says."""
        return os.fsencode(self.path.name).decode(errors="replace")


@dataclass(slots=True)
class Found:
    """What a folder has: photos in the order of their paths, and how many of what else."""

    photos: list[LocalFile] = field(default_factory=list)
    sidecars: int = 0
    others: int = 0
    unreadable: list[tuple[str, RefusedFileError]] = field(default_factory=list)

    @property
    def size(self) -> int:
        """The bytes of all photos."""
        return sum(one.size for one in self.photos)


def look_through(folder: Path, *, all_files: bool = False) -> Found:
    """Walk a folder. Hidden files and folders, and links, are not followed."""
    found = Found()

    def note(error: OSError) -> None:
        name = os.path.relpath(error.filename or folder, folder)
        found.unreadable.append((name, unreadable(error)))

    for place, folders, names in os.walk(folder, onerror=note):
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        for name in sorted(names):
            _sort_in(found, folder, Path(place, name), all_files=all_files)
    return found


def _sort_in(found: Found, folder: Path, path: Path, *, all_files: bool) -> None:
    if path.name.startswith(".") or path.name.lower() in SYSTEM_FILES:
        return
    name, suffix = os.path.relpath(path, folder), path.suffix.lower()
    try:
        about = path.lstat()
    except OSError as error:
        found.unreadable.append((name, unreadable(error)))
        return
    if not stat.S_ISREG(about.st_mode):
        return
    if suffix in PHOTO_SUFFIXES or all_files:
        found.photos.append(LocalFile(path, name, about.st_size, about.st_mtime_ns))
    elif suffix in SIDECAR_SUFFIXES:
        found.sidecars += 1
    else:
        found.others += 1


def hashed(file: LocalFile) -> str:
    """Give the SHA-256 of a file in hex. Raises RefusedFileError."""
    try:
        with file.path.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise unreadable(error) from error


def require_unchanged(file: LocalFile, opened: int) -> None:
    """Raise RefusedFileError where an open file is no longer the one that was hashed."""
    about = os.fstat(opened)
    if (about.st_size, about.st_mtime_ns) != (file.size, file.changed_ns):
        raise RefusedFileError("The file was written to while it was read: upload it again", code="changed_while_read")


def batches(files: list[LocalFile], *, count: int, size: int) -> Iterator[list[LocalFile]]:
    """Give files by so many, or by as many as have so many bytes."""
    batch: list[LocalFile] = []
    filled = 0
    for file in files:
        batch.append(file)
        filled += file.size
        if len(batch) == count or filled >= size:
            yield batch
            batch, filled = [], 0
    if batch:
        yield batch


def unreadable(error: OSError) -> RefusedFileError:
    """Say why a file cannot be read."""
    return RefusedFileError(f"It cannot be read: {error.strerror or error}", code="unreadable")
