"""Reads IPTC's Information Interchange Model, and the Photoshop resources that hold it.

Pillow's reader wants an opened image and gives up a whole block at its first bad byte; this one takes the block and
keeps what came before.
"""

from collections.abc import Iterator

from processing.engines.exif.facts import Facts
from processing.engines.exif.text import clean_text, decode_text

IPTC_RESOURCE = 0x0404
MAX_DATASETS = 5000
_MARK = 0x1C
_UTF8 = b"\x1b%G"
_CHARACTER_SET = (1, 90)
_NAMES = {
    5: "ObjectName",
    7: "EditStatus",
    10: "Urgency",
    12: "SubjectReference",
    15: "Category",
    20: "SupplementalCategories",
    25: "Keywords",
    26: "ContentLocationCode",
    27: "ContentLocationName",
    40: "SpecialInstructions",
    55: "DateCreated",
    60: "TimeCreated",
    62: "DigitalCreationDate",
    63: "DigitalCreationTime",
    65: "OriginatingProgram",
    70: "ProgramVersion",
    80: "By-line",
    85: "By-lineTitle",
    90: "City",
    92: "Sub-location",
    95: "Province-State",
    100: "Country-PrimaryLocationCode",
    101: "Country-PrimaryLocationName",
    103: "OriginalTransmissionReference",
    105: "Headline",
    110: "Credit",
    115: "Source",
    116: "CopyrightNotice",
    118: "Contact",
    120: "Caption-Abstract",
    122: "Writer-Editor",
}


def add_photoshop_resources(data: bytes, facts: Facts) -> None:
    """Find the IPTC block among Photoshop's image resources (`8BIM`, id, name, size, data) and add it."""
    position = 0
    while data[position : position + 4] == b"8BIM":
        identifier = int.from_bytes(data[position + 4 : position + 6], "big")
        name_size = data[position + 6] if position + 6 < len(data) else 0
        start = position + 7 + name_size + (name_size + 1) % 2
        size = int.from_bytes(data[start : start + 4], "big")
        block = data[start + 4 : start + 4 + size]
        if len(block) < size:
            facts.warn("iptc_damaged", "iptc", f"resource {identifier} of {size} bytes is cut")
        if identifier == IPTC_RESOURCE:
            add_records(block, facts)
        position = start + 4 + size + size % 2


def add_records(data: bytes, facts: Facts) -> None:
    """Add the datasets of the application record to `facts` as `IPTC Name`; the unnamed ones are left out."""
    found: dict[str, list[bytes]] = {}
    utf8 = False
    for (record, number), value in _datasets(data, facts):
        if (record, number) == _CHARACTER_SET:
            utf8 = value == _UTF8
        elif record == 2 and number in _NAMES:
            found.setdefault(_NAMES[number], []).append(value)
    for name, values in found.items():
        texts = (value.decode("utf-8", errors="replace") if utf8 else decode_text(value) for value in values)
        facts.add(f"IPTC {name}", *(text for text in map(clean_text, texts) if text))


def _datasets(data: bytes, facts: Facts) -> Iterator[tuple[tuple[int, int], bytes]]:
    position = 0
    for _ in range(MAX_DATASETS):
        head = data[position : position + 5]
        if len(head) < 5 or not head.strip(b"\x00"):
            return
        if head[0] != _MARK:
            facts.warn("iptc_damaged", "iptc", f"no dataset at byte {position}")
            return
        size = int.from_bytes(head[3:5], "big")
        position += 5
        if size & 0x8000:  # an extended dataset: these 15 bits count the bytes of the size that follows
            width = min(size & 0x7FFF, 8)
            size = int.from_bytes(data[position : position + width], "big")
            position += width
        value = data[position : position + size]
        if len(value) < size:
            facts.warn("iptc_damaged", "iptc", f"dataset {head[1]}:{head[2]} of {size} bytes is cut")
            return
        yield (head[1], head[2]), value
        position += size
    facts.warn("iptc_damaged", "iptc", f"more than {MAX_DATASETS} datasets")
