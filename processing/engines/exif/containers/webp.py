"""WebP: the chunks of its RIFF file."""

from processing.engines.exif.containers.blocks import MAX_BLOCK_BYTES, ContainerDamageError, MetadataBlocks, tiff_part
from processing.engines.exif.facts import Facts
from processing.engines.exif.source import ByteSource

MAX_CHUNKS = 20_000  # an animation has one for each frame


def read_webp_blocks(source: ByteSource, blocks: MetadataBlocks, _facts: Facts) -> None:
    """EXIF and XMP, which stand behind the pixels; the walk reads eight bytes of each other chunk."""
    head = source.read(0, 12)
    if head[:4] != b"RIFF" or head[8:12] != b"WEBP":
        raise ContainerDamageError("no WebP signature")
    end = 8 + int.from_bytes(head[4:8], "little")
    position = 12
    for _ in range(MAX_CHUNKS):
        if position + 8 > end:
            return
        head = source.read(position, 8, ahead=position == 12)
        if len(head) < 8:
            raise ContainerDamageError(f"no chunk at byte {position}")
        kind, size = head[:4], int.from_bytes(head[4:], "little")
        if kind == b"EXIF" and not blocks.exif:
            blocks.exif = tiff_part(source.read(position + 8, min(size, MAX_BLOCK_BYTES)))
        elif kind == b"XMP ":
            blocks.xmp.append(source.read(position + 8, min(size, MAX_BLOCK_BYTES)))
        position += 8 + size + size % 2
    raise ContainerDamageError(f"more than {MAX_CHUNKS} chunks")
