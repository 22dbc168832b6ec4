"""The result of reading a photo's metadata."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

JsonScalar = str | int | float | bool | None
JsonValue = JsonScalar | list[JsonScalar]


@dataclass(frozen=True, slots=True)
class MetadataWarning:
    """One thing in the file that could not be taken as it stands.

    `code` is stable. Of a block: `container_damaged`, `container_too_large`, `exif_damaged`, `exif_too_large`,
    `exif_unsupported`, `xmp_damaged`, `xmp_too_large`, `iptc_damaged`. Of a value: `not_a_number`, `out_of_range`,
    `zero_denominator`, `impossible_date`, `uncertain_date` (taken, but software made it), `bad_offset`,
    `implausible_gps_offset`, `gps_reference_missing`, `gps_null_island`, `text_cut`, `keywords_cut`. Of our limits:
    `tags_dropped`, `warnings_dropped`. `field` is the field of PhotoMetadata (`taken_at` and `position` for their
    groups) or the block; `detail` is text for people, at most 200 characters, and may quote the file.
    """

    code: str
    field: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoMetadata:
    """What a photo says of itself. None: the file is silent, or what it says was refused with a warning.

    Texts are stripped, never empty, and free of NUL, other control characters and lone surrogates. Their longest:
    make, model, lens_make, lens 128; software, artist 255; title, copyright 1,000; description 10,000; a keyword
    255, and at most 500 keywords.

    - `taken_at_local`: the wall clock where the photo was taken, naive, with its fraction of a second; 1826 to 2100.
    - `taken_at_offset_minutes`: minutes east of UTC, -720 to 840.
    - `taken_at_source`: who says so. `exif`, `xmp`, `iptc`: date and offset come from there. `gps`: the offset is
      derived from the GPS time, or the GPS time (UTC, offset 0) is all there is. `naive`: nothing tells the offset.
    - `taken_at_tag`: the tag that the wall clock was read from, for instance `EXIF DateTimeOriginal`.
    - `exposure_time_s` seconds; `aperture` f-number; `focal_length_mm` and `focal_length_35mm` millimetres.
    - `flash`: the EXIF value, 0 to 127; `flash_fired` is its lowest bit.
    - `orientation`: the EXIF value, 1 to 8. HEIF and AVIF files rotate by boxes of their own and only repeat it.
    - `latitude`, `longitude`: WGS 84 degrees, north and east positive; `altitude_m`: metres above sea level;
      `direction_deg`: where the camera looked, 0 <= d < 360; `gps_time`: aware, in UTC.
    - `rating`: 0 (unrated) to 5, -1 is XMP's word for rejected.
    - `tags`: everything else by `<block> <tag>`, at most 16,000 bytes of JSON.
    """

    make: str | None = None
    model: str | None = None
    lens_make: str | None = None
    lens: str | None = None
    taken_at_local: datetime | None = None
    taken_at_offset_minutes: int | None = None
    taken_at_source: str | None = None
    taken_at_tag: str | None = None
    exposure_time_s: float | None = None
    aperture: float | None = None
    iso: int | None = None
    focal_length_mm: float | None = None
    focal_length_35mm: float | None = None
    flash: int | None = None
    flash_fired: bool | None = None
    orientation: int | None = None
    latitude: float | None = None
    longitude: float | None = None
    altitude_m: float | None = None
    direction_deg: float | None = None
    gps_time: datetime | None = None
    software: str | None = None
    artist: str | None = None
    copyright: str | None = None
    title: str | None = None
    description: str | None = None
    keywords: tuple[str, ...] = ()
    rating: int | None = None
    tags: Mapping[str, JsonValue] = field(default_factory=dict)
    warnings: tuple[MetadataWarning, ...] = ()
