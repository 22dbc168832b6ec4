"""The blocks that a container holds."""

import re
from dataclasses import dataclass, field

MAX_BLOCK_BYTES = 4 << 20  # the longest block that is read; real ones are below 200 kB
_TIFF_HEADER = re.compile(rb"II[*+]\x00|MM\x00[*+]")


class ContainerDamageError(ValueError):
    """The container cannot be followed any further."""


@dataclass(slots=True)
class MetadataBlocks:
    """`exif`: a TIFF structure; `xmp`: packets, the main one first; `photoshop`: image resources; `iptc`: records."""

    exif: bytes = b""
    xmp: list[bytes] = field(default_factory=list)
    photoshop: bytes = b""
    iptc: bytes = b""


def tiff_part(block: bytes) -> bytes:
    """An EXIF block from its TIFF header on: writers put `Exif`, its length or a JPEG marker before it, or nothing."""
    match = _TIFF_HEADER.search(block, 0, 64)
    return block[match.start() :] if match else block
