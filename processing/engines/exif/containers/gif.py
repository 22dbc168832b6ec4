"""GIF: XMP and comments in its extensions."""

from processing.engines.exif.containers.blocks import ContainerDamageError, MetadataBlocks
from processing.engines.exif.facts import Facts
from processing.engines.exif.source import ByteSource
from processing.engines.exif.text import decode_text

MAX_SEARCH_BYTES = 1 << 20  # the pixels have no length: they are walked in steps of 255 bytes
_XMP_APPLICATION = b"XMP DataXMP"
_XMP_TRAILER = 257  # a ramp of bytes that leads a reader of sub-blocks to the end
_EXTENSION, _IMAGE, _COMMENT, _APPLICATION = 0x21, 0x2C, 0xFE, 0xFF


def read_gif_blocks(source: ByteSource, blocks: MetadataBlocks, facts: Facts) -> None:
    """XMP and the comment, as far as they stand in the first megabyte."""
    data = source.read(0, MAX_SEARCH_BYTES)
    if data[:6] not in (b"GIF87a", b"GIF89a") or len(data) < 13:
        raise ContainerDamageError("no GIF signature")
    position = 13 + _table_bytes(data[10])
    while position + 1 < len(data):
        kind, label = data[position], data[position + 1]
        if kind == _EXTENSION:
            start = position + 2
            end = _sub_blocks_end(data, start)
            if label == _APPLICATION and data[start + 1 : start + 12] == _XMP_APPLICATION:
                blocks.xmp.append(data[start + 12 : max(start + 12, end - _XMP_TRAILER)])
            elif label == _COMMENT:
                facts.add("GIF Comment", decode_text(_joined(data[start:end])))
        elif kind == _IMAGE and position + 10 < len(data):
            end = _sub_blocks_end(data, position + 11 + _table_bytes(data[position + 9]))
        else:
            return
        position = end


def _table_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _sub_blocks_end(data: bytes, position: int) -> int:
    while position < len(data) and data[position]:
        position += 1 + data[position]
    return position + 1


def _joined(sub_blocks: bytes) -> bytes:
    parts = []
    position = 0
    while position < len(sub_blocks) and sub_blocks[position]:
        parts.append(sub_blocks[position + 1 : position + 1 + sub_blocks[position]])
        position += 1 + sub_blocks[position]
    return b"".join(parts)
