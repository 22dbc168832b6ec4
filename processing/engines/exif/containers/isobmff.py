"""HEIF and AVIF: the items that the meta box lists (ISO 14496-12, ISO 23008-12)."""

from collections.abc import Iterator
from dataclasses import dataclass

from processing.engines.exif.containers.blocks import MAX_BLOCK_BYTES, ContainerDamageError, MetadataBlocks, tiff_part
from processing.engines.exif.facts import Facts
from processing.engines.exif.source import ByteSource

MAX_BOXES = 1000
MAX_META_BYTES = 1 << 20
MAX_ITEMS = 100_000
_XMP_TYPE = b"application/rdf+xml"


class _Cursor:
    """Reads big-endian numbers one after the other."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def take(self, size: int) -> bytes:
        part = self._data[self._position : self._position + size]
        if len(part) < size:
            raise ContainerDamageError(f"box: {size} bytes wanted, {len(part)} there")
        self._position += size
        return part

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def text(self) -> bytes:
        end = self._data.find(b"\x00", self._position)
        return self.take(end - self._position + 1)[:-1] if end >= 0 else self.take(len(self._data) - self._position)


@dataclass(frozen=True, slots=True)
class _Location:
    """Where an item stands: its extents in the file, or (`in_meta`) in the meta box's own data box."""

    in_meta: bool
    extents: tuple[tuple[int, int], ...]


def read_isobmff_blocks(source: ByteSource, blocks: MetadataBlocks, _facts: Facts) -> None:
    """The first EXIF item and every XMP item; only the meta box and these items are read."""
    children = dict(_boxes(_find_meta(source)[4:]))
    kinds = dict(_item_kinds(children.get(b"iinf", b"")))
    locations = _locations(children.get(b"iloc", b""), set(kinds)) if kinds else {}
    for identifier, kind in kinds.items():
        if identifier not in locations:
            raise ContainerDamageError(f"item {identifier} has no location")
        data = _item(source, children.get(b"idat", b""), locations[identifier])
        if kind == b"Exif":
            blocks.exif = blocks.exif or tiff_part(data)
        else:
            blocks.xmp.append(data)


def _find_meta(source: ByteSource) -> bytes:
    position = 0
    for _ in range(MAX_BOXES):
        head = source.read(position, 16)
        if len(head) < 8:
            break
        size, kind = int.from_bytes(head[:4], "big"), head[4:8]
        start = 8
        if size == 1:
            size, start = int.from_bytes(head[8:16], "big"), 16
        if kind == b"meta":
            return source.read(position + start, min(size - start, MAX_META_BYTES) if size else MAX_META_BYTES)
        if size < start:  # 0: to the end of the file
            break
        position += size
    raise ContainerDamageError("no meta box")


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 0
    while position + 8 <= len(data):
        size, kind = int.from_bytes(data[position : position + 4], "big"), data[position + 4 : position + 8]
        start = 8
        if size == 1:
            size, start = int.from_bytes(data[position + 8 : position + 16], "big"), 16
        elif size == 0:
            size = len(data) - position
        if size < start:
            raise ContainerDamageError(f"box of {size} bytes")
        yield kind, data[position + start : position + size]
        position += size


def _item_kinds(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Identifier and type of the items that hold metadata."""
    if not data:
        return
    head = 6 if data[0] == 0 else 8
    for kind, entry in _boxes(data[head:]):
        if kind != b"infe" or not entry or entry[0] < 2:
            continue
        cursor = _Cursor(entry)
        version = cursor.number(4) >> 24
        identifier = cursor.number(2 if version == 2 else 4)
        cursor.take(2)
        item_type = cursor.take(4)
        if item_type == b"mime":
            cursor.text()
            if cursor.text() == _XMP_TYPE:
                yield identifier, item_type
        elif item_type == b"Exif":
            yield identifier, item_type


def _locations(data: bytes, wanted: set[int]) -> dict[int, _Location]:
    cursor = _Cursor(data)
    version = cursor.number(4) >> 24
    sizes = cursor.number(2)
    offset_size, length_size, base_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    index_size = sizes & 15 if version else 0
    found: dict[int, _Location] = {}
    for _ in range(min(cursor.number(2 if version < 2 else 4), MAX_ITEMS)):
        identifier = cursor.number(2 if version < 2 else 4)
        method = cursor.number(2) & 15 if version else 0
        cursor.take(2)
        base = cursor.number(base_size)
        extents = []
        count = cursor.number(2)
        if count > 1 and not offset_size + length_size:
            raise ContainerDamageError(f"item {identifier} has {count} extents of no size")
        for _ in range(count):
            cursor.take(index_size)
            extents.append((base + cursor.number(offset_size), cursor.number(length_size)))
        if identifier in wanted and method < 2:
            found[identifier] = _Location(method == 1, tuple(extents))
    return found


def _item(source: ByteSource, meta_data: bytes, location: _Location) -> bytes:
    data = b""
    for offset, length in location.extents:
        room = MAX_BLOCK_BYTES - len(data)
        if room <= 0:
            break
        size = min(length, room)
        part = meta_data[offset : offset + size] if location.in_meta else source.read(offset, size)
        source.charge(len(part))
        data += part
    return data
