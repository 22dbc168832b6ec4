"""Small reads at given places of a file, with a budget: one that sends its reader far afield is broken."""

import io
from typing import BinaryIO

from processing.engines.errors import DamagedImageError

MAX_READS = 10_000
MAX_BYTES = 1 << 20


class HeaderBytes:
    """Random access to the structures in front of a file's pixels.

    Whatever the bytes say, it raises `DamagedImageError` and nothing else of its own; errors of the storage
    behind `file` pass through untouched. `size` is the length of the file in bytes.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._reads_left = MAX_READS
        self._bytes_left = MAX_BYTES
        file.seek(0, io.SEEK_END)
        self.size = file.tell()

    def take(self, offset: int, length: int) -> bytes:
        """Return exactly `length` bytes from `offset` on."""
        self._reads_left -= 1
        self._bytes_left -= length
        if self._reads_left < 0 or self._bytes_left < 0:
            raise DamagedImageError("the header is longer than any real one")
        if offset + length > self.size:
            raise DamagedImageError("the file ends within its header")
        self._file.seek(offset)
        taken = self._file.read(length)
        if len(taken) != length:
            raise DamagedImageError("the file ends within its header")
        return taken

    def unsigned(self, offset: int, length: int, *, little_endian: bool = False) -> int:
        """Return the unsigned integer of `length` bytes at `offset`."""
        return int.from_bytes(self.take(offset, length), "little" if little_endian else "big")
