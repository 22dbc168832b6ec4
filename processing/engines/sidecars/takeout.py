"""Reads the JSON that Google Takeout lays beside each photo."""

import json
import math
from datetime import UTC, datetime
from typing import Any, NoReturn

from processing.engines.exif.dates import FIRST_YEAR, LAST_YEAR
from processing.engines.exif.text import clean_text
from processing.engines.sidecars.values import (
    MAX_CAPTION,
    MAX_NAME,
    MAX_PEOPLE,
    MAX_SIDECAR_BYTES,
    SidecarError,
    SidecarValues,
    texts,
)

# what tells such a file from other JSON that lies about
_OWN_KEYS = {"photoTakenTime", "geoData", "creationTime", "googlePhotosOrigin", "imageViews"}
# where somebody has put the photo, else where the camera was
_PLACES = ("geoData", "geoDataExif")


def read_takeout(data: bytes) -> SidecarValues:
    """Read a sidecar of Google Takeout. Its `title` is the file's name, and is no title here; its times are UTC.

    Raises SidecarError for what is none, or is too large or built to hurt.
    """
    if len(data) > MAX_SIDECAR_BYTES:
        raise SidecarError(f"It has {len(data)} bytes.")
    try:
        found = json.loads(data, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise SidecarError(f"It is no JSON: {error}"[:200]) from error
    if not isinstance(found, dict) or not _OWN_KEYS & found.keys():
        raise SidecarError("It is not what Google Takeout writes beside a photo.")
    latitude, longitude = _position(found)
    people = found.get("people")
    names = (one.get("name") for one in people if isinstance(one, dict)) if isinstance(people, list) else ()
    favourite = found.get("favorited")
    return SidecarValues(
        caption=_text(found.get("description"), MAX_CAPTION),
        taken_at=_taken_at(found.get("photoTakenTime")),
        latitude=latitude,
        longitude=longitude,
        favourite=favourite if isinstance(favourite, bool) else None,
        people=texts(names, length=MAX_NAME, count=MAX_PEOPLE),
    )


def _taken_at(time: Any) -> datetime | None:
    """Read seconds since 1970 in UTC, which are written as text; some files say 0 for unknown."""
    given = time.get("timestamp") if isinstance(time, dict) else None
    if isinstance(given, bool) or not isinstance(given, str | int) or len(str(given)) > 20:
        return None
    try:
        moment = datetime.fromtimestamp(int(given), tz=UTC) if int(given) else None
    except (ValueError, OverflowError, OSError):
        return None
    return moment if moment and FIRST_YEAR <= moment.year <= LAST_YEAR else None


def _position(found: dict[str, Any]) -> tuple[float, float] | tuple[None, None]:
    for name in _PLACES:
        place = found.get(name)
        if not isinstance(place, dict):
            continue
        latitude, longitude = _degrees(place.get("latitude"), 90), _degrees(place.get("longitude"), 180)
        # 0, 0 is its word for none
        if latitude is not None and longitude is not None and (latitude or longitude):
            return latitude, longitude
    return None, None


def _degrees(value: Any, limit: int) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # compared as it is: an integer of a thousand digits is no float
    return float(value) if -limit <= value <= limit and math.isfinite(value) else None


def _text(value: Any, length: int) -> str:
    return clean_text(value)[:length].strip() if isinstance(value, str) else ""


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")
