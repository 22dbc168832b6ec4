"""When a photo was taken: the wall clock, its offset from UTC, and who says so."""

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from processing.engines.exif.facts import Fact, Facts, UnusableValueError, as_number, as_text

FIRST_YEAR = 1826  # the oldest photograph that is left
LAST_YEAR = 2100  # a fixed bound: the same file must give the same row on every day
LEAST_OFFSET, GREATEST_OFFSET = -12 * 60, 14 * 60
SOFTWARE_DATE = "XMP xmp:CreateDate"
QUARTER = 15  # minutes: all offsets in use since the 1970s are multiples

_DATE = re.compile(
    r"(\d{4})[:./-](\d{1,2})[:./-](\d{1,2})"
    r"(?:[ T]+(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:[.,](\d{1,12}))?)?)?"
    r"\s*(Z|[+-]\d{1,2}:?\d{2})?"
)
_IPTC_DATE = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})")
_IPTC_TIME = re.compile(r"(\d{2}):?(\d{2}):?(\d{2})\s*([+-]\d{2}:?\d{2})?")
_OFFSET = re.compile(r"([+-]?)(\d{1,2}):?(\d{2})")
_BLANK = " :-/\x00"  # EXIF's word for an unknown date is its colons among blanks


@dataclass(frozen=True, slots=True)
class Taken:
    """A wall clock time; `offset_minutes` is None where nothing tells it. `source` and `tag` as in PhotoMetadata."""

    local: datetime
    offset_minutes: int | None
    source: str
    tag: str


@dataclass(frozen=True, slots=True)
class _DateTag:
    date: str
    source: str
    fraction: str | None = None
    offset: str | None = None


_DATE_TAGS = (
    _DateTag("EXIF DateTimeOriginal", "exif", "EXIF SubSecTimeOriginal", "EXIF OffsetTimeOriginal"),
    _DateTag("Image DateTimeOriginal", "exif"),
    _DateTag("EXIF DateTimeDigitized", "exif", "EXIF SubSecTimeDigitized", "EXIF OffsetTimeDigitized"),
    _DateTag("XMP exif:DateTimeOriginal", "xmp"),
    _DateTag("XMP photoshop:DateCreated", "xmp"),
    _DateTag("XMP exif:DateTimeDigitized", "xmp"),
    _DateTag(SOFTWARE_DATE, "xmp"),
)
_IPTC_TAGS = (
    ("IPTC DateCreated", "IPTC TimeCreated"),
    ("IPTC DigitalCreationDate", "IPTC DigitalCreationTime"),
)


def read_taken(facts: Facts, gps_time: datetime | None) -> Taken | None:
    """The first usable date: EXIF, then XMP, then IPTC, then the GPS clock."""
    for tag in _DATE_TAGS:
        taken = _read_dated(facts, tag, gps_time)
        if taken:
            return taken
    taken = _read_iptc(facts, gps_time)
    if taken or gps_time is None:
        return taken
    return Taken(gps_time.replace(tzinfo=None), 0, "gps", "GPS GPSDate")


def parse_date(text: str) -> tuple[datetime, str] | None:
    """Parse an EXIF or XMP date (`2008:05:30 15:56:01`, `2008-05-30T15:56:01.5+02:00`, a date alone is midnight).

    Returns the naive wall clock and the text of the offset that stands behind it, maybe empty; None for a blank
    date. What follows is ignored. Raises UnusableValueError (`impossible_date`).
    """
    if not text.strip(_BLANK):
        return None
    match = _DATE.match(text.strip())
    if not match:
        raise UnusableValueError("impossible_date", text)
    year, month, day, hour, minute, second = (int(group or 0) for group in match.groups()[:6])
    microsecond = int((match[7] or "0")[:6].ljust(6, "0"))
    moment = _moment(text, year, month, day, hour, minute, second, microsecond)
    return moment, match[8] or ""


def parse_iptc_date(date: str, clock: str) -> tuple[datetime, str]:
    """Parse IPTC's `20080530` and `155601+0200`; a date without a readable clock is its midnight.

    Returns the naive wall clock and the text of the offset. Raises UnusableValueError as parse_date does.
    """
    day = _IPTC_DATE.fullmatch(date)
    if not day:
        parsed = parse_date(date)  # some writers put XMP's form here
        if parsed is None:
            raise UnusableValueError("impossible_date", date)
        return parsed
    time = _IPTC_TIME.fullmatch(clock)
    moment = _moment(f"{date} {clock}", *map(int, (*day.groups(), *(time.groups()[:3] if time else ()))))
    return moment, (time[4] or "") if time else ""


def parse_offset(text: str) -> int | None:
    """Minutes east of UTC of `+03:00`, `-0500` or `Z`; None for blanks. Raises UnusableValueError (`bad_offset`)."""
    stripped = text.strip(" \x00")
    if not stripped.strip(_BLANK):
        return None
    if stripped in ("Z", "z"):
        return 0
    match = _OFFSET.fullmatch(stripped)
    if not match:
        raise UnusableValueError("bad_offset", text)
    minutes = int(match[2]) * 60 + int(match[3])
    minutes = -minutes if match[1] == "-" else minutes
    if int(match[3]) > 59 or not LEAST_OFFSET <= minutes <= GREATEST_OFFSET:
        raise UnusableValueError("bad_offset", text)
    return minutes


