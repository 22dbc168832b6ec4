"""Byte ranges of HTTP (RFC 9110, section 14): which bytes a request asks for, and a file that ends where they end."""

import io
import re
from typing import BinaryIO

_SINGLE = re.compile(r"bytes=\s*(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))\s*", re.ASCII | re.IGNORECASE)


class UnsatisfiableRangeError(Exception):
    """A range that begins behind the last byte."""


def wanted_range(header: str, *, size: int) -> range | None:
    """Give the positions that a `Range` header asks for, of a file of `size` bytes; None: all of it.

    That also answers a header that is malformed, and one that asks for several ranges at once: a server may, and those
    who ask for many small ones are no friends. Raises UnsatisfiableRangeError.
    """
    found = _SINGLE.fullmatch(header)
    if found is None:
        return None
    first, last, suffix = found.groups()
    if suffix is not None:
        start, stop = max(size - int(suffix), 0), size
    else:
        start, stop = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return None  # malformed
    if start >= size or start >= stop:
        raise UnsatisfiableRangeError
    return range(start, stop)


class FilePart:
    """Some bytes of an open file, read from their first to their last; closing it closes the file."""

    def __init__(self, file: BinaryIO, positions: range) -> None:
        self._file = file
        self._left = len(positions)
        file.seek(positions.start)

    def read(self, size: int = -1) -> bytes:
        """Read at most `size` bytes of what is left; nothing at the end."""
        data = self._file.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(data)
        return data

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def size_of(file: BinaryIO) -> int:
    """Give the size of a seekable file in bytes; it stands at its begin afterwards."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    return size
