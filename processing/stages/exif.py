"""Stage `exif`: what the file says of itself."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, timedelta

from photos.models import Photo
from photos.services import results
from processing.engines import exif
from processing.ledger import Lease
from processing.stages.base import Loaded, Stage, Written
from processing.stages.originals import open_original
from processing.stages.place import NO_POSITION

# the engine's names carry their units, the columns' descriptions do
_COLUMNS = {
    "make": "camera_make",
    "model": "camera_model",
    "exposure_time_s": "exposure_time",
    "focal_length_mm": "focal_length",
    "altitude_m": "altitude",
    "direction_deg": "direction",
}
_TEXTS = (
    "camera_make",
    "camera_model",
    "lens_make",
    "lens",
    "taken_at_source",
    "software",
    "artist",
    "copyright",
    "title",
    "description",
)


class ExifStage(Stage):
    """Reads the head of the original; replaces the Metadata row."""

    name = "exif"
    queue = "ingest"

    def load(self, lease: Lease) -> Loaded:
        """Name the original; the engine reads as much of it as the format asks for."""
        photo = Photo.objects.get(pk=lease.subject_id)
        return Loaded(photo_id=photo.pk, library_id=photo.library_id, data=photo)

    def compute(self, loaded: Sequence[Loaded], *, version: str) -> list[exif.PhotoMetadata]:  # noqa: ARG002
        """Read the tags of each original."""
        found = []
        for one in loaded:
            photo: Photo = one.data
            with open_original(photo) as file:
                found.append(exif.read_metadata(file, image_format=photo.image_format))
        return found

    def write(self, loaded: Loaded, stored: exif.PhotoMetadata, *, version: str) -> Written:
        """Replace the Metadata row."""
        values = metadata_values(stored)
        results.replace_metadata(photo_id=loaded.photo_id, library_id=loaded.library_id, version=version, values=values)
        is_located = Photo.objects.filter(pk=loaded.photo_id, latitude__isnull=False).exists()
        return Written(warnings=values["warnings"], skip_children="" if is_located else NO_POSITION)


def metadata_values(found: exif.PhotoMetadata) -> dict[str, object]:
    """Give the fields of a Metadata row: units are those of the engine, a missing text is empty.

    Without a known offset the camera's wall clock is kept as if it were UTC, and `taken_at_source` says so.
    """
    values = asdict(found)
    local, offset = values.pop("taken_at_local"), values.pop("taken_at_offset_minutes")
    values.pop("taken_at_tag")
    taken_at = local and local.replace(tzinfo=UTC) - timedelta(minutes=offset or 0)
    renamed = {_COLUMNS.get(name, name): value for name, value in values.items()}
    texts = {name: renamed[name] or "" for name in _TEXTS}
    lists = {"keywords": list(found.keywords), "warnings": [asdict(warning) for warning in found.warnings]}
    return {**renamed, **texts, **lists, "taken_at": taken_at, "taken_at_offset": offset}
