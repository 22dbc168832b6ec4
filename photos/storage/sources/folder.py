"""A folder of the server as a source: no link is followed, and nothing outside of it is ever opened."""

import contextlib
import errno
import hashlib
import heapq
import os
import stat
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, cast

from photos.storage.sources.base import (
    MAX_PATH_BYTES,
    ChangedWhileReadError,
    Fetched,
    FoundFile,
    Source,
    SourceUnavailableError,
    check_path,
    path_of_key,
    path_to_text,
    text_to_path,
)

# names of one folder that are held at once; a larger folder is listed again for each so many
NAMES_AT_ONCE = 10_000
MAX_DEPTH = 100
READ_BYTES = 1024 * 1024

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# a pipe in the place of a file would keep whoever opens it waiting
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FOLDER_BELOW = _FOLDER | os.O_NOFOLLOW
# gone, or another thing by now: what was listed is not there
_GONE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}


class SourceFolder(Source):
    """A folder. Every part of a path is opened from the folder above it, and none that is a link."""

    def __init__(self, *, location: str) -> None:
        self.location = location

    def walk(self, path: str = "", *, after: str = "") -> Iterator[FoundFile]:
        """Give what lies below a path, in the order of the names' bytes, folder by folder."""
        check_path(path)
        raw = text_to_path(path)
        with contextlib.ExitStack() as opened:
            try:
                descriptor = _keep(opened, self._open_folder(raw))
            except OSError as error:
                if error.errno not in _GONE:
                    raise
                found = self._single(path)
                if found is None:
                    raise self._missing(path) from error
                yield from [] if after else [found]
                return
            below = f"{path}/" if path else ""
            rest = text_to_path(after.removeprefix(below)).strip(b"/").split(b"/") if after else []
            yield from _walk(descriptor, raw + b"/" if raw else b"", rest)

    def present(self, folder: str, names: Sequence[bytes]) -> dict[bytes, FoundFile]:
        """Ask for each name."""
        raw = text_to_path(folder)
        found = {}
        with contextlib.ExitStack() as opened:
            try:
                descriptor = _keep(opened, self._open_folder(raw))
            except OSError as error:
                if error.errno in _GONE:
                    return {}
                raise
            for name in names:
                # a name that is too long is of no file
                with contextlib.suppress(OSError):
                    one = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                    if stat.S_ISREG(one.st_mode):
                        found[name] = _file(raw + b"/" + name if raw else name, one)
        return found

    def fetch(self, path: str, into: BinaryIO, *, limit: int) -> Fetched:
        """Read a file, and see that nobody wrote to it meanwhile."""
        with self.open_path(path) as file:
            before = os.fstat(file.fileno())
            digest, size = hashlib.sha256(), 0
            while size <= limit and (part := file.read(READ_BYTES)):
                digest.update(part)
                into.write(part)
                size += len(part)
            after = os.fstat(file.fileno())
        is_whole = size > limit or size == after.st_size
        if _stamp(before) != _stamp(after) or before.st_size != after.st_size or not is_whole:
            raise ChangedWhileReadError(errno.EAGAIN, "It was written to while it was read", path)
        return Fetched(sha256=digest.hexdigest(), size=size, stamp=_stamp(before))

    def is_empty(self) -> bool:
        """Look for any entry."""
        with contextlib.ExitStack() as opened:
            try:
                descriptor = _keep(opened, self._open_folder(b""))
            except SourceUnavailableError:
                return True
            with os.scandir(descriptor) as entries:
                return next(entries, None) is None

    def open_path(self, path: str) -> BinaryIO:
        """Open a regular file for reading. Raises FileNotFoundError, SourceUnavailableError and OSError."""
        check_path(path)
        folder, _, name = text_to_path(path).rpartition(b"/")
        with contextlib.ExitStack() as opened:
            try:
                parent = _keep(opened, self._open_folder(folder))
                descriptor = os.open(name, _FILE, dir_fd=parent)
            except OSError as error:
                # ENXIO: a socket
                if error.errno in _GONE | {errno.ENXIO}:
                    raise self._missing(path) from error
                raise
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                os.close(descriptor)
                raise self._missing(path)
        return cast("BinaryIO", os.fdopen(descriptor, "rb"))

    def open_key(self, key: str) -> BinaryIO:
        """Open a referenced original by its key. Raises as `open_path` does."""
        return self.open_path(path_of_key(key))

    def exists(self, name: str) -> bool:
        """Tell whether a referenced original is there."""
        try:
            self.open_key(name).close()
        except FileNotFoundError:
            return False
        return True

    def path(self, name: str) -> str:
        """Give where a referenced original lies, for a person: nothing is opened by it."""
        return str(Path(self.location) / os.fsdecode(text_to_path(path_of_key(name))))

    def _single(self, path: str) -> FoundFile | None:
        folder, _, name = text_to_path(path).rpartition(b"/")
        return self.present(path_to_text(folder), [name]).get(name)

    def _missing(self, path: str) -> OSError:
        # all of an empty source is missing: that is not the file's
        if self.is_empty():
            return SourceUnavailableError(f"Nothing lies in {self.location}. Is it mounted?")
        return FileNotFoundError(errno.ENOENT, "No such file in the source", path)

    def _open_folder(self, raw: bytes) -> int:
        """Open a folder below the source, part by part; raises as opening a folder does, for a link too."""
        try:
            descriptor = os.open(self.location, _FOLDER)
        except OSError as error:
            raise SourceUnavailableError(f"The folder {self.location} cannot be opened: {error.strerror}") from error
        for part in raw.split(b"/") if raw else []:
            try:
                below = os.open(part, _FOLDER_BELOW, dir_fd=descriptor)
            finally:
                os.close(descriptor)
            descriptor = below
        return descriptor


