"""Brands and dimensions in the boxes of HEIF and AVIF files (ISO/IEC 23008-12, on ISO/IEC 14496-12)."""

from collections.abc import Iterator
from typing import NamedTuple

from processing.engines.errors import DamagedImageError
from processing.engines.imaging.header_bytes import HeaderBytes

AVIF_BRANDS = frozenset({b"avif", b"avis"})
HEVC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
_CONTAINER_BRANDS = frozenset({b"mif1", b"msf1", b"miaf"})

_FULL_BOX_HEAD = 4  # version and flags
_IPMA_HEAD = 8  # version, flags, number of entries
_MAX_BRANDS_BYTES = 1024


class Box(NamedTuple):
    """Where the content of a box lies in the file; `end` is what the box says and may lie beyond the file."""

    kind: bytes
    start: int
    end: int


def read_brands(header: HeaderBytes) -> frozenset[bytes]:
    """Return the brands in the leading `ftyp` box; none where the major one is not a still picture's."""
    length = min(header.unsigned(0, 4), header.size, _MAX_BRANDS_BYTES)
    if length < 16:
        return frozenset()
    listed = header.take(8, length - 8)
    major = listed[:4]
    if major not in AVIF_BRANDS | HEVC_BRANDS | _CONTAINER_BRANDS:
        return frozenset()
    return frozenset({major, *(listed[i : i + 4] for i in range(8, len(listed) - 3, 4))})


def read_dimensions(header: HeaderBytes) -> tuple[int, int, int]:
    """Return the primary item's width and height before rotation, and 6 where rotation swaps them, else 1."""
    meta = _only(_boxes(header, 0, header.size), b"meta")
    children = {box.kind: box for box in _boxes(header, meta.start + _FULL_BOX_HEAD, meta.end)}
    if b"pitm" not in children or b"iprp" not in children:
        raise DamagedImageError("no primary picture in the HEIF file")
    primary = _primary_item(header, children[b"pitm"])
    iprp = children[b"iprp"]
    properties = list(_children_of_only(header, iprp, b"ipco"))
    dimensions, quarter_turns = None, 0
    for index in _property_indices(header, iprp, primary):
        if not 1 <= index <= len(properties):
            continue  # index 0 means none
        box = properties[index - 1]
        if box.kind == b"ispe":
            dimensions = _extents(header, box)
        elif box.kind == b"clap":
            dimensions = _clean_aperture(header, box) or dimensions
        elif box.kind == b"irot":
            quarter_turns = header.unsigned(box.start, 1) & 3
    if dimensions is None:
        raise DamagedImageError("no dimensions of the primary picture in the HEIF file")
    return *dimensions, 6 if quarter_turns % 2 else 1


def largest_picture(header: HeaderBytes) -> tuple[int, int]:
    """Return width and height of the largest picture that the file describes, before any of it is cropped away.

    That is what a decoder may have to hold: the primary picture shows a clean aperture of it, or is made of it.
    """
    meta = _only(_boxes(header, 0, header.size), b"meta")
    iprp = _only(_boxes(header, meta.start + _FULL_BOX_HEAD, meta.end), b"iprp")
    sizes = [_extents(header, box) for box in _children_of_only(header, iprp, b"ipco") if box.kind == b"ispe"]
    return max(sizes, key=lambda size: size[0] * size[1], default=(0, 0))


def require_pixels(header: HeaderBytes) -> None:
    """Raise DamagedImageError where the file ends before its pixels do: libheif paints the missing tiles grey."""
    media = next((box for box in _boxes(header, 0, header.size) if box.kind == b"mdat"), None)
    if media is not None and media.end > header.size:
        raise DamagedImageError("the file ends before its pixels")


def _boxes(header: HeaderBytes, start: int, end: int) -> Iterator[Box]:
    while start + 8 <= end:
        length, kind = header.unsigned(start, 4), header.take(start + 4, 4)
        head = 8
        if length == 1:
            length, head = header.unsigned(start + 8, 8), 16
        elif length == 0:
            length = end - start
        if length < head:
            raise DamagedImageError("a box that is shorter than its own head")
        yield Box(kind, start + head, start + length)
        start += length


def _only(boxes: Iterator[Box], kind: bytes) -> Box:
    for box in boxes:
        if box.kind == kind:
            return box
    raise DamagedImageError(f"no {kind.decode()} box in the HEIF file")


def _children_of_only(header: HeaderBytes, parent: Box, kind: bytes) -> Iterator[Box]:
    box = _only(_boxes(header, parent.start, parent.end), kind)
    return _boxes(header, box.start, box.end)


def _primary_item(header: HeaderBytes, pitm: Box) -> int:
    version = header.unsigned(pitm.start, 1)
    return header.unsigned(pitm.start + _FULL_BOX_HEAD, 2 if version == 0 else 4)


def _property_indices(header: HeaderBytes, iprp: Box, item: int) -> Iterator[int]:
    """Yield the 1-based places in `ipco` of the properties of `item`, in the order in which they apply."""
    for box in _boxes(header, iprp.start, iprp.end):
        if box.kind != b"ipma":
            continue
        content = header.take(box.start, box.end - box.start)
        if len(content) < _IPMA_HEAD:
            raise DamagedImageError("an ipma box without a head")
        id_length = 2 if content[0] == 0 else 4
        index_length, index_mask = (2, 0x7FFF) if content[3] & 1 else (1, 0x7F)
        position = _IPMA_HEAD
        while position + id_length < len(content):
            entry = int.from_bytes(content[position : position + id_length])
            indices_start = position + id_length + 1
            position = indices_start + content[indices_start - 1] * index_length
            if entry == item:
                for at in range(indices_start, min(position, len(content)), index_length):
                    yield int.from_bytes(content[at : at + index_length]) & index_mask


def _extents(header: HeaderBytes, box: Box) -> tuple[int, int]:
    return header.unsigned(box.start + 4, 4), header.unsigned(box.start + 8, 4)


def _clean_aperture(header: HeaderBytes, box: Box) -> tuple[int, int] | None:
    width, width_divisor, height, height_divisor = (header.unsigned(box.start + i, 4) for i in range(0, 16, 4))
    if not width_divisor or not height_divisor:
        return None
    return width // width_divisor, height // height_divisor
