"""Our reading of real photos against exiftool's, value by value."""

import json
import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import pytest

from processing.engines.exif import PhotoMetadata, read_metadata

FORMATS = {
    "image/jpeg": "JPEG",
    "image/png": "PNG",
    "image/webp": "WEBP",
    "image/tiff": "TIFF",
    "image/heic": "HEIF",
    "image/avif": "AVIF",
}
NOT_COMPARED = {
    "SourceFile": "names the file",
    "File:ImageHeight": "the header reader's, not metadata's",
    "File:ImageWidth": "the header reader's, not metadata's",
    "File:MIMEType": "the header reader's, not metadata's",
}
# Where we and exiftool differ, and why it may stay so.
DISAGREEMENTS = {
    ("exif/long_description.jpg", "EXIF:Flash"): "9969 has bits that EXIF does not define: refused with a warning",
}

Value = str | int | float | list[str] | None


def _date_text(metadata: PhotoMetadata, tag: str) -> str | None:
    """A date as exiftool writes it, from the field where it was taken from that tag, else from the tag."""
    if metadata.taken_at_tag != tag:
        raw = metadata.tags.get(tag)
        return raw.replace("T", " ").replace("-", ":", 2) if isinstance(raw, str) else None
    text = f"{metadata.taken_at_local:%Y:%m:%d %H:%M:%S}"
    offset = metadata.taken_at_offset_minutes
    if metadata.taken_at_source != "xmp" or offset is None:
        return text
    return text + ("Z" if offset == 0 else f"{offset // 60:+03d}:{offset % 60:02d}")


def _tag_or(tag: str, field: str) -> Callable[[PhotoMetadata], Value]:
    """The tag where another source won the field; where the two say the same, the tag is used up with the field."""
    return lambda metadata: metadata.tags.get(tag, getattr(metadata, field))


def _field(name: str) -> Callable[[PhotoMetadata], Value]:
    return lambda metadata: getattr(metadata, name)


READINGS: dict[str, Callable[[PhotoMetadata], Value]] = {
    "EXIF:Make": _field("make"),
    "EXIF:Model": _field("model"),
    "EXIF:LensModel": _field("lens"),
    "EXIF:ExposureTime": _field("exposure_time_s"),
    "EXIF:FNumber": _field("aperture"),
    "EXIF:ISO": _field("iso"),
    "EXIF:FocalLength": _field("focal_length_mm"),
    "EXIF:FocalLengthIn35mmFormat": _field("focal_length_35mm"),
    "EXIF:Flash": _field("flash"),
    "EXIF:Orientation": _field("orientation"),
    "EXIF:Software": _field("software"),
    "EXIF:Artist": _field("artist"),
    "EXIF:Copyright": _field("copyright"),
    "EXIF:ImageDescription": _tag_or("Image ImageDescription", "description"),
    "EXIF:DateTimeOriginal": lambda metadata: _date_text(metadata, "EXIF DateTimeOriginal"),
    "EXIF:CreateDate": lambda metadata: _date_text(metadata, "EXIF DateTimeDigitized"),
    "EXIF:SubSecTimeOriginal": lambda metadata: metadata.taken_at_local and metadata.taken_at_local.microsecond,
    "EXIF:OffsetTimeOriginal": _field("taken_at_offset_minutes"),
    "EXIF:GPSImgDirection": _field("direction_deg"),
    "Composite:GPSLatitude": _field("latitude"),
    "Composite:GPSLongitude": _field("longitude"),
    "Composite:GPSAltitude": _field("altitude_m"),
    "XMP:Make": _tag_or("XMP tiff:Make", "make"),
    "XMP:Model": _tag_or("XMP tiff:Model", "model"),
    "XMP:Title": _tag_or("XMP dc:title", "title"),
    "XMP:Description": _tag_or("XMP dc:description", "description"),
    "XMP:Subject": _field("keywords"),
    "XMP:Rating": _field("rating"),
    "XMP:DateTimeOriginal": lambda metadata: _date_text(metadata, "XMP exif:DateTimeOriginal"),
    "XMP:CreateDate": lambda metadata: _date_text(metadata, "XMP xmp:CreateDate"),
    "IPTC:Caption-Abstract": _tag_or("IPTC Caption-Abstract", "description"),
    "IPTC:Keywords": _field("keywords"),
}
BLANK_TAGS = {
    "EXIF:Artist": "Image Artist",
    "EXIF:Copyright": "Image Copyright",
    "EXIF:ImageDescription": "Image ImageDescription",
}


