"""Writes what is shown of a photo as an XMP packet (ISO 16684-1), for the file beside the original."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from xml.etree import ElementTree as ET

_NAMESPACES = {
    "x": "adobe:ns:meta/",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "dc": "http://purl.org/dc/elements/1.1/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "Iptc4xmpCore": "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",
}
_XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
MEDIA_TYPE = "application/rdf+xml"


@dataclass(frozen=True, slots=True)
class Said:
    """What is said of a photo. Positions are WGS 84 degrees, the offset is in minutes east of UTC."""

    title: str = ""
    caption: str = ""
    keywords: Sequence[str] = ()
    rating: int | None = None
    taken_at: datetime | None = None
    taken_at_offset: int | None = None
    latitude: float | None = None
    longitude: float | None = None
    country_code: str = ""
    country: str = ""
    region: str = ""
    city: str = ""


def write_packet(said: Said) -> bytes:
    """Write the packet, UTF-8; what is not known is left out."""
    for prefix, uri in _NAMESPACES.items():
        ET.register_namespace(prefix, uri)
    root = ET.Element(_name("x:xmpmeta"))
    description = ET.SubElement(ET.SubElement(root, _name("rdf:RDF")), _name("rdf:Description"))
    description.set(_name("rdf:about"), "")
    _add_text(description, "dc:title", said.title)
    _add_text(description, "dc:description", said.caption)
    _add_bag(description, "dc:subject", said.keywords)
    values = {
        "xmp:Rating": "" if said.rating is None else str(said.rating),
        "exif:GPSLatitude": _degrees(said.latitude, "N", "S"),
        "exif:GPSLongitude": _degrees(said.longitude, "E", "W"),
        "photoshop:Country": said.country,
        "photoshop:State": said.region,
        "photoshop:City": said.city,
        "Iptc4xmpCore:CountryCode": said.country_code,
        **dict.fromkeys(("exif:DateTimeOriginal", "photoshop:DateCreated"), _clock(said)),
    }
    for name, value in values.items():
        if value:
            ET.SubElement(description, _name(name)).text = _printable(value)
    ET.indent(root)
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="utf-8") + b"\n"


def _name(qualified: str) -> str:
    prefix, _, local = qualified.partition(":")
    return f"{{{_NAMESPACES[prefix]}}}{local}"


def _add_text(description: ET.Element, name: str, text: str) -> None:
    """Add a text as the standard has titles: by language, here the default one."""
    if not text:
        return
    alternatives = ET.SubElement(ET.SubElement(description, _name(name)), _name("rdf:Alt"))
    item = ET.SubElement(alternatives, _name("rdf:li"), {_XML_LANG: "x-default"})
    item.text = _printable(text)


def _add_bag(description: ET.Element, name: str, items: Sequence[str]) -> None:
    if not items:
        return
    bag = ET.SubElement(ET.SubElement(description, _name(name)), _name("rdf:Bag"))
    for item in items:
        ET.SubElement(bag, _name("rdf:li")).text = _printable(item)


def _printable(text: str) -> str:
    """Leave out what XML 1.0 cannot hold."""
    return "".join(one for one in text if one in "\t\n\r" or (ord(one) >= 32 and not 0xFFFE <= ord(one) <= 0xFFFF))


def _degrees(value: float | None, positive: str, negative: str) -> str:
    """Give `DDD,MM.mmmmmmK`, as XMP writes GPS coordinates."""
    if value is None:
        return ""
    degrees, minutes = divmod(round(abs(value) * 60, 6), 60)
    return f"{degrees:.0f},{minutes:.6f}{negative if value < 0 else positive}"


def _clock(said: Said) -> str:
    """Give the time as the camera's clock showed it, with its offset where that is known."""
    if said.taken_at is None:
        return ""
    if said.taken_at_offset is None:
        return said.taken_at.replace(tzinfo=None).isoformat()
    return said.taken_at.astimezone(timezone(timedelta(minutes=said.taken_at_offset))).isoformat()
