"""The rows that stages replace: metadata and renditions. Called in the stage's own transaction, which is fenced.

Every function leaves equal rows when it is called twice with equal values.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from uuid import UUID

from photos.models import Metadata, Photo, Rendition
from photos.services import fingerprints


@dataclass(frozen=True, slots=True)
class StoredRendition:
    """A rendition whose bytes are stored already."""

    kind: str
    storage_key: str
    mime_type: str
    width: int
    height: int
    byte_size: int
    sha256: str


def replace_metadata(*, photo_id: UUID, version: str, values: Mapping[str, object]) -> None:
    """Put `values` (fields of Metadata) in the place of whatever was known of the photo."""
    metadata = Metadata(photo_id=photo_id, version=version, **values)
    metadata.full_clean(validate_unique=False, exclude=["photo"])
    if not Metadata.objects.filter(pk=photo_id).exists():
        metadata.save(force_insert=True)
    else:
        metadata.save(force_update=True)


def replace_renditions(
    *,
    photo_id: UUID,
    version: str,
    renditions: Iterable[StoredRendition],
    width: int,
    height: int,
    thumbhash: bytes,
    perceptual_hash: int,
) -> list[str]:
    """Put these renditions in the place of the photo's old ones; gives the keys that no row names any more.

    `width` and `height` are the upright size that decoding found, which is the photo's from then on.
    """
    new = {rendition.kind: rendition for rendition in renditions}
    old = {row.kind: row for row in Rendition.objects.select_for_update().filter(photo_id=photo_id)}
    new_keys = {rendition.storage_key for rendition in new.values()}
    orphans = [row.storage_key for row in old.values() if row.storage_key not in new_keys]
    Rendition.objects.filter(photo_id=photo_id).exclude(kind__in=new).delete()
    for kind, rendition in new.items():
        row = old.get(kind) or Rendition(photo_id=photo_id, kind=kind)
        for field, value in asdict(rendition).items():
            setattr(row, field, value)
        row.version = version
        row.save()
    Photo.objects.filter(pk=photo_id).update(
        width=width, height=height, thumbhash=thumbhash, perceptual_hash=perceptual_hash
    )
    fingerprints.note(photo_id=photo_id, perceptual_hash=perceptual_hash)
    return orphans
