"""What every source is: a store that gives and takes nothing, and the names of what lies in it."""

import os
import re
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO
from urllib.parse import unquote_to_bytes
from uuid import UUID

from django.core.files.base import File
from django.core.files.storage import Storage

# before the name of a source in its alias; of no other store
SOURCE_PREFIX = "source:"
# of a path as text, in UTF-8: with a photo's id before it, it is a key, which the database has in an index
MAX_PATH_BYTES = 1000
# what PostgreSQL or a terminal does not take, bytes that are no UTF-8, and the sign that writes them
_ESCAPED = re.compile("[%\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class ReadOnlyStoreError(RuntimeError):
    """Somebody is about to write to a source, or to delete from it: a mistake of ours, which goes no further."""


class SourceUnavailableError(ConnectionError):
    """A source is not there: not mounted, not reachable, or not in IMPORT_SOURCES any more."""


class UnsafePathError(ValueError):
    """A path that does not lie below its source."""


class ChangedWhileReadError(OSError):
    """A file was written to while it was read: what was read is neither the old one nor the new one."""


@dataclass(frozen=True, slots=True)
class FoundFile:
    """Something in a source. `path` is below the source, as text (`path_to_text`).

    `size` is in bytes; `stamp` is another one when it was written to: its time on a disk, its ETag in a bucket.
    `problem` says why it cannot be opened: `link`, `special` (no regular file), `unreadable` or `too_deep` (of a
    folder, whose path ends in a slash), `path_too_long` (then the path is shortened, and `position` is all of it).
    """

    path: str
    size: int = 0
    stamp: str = ""
    problem: str = ""
    position: str = ""

    @property
    def cursor(self) -> str:
        """Where a walk goes on behind it."""
        return self.position or self.path


@dataclass(frozen=True, slots=True)
class Fetched:
    """What was read of a file: SHA-256 in hex, size in bytes, and the stamp that it had then."""

    sha256: str
    size: int
    stamp: str


def path_to_text(raw: bytes) -> str:
    """Write a path as text that a database takes; control characters, bytes that are no UTF-8 and `%` as `%XX`."""
    return _ESCAPED.sub(_escape, os.fsdecode(raw))


def text_to_path(text: str) -> bytes:
    """Give the bytes of a path that is written as text. Raises UnsafePathError for text that cannot be one."""
    try:
        return unquote_to_bytes(text)
    except UnicodeEncodeError as error:
        raise UnsafePathError("The path has characters that are no text.") from error


def check_path(text: str) -> None:
    """Raise UnsafePathError unless a path lies below its source by its name: `a/b`, or nothing for all of it."""
    raw = text_to_path(text)
    if len(text.encode()) > MAX_PATH_BYTES or b"\x00" in raw:
        raise UnsafePathError("The path is too long, or has a NUL in it.")
    if raw and any(part in {b"", b".", b".."} for part in raw.split(b"/")):
        raise UnsafePathError("The path does not lie below the source.")


def is_source(alias: str) -> bool:
    """Tell whether a store is a source, be it one that is not in IMPORT_SOURCES any more."""
    return alias.startswith(SOURCE_PREFIX)


def reference_key(*, photo_id: UUID, path: str) -> str:
    """Give the key of an original that stays in a source: with the photo's id, so that no two photos share a key."""
    return f"{photo_id}/{path}"


def path_of_key(key: str) -> str:
    """Give the path of a referenced original."""
    return key.partition("/")[2]


class Source(Storage):
    """A folder or a bucket of somebody else. It is read, and nothing else: whatever would write to it is refused."""

    @abstractmethod
    def walk(self, path: str = "", *, after: str = "") -> Iterator[FoundFile]:
        """Give what lies below `path`, or the file that it names, in an order that stays the same.

        Begins behind `after`, a path that was given before. Only a page of names is held in memory. Hidden files and
        folders are left out. Raises SourceUnavailableError, and FileNotFoundError where there is no `path`.
        """

    @abstractmethod
    def present(self, folder: str, names: Sequence[bytes]) -> dict[bytes, FoundFile]:
        """Give those of these names that are regular files in a folder (a path without a slash at its end)."""

    @abstractmethod
    def fetch(self, path: str, into: BinaryIO, *, limit: int) -> Fetched:
        """Read a file into another one, from its start; not more than a little beyond `limit` bytes.

        Raises FileNotFoundError, ChangedWhileReadError, SourceUnavailableError, and what reading raises.
        """

    @abstractmethod
    def is_empty(self) -> bool:
        """Tell whether nothing lies in it at all, as in a folder where no disk is mounted."""

    def _save(self, name: str, content: File) -> str:  # noqa: ARG002 - Django's signature
        raise ReadOnlyStoreError(f"{name} is not written: Darkroom writes to no source.")

    def delete(self, name: str) -> None:
        """Refuse."""
        raise ReadOnlyStoreError(f"{name} is not deleted: Darkroom deletes from no source.")


def _escape(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in os.fsencode(found[0]))
