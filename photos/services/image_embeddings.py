"""Vectors of photos, as the stage replaces them. Called in the stage's own transaction, which is fenced."""

from uuid import UUID

import numpy as np

from photos.models import ImageEmbedding, PhotoFingerprint

# batches of other sizes and other devices give last bits of their own, photos differ by far more
SAME_VECTOR_DISTANCE = 0.01


def replace_embedding(*, photo_id: UUID, library_id: UUID, model: str, version: str, vector: np.ndarray) -> None:
    """Put a vector, float32 (dimensions,) of length 1, in the place of the photo's old one by the same model.

    One that is as it was (within `SAME_VECTOR_DISTANCE`) stays, and costs the index nothing. Of another one
    near-duplicates are looked for anew.
    """
    rows = ImageEmbedding.objects.filter(photo_id=photo_id, model=model)
    old = rows.select_for_update().first()
    if old is not None and _is_same(old, vector):
        rows.update(version=version)
        return
    values = {"version": version, "dimensions": len(vector), "vector": vector.astype(np.float16).tolist()}
    if old is None:
        ImageEmbedding.objects.create(photo_id=photo_id, library_id=library_id, model=model, **values)
    else:
        rows.update(**values)
    PhotoFingerprint.objects.filter(photo_id=photo_id).update(is_grouped=False)


def _is_same(row: ImageEmbedding, vector: np.ndarray) -> bool:
    if row.dimensions != len(vector):
        return False
    return bool(np.linalg.norm(np.asarray(row.vector, dtype=np.float32) - vector) <= SAME_VECTOR_DISTANCE)
