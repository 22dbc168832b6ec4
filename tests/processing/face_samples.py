"""Faces as rows with vectors made by hand, for tests of grouping that need no pixels."""

import uuid

import factories
import numpy as np
from django.db import transaction

from accounts.models import Library
from photos.models import Face
from photos.services import faces

MODEL = "dlib-resnet-v1"
NEAR, APART = 0.05, 1.0  # either side of the model's threshold, 0.52


def vector(person: int, variation: int = 0) -> np.ndarray:
    """Give a vector of 128: persons are `APART` or more from each other, variations of one `NEAR`."""
    found = np.zeros(128, np.float32)
    found[person] = APART
    if variation:
        found[64 + variation] = NEAR
    return found


def add_face(library: Library, given: np.ndarray, *, model: str = MODEL, **values: object) -> Face:
    """Make a face on a photo of its own, embedded as the stage would, but without its request for a grouping."""
    face = factories.make_face(factories.make_photo(library), **values)
    embed(face, given, model=model)
    return face


@transaction.atomic
def embed(face: Face, given: np.ndarray, *, model: str = MODEL) -> None:
    """Give a face another vector."""
    library_id = face.photo.library_id
    faces.replace_embeddings(library_id=library_id, model=model, version="v1", vectors={face.pk: given})


@transaction.atomic
def remove(face: Face) -> None:
    """Find a photo's faces no more."""
    faces.replace_faces(photo_id=face.photo_id, version="v2", found=[])


def groups(library: Library) -> set[frozenset[uuid.UUID]]:
    """Give the faces that are together, whoever they are."""
    found: dict[object, set[uuid.UUID]] = {}
    for face_id, person_id in Face.objects.filter(photo__library=library).values_list("pk", "person_id"):
        found.setdefault(person_id or face_id, set()).add(face_id)
    return {frozenset(members) for members in found.values()}


def persons_of(*these: Face) -> list[uuid.UUID | None]:
    """Give the persons that these faces are now."""
    found = dict(Face.objects.values_list("pk", "person_id"))
    return [found[face.pk] for face in these]
