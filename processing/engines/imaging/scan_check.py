"""What the scans of a JPEG say before it is decoded: that there are too many, or that some are damaged.

Each scan of a progressive JPEG has the decoder go over all pixels, be it for a byte: 8,000 of them fit into 400 kB. The
decoder leaves it to its callers to limit them, as nvImageCodec does to 256 (its NVIMGCODEC_MAX_JPEG_SCANS).

Restart markers count 0 to 7 and begin again (ITU-T T.81, B.1.1.3 and E.1.4). A decoder that meets another one than it
expects paints the gap grey and says nothing.
"""

import os
import re
from dataclasses import dataclass
from typing import BinaryIO

from processing.engines.errors import TooManyScansError
from processing.engines.imaging.results import PixelWarning

CORRUPT_SCAN = "corrupt_scan"

# cameras write 1 to 3 and programs up to about 15; a hundred of 12 megapixels take 0.5 s
MAX_SCANS = 100

# a marker that may stand inside or between scans; FF 00 is a stuffed byte of the data. Of fill bytes before it the last
# one is found: a pattern that passed over them would look at a long row once from each of its bytes
_MARKER = re.compile(rb"\xff([\x01-\xfe])")
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_RESTARTS = range(0xD0, 0xD8)
_WITHOUT_LENGTH = {0x01, 0xD8, *_RESTARTS}


@dataclass(frozen=True, slots=True)
class Scans:
    """The scans of a JPEG's first image: how many, and how many restart markers do not follow the one before."""

    count: int
    breaks: int


def check_scans(file: BinaryIO, *, image_format: str) -> tuple[PixelWarning, ...]:
    """Look for damage that a decoder would pass over. Reads a JPEG whole, other formats not at all.

    Raises TooManyScansError; errors of the storage pass through.
    """
    if image_format != "JPEG":
        return ()
    file.seek(0, os.SEEK_SET)
    scans = find_scans(file.read())
    if scans.count > MAX_SCANS:
        raise TooManyScansError(f"More than {MAX_SCANS} scans.")
    if not scans.breaks:
        return ()
    detail = f"Parts of the picture are damaged: {scans.breaks} breaks in the sequence of restart markers."
    return (PixelWarning(code=CORRUPT_SCAN, field="pixels", detail=detail),)


def find_scans(data: bytes) -> Scans:
    """Look at the scans of a JPEG up to the end of its first image, or to the first scan that is too many."""
    count, breaks, expected, position = 0, 0, None, 2
    while count <= MAX_SCANS and (found := _MARKER.search(data, position)) is not None:
        marker, position = found.group(1)[0], found.end()
        if marker == _END_OF_IMAGE:
            break
        if marker in _RESTARTS:
            breaks += expected is not None and marker - 0xD0 != expected
            expected = (marker - 0xD0 + 1) % 8
        elif marker not in _WITHOUT_LENGTH:
            position += int.from_bytes(data[position : position + 2], "big")
            if marker == _START_OF_SCAN:
                count, expected = count + 1, 0
    return Scans(count, breaks)
