"""Damage inside a JPEG that its decoder passes over: restart markers out of their order.

Restart markers count 0 to 7 and begin again (ITU-T T.81, B.1.1.3 and E.1.4). A decoder that meets another one than it
expects paints the gap grey and says nothing.
"""

import os
import re
from typing import BinaryIO

from processing.engines.imaging.results import PixelWarning

CORRUPT_SCAN = "corrupt_scan"

# a marker that may stand inside or between scans; FF 00 is a stuffed byte of the data. Of fill bytes before it the last
# one is found: a pattern that passed over them would look at a long row once from each of its bytes
_MARKER = re.compile(rb"\xff([\x01-\xfe])")
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_RESTARTS = range(0xD0, 0xD8)
_WITHOUT_LENGTH = {0x01, 0xD8, *_RESTARTS}


def pixel_warnings(file: BinaryIO, *, image_format: str) -> tuple[PixelWarning, ...]:
    """Look for damage in a photo that could be decoded. Reads a JPEG whole, other formats not at all."""
    if image_format != "JPEG":
        return ()
    file.seek(0, os.SEEK_SET)
    breaks = restart_breaks(file.read())
    if not breaks:
        return ()
    detail = f"Parts of the picture are damaged: {breaks} breaks in the sequence of restart markers."
    return (PixelWarning(code=CORRUPT_SCAN, field="pixels", detail=detail),)


def restart_breaks(data: bytes) -> int:
    """Count the restart markers of a JPEG that do not follow the one before, up to the end of its first image."""
    breaks, expected, position = 0, None, 2
    while (found := _MARKER.search(data, position)) is not None:
        marker, position = found.group(1)[0], found.end()
        if marker == _END_OF_IMAGE:
            break
        if marker in _RESTARTS:
            breaks += expected is not None and marker - 0xD0 != expected
            expected = (marker - 0xD0 + 1) % 8
        elif marker not in _WITHOUT_LENGTH:
            position += int.from_bytes(data[position : position + 2], "big")
            expected = 0 if marker == _START_OF_SCAN else expected
    return breaks