class _Folder:
    """A folder that is being walked: its names in order, some at a time."""

    def __init__(self, descriptor: int, path: bytes, *, after: bytes = b"") -> None:
        self.descriptor = descriptor
        self.path = path
        self._last = after
        self._names: deque[tuple[bytes, str]] = deque()
        self._is_complete = False

    def next(self) -> tuple[bytes, str] | None:
        """Give the next name and what it is of: `file`, `folder`, `link`, `special`."""
        if not self._names and not self._is_complete:
            self._list()
        if not self._names:
            return None
        self._last, kind = self._names.popleft()
        return self._last, kind

    def _list(self) -> None:
        os.lseek(self.descriptor, 0, os.SEEK_SET)
        with os.scandir(self.descriptor) as entries:
            named = ((os.fsencode(entry.name), entry) for entry in entries)
            later = ((name, _kind(entry)) for name, entry in named if name > self._last and name[:1] != b".")
            self._names.extend(heapq.nsmallest(NAMES_AT_ONCE, later))
        self._is_complete = len(self._names) < NAMES_AT_ONCE


def _walk(descriptor: int, path: bytes, rest: list[bytes]) -> Iterator[FoundFile]:
    """Walk a folder, and those in it by a stack of our own: how deep it goes is not ours to choose."""
    stack = [_Folder(os.dup(descriptor), path)]
    try:
        _go_to(stack, rest)
        while stack:
            folder = stack[-1]
            entry = folder.next()
            if entry is None:
                os.close(stack.pop().descriptor)
                continue
            name, kind = entry
            found = _enter(stack, name) if kind == "folder" else _look(folder, name, kind)
            if found is not None:
                yield found
    finally:
        for one in stack:
            os.close(one.descriptor)


def _go_to(stack: list[_Folder], rest: list[bytes]) -> None:
    """Stand behind the path whose parts are `rest`, as far as its folders are still there."""
    for number, part in enumerate(rest):
        folder = stack[-1]
        stack[-1] = _Folder(folder.descriptor, folder.path, after=part)
        if number == len(rest) - 1:
            return
        try:
            below = os.open(part, _FOLDER_BELOW, dir_fd=folder.descriptor)
        except OSError:
            return
        stack.append(_Folder(below, folder.path + part + b"/"))


def _enter(stack: list[_Folder], name: bytes) -> FoundFile | None:
    folder = stack[-1]
    path = folder.path + name + b"/"
    if problem := _too_long(path) or (len(stack) >= MAX_DEPTH and FoundFile(path_to_text(path), problem="too_deep")):
        return problem
    try:
        below = os.open(name, _FOLDER_BELOW, dir_fd=folder.descriptor)
    except PermissionError:
        return FoundFile(path_to_text(path), problem="unreadable")
    except OSError as error:
        if error.errno in _GONE:
            return None
        raise
    stack.append(_Folder(below, path))
    return None


def _look(folder: _Folder, name: bytes, kind: str) -> FoundFile | None:
    path = folder.path + name
    if problem := _too_long(path):
        return problem
    if kind != "file":
        return FoundFile(path_to_text(path), problem=kind)
    try:
        found = os.stat(name, dir_fd=folder.descriptor, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return _file(path, found)


def _too_long(path: bytes) -> FoundFile | None:
    text = path_to_text(path)
    if len(text.encode()) <= MAX_PATH_BYTES:
        return None
    # one that is not too long, the same each time
    short = text.encode()[: MAX_PATH_BYTES - 70].decode(errors="ignore")
    end = "/" if path.endswith(b"/") else ""
    shortened = f"{short}…{hashlib.sha256(path).hexdigest()}{end}"
    return FoundFile(shortened, problem="path_too_long", position=text)


def _file(path: bytes, found: os.stat_result) -> FoundFile:
    return FoundFile(path_to_text(path), size=found.st_size, stamp=_stamp(found))


def _stamp(found: os.stat_result) -> str:
    return str(found.st_mtime_ns)


def _kind(entry: os.DirEntry[str]) -> str:
    try:
        if entry.is_symlink():
            return "link"
        if entry.is_dir(follow_symlinks=False):
            return "folder"
        return "file" if entry.is_file(follow_symlinks=False) else "special"
    except FileNotFoundError:
        return "file"


def _keep(opened: contextlib.ExitStack, descriptor: int) -> int:
    opened.callback(os.close, descriptor)
    return descriptor
