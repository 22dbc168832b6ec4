"""Reads a TIFF structure, a whole file or the block that other formats carry, with exifread."""

import logging
import struct
from dataclasses import dataclass

from exifread.core.exceptions import ExifError
from exifread.core.exif_header import ExifHeader
from exifread.core.ifd_tag import IfdTag
from exifread.tags.fields import FIELD_DEFINITIONS, FieldType
from PIL.ExifTags import GPSTAGS, TAGS

from processing.engines.exif.facts import Facts, Rational, Scalar
from processing.engines.exif.source import ByteSource, ReadBudgetError
from processing.engines.exif.text import decode_comment, decode_text, decode_utf16

MAX_READS = 30_000  # the busiest real file needs some 2,000; a loop of directories asks for billions
MAX_READS_PAST_END = 2000  # two long lists of offsets in a cut file; garbage asks for 65,535 entries at once
PAST_END = "a value lies past the end of the block"
MAX_VALUE_BYTES = 1 << 16
MAX_BLOCK_BYTES = 2 << 20
# What exifread lets out on damaged input. OSError is not among them: that is the storage, and passes.
DAMAGE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ExifError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
)

USER_COMMENT, XMP_PACKET, MAKER_NOTE = 0x9286, 0x02BC, 0x927C
IPTC_BLOCK, PHOTOSHOP_BLOCK = 0x83BB, 0x8649
WINDOWS_TEXTS = range(0x9C9B, 0x9CA0)
GPS_ENCODED_TEXTS = {0x001B, 0x001C}  # GPSProcessingMethod, GPSAreaInformation
# Pointers, pixel layout, colour tables and padding: how the file is built, not what it says of the photo.
STRUCTURE = {
    *(0x0111, 0x0117, 0x0123, 0x012D, 0x0140, 0x0144, 0x0145, 0x014A, 0x015B, 0x0201, 0x0202, 0x8769, 0x8773, 0x8825),
    *(0xA005, 0xC4A5, 0xEA1C, 0xEA1D, 0x935C, XMP_PACKET, MAKER_NOTE, IPTC_BLOCK, PHOTOSHOP_BLOCK),
}

# Its messages quote hostile files, thousands of times where they want; ours go on the photo's row.
logging.getLogger("exifread").setLevel(logging.CRITICAL + 1)


@dataclass(frozen=True, slots=True)
class EmbeddedBlocks:
    """The blocks of other standards that stand inside a TIFF structure; empty where there is none."""

    xmp: bytes = b""
    iptc: bytes = b""
    photoshop: bytes = b""


