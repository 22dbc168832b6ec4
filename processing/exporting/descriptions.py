"""What is said of a photo in a file beside it: an XMP sidecar, or JSON with the fields that the API gives.

Who is on it is in neither: a file goes further than its reader.
"""

import json
from datetime import UTC, datetime
from typing import Any

from photos.models import ExportMetadata, Metadata, Photo
from photos.services.edits import CORRECTIONS
from processing.engines import sidecar_writer

XMP_SUFFIX, JSON_SUFFIX = ".xmp", ".json"
SUFFIXES = {
    ExportMetadata.NONE: (),
    ExportMetadata.JSON: (JSON_SUFFIX,),
    ExportMetadata.XMP: (XMP_SUFFIX,),
    ExportMetadata.BOTH: (JSON_SUFFIX, XMP_SUFFIX),
}
# as `GET photos/{id}` calls them
OF_PHOTO = (
    "original_filename", "sha256", "byte_size", "mime_type", "width", "height", "uploaded_at", "title", "caption",
    "rating", "is_hidden", "taken_at", "taken_at_offset", "latitude", "longitude", "country_code", "country", "region",
    "city", "camera_make", "camera_model", "lens",
)  # fmt: skip
OF_FILE = (
    "camera_make", "camera_model", "lens_make", "lens", "taken_at", "taken_at_offset", "taken_at_source",
    "exposure_time", "aperture", "iso", "focal_length", "focal_length_35mm", "flash", "flash_fired", "orientation",
    "latitude", "longitude", "altitude", "direction", "gps_time", "software", "artist", "copyright", "title",
    "description", "keywords", "rating", "tags", "warnings",
)  # fmt: skip


def said_of(photo: Photo, *, keywords: list[str]) -> sidecar_writer.Said:
    """Give what a sidecar says of a photo."""
    return sidecar_writer.Said(
        title=photo.title,
        caption=photo.caption,
        keywords=keywords,
        rating=photo.rating,
        taken_at=photo.taken_at,
        taken_at_offset=photo.taken_at_offset,
        latitude=photo.latitude,
        longitude=photo.longitude,
        country_code=photo.country_code,
        country=photo.country,
        region=photo.region,
        city=photo.city,
    )


def described(photo: Photo, *, suffix: str, keywords: list[str]) -> bytes:
    """Write what is said of a photo, in the form that a suffix names."""
    if suffix == XMP_SUFFIX:
        return sidecar_writer.write_packet(said_of(photo, keywords=keywords))
    said: Metadata | None = getattr(photo, "metadata", None)
    values = {
        "id": str(photo.pk),
        "library": str(photo.library_id),
        **{name: _plain(getattr(photo, name)) for name in OF_PHOTO},
        "tags": keywords,
        "corrected": [name for name in CORRECTIONS if name in photo.corrections],
        "metadata": None if said is None else {name: _plain(getattr(said, name)) for name in OF_FILE},
    }
    return as_json(values)


def as_json(values: dict[str, Any]) -> bytes:
    """Write an object for people and programs."""
    return json.dumps(values, ensure_ascii=False, indent=2).encode() + b"\n"


def _plain(value: Any) -> Any:
    """Write a time as the API does: in UTC."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value
