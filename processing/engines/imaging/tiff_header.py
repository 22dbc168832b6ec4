"""The first directory of a TIFF file, and of the TIFF structure that EXIF is."""

import io
import struct

from processing.engines.errors import DamagedImageError, UnsupportedFormatError
from processing.engines.imaging.header_bytes import HeaderBytes

NEW_SUBFILE_TYPE = 254
IMAGE_WIDTH = 256
IMAGE_LENGTH = 257
ORIENTATION = 274
DNG_VERSION = 50706

SIGNATURES = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
EXIF_PREFIX = b"Exif\x00\x00"

_REDUCED_RESOLUTION = 1
_INTEGER_CODES = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q"}


def read_directory(header: HeaderBytes, base: int) -> dict[int, int]:
    """Return the integers of the first directory, by tag, of the (Big)TIFF structure at `base`.

    Of several values the first; tags of other types and with values elsewhere in the file are left out.
    Source: TIFF 6.0, section 2; BigTIFF (libtiff). Raises DamagedImageError.
    """
    signature = header.take(base, 4)
    if signature not in SIGNATURES:
        raise DamagedImageError("not a TIFF structure")
    order = "<" if signature.startswith(b"II") else ">"
    big = b"+" in signature
    word, count_code, entry_length = ("Q", "Q", 20) if big else ("I", "H", 12)

    def number(offset: int, code: str) -> int:
        return struct.unpack(order + code, header.take(offset, struct.calcsize(order + code)))[0]

    directory = base + number(base + (8 if big else 4), word)
    entries_start = directory + struct.calcsize(order + count_code)
    entries = header.take(entries_start, number(directory, count_code) * entry_length)
    values = {}
    for start in range(0, len(entries), entry_length):
        tag, field_type, count = struct.unpack_from(order + "HH" + word, entries, start)
        code = _INTEGER_CODES.get(field_type)
        if code and 1 <= count <= struct.calcsize(order + word) // struct.calcsize(order + code):
            value_start = start + 4 + struct.calcsize(order + word)
            # of a tag that stands there twice, decoders take the first
            values.setdefault(tag, struct.unpack_from(order + code, entries, value_start)[0])
    return values


def read_dimensions(header: HeaderBytes) -> tuple[int, int, int]:
    """Return width and height as stored, and the orientation 1 to 8, of a TIFF file's first page.

    Camera raw files are TIFF files whose first page is a thumbnail or a sensor mosaic:
    UnsupportedFormatError.
    """
    values = read_directory(header, 0)
    is_canon_raw = header.size >= 10 and header.take(8, 2) == b"CR"
    is_reduced = values.get(NEW_SUBFILE_TYPE, 0) & _REDUCED_RESOLUTION
    if is_canon_raw or is_reduced or DNG_VERSION in values:
        raise UnsupportedFormatError("a camera raw file")
    if IMAGE_WIDTH not in values or IMAGE_LENGTH not in values:
        raise DamagedImageError("no dimensions in the first TIFF directory")
    return values[IMAGE_WIDTH], values[IMAGE_LENGTH], _valid(values.get(ORIENTATION, 1))


def read_exif_orientation(header: HeaderBytes, base: int) -> int:
    """Return the orientation 1 to 8 of the EXIF structure at `base`; 1 where it has none or is broken."""
    try:
        return _valid(read_directory(header, base).get(ORIENTATION, 1))
    except DamagedImageError:
        return 1


def exif_orientation(exif: bytes) -> int:
    """Return the orientation 1 to 8 of an EXIF block, with or without its prefix; 1 where it tells none."""
    return read_exif_orientation(HeaderBytes(io.BytesIO(exif.removeprefix(EXIF_PREFIX))), 0)


def _valid(orientation: int) -> int:
    return orientation if 1 <= orientation <= 8 else 1
