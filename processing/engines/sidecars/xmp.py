"""Reads an XMP sidecar, as Lightroom, darktable, digiKam and many others write it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from xml.etree.ElementTree import Element, ParseError

import defusedxml.ElementTree
from defusedxml import DefusedXmlException

from processing.engines.exif.camera import read_words
from processing.engines.exif.dates import read_taken
from processing.engines.exif.facts import Facts
from processing.engines.exif.gps import read_place
from processing.engines.exif.xmp import add_packet, packet_text
from processing.engines.sidecars.values import (
    MAX_CAPTION,
    MAX_KEYWORD,
    MAX_KEYWORDS,
    MAX_NAME,
    MAX_PEOPLE,
    MAX_SIDECAR_BYTES,
    MAX_TITLE,
    SidecarError,
    SidecarValues,
    texts,
)

# regions of the Metadata Working Group, in which photo tools name faces
_REGIONS = "{http://www.metadataworkinggroup.com/schemas/regions/}"
_PERSON_TAGS = ("XMP Iptc4xmpExt:PersonInImage",)
# of tools that write no plain keywords; each is a path of which the last part is the word
_HIERARCHIES = ("XMP lr:hierarchicalSubject", "XMP digiKam:TagsList")
_DAMAGE = {"xmp_damaged", "xmp_too_large"}


def read_xmp(data: bytes) -> SidecarValues:
    """Read an XMP sidecar. Raises SidecarError for what is no XMP, or is too large or built to hurt."""
    if len(data) > MAX_SIDECAR_BYTES:
        raise SidecarError(f"It has {len(data)} bytes.")
    facts = Facts()
    add_packet(data, facts)
    for warning in facts.warnings():
        if warning.code in _DAMAGE:
            raise SidecarError(warning.detail or warning.code)
    if next(facts.remaining(), None) is None:
        raise SidecarError("It has no XMP property.")
    words, place = read_words(facts), read_place(facts)
    return SidecarValues(
        title=(words.title or "")[:MAX_TITLE],
        caption=(words.description or "")[:MAX_CAPTION],
        keywords=words.keywords or _leaves(facts),
        rating=words.rating,
        taken_at=_taken_at(facts),
        latitude=place.latitude,
        longitude=place.longitude,
        people=texts([*_persons(facts), *_named_regions(data)], length=MAX_NAME, count=MAX_PEOPLE),
    )


def _taken_at(facts: Facts) -> datetime | None:
    taken = read_taken(facts, None)
    if taken is None:
        return None
    return taken.local.replace(tzinfo=UTC) - timedelta(minutes=taken.offset_minutes or 0)


def _leaves(facts: Facts) -> tuple[str, ...]:
    paths = (value for tag in _HIERARCHIES if (fact := facts.get(tag)) for value in fact.values)
    words = (str(path).replace("|", "/").rsplit("/", 1)[-1] for path in paths)
    return texts(words, length=MAX_KEYWORD, count=MAX_KEYWORDS)


def _persons(facts: Facts) -> Iterator[object]:
    for tag in _PERSON_TAGS:
        if fact := facts.get(tag):
            yield from fact.values


def _named_regions(data: bytes) -> Iterator[str]:
    """Give the names of regions that are faces: arrays of structures, which the reader of packets leaves out."""
    try:
        root = defusedxml.ElementTree.fromstring(packet_text(data), forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, RecursionError):
        return
    for element in root.iter():
        if (_said(element, "Type") or "").strip() == "Face" and (name := _said(element, "Name")):
            yield name


def _said(element: Element, name: str) -> str | None:
    written = element.get(_REGIONS + name)
    return written if written is not None else element.findtext(_REGIONS + name)
