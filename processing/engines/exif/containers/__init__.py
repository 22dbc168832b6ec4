"""Finds the blocks of metadata in an image file of each format, reading as little of it as the format lets.

exifread, Pillow and pillow-heif each find some of these blocks in some of these formats; Pillow's readers open the
image for it, and pillow-heif's reads the whole file. Here each block is found where the format says it stands, and
what stands in it goes to the same parsers for every format.
"""

from processing.engines.exif.containers.blocks import ContainerDamageError, MetadataBlocks
from processing.engines.exif.containers.gif import read_gif_blocks
from processing.engines.exif.containers.isobmff import read_isobmff_blocks
from processing.engines.exif.containers.jpeg import read_jpeg_blocks
from processing.engines.exif.containers.png import read_png_blocks
from processing.engines.exif.containers.webp import read_webp_blocks
from processing.engines.exif.facts import Facts
from processing.engines.exif.source import ByteSource, ReadBudgetError

__all__ = ["MetadataBlocks", "read_blocks"]

_READERS = {
    "JPEG": read_jpeg_blocks,
    "PNG": read_png_blocks,
    "WEBP": read_webp_blocks,
    "GIF": read_gif_blocks,
    "HEIF": read_isobmff_blocks,
    "AVIF": read_isobmff_blocks,
}


def read_blocks(source: ByteSource, image_format: str, facts: Facts) -> MetadataBlocks:
    """The blocks of a file of that format; damage ends the search with a warning. A TIFF is itself the EXIF block."""
    blocks = MetadataBlocks()
    reader = _READERS.get(image_format)
    if reader:
        try:
            reader(source, blocks, facts)
        except ContainerDamageError as error:
            facts.warn("container_damaged", "file", f"{error}")
        except ReadBudgetError as error:
            facts.warn("container_too_large", "file", f"{error}")
    return blocks
