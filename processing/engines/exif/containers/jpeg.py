"""JPEG: the application segments before the start of scan."""

from processing.engines.exif.containers.blocks import ContainerDamageError, MetadataBlocks, tiff_part
from processing.engines.exif.facts import Facts
from processing.engines.exif.source import ByteSource
from processing.engines.exif.text import decode_text

MAX_SEGMENTS = 2000
MAX_EXTENDED_BYTES = 2 << 20
_EOI, _SOS, _APP1, _APP13, _COM = 0xD9, 0xDA, 0xE1, 0xED, 0xFE
_STANDALONE = {0x01, *range(0xD0, 0xD9)}  # markers without a size: restarts and the start of the image
_EXIF = b"Exif\x00"
_XMP = b"http://ns.adobe.com/xap/1.0/\x00"
_XMP_EXTENSION = b"http://ns.adobe.com/xmp/extension/\x00"
_PHOTOSHOP = b"Photoshop 3.0\x00"


class _Segments:
    """What the segments add up to: EXIF, resources and long XMP may each be spread over several."""

    def __init__(self, blocks: MetadataBlocks, facts: Facts) -> None:
        self._blocks = blocks
        self._facts = facts
        self._extensions: dict[bytes, dict[int, bytes]] = {}
        self._extension_bytes = 0

    def add(self, marker: int, payload: bytes) -> None:
        if marker == _COM:
            self._facts.add("JPEG Comment", decode_text(payload))
        elif marker == _APP13 and payload.startswith(_PHOTOSHOP):
            self._blocks.photoshop += payload[len(_PHOTOSHOP) :]
        elif marker == _APP1 and payload.startswith(_EXIF):
            self._add_exif(payload)
        elif marker == _APP1 and payload.startswith(_XMP):
            self._blocks.xmp.append(payload[len(_XMP) :])
        elif marker == _APP1 and payload.startswith(_XMP_EXTENSION):
            self._add_extension(payload[len(_XMP_EXTENSION) :])

    def _add_exif(self, payload: bytes) -> None:
        if not self._blocks.exif:
            self._blocks.exif = tiff_part(payload[6:])
        elif payload[6:8] not in (b"II", b"MM"):  # the second part of a block that did not fit in 64 kB
            self._blocks.exif += payload[6:]

    def _add_extension(self, payload: bytes) -> None:
        """Collect a part: 32 bytes name its packet, then the packet's size and the part's offset in it."""
        offset = int.from_bytes(payload[36:40], "big")
        self._extension_bytes += len(payload)
        if self._extension_bytes > MAX_EXTENDED_BYTES:
            self._facts.warn("xmp_too_large", "xmp", f"extension of more than {MAX_EXTENDED_BYTES} bytes")
            self._extensions.clear()
        else:
            self._extensions.setdefault(payload[:32], {})[offset] = payload[40:]

    def finish(self) -> None:
        for parts in self._extensions.values():
            self._blocks.xmp.append(b"".join(part for _, part in sorted(parts.items())))


def read_jpeg_blocks(source: ByteSource, blocks: MetadataBlocks, facts: Facts) -> None:
    """EXIF and XMP from APP1, Photoshop's resources from APP13, the comment; nothing from the scan on is read."""
    segments = _Segments(blocks, facts)
    try:
        _walk(source, segments)
    finally:
        segments.finish()


def _walk(source: ByteSource, segments: _Segments) -> None:
    if source.read(0, 2) != b"\xff\xd8":
        raise ContainerDamageError("no JPEG signature")
    position = 2
    for _ in range(MAX_SEGMENTS):
        head = source.read(position, 4)
        if len(head) < 2 or head[0] != 0xFF:
            raise ContainerDamageError(f"no marker at byte {position}")
        marker = head[1]
        if marker in (_SOS, _EOI):
            return
        if marker == 0xFF or marker in _STANDALONE:
            position += 1 if marker == 0xFF else 2
            continue
        size = int.from_bytes(head[2:4], "big")
        if marker in (_APP1, _APP13, _COM):
            payload = source.read(position + 4, size - 2)
            segments.add(marker, payload)
            if len(payload) < size - 2:
                raise ContainerDamageError(f"segment at byte {position} is cut")
        position += 2 + max(size, 2)
    raise ContainerDamageError(f"more than {MAX_SEGMENTS} segments")
