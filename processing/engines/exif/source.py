"""Reads small parts of a file that may lie far away."""

import io
from typing import BinaryIO

PAGE_BYTES = 8192  # covers the markers of most files; more would be wasted where blocks are passed over
MAX_PAGES = 64  # half a megabyte of cache is enough for a TIFF whose values lie far from their directory
BUDGET_BYTES = 16 << 20  # real files cost some 16 kB, those with the longest XMP about 1 MB


class ReadBudgetError(ValueError):
    """The structure of the file asks for more reading than any honest one."""


class ByteSource:
    """Random access to a seekable binary file, through a small cache of pages, within a budget.

    What the file object raises (a failing storage) passes through; reading past the end yields fewer bytes.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        # some file systems refuse to seek where no file of theirs could reach
        self._size = file.seek(0, io.SEEK_END)
        self._pages: dict[int, bytes] = {}
        self._spent = 0

    def read(self, offset: int, size: int, *, ahead: bool = True) -> bytes:
        """Up to `size` bytes at `offset`.

        `ahead=False` fetches exactly these bytes: for a walk over headers that lie far apart.
        Raises ReadBudgetError.
        """
        if size <= 0 or not 0 <= offset < self._size:
            return b""
        self.charge(min(size, PAGE_BYTES))
        first, start = divmod(offset, PAGE_BYTES)
        if size > PAGE_BYTES or (not ahead and first not in self._pages):
            return self._fetch(offset, size)
        data = self._page(first)[start : start + size]
        if start + size > PAGE_BYTES and (first + 1) * PAGE_BYTES < self._size:
            data += self._page(first + 1)[: start + size - PAGE_BYTES]
        return data

    def charge(self, size: int) -> None:
        """Book `size` bytes that were read or unpacked. Raises ReadBudgetError when the budget is spent."""
        self._spent += size
        if self._spent > BUDGET_BYTES:
            raise ReadBudgetError(f"more than {BUDGET_BYTES} bytes of metadata")

    def _page(self, number: int) -> bytes:
        page = self._pages.get(number)
        if page is None:
            page = self._fetch(number * PAGE_BYTES, PAGE_BYTES)
            if len(self._pages) >= MAX_PAGES:
                del self._pages[next(iter(self._pages))]
            self._pages[number] = page
        return page

    def _fetch(self, offset: int, size: int) -> bytes:
        self._file.seek(offset)
        parts = []
        while size > 0 and (part := self._file.read(size)):
            self.charge(len(part))
            parts.append(part)
            size -= len(part)
        return b"".join(parts)
