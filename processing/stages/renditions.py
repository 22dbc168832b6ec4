"""Stage `renditions`: the preview, the thumbnails and the hashes, from one decode of the original."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from django.conf import settings
from django.core.files.base import ContentFile

from photos import storage
from photos.models import Photo
from photos.services import results
from processing.engines import imaging
from processing.ledger import Lease
from processing.stages.base import Loaded, Stage, Written
from processing.stages.originals import open_original

MIME_TYPE = "image/jpeg"

Rendered = tuple[imaging.RenditionSet, tuple[imaging.PixelWarning, ...]]


@dataclass(frozen=True, slots=True)
class StoredSet:
    """Renditions that are stored, and what decoding found out on the way."""

    renditions: tuple[results.StoredRendition, ...]
    found: imaging.RenditionSet
    warnings: tuple[imaging.PixelWarning, ...]


class RenditionsStage(Stage):
    """Decodes the original once; replaces the Rendition rows, the hashes and the true size of the photo."""

    name = "renditions"
    queue = "ingest"
    stores_objects = True

    def shaping_settings(self) -> Mapping[str, object]:
        """Sizes and quality shape the output."""
        return {"sizes": settings.RENDITION_SIZES, "quality": settings.RENDITION_QUALITY}

    def load(self, lease: Lease) -> Loaded:
        """Name the original."""
        photo = Photo.objects.get(pk=lease.subject_id)
        return Loaded(photo_id=photo.pk, library_id=photo.library_id, data=photo)

    def compute(self, loaded: Sequence[Loaded], *, version: str) -> list[Rendered]:  # noqa: ARG002
        """Decode and scale each original, and look for damage that decoders pass over."""
        made = []
        for one in loaded:
            photo: Photo = one.data
            with open_original(photo) as file:
                warnings = imaging.check_scans(file, image_format=photo.image_format)
                found = imaging.render(
                    file,
                    sizes=settings.RENDITION_SIZES,
                    quality=settings.RENDITION_QUALITY,
                    max_pixels=settings.IMAGE_MAX_PIXELS,
                )
                made.append((found, warnings))
        return made

    def store(self, loaded: Loaded, result: Rendered, *, version: str) -> StoredSet:
        """Put the renditions under keys that are pure functions of photo, kind and version."""
        found, warnings = result
        stored = []
        for rendition in found.renditions:
            key = storage.rendition_key(
                library_id=loaded.library_id, photo_id=loaded.photo_id, kind=rendition.kind, version=version
            )
            storage.write_object(alias=storage.RENDITIONS, key=key, file=ContentFile(rendition.data))
            stored.append(
                results.StoredRendition(
                    kind=rendition.kind,
                    storage_key=key,
                    mime_type=MIME_TYPE,
                    width=rendition.width,
                    height=rendition.height,
                    byte_size=len(rendition.data),
                    sha256=hashlib.sha256(rendition.data).hexdigest(),
                )
            )
        return StoredSet(renditions=tuple(stored), found=found, warnings=warnings)

    def write(self, loaded: Loaded, stored: StoredSet, *, version: str) -> Written:
        """Replace the Rendition rows."""
        orphans = results.replace_renditions(
            photo_id=loaded.photo_id,
            version=version,
            renditions=stored.renditions,
            width=stored.found.width,
            height=stored.found.height,
            thumbhash=stored.found.thumbhash,
            perceptual_hash=stored.found.perceptual_hash,
        )
        return Written(orphans=orphans, warnings=[asdict(warning) for warning in stored.warnings])
