"""Dimensions in the headers of JPEG, PNG, GIF and WebP files.

Each function takes the file's header and returns (width, height, orientation), as stored; orientation is 1 to
8 where the format tells it before its pixels, else 1. Each raises DamagedImageError.
"""

from processing.engines.errors import DamagedImageError, UnsupportedFormatError
from processing.engines.imaging.header_bytes import HeaderBytes
from processing.engines.imaging.tiff_header import EXIF_PREFIX, read_exif_orientation

Dimensions = tuple[int, int, int]

_JPEG_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_STANDALONE = frozenset({0x00, 0x01, *range(0xD0, 0xD9)})
_JPEG_END, _JPEG_START_OF_SCAN, _JPEG_APP1 = 0xD9, 0xDA, 0xE1

_PNG_DEPTHS = {0: {1, 2, 4, 8, 16}, 2: {8, 16}, 3: {1, 2, 4, 8}, 4: {8, 16}, 6: {8, 16}}

_GIF_EXTENSION, _GIF_IMAGE, _GIF_TRAILER = b"!", b",", b";"


def read_jpeg(header: HeaderBytes) -> Dimensions:
    """Walk the segments to the start of the frame (ITU T.81, annex B); of EXIF, read the first directory."""
    offset, orientation = 2, None
    while True:
        fill, marker, high, low = header.take(offset, 4)
        length = high << 8 | low
        if fill != 0xFF or marker == 0xFF:
            offset += 1  # padding, or rubbish that decoders step over too
        elif marker in _JPEG_STANDALONE:
            offset += 2
        elif marker in _JPEG_START_OF_FRAME:
            return *_jpeg_frame(header, offset + 4), orientation or 1
        elif marker in {_JPEG_END, _JPEG_START_OF_SCAN} or length < 2:
            raise DamagedImageError("no frame in the JPEG header")
        else:
            if marker == _JPEG_APP1 and orientation is None and length >= 8:
                orientation = _jpeg_orientation(header, offset + 4)
            offset += 2 + length


def _jpeg_frame(header: HeaderBytes, offset: int) -> tuple[int, int]:
    frame = header.take(offset, 6)
    precision, components = frame[0], frame[5]
    if precision != 8 or components not in {1, 3, 4}:
        raise UnsupportedFormatError(f"a JPEG of {precision} bits and {components} components")
    return int.from_bytes(frame[3:5]), int.from_bytes(frame[1:3])


def _jpeg_orientation(header: HeaderBytes, offset: int) -> int | None:
    if header.take(offset, len(EXIF_PREFIX)) != EXIF_PREFIX:
        return None
    return read_exif_orientation(header, offset + len(EXIF_PREFIX))


def read_png(header: HeaderBytes) -> Dimensions:
    """Read the IHDR chunk, which the standard puts first (PNG, third edition, 11.2.1)."""
    chunk = header.take(8, 18)
    if chunk[:8] != b"\x00\x00\x00\rIHDR" or chunk[16] not in _PNG_DEPTHS.get(chunk[17], ()):
        raise DamagedImageError("no valid IHDR chunk at the start of the PNG file")
    return int.from_bytes(chunk[8:12]), int.from_bytes(chunk[12:16]), 1


def read_gif(header: HeaderBytes) -> Dimensions:
    """Read the logical screen, widened to the first frame, as decoders do (GIF89a, 18 and 20)."""
    screen = header.take(6, 7)
    width, height = _little(screen[0:2]), _little(screen[2:4])
    offset = 13 + _gif_palette_length(screen[4])
    while (kind := header.take(offset, 1)) != _GIF_IMAGE:
        if kind == _GIF_TRAILER:
            raise DamagedImageError("no frame in the GIF file")
        if kind == _GIF_EXTENSION:
            offset += 2
            while block_length := header.unsigned(offset, 1):
                offset += 1 + block_length
        offset += 1  # an empty block ends the extension; other bytes are rubbish that decoders step over too
    frame = header.take(offset + 1, 8)
    left, top, frame_width, frame_height = (_little(frame[i : i + 2]) for i in range(0, 8, 2))
    return max(width, left + frame_width), max(height, top + frame_height), 1


def _gif_palette_length(flags: int) -> int:
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


def read_webp(header: HeaderBytes) -> Dimensions:
    """Read the canvas or the first bitstream (RFC 9649, 2.5 to 2.7); EXIF stands behind the pixels."""
    chunk = header.take(12, 18)
    kind, body = chunk[:4], chunk[8:]
    if kind == b"VP8X":
        return _little(body[4:7]) + 1, _little(body[7:10]) + 1, 1
    if kind == b"VP8L" and body[0] == 0x2F:
        bits = _little(body[1:5])
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, 1
    if kind == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":
        return _little(body[6:8]) & 0x3FFF, _little(body[8:10]) & 0x3FFF, 1
    raise DamagedImageError("no picture at the start of the WebP file")


def _little(number: bytes) -> int:
    return int.from_bytes(number, "little")
