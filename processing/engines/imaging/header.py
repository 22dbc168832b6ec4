"""What a file is and how large its picture is, from its first bytes; nothing is decoded.

Pillow's plugins for AVIF and WebP and libheif read the whole file and start their decoders as soon as they
open it, and Pillow's pixel limit is a global of the process. The web process has threads and strangers'
files, so it uses neither: the few fields are read here, within a budget of reads, and the limit is an
argument.
"""

from typing import BinaryIO

from processing.engines.errors import (
    DamagedImageError,
    EmptyFileError,
    TooManyPixelsError,
    UnsupportedFormatError,
)
from processing.engines.imaging import heif_header, raster_headers, tiff_header
from processing.engines.imaging.header_bytes import HeaderBytes
from processing.engines.imaging.results import ImageHeader

_READERS = {
    "JPEG": raster_headers.read_jpeg,
    "PNG": raster_headers.read_png,
    "GIF": raster_headers.read_gif,
    "WEBP": raster_headers.read_webp,
    "TIFF": tiff_header.read_dimensions,
    "AVIF": heif_header.read_dimensions,
    "HEIF": heif_header.read_dimensions,
}
# the most that a JPEG can have: what resampling takes grows with the longer side, however few pixels there are
LONGEST_SIDE = 65_535
_SIGNATURE_LENGTH = 16
_REFUSAL = "not a JPEG, PNG, WebP, GIF, AVIF, TIFF or HEIF file"


def read_header(file: BinaryIO, *, max_pixels: int) -> ImageHeader:
    """Identify `file` by its bytes and read its dimensions. The file's position afterwards is undefined.

    Raises EmptyFileError, UnsupportedFormatError, TooManyPixelsError (more than `max_pixels` in the first
    frame, or in what is decoded to show it), DamagedImageError (the signature of a format, but not its
    header). Errors of the storage behind `file` pass through.
    """
    header = HeaderBytes(file)
    if header.size == 0:
        raise EmptyFileError("the file has no bytes")
    image_format, mime_type = _identify(header)
    width, height, orientation = _READERS[image_format](header)
    if not width or not height:
        raise DamagedImageError("the header announces a picture without pixels")
    for sides in ((width, height), _coded_size(header, image_format)):
        require_allowed(sides, max_pixels=max_pixels)
    if orientation >= 5:
        width, height = height, width
    return ImageHeader(image_format, mime_type, width, height)


def coded_pixels(file: BinaryIO, *, image_format: str) -> int:
    """Return how many pixels a decoder may have to hold beside those that are shown; 0 for formats without such.

    HEIF and AVIF crop after decoding. Raises DamagedImageError; errors of the storage pass through. The file's
    position afterwards is undefined.
    """
    width, height = _coded_size(HeaderBytes(file), image_format)
    return width * height


def require_allowed(sides: tuple[int, int], *, max_pixels: int) -> None:
    """Raise TooManyPixelsError for a picture of more than `max_pixels`, or with a side longer than LONGEST_SIDE."""
    width, height = sides
    if max(sides) > LONGEST_SIDE:
        raise TooManyPixelsError(f"{width} x {height} pixels; no side may have more than {LONGEST_SIDE:,}")
    if width * height > max_pixels:
        raise TooManyPixelsError(f"{width} x {height} pixels, of which at most {max_pixels:,} are allowed")


def _coded_size(header: HeaderBytes, image_format: str) -> tuple[int, int]:
    return heif_header.largest_picture(header) if image_format in {"HEIF", "AVIF"} else (0, 0)


# what `read_header` gives as a file's media type
MEDIA_TYPES = (
    "image/jpeg",
    "image/png",
    "image/gif",
    "image/webp",
    "image/tiff",
    "image/avif",
    "image/heic",
    "image/heif",
)


def _identify(header: HeaderBytes) -> tuple[str, str]:
    """Return format and MIME type."""
    start = header.take(0, min(_SIGNATURE_LENGTH, header.size))
    if start.startswith(b"\xff\xd8\xff"):
        return "JPEG", "image/jpeg"
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG", "image/png"
    if start.startswith((b"GIF87a", b"GIF89a")):
        return "GIF", "image/gif"
    if start.startswith(b"RIFF") and start[8:12] == b"WEBP":
        return "WEBP", "image/webp"
    if start.startswith(tiff_header.SIGNATURES):
        return "TIFF", "image/tiff"
    if start[4:8] == b"ftyp":
        return _identify_by_brand(heif_header.read_brands(header))
    raise UnsupportedFormatError(_REFUSAL)


def _identify_by_brand(brands: frozenset[bytes]) -> tuple[str, str]:
    if brands & heif_header.AVIF_BRANDS:
        return "AVIF", "image/avif"
    if brands & heif_header.HEVC_BRANDS:
        return "HEIF", "image/heic"
    if brands:
        return "HEIF", "image/heif"
    raise UnsupportedFormatError(_REFUSAL)
