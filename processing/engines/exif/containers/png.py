"""PNG: its chunks, also those behind the pixels."""

import binascii
import zlib

from processing.engines.exif.containers.blocks import MAX_BLOCK_BYTES, ContainerDamageError, MetadataBlocks, tiff_part
from processing.engines.exif.facts import Facts
from processing.engines.exif.source import ByteSource
from processing.engines.exif.text import decode_text

MAX_CHUNKS = 20_000
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_XMP_KEYWORD = "XML:com.adobe.xmp"
_PROFILE = "Raw profile type "


def read_png_blocks(source: ByteSource, blocks: MetadataBlocks, facts: Facts) -> None:
    """EXIF from eXIf, XMP and texts from the text chunks, and ImageMagick's profiles in hexadecimal.

    Pixels are passed over; the walk reads twelve bytes of each chunk.
    """
    if source.read(0, 8) != _SIGNATURE:
        raise ContainerDamageError("no PNG signature")
    position = 8
    in_pixels = False
    for _ in range(MAX_CHUNKS):
        head = source.read(position, 8, ahead=not in_pixels)
        if len(head) < 8:
            raise ContainerDamageError(f"no chunk at byte {position}")
        size, kind = int.from_bytes(head[:4], "big"), head[4:]
        in_pixels = kind == b"IDAT"
        if kind == b"IEND":
            return
        if kind == b"eXIf" and not blocks.exif:
            blocks.exif = tiff_part(source.read(position + 8, min(size, MAX_BLOCK_BYTES)))
        elif kind in (b"tEXt", b"zTXt", b"iTXt"):
            keyword, text = _keyword_and_text(kind, source.read(position + 8, min(size, MAX_BLOCK_BYTES)), facts)
            source.charge(len(text))
            _add_text(keyword, text, blocks, facts)
        position += 12 + size
    raise ContainerDamageError(f"more than {MAX_CHUNKS} chunks")


def _add_text(keyword: str, text: bytes, blocks: MetadataBlocks, facts: Facts) -> None:
    if keyword == _XMP_KEYWORD:
        blocks.xmp.append(text)
    elif keyword.startswith(_PROFILE):
        _add_profile(keyword.removeprefix(_PROFILE), text, blocks, facts)
    elif keyword:
        facts.add(f"PNG {keyword}", decode_text(text))


def _keyword_and_text(kind: bytes, data: bytes, facts: Facts) -> tuple[str, bytes]:
    name, _, rest = data.partition(b"\x00")
    compressed = kind == b"zTXt"
    if kind == b"iTXt":
        compressed, rest = rest[:1] == b"\x01", rest[2:].partition(b"\x00")[2].partition(b"\x00")[2]
    elif compressed:
        rest = rest[1:]
    if compressed:
        try:
            rest = zlib.decompressobj().decompress(rest, MAX_BLOCK_BYTES)
        except zlib.error as error:
            facts.warn("container_damaged", "file", f"text chunk: {error}")
            rest = b""
    return name[:79].decode("latin-1"), rest


def _add_profile(name: str, text: bytes, blocks: MetadataBlocks, facts: Facts) -> None:
    """A line with the name, a line with the size, then hexadecimal digits in lines."""
    try:
        data = binascii.unhexlify(b"".join(text.split()[2:]))
    except binascii.Error as error:
        facts.warn("container_damaged", "file", f"profile {name}: {error}")
        return
    if name in ("exif", "APP1") and data.startswith(b"Exif\x00"):
        blocks.exif = blocks.exif or tiff_part(data)
    elif name == "xmp" or data.startswith(b"http://ns.adobe.com/xap/1.0/\x00"):
        blocks.xmp.append(data.removeprefix(b"http://ns.adobe.com/xap/1.0/\x00"))
    elif name == "iptc":
        if data.startswith(b"8BIM"):
            blocks.photoshop += data
        else:
            blocks.iptc += data
