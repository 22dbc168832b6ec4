"""How many of the faces that are truly nearest among a million are found."""

from collections.abc import Callable

import numpy as np
from rest_framework.test import APIClient

from photos.models import Face, FaceEmbedding, Photo
from photos.search import faces
from photos.search import nearest as nearest_module
from search_times import dataset

FACE_RECALL = "recall of faces"
QUERIES, LIMIT, LEAST = 40, 50, 0.98


def recall_is_high(client: APIClient, *, seed: int, tell: Callable[[str], None]) -> bool:
    """Ask the API for the faces nearest to some, and compare with what is found when every vector is measured."""
    random = np.random.default_rng(seed)
    with_vector = FaceEmbedding.objects.filter(model=dataset.MODEL, face__photo__trashed_at=None)
    keys = list(with_vector.order_by("pk").values_list("face_id", flat=True)[:100_000])
    shares = []
    for key in (keys[int(place)] for place in random.integers(len(keys), size=QUERIES)):
        response = client.get(f"/api/v1/faces/{key}/similar", {"limit": LIMIT})
        if response.status_code != 200:
            raise RuntimeError(f"{key}: {response.content!r}")
        found = {one["id"] for one in response.json()["faces"]}
        shares.append(len(found & _truth(Face.objects.get(pk=key))) / LIMIT)
    tell(f"{FACE_RECALL}, {QUERIES} lists of {LIMIT}: mean {np.mean(shares):.4f}, least {min(shares):.2f}")
    return float(np.mean(shares)) >= LEAST


def _truth(face: Face) -> set[str]:
    others = Face.objects.kept().filter(photo__in=Photo.objects.filter(trashed_at=None)).exclude(pk=face.pk)
    rows_measured = nearest_module.EXACT_ROWS
    # no index: all of them are measured
    nearest_module.EXACT_ROWS = 10**9
    try:
        ranked = faces.nearest_faces(
            others, model=dataset.MODEL, vector=faces.vector_of(face, model=dataset.MODEL), limit=LIMIT
        )
    finally:
        nearest_module.EXACT_ROWS = rows_measured
    return {str(key) for key, _ in ranked}
