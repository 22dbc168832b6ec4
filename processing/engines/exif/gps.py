"""Where a photo was taken."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from processing.engines.exif.facts import Facts, UnusableValueError, as_number, as_text

# Below the deepest trench and above any aeroplane or balloon.
LOWEST_M, HIGHEST_M = -11_000, 100_000
BELOW = {"1", "3"}  # 3 since EXIF 3.0, which tells the ellipsoid from the sea level
_DECIMAL = r"(\d{1,3}(?:\.\d{1,12})?)"
_XMP_COORDINATE = re.compile(rf"{_DECIMAL}(?:,{_DECIMAL})?(?:,{_DECIMAL})?([NSEW])")
_Coordinate = Callable[[Facts, str, str, int], float]


@dataclass(frozen=True, slots=True)
class Place:
    """WGS 84 degrees, metres above sea level, degrees of the compass; latitude and longitude only together."""

    latitude: float | None = None
    longitude: float | None = None
    altitude_m: float | None = None
    direction_deg: float | None = None


def read_place(facts: Facts) -> Place:
    """From EXIF's GPS directory, else from XMP; a position of exactly (0, 0) is a receiver without a fix."""
    position = _read_position(facts, _exif_coordinate, "GPS GPSLatitude", "GPS GPSLongitude")
    if position is None:
        position = _read_position(facts, _xmp_coordinate, "XMP exif:GPSLatitude", "XMP exif:GPSLongitude")
    latitude, longitude = position or (None, None)
    direction = facts.number("direction_deg", "GPS GPSImgDirection", "XMP exif:GPSImgDirection", low=0, high=360)
    return Place(
        latitude=latitude,
        longitude=longitude,
        altitude_m=_read_altitude(facts),
        direction_deg=None if direction is None else direction % 360,
    )


def _read_position(
    facts: Facts, coordinate: _Coordinate, latitude_tag: str, longitude_tag: str
) -> tuple[float, float] | None:
    if facts.get(latitude_tag) is None and facts.get(longitude_tag) is None:
        return None
    try:
        latitude = coordinate(facts, latitude_tag, "NS", 90)
        longitude = coordinate(facts, longitude_tag, "EW", 180)
    except UnusableValueError as error:
        facts.warn(error.code, "position", error.detail)
        return None
    if latitude == 0 and longitude == 0:
        facts.warn("gps_null_island", "position", "0, 0")
        return None
    facts.use(latitude_tag, longitude_tag, f"{latitude_tag}Ref", f"{longitude_tag}Ref")
    return latitude, longitude


def _exif_coordinate(facts: Facts, tag: str, letters: str, limit: int) -> float:
    """Degrees, minutes and seconds with a hemisphere's letter beside them, as signed degrees."""
    fact, reference = facts.get(tag), facts.get(f"{tag}Ref")
    if fact is None or len(fact.values) > 3:
        raise UnusableValueError("not_a_number", f"{tag}: {'missing' if fact is None else as_text(fact)}")
    letter = as_text(reference)[:1].upper() if reference else ""
    if not letter or letter not in letters:
        raise UnusableValueError("gps_reference_missing", f"{tag}Ref")
    parts = [as_number(value) for value in fact.values]
    return _signed_degrees(tag, parts, letter, limit)


def _xmp_coordinate(facts: Facts, tag: str, letters: str, limit: int) -> float:
    """XMP's text form: `41,13.218N` or `41,13,13.08N`."""
    fact = facts.get(tag)
    text = as_text(fact) if fact else ""
    match = _XMP_COORDINATE.fullmatch(text)
    if not match or match[4] not in letters:
        raise UnusableValueError("not_a_number", f"{tag}: {text}")
    return _signed_degrees(tag, [float(part) for part in match.groups()[:3] if part], match[4], limit)


def _signed_degrees(tag: str, parts: list[float], letter: str, limit: int) -> float:
    degrees = sum(part / 60**power for power, part in enumerate(parts))
    if not 0 <= degrees <= limit or min(parts) < 0:
        raise UnusableValueError("out_of_range", f"{tag}: {degrees:g}")
    return -degrees if letter in "SW" else degrees


def _read_altitude(facts: Facts) -> float | None:
    altitude = facts.number("altitude_m", "GPS GPSAltitude", "XMP exif:GPSAltitude", low=LOWEST_M, high=HIGHEST_M)
    if altitude is None:
        return None
    for tag in ("GPS GPSAltitudeRef", "XMP exif:GPSAltitudeRef"):
        reference = facts.get(tag)
        if reference is not None:
            facts.use(tag)
            return -abs(altitude) if as_text(reference) in BELOW else altitude
    return altitude
