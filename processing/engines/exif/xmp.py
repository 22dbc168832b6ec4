"""Reads an XMP packet (ISO 16684-1), which is RDF in XML that a stranger wrote."""

import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element, ParseError

import defusedxml.ElementTree
from defusedxml import DefusedXmlException

from processing.engines.exif.facts import Facts
from processing.engines.exif.text import clean_text, decode_text, decode_utf16

MAX_PACKET_BYTES = 2 << 20
MAX_PROPERTIES = 2000
MAX_DEPTH = 4
_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_XML = "{http://www.w3.org/XML/1998/namespace}"
# The prefixes that the standard prefers; a packet may use any of its own.
_PREFIXES = {
    "http://purl.org/dc/elements/1.1/": "dc",
    "http://ns.adobe.com/xap/1.0/": "xmp",
    "http://ns.adobe.com/xap/1.0/rights/": "xmpRights",
    "http://ns.adobe.com/tiff/1.0/": "tiff",
    "http://ns.adobe.com/exif/1.0/": "exif",
    "http://cipa.jp/exif/1.0/": "exifEX",
    "http://ns.adobe.com/exif/1.0/aux/": "aux",
    "http://ns.adobe.com/photoshop/1.0/": "photoshop",
    "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/": "Iptc4xmpCore",
    "http://iptc.org/std/Iptc4xmpExt/2008-02-29/": "Iptc4xmpExt",
    "http://ns.adobe.com/lightroom/1.0/": "lr",
}
_ROOT = re.compile(r"<(?:([\w.-]{1,40}):)?(xmpmeta|xapmeta|RDF)[\s>]")
_NAMESPACE = re.compile(r"""xmlns:([\w.-]{1,40})\s*=\s*["']([^"']{1,300})["']""")
_NOT_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def add_packet(data: bytes, facts: Facts) -> None:
    """Add the properties of one packet to `facts` as `XMP prefix:Name`; structures as `XMP a:Outer/b:Inner`.

    Of an Alt the default language is taken, a Bag or Seq gives its items; arrays of structures are left out.
    A packet that is no XML ends in a warning.
    """
    if len(data) > MAX_PACKET_BYTES:
        facts.warn("xmp_too_large", "xmp", f"{len(data)} bytes")
        return
    text = packet_text(data)
    try:
        root = defusedxml.ElementTree.fromstring(text, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, RecursionError) as error:
        facts.warn("xmp_damaged", "xmp", f"{error}")
        return
    prefixes = {uri: prefix for prefix, uri in _NAMESPACE.findall(text)} | _PREFIXES
    for count, (name, value) in enumerate(_properties(root, prefixes)):
        if count == MAX_PROPERTIES:
            facts.warn("xmp_too_large", "xmp", f"more than {MAX_PROPERTIES} properties")
            return
        values = (value,) if isinstance(value, str) else value
        facts.add(f"XMP {name}", *(text for item in values if (text := clean_text(item))))


def packet_text(data: bytes) -> str:
    """Give the XML from its root to the root's end: around it is padding, or the remains of an older packet."""
    text = decode_utf16(data) if b"<\x00" in data[:64] or b"\x00<" in data[:64] else decode_text(data)
    text = _NOT_XML.sub("", text)
    match = _ROOT.search(text)
    if not match:
        return text
    end_tag = f"</{match[1]}:{match[2]}>" if match[1] else f"</{match[2]}>"
    end = text.rfind(end_tag)
    return text[match.start() : end + len(end_tag)] if end >= 0 else text[match.start() :]


Property = tuple[str, str | tuple[str, ...]]


def _properties(root: Element, prefixes: dict[str, str]) -> Iterator[Property]:
    for rdf in root.iter(f"{_RDF}RDF"):
        for node in rdf:
            yield from _fields(node, prefixes, "", 0)


def _fields(node: Element, prefixes: dict[str, str], path: str, depth: int) -> Iterator[Property]:
    """The properties of one description or structure: written as attributes, or as elements."""
    for name, value in node.attrib.items():
        if not name.startswith((_RDF, _XML)) and name.startswith("{"):
            yield path + _qualified(name, prefixes), value
    for element in node:
        yield from _element(element, prefixes, path + _qualified(element.tag, prefixes), depth + 1)


def _element(element: Element, prefixes: dict[str, str], name: str, depth: int) -> Iterator[Property]:
    array = next((child for kind in ("Alt", "Bag", "Seq") for child in element.findall(_RDF + kind)), None)
    if array is not None:
        yield name, _items(array)
        return
    nested = element.find(f"{_RDF}Description")
    structure = element if nested is None else nested
    if len(structure) or any(not key.startswith((_RDF, _XML)) for key in structure.attrib):
        if depth < MAX_DEPTH:
            yield from _fields(structure, prefixes, f"{name}/", depth)
        return
    yield name, element.get(f"{_RDF}resource") or element.text or ""


def _items(array: Element) -> str | tuple[str, ...]:
    items = [item for item in array.findall(f"{_RDF}li") if not len(item)]
    texts = tuple(item.get(f"{_RDF}resource") or item.text or "" for item in items)
    if array.tag != f"{_RDF}Alt":
        return texts
    languages = [item.get(f"{_XML}lang") for item in items]
    return texts[languages.index("x-default")] if "x-default" in languages else next(iter(texts), "")


def _qualified(name: str, prefixes: dict[str, str]) -> str:
    uri, _, local = name.removeprefix("{").rpartition("}")
    prefix = prefixes.get(uri)
    return f"{prefix}:{local}" if prefix else local
