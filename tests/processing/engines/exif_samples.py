"""Builds small files with any metadata, also such as no honest program writes."""

import io
import struct
import zlib
from collections.abc import Sequence

from PIL import Image

BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, SIGNED_RATIONAL = 1, 2, 3, 4, 5, 7, 10
_FORMATS = {BYTE: "B", SHORT: "H", LONG: "I", RATIONAL: "I", SIGNED_RATIONAL: "i"}
_WIDTHS = {BYTE: 1, ASCII: 1, SHORT: 2, LONG: 4, RATIONAL: 8, UNDEFINED: 1, SIGNED_RATIONAL: 8}
EXIF_POINTER, GPS_POINTER = 0x8769, 0x8825

Entry = tuple[int, int, bytes | Sequence[int]]  # tag, type, values (rationals flat)

XMP_HEAD = b"http://ns.adobe.com/xap/1.0/\x00"
NAMESPACES = (
    'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:dc="http://purl.org/dc/elements/1.1/" '
    'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:exif="http://ns.adobe.com/exif/1.0/" '
    'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"'
)


def tiff(
    image: Sequence[Entry] = (), exif: Sequence[Entry] = (), gps: Sequence[Entry] = (), *, order: str = "<"
) -> bytes:
    """A TIFF structure of a first directory, and an EXIF and a GPS directory behind it where they have entries."""
    image = list(image)
    start = 8
    pointers = [(EXIF_POINTER, exif), (GPS_POINTER, gps)]
    image += [(pointer, LONG, (0,)) for pointer, entries in pointers if entries]
    parts = []
    offset = start + len(_directory(image, start, order))
    for pointer, entries in pointers:
        if entries:
            image = [(tag, kind, (offset,)) if tag == pointer else (tag, kind, data) for tag, kind, data in image]
            parts.append(_directory(entries, offset, order))
            offset += len(parts[-1])
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, start)
    return head + _directory(image, start, order) + b"".join(parts)


def _directory(entries: Sequence[Entry], offset: int, order: str) -> bytes:
    table = struct.pack(order + "H", len(entries))
    heap = b""
    heap_offset = offset + 2 + 12 * len(entries) + 4
    for tag, kind, values in entries:
        data = values if isinstance(values, bytes) else struct.pack(f"{order}{len(values)}{_FORMATS[kind]}", *values)
        table += struct.pack(order + "HHI", tag, kind, len(data) // _WIDTHS[kind])
        if len(data) <= 4:
            table += data.ljust(4, b"\x00")
        else:
            table += struct.pack(order + "I", heap_offset + len(heap))
            heap += data + b"\x00" * (len(data) % 2)
    return table + b"\x00" * 4 + heap


def jpeg(*segments: tuple[int, bytes]) -> bytes:
    """A decodable JPEG of 8 x 8 pixels with these segments (marker, payload) behind its first marker."""
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), "teal").save(buffer, "JPEG")
    plain = buffer.getvalue()
    return plain[:2] + b"".join(segment(marker, payload) for marker, payload in segments) + plain[2:]


def segment(marker: int, payload: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def jpeg_with_exif(image: Sequence[Entry] = (), exif: Sequence[Entry] = (), gps: Sequence[Entry] = ()) -> bytes:
    return jpeg((0xE1, b"Exif\x00\x00" + tiff(image, exif, gps)))


def jpeg_with_xmp(description: str, *, attributes: str = "") -> bytes:
    return jpeg((0xE1, XMP_HEAD + xmp(description, attributes=attributes)))


def xmp(description: str, *, attributes: str = "") -> bytes:
    """A packet whose one description has these attributes and elements."""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        f'<rdf:RDF {NAMESPACES}><rdf:Description rdf:about="" {attributes}>{description}</rdf:Description></rdf:RDF>'
        '</x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def photoshop(*resources: tuple[int, bytes]) -> bytes:
    """The payload of an APP13 segment."""
    return b"Photoshop 3.0\x00" + b"".join(resource(identifier, data) for identifier, data in resources)


def resource(identifier: int, data: bytes) -> bytes:
    return b"8BIM" + struct.pack(">HxxI", identifier, len(data)) + data + b"\x00" * (len(data) % 2)


def iim(*datasets: tuple[int, int, bytes]) -> bytes:
    """IPTC datasets (record, number, value)."""
    return b"".join(
        struct.pack(">BBBH", 0x1C, record, number, len(value)) + value for record, number, value in datasets
    )


def png(*chunks: tuple[bytes, bytes], behind: Sequence[tuple[bytes, bytes]] = ()) -> bytes:
    """A decodable PNG with these chunks (kind, data) behind its header, and others behind its pixels."""
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), "teal").save(buffer, "PNG")
    plain = buffer.getvalue()
    head, end = 8 + 12 + 13, len(plain) - 12
    return (
        plain[:head]
        + b"".join(png_chunk(kind, data) for kind, data in chunks)
        + plain[head:end]
        + b"".join(png_chunk(kind, data) for kind, data in behind)
        + plain[end:]
    )


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


class CountingFile(io.BytesIO):
    """A file in memory that counts the bytes that were read from it."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.bytes_read = 0

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.bytes_read += len(data)
        return data
