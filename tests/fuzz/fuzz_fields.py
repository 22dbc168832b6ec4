"""Where a file says how long its parts are: the fields whose lies a reader must survive."""

from collections.abc import Iterator
from typing import NamedTuple

MAX_FIELDS = 4000
_CONTAINER_BOXES = frozenset({b"meta", b"iprp", b"ipco", b"iinf", b"dinf", b"moov", b"grpl"})


class Field(NamedTuple):
    """A number in a file: where it stands, its bytes, and their order ("big" or "little")."""

    offset: int
    size: int
    order: str


def length_fields(data: bytes) -> list[Field]:
    """List lengths, counts and offsets of JPEG segments, chunks, boxes and TIFF directories, EXIF's inside as well."""
    fields = []
    for field in _walk(data):
        if field.offset + field.size <= len(data):
            fields.append(field)
        if len(fields) >= MAX_FIELDS:
            break
    return fields


def _walk(data: bytes) -> Iterator[Field]:
    if data.startswith(b"\xff\xd8"):
        yield from _jpeg(data)
    elif data.startswith(b"\x89PNG"):
        yield from _png(data)
    elif data.startswith(b"RIFF"):
        yield from _riff(data)
    elif data.startswith(b"GIF8"):
        yield from _gif(data)
    elif data[4:8] == b"ftyp":
        yield from _boxes(data, 0, len(data))
        yield from _embedded_tiff(data)
    elif data[:2] in (b"II", b"MM"):
        yield from _tiff(data, 0)


def _jpeg(data: bytes) -> Iterator[Field]:
    offset = 2
    while offset + 4 <= len(data) and data[offset] == 0xFF and data[offset + 1] != 0xD9:
        yield Field(offset + 2, 2, "big")
        length = int.from_bytes(data[offset + 2 : offset + 4], "big")
        if data[offset + 1] == 0xE1 and data[offset + 4 : offset + 8] == b"Exif":
            yield from _tiff(data, offset + 10)
        if data[offset + 1] in range(0xC0, 0xD0):  # frames and tables: sizes, numbers of components, sampling
            yield from (Field(place, 1, "big") for place in range(offset + 4, offset + 2 + length))
        if data[offset + 1] == 0xDA:
            return
        offset += 2 + max(length, 2)


def _png(data: bytes) -> Iterator[Field]:
    offset = 8
    while offset + 8 <= len(data):
        yield Field(offset, 4, "big")
        if data[offset + 4 : offset + 8] == b"IHDR":
            yield from (Field(offset + 8 + place, 4, "big") for place in (0, 4))
            yield from (Field(offset + 16 + place, 1, "big") for place in range(5))
        offset += 12 + int.from_bytes(data[offset : offset + 4], "big")


def _riff(data: bytes) -> Iterator[Field]:
    yield Field(4, 4, "little")
    offset = 12
    while offset + 8 <= len(data):
        yield Field(offset + 4, 4, "little")
        yield from (Field(offset + 8 + place, 1, "little") for place in range(10))
        size = int.from_bytes(data[offset + 4 : offset + 8], "little")
        offset += 8 + size + size % 2


def _gif(data: bytes) -> Iterator[Field]:
    yield from (Field(offset, 2, "little") for offset in (6, 8))
    yield from (Field(offset, 1, "little") for offset in range(10, min(len(data), 900)))


def _boxes(data: bytes, start: int, end: int) -> Iterator[Field]:
    while start + 8 <= end:
        size, kind = int.from_bytes(data[start : start + 4], "big"), data[start + 4 : start + 8]
        yield Field(start, 4, "big")
        inner = start + 8 + (4 if kind == b"meta" else {b"iinf": 6}.get(kind, 0))
        if kind in _CONTAINER_BOXES:
            yield from _boxes(data, inner, min(start + size, end))
        elif kind not in (b"mdat", b"free"):
            places = range(start + 8, min(start + size, start + 40, end - 3))
            yield from (Field(place, 4 if place % 4 == 0 else 1, "big") for place in places)
        if size < 8:
            return
        start += size


def _embedded_tiff(data: bytes) -> Iterator[Field]:
    for mark in (b"Exif\x00\x00II*\x00", b"Exif\x00\x00MM\x00*"):
        found = data.find(mark)
        if found >= 0:
            yield from _tiff(data, found + 6)


def _tiff(data: bytes, base: int) -> Iterator[Field]:
    """The fields of up to twelve directories, those that pointers lead to as well."""
    order = {b"II": "little", b"MM": "big"}.get(data[base : base + 2])
    if order is None:
        return
    yield Field(base + 4, 4, order)
    waiting, seen = [int.from_bytes(data[base + 4 : base + 8], order)], set()
    while waiting and len(seen) < 12:
        directory = waiting.pop()
        if directory in seen or base + directory + 2 > len(data):
            continue
        seen.add(directory)
        start = base + directory
        yield Field(start, 2, order)
        count = int.from_bytes(data[start : start + 2], order)
        for entry in range(start + 2, min(start + 2 + 12 * count, len(data) - 12), 12):
            yield from (Field(entry, 2, order), Field(entry + 2, 2, order))
            yield from (Field(entry + 4, 4, order), Field(entry + 8, 4, order))
            if int.from_bytes(data[entry : entry + 2], order) in (0x8769, 0x8825, 0xA005, 0x014A):
                waiting.append(int.from_bytes(data[entry + 8 : entry + 12], order))
        following = start + 2 + 12 * count
        yield Field(following, 4, order)
        waiting.append(int.from_bytes(data[following : following + 4], order) or directory)
