"""Stage `exif`: what the file says of itself."""

from collections.abc import Sequence
from dataclasses import asdict

from photos import storage
from photos.models import Photo
from photos.services import results
from processing.engines import exif
from processing.ledger import Lease
from processing.stages.base import Loaded, Stage, Written


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
            with storage.open_object(alias=photo.storage_alias, key=photo.storage_key) as file:
                found.append(exif.read_metadata(file, image_format=photo.image_format))
        return found

    def write(self, loaded: Loaded, stored: exif.PhotoMetadata, *, version: str) -> Written:
        """Replace the Metadata row."""
        results.replace_metadata(photo_id=loaded.photo_id, version=version, values=asdict(stored))
        return Written()
