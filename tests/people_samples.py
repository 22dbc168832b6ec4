"""People with faces, and what is said of them, as rows: for tests that need no pixels and no vectors."""

import factories

from accounts.models import Library
from photos.models import Face, FaceLink, GroupLoss, Person, PersonDecision


def somebody(library: Library, *, faces: int = 2, **values: object) -> tuple[Person, list[Face]]:
    """Make a person with faces, each on a photo of its own."""
    person = factories.make_person(library, **values)
    return person, [factories.make_face(factories.make_photo(library), person=person) for _ in range(faces)]


def links() -> set[tuple]:
    """Give what is in force: (face, kind, person)."""
    return set(FaceLink.objects.filter(in_force=True).values_list("face", "kind", "person"))


def persons_of(faces: list[Face]) -> list[object]:
    found = dict(Face.objects.values_list("pk", "person_id"))
    return [found[face.pk] for face in faces]


def everything() -> list[list[tuple]]:
    """Give all rows that an act could change."""
    return [
        sorted(model.objects.values_list(), key=str) for model in (Face, FaceLink, Person, PersonDecision, GroupLoss)
    ]
