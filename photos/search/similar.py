"""Photos that look like one photo: by perceptual hash, or by what an image model makes of them."""

from uuid import UUID

from django.db.models import QuerySet
from pgvector.django import CosineDistance

from photos.models import ImageEmbedding, Photo, PhotoFingerprint
from photos.search.nearest import nearest

Ranked = list[tuple[UUID, float]]


def by_hash(photo: Photo, among: QuerySet[Photo], *, limit: int) -> Ranked | None:
    """Give the photos of the same library whose hash differs in few bits, nearest first, with how many bits differ.

    Copies that were scaled, encoded anew or a little retouched. None where the photo has no hash yet.
    """
    own = PhotoFingerprint.objects.filter(photo=photo).values_list("hash", flat=True).first()
    if own is None:
        return None
    near = PhotoFingerprint.objects.filter(library=photo.library_id).near(own).exclude(photo=photo)
    near = near.filter(photo__in=among)
    # equally far ones in the order of their keys, so that the list is the same each time
    return list(near.order_by("distance", "photo_id").values_list("photo_id", "distance")[:limit])


def by_embedding(photo: Photo, among: QuerySet[Photo], *, model: str, limit: int) -> Ranked | None:
    """Give the photos of the same library that show the like, nearest first, with the cosine distance (0 to 2).

    None where the photo has no vector by the model yet.
    """
    own = ImageEmbedding.objects.filter(photo=photo, model=model).values_list("vector", flat=True).first()
    if own is None:
        return None
    rows = ImageEmbedding.objects.filter(model=model, library=photo.library_id, photo__in=among).exclude(photo=photo)
    return by_vector(rows, vector=own, limit=limit)


def by_vector(rows: QuerySet[ImageEmbedding], *, vector: list[float], limit: int) -> Ranked:
    """Give the photos of these rows, which are of one model, nearest first, with the cosine distance (0 to 2)."""
    return nearest(rows, distance=CosineDistance, vector=vector, columns=["photo_id"], limit=limit)