def offset_from_gps(local: datetime, gps_time: datetime) -> int | None:
    """The offset that makes `local` equal the satellites' time, to the quarter of an hour; None if there is none."""
    difference = (local - gps_time.replace(tzinfo=None)) / timedelta(minutes=1)
    offset = round(difference / QUARTER) * QUARTER
    return offset if LEAST_OFFSET <= offset <= GREATEST_OFFSET else None


def read_gps_time(facts: Facts) -> datetime | None:
    """The GPS date and time, aware, in UTC."""
    date, clock = facts.get("GPS GPSDate"), facts.get("GPS GPSTimeStamp")
    if date is None or clock is None:
        return None
    try:
        parsed = parse_date(as_text(date))
        if parsed is None:
            return None
        parts = _clock_parts(clock)
    except UnusableValueError as error:
        facts.warn(error.code, "gps_time", error.detail)
        return None
    midnight = parsed[0].replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=UTC)
    facts.use("GPS GPSDate", "GPS GPSTimeStamp")
    return midnight + timedelta(hours=parts[0], minutes=parts[1], seconds=round(parts[2], 6))


def _clock_parts(clock: Fact) -> list[float]:
    parts = [as_number(value) for value in clock.values]
    if len(parts) != 3 or not (0 <= parts[0] < 24 and 0 <= parts[1] < 60 and 0 <= parts[2] < 61):
        raise UnusableValueError("impossible_date", as_text(clock))
    return parts


def _moment(text: str, *parts: int) -> datetime:
    try:
        moment = datetime(*parts)  # noqa: DTZ001 - a camera's wall clock has no zone
    except ValueError as error:
        raise UnusableValueError("impossible_date", text) from error
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise UnusableValueError("impossible_date", text)
    return moment


def _read_dated(facts: Facts, tag: _DateTag, gps_time: datetime | None) -> Taken | None:
    text = _text_of(facts, tag.date)
    try:
        parsed = parse_date(text)
    except UnusableValueError as error:
        facts.warn(error.code, "taken_at", f"{tag.date}: {error.detail}")
        return None
    if parsed is None:
        return None
    local, offset_text = parsed
    facts.use(tag.date)
    if tag.fraction:
        local = _with_fraction(facts, local, tag.fraction)
    offset = _told_offset(facts, tag.offset, _text_of(facts, tag.offset)) if tag.offset else None
    if offset is None:
        offset = _told_offset(facts, tag.date, offset_text)
    if tag.date == SOFTWARE_DATE:
        facts.warn("uncertain_date", "taken_at", f"{tag.date}: when software made the file, {text}")
    return _with_offset(facts, Taken(local, offset, tag.source, tag.date), gps_time)


def _with_offset(facts: Facts, taken: Taken, gps_time: datetime | None) -> Taken:
    """Where the date came without an offset, derive it from the GPS time, or leave it naive."""
    if taken.offset_minutes is not None:
        return taken
    if gps_time is not None:
        offset = offset_from_gps(taken.local, gps_time)
        if offset is not None:
            return replace(taken, offset_minutes=offset, source="gps")
        facts.warn("implausible_gps_offset", "taken_at", f"{taken.local} is not {gps_time} in any zone")
    return replace(taken, source="naive")


def _with_fraction(facts: Facts, local: datetime, tag: str) -> datetime:
    digits = _text_of(facts, tag)
    if not digits:
        return local
    if not (digits.isascii() and digits.isdigit()):
        facts.warn("not_a_number", "taken_at", f"{tag}: {digits}")
        return local
    facts.use(tag)
    return local.replace(microsecond=int(digits[:6].ljust(6, "0")))


def _told_offset(facts: Facts, tag: str, text: str) -> int | None:
    try:
        offset = parse_offset(text)
    except UnusableValueError as error:
        facts.warn(error.code, "taken_at", f"{tag}: {error.detail}")
        return None
    if offset is not None:
        facts.use(tag)
    return offset


def _text_of(facts: Facts, tag: str) -> str:
    fact = facts.get(tag)
    return as_text(fact) if fact else ""


def _read_iptc(facts: Facts, gps_time: datetime | None) -> Taken | None:
    for date_tag, time_tag in _IPTC_TAGS:
        date = _text_of(facts, date_tag)
        if not date:
            continue
        try:
            local, offset_text = parse_iptc_date(date, _text_of(facts, time_tag))
        except UnusableValueError as error:
            facts.warn(error.code, "taken_at", f"{date_tag}: {error.detail}")
            continue
        facts.use(date_tag, time_tag)
        offset = _told_offset(facts, time_tag, offset_text)
        return _with_offset(facts, Taken(local, offset, "iptc", date_tag), gps_time)
    return None
