"""The rows that stages replace: metadata and renditions. Called in the stage's own transaction, which is fenced.

Every function leaves equal rows when it is called twice with equal values.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Protocol
from uuid import UUID

from photos.models import Metadata, Photo, PhotoPlace, Rendition
from photos.services import fingerprints, said, shown


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


class NamedPlace(Protocol):
    """What a place is called, and how far away the town is that it is called after."""

    country_code: str
    country: str
    region: str
    city: str
    distance_km: float


def replace_metadata(*, photo_id: UUID, library_id: UUID, version: str, values: Mapping[str, object]) -> None:
    """Put `values` (fields of Metadata) in the place of whatever was known of the photo; what is shown follows."""
    metadata = Metadata(photo_id=photo_id, version=version, **values)
    metadata.full_clean(validate_unique=False, exclude=["photo"])
    if not Metadata.objects.filter(pk=photo_id).exists():
        metadata.save(force_insert=True)
    else:
        metadata.save(force_update=True)
    said.bring_up(photo_id=photo_id, library_id=library_id)


def replace_place(*, photo_id: UUID, version: str, found: tuple[tuple[float, float], NamedPlace] | None) -> None:
    """Put a place, with the position that it is of, in the place of the old one, or none; what is shown follows."""
    PhotoPlace.objects.filter(pk=photo_id).delete()
    if found is not None:
        (latitude, longitude), place = found
        PhotoPlace.objects.create(
            photo_id=photo_id,
            version=version,
            latitude=latitude,
            longitude=longitude,
            country_code=place.country_code,
            country=place.country,
            region=place.region,
            city=place.city,
            distance_km=place.distance_km,
        )
    shown.refresh(photo_ids=[photo_id])


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