def _offset_minutes(text: str) -> int:
    sign = -1 if text[0] == "-" else 1
    return sign * (int(text[1:3]) * 60 + int(text[4:6]))


def _expected_keywords(entry: dict) -> tuple[str, ...]:
    """The union of both blocks, which is what our field promises; exiftool writes a single keyword without a list."""
    lists = [entry.get(key, []) for key in ("XMP:Subject", "IPTC:Keywords")]
    return tuple(dict.fromkeys(word for words in lists for word in ([words] if isinstance(words, str) else words)))


def _agrees(key: str, entry: dict, metadata: PhotoMetadata) -> bool:
    expected, actual = entry[key], READINGS[key](metadata)
    if key in ("XMP:Subject", "IPTC:Keywords"):
        return actual == _expected_keywords(entry)
    if key == "EXIF:SubSecTimeOriginal":
        return actual == int(str(expected).ljust(6, "0"))
    if key == "EXIF:OffsetTimeOriginal":
        return actual == _offset_minutes(expected)
    if key in ("EXIF:DateTimeOriginal", "EXIF:CreateDate"):
        return actual == expected[:19]  # one writer put a zone behind it, with colons only
    if isinstance(actual, int | float) and isinstance(expected, int | float):
        return math.isclose(actual, expected, rel_tol=1e-9)  # exiftool writes ten digits
    text = str(expected).replace("\r\n", "\n").replace("\r", "\n").strip()
    if text == "":  # a tag of blanks says nothing: the field is empty or another source's
        return BLANK_TAGS[key] not in metadata.tags
    return text == actual


@pytest.fixture(scope="module")
def entries(shared_photos: Path) -> list[dict]:
    entries = json.loads((shared_photos / "expected_exif.json").read_text())
    return [entry for entry in entries if entry["File:MIMEType"] != "image/jxl"]  # JPEG XL is refused at ingest


def _read(shared_photos: Path, entry: dict) -> PhotoMetadata:
    with (shared_photos / entry["SourceFile"]).open("rb") as file:
        return read_metadata(file, image_format=FORMATS[entry["File:MIMEType"]])


def test_agrees_with_exiftool_value_by_value(
    shared_photos: Path, entries: list[dict], pytestconfig: pytest.Config
) -> None:
    terminal = pytestconfig.get_terminal_writer()
    asked: Counter[str] = Counter()
    missed: dict[tuple[str, str], tuple[Value, Value]] = {}
    started = perf_counter()
    readings = [(entry, _read(shared_photos, entry)) for entry in entries]
    milliseconds = (perf_counter() - started) * 1000 / len(entries)
    for entry, metadata in readings:
        for key in entry.keys() - NOT_COMPARED.keys():
            asked[key] += 1
            if not _agrees(key, entry, metadata):
                missed[entry["SourceFile"], key] = entry[key], READINGS[key](metadata)

    shares = {}
    for name, blocks in {"EXIF and GPS": ("EXIF", "Composite"), "XMP and IPTC": ("XMP", "IPTC")}.items():
        count = sum(number for key, number in asked.items() if key.startswith(blocks))
        wrong = sum(key.startswith(blocks) for _, key in missed)
        shares[name] = (count - wrong) / count
        terminal.line(f"\n{name}: {count - wrong} of {count} values agree ({shares[name]:.2%})")
    terminal.line(f"{milliseconds:.2f} ms per file")
    assert missed.keys() == DISAGREEMENTS.keys(), missed
    assert shares["EXIF and GPS"] >= 0.99
    assert shares["XMP and IPTC"] >= 0.95


def test_every_expected_key_is_compared_or_listed_with_a_reason(entries: list[dict]) -> None:
    keys = {key for entry in entries for key in entry}
    assert keys == READINGS.keys() | NOT_COMPARED.keys()
