"""Faces that are near to one, and who they are."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models import QuerySet
from pgvector.django import L2Distance

from photos.models import Face, FaceEmbedding, Person
from photos.search.nearest import nearest


@dataclass(slots=True)
class NearPerson:
    """Somebody among faces that are near: how near the nearest of theirs is, and how many are theirs."""

    person: Person
    distance: float
    faces: int


def nearest_faces(
    among: QuerySet[Face], *, model: str, vector: Sequence[float], limit: int
) -> list[tuple[UUID, float]]:
    """Give the faces nearest to a vector of a model, nearest first, with the Euclidean distance."""
    rows = FaceEmbedding.objects.filter(model=model, face__in=among)
    return nearest(rows, distance=L2Distance, vector=vector, columns=["face_id"], limit=limit)


def vector_of(face: Face, *, model: str) -> Sequence[float] | None:
    """Give a face's vector by a model; none where it has none yet."""
    return FaceEmbedding.objects.filter(face=face, model=model).values_list("vector", flat=True).first()


def people_of(faces: Iterable[Face]) -> list[NearPerson]:
    """Give who is among these faces, which come with `person` and `distance` and nearest first; nearest first."""
    found: dict[UUID, NearPerson] = {}
    for face in faces:
        if face.person is None:
            continue
        known = found.setdefault(face.person.pk, NearPerson(face.person, face.distance, 0))
        known.faces += 1
    return list(found.values())
