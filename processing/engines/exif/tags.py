"""The tags that no field was taken from, as JSON of bounded size."""

import json
import math

from processing.engines.exif.facts import Fact, Facts, Rational, Scalar
from processing.engines.exif.metadata import JsonScalar, JsonValue
from processing.engines.exif.text import clean_text, decode_text

MAX_JSON_BYTES = 16_000
MAX_TEXT = 1000
MAX_ITEMS = 64
MAX_NAME = 100
MAX_BINARY = 16  # longer runs of bytes that are not text say nothing to people
MAX_INTEGER = 2**53  # what a reader of JSON in a browser still holds exactly


def remaining_tags(facts: Facts) -> dict[str, JsonValue]:
    """The unused facts as a JSON object of at most MAX_JSON_BYTES, in the order of the file.

    Texts are cut at 1,000 characters and lists at 64 items; binary values are left out. What does not fit is counted
    in a warning `tags_dropped`.
    """
    tags: dict[str, JsonValue] = {}
    room = MAX_JSON_BYTES - 2
    dropped = 0
    for tag, fact in facts.remaining():
        value = json_value(fact)
        if value is None or value == "":
            continue
        name = clean_text(tag)[:MAX_NAME]
        size = len(json.dumps({name: value}, ensure_ascii=False).encode())
        if size > room:
            dropped += 1
            continue
        tags[name] = value
        room -= size
    if dropped:
        facts.warn("tags_dropped", "tags", f"{dropped}")
    return tags


def json_value(fact: Fact) -> JsonValue:
    """One value or a list of them; None for what is binary or empty."""
    if fact.shown is not None:
        return clean_text(fact.shown)[:MAX_TEXT]
    data = fact.as_bytes()
    if data is not None and len(data) > MAX_BINARY:
        text = data.strip(b"\x00 ")
        printable = all(byte >= 32 or byte in b"\t\r\n" for byte in text)
        return clean_text(decode_text(text))[:MAX_TEXT] if printable else None
    items = [_json_scalar(value) for value in fact.values[:MAX_ITEMS]]
    return items[0] if len(items) == 1 else items


def _json_scalar(value: Scalar) -> JsonScalar:
    if isinstance(value, str):
        return clean_text(value)[:MAX_TEXT]
    if isinstance(value, Rational):
        if value.denominator == 0:
            return None
        whole, rest = divmod(value.numerator, value.denominator)
        return value.numerator / value.denominator if rest else whole
    if isinstance(value, int):
        return value if abs(value) <= MAX_INTEGER else str(value)
    return value if math.isfinite(value) else None