class _BudgetedFile:
    """What exifread takes for a file: counts its reads, bounds the longest, and counts those past the end."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._position = 0
        self._reads = 0
        self.reads_past_end = 0

    def seek(self, position: int) -> None:
        self._position = position

    def read(self, size: int) -> bytes:
        self._reads += 1
        if self._reads > MAX_READS:
            raise ReadBudgetError(f"more than {MAX_READS} reads")
        wanted = min(size, MAX_VALUE_BYTES)
        data = self._source.read(self._position, wanted)
        self._position += len(data)
        if len(data) < wanted:
            self.reads_past_end += 1
            if self.reads_past_end > MAX_READS_PAST_END:
                raise ValueError(PAST_END)
        return data


def read_tiff(source: ByteSource, facts: Facts) -> EmbeddedBlocks:
    """Add the tags of the first directory, its EXIF, GPS and thumbnail directories to `facts`.

    Damage and bombs end in a warning; the tags that were read before stay.
    """
    head = source.read(0, 8)
    order = {b"II": "little", b"MM": "big"}.get(head[:2])
    magic = int.from_bytes(head[2:4], order) if order else 0
    if magic == 43:
        facts.warn("exif_unsupported", "exif", "BigTIFF")  # exifread knows 32-bit offsets only
        return EmbeddedBlocks()
    if magic != 42 or order is None:
        facts.warn("exif_damaged", "exif", "no TIFF header")
        return EmbeddedBlocks()
    file = _BudgetedFile(source)
    header = ExifHeader(file, endian=chr(head[0]), offset=0, fake_exif=0, strict=False, detailed=False)
    embedded = EmbeddedBlocks()
    try:
        embedded = _read_directories(header, order, facts)
    except ReadBudgetError as error:
        facts.warn("exif_too_large", "exif", f"{error}")
    except DAMAGE as error:
        facts.warn("exif_damaged", "exif", f"{error}")
    if file.reads_past_end:
        facts.warn("exif_damaged", "exif", PAST_END)
    elif not header.tags:
        facts.warn("exif_damaged", "exif", "no tag found")
    for name, tag in header.tags.items():
        try:
            _add_tag(header, name, tag, order, facts)
        except DAMAGE as error:
            facts.warn("exif_damaged", "exif", f"{name}: {error}")
    return embedded


def _read_directories(header: ExifHeader, order: str, facts: Facts) -> EmbeddedBlocks:
    first = header.s2n(4, 4)
    header.dump_ifd(first, "Image")
    exif = _pointer(header.tags.get("Image ExifOffset"))
    if exif:
        header.dump_ifd(exif, "EXIF")
        comment = _find_raw(header, exif, USER_COMMENT)
        if comment:
            facts.add("EXIF UserComment", decode_comment(comment[:MAX_VALUE_BYTES], byte_order=order))
    embedded = EmbeddedBlocks(
        xmp=_find_raw(header, first, XMP_PACKET),
        iptc=_raw_tag(header, header.tags.get("Image IPTC/NAA")),
        photoshop=_raw_tag(header, header.tags.get(f"Image Tag 0x{PHOTOSHOP_BLOCK:04X}")),
    )
    thumbnail = header.s2n(first + 2 + 12 * header.s2n(first, 2), 4)
    if thumbnail not in (0, first, exif):
        header.dump_ifd(thumbnail, "Thumbnail")
    return embedded


def _pointer(tag: IfdTag | None) -> int:
    values = tag.values if tag else None
    return values[0] if isinstance(values, list) and values and type(values[0]) is int else 0


def _find_raw(header: ExifHeader, directory: int, wanted: int) -> bytes:
    """The bytes of a tag that exifread skips when it is to be quick."""
    for index in range(header.s2n(directory, 2)):
        entry = directory + 2 + 12 * index
        if header.s2n(entry, 2) != wanted:
            continue
        kind = header.s2n(entry + 2, 2)
        length = header.s2n(entry + 4, 4) * FIELD_DEFINITIONS[FieldType(kind)][0]
        return _raw_value(header, header.s2n(entry + 8, 4) if length > 4 else entry + 8, length)
    return b""


def _raw_tag(header: ExifHeader, tag: IfdTag | None) -> bytes:
    return _raw_value(header, tag.field_offset, tag.field_length) if tag else b""


def _raw_value(header: ExifHeader, offset: int, length: int) -> bytes:
    header.file_handle.seek(offset)
    data = b""
    length = min(length, MAX_BLOCK_BYTES)
    while len(data) < length and (part := header.file_handle.read(length - len(data))):
        data += part
    return data


def _add_tag(header: ExifHeader, name: str, tag: IfdTag, order: str, facts: Facts) -> None:
    directory, _, title = name.partition(" ")
    in_gps = directory == "GPS"
    if tag.tag in STRUCTURE and not in_gps:
        return
    if title.startswith("Tag 0x"):
        names = GPSTAGS if in_gps else TAGS
        name = f"{directory} {names.get(tag.tag, title)}"
    if tag.tag in WINDOWS_TEXTS and not in_gps:
        facts.add(name, decode_utf16(_windows_text(header, tag)))
    elif isinstance(tag.values, str):
        facts.add(name, tag.values)
    elif isinstance(tag.values, bytes):
        facts.add(name, decode_text(tag.values))
    elif in_gps and tag.tag in GPS_ENCODED_TEXTS:
        facts.add(name, decode_comment(_bytes(tag.values), byte_order=order))
    elif tag.field_type == FieldType.UNDEFINED and not tag.prefer_printable and _is_text(_bytes(tag.values)):
        facts.add(name, decode_text(_bytes(tag.values)))
    else:
        is_code = tag.prefer_printable and (len(tag.values) == 1 or tag.field_type == FieldType.UNDEFINED)
        facts.add(name, *map(_scalar, tag.values), shown=tag.printable if is_code else None)


def _windows_text(header: ExifHeader, tag: IfdTag) -> bytes:
    """From the values where exifread read them, from the file where they were too many for it."""
    if tag.values and isinstance(tag.values, list):
        return _bytes(tag.values)
    return _raw_value(header, tag.field_offset, min(tag.field_length, MAX_VALUE_BYTES))


def _bytes(values: list) -> bytes:
    return bytes(value % 256 for value in values if isinstance(value, int))


def _is_text(data: bytes) -> bool:
    stripped = data.strip(b"\x00")
    return len(stripped) > 1 and all(32 <= byte < 127 for byte in stripped)


def _scalar(value: object) -> Scalar:
    if isinstance(value, tuple):  # how exifread holds a float
        return float(value[0])
    if isinstance(value, int | float | str):
        return value
    return Rational(value.num, value.den)
