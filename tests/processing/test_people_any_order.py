"""Decisions and regroupings in any order: no decision is ever broken, and who is together depends on no order."""

import random
from collections.abc import Iterator
from itertools import chain

import numpy as np
import photo_samples
import pytest
from face_samples import MODEL, add_face, groups, remove
from told import Told

from accounts.models import Library
from photos.models import Face, FaceEmbedding, GroupLoss, LibraryThreshold, Person
from photos.services import broken_decisions
from processing.services import face_analysis, grouping

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("broker")]

PEOPLE, FACES_EACH = 6, 7
THRESHOLDS = (0.4, 0.46, 0.52, 0.58, 0.7, 1.2)


def likenesses() -> list[np.ndarray]:
    """Give faces of which it takes all of them to tell who belongs together."""
    generator = np.random.default_rng(7)
    centres = generator.normal(size=(PEOPLE, 128))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    return [
        (centre * 0.35 + generator.normal(size=128) * 0.019).astype(np.float32)
        for _ in range(FACES_EACH)
        for centre in centres
    ]


def group(library: Library, threshold: float = 0.52) -> None:
    LibraryThreshold.objects.update_or_create(library=library, model=MODEL, defaults={"threshold": threshold})
    grouping.request(library_id=library.pk, model=MODEL)
    assert photo_samples.run_people() == 1
    assert list(broken_decisions.broken(library_id=library.pk)) == []


def batches(numbers: list[int], shuffle: random.Random) -> Iterator[list[int]]:
    """Give the numbers in another order, some at a time."""
    rest = list(numbers)
    shuffle.shuffle(rest)
    while rest:
        size = shuffle.randint(1, 9)
        yield rest[:size]
        rest = rest[size:]


def decide(told: Told, faces: dict[int, Face]) -> None:
    """Decide much about the first faces, by their numbers alone."""

    def person_of(number: int) -> Person:
        return Face.objects.get(pk=faces[number].pk).person

    clustered = [number for number in sorted(faces) if person_of(number)]
    by_person: dict[object, list[int]] = {}
    for number in clustered:
        by_person.setdefault(person_of(number).pk, []).append(number)
    ones = sorted(by_person.values())
    assert len(ones) > 4
    told.name(person_of(ones[0][0]), "Ada")
    told.name(person_of(ones[1][0]), "Bob")
    told.merge(person_of(ones[0][0]), person_of(ones[2][0]))
    told.reject(faces[ones[0][0]])
    told.reject(faces[ones[3][0]])
    told.move(faces[ones[1][0]], person_of(ones[4][0]))
    told.confirm(person_of(ones[4][-1]))
    lone = next((number for number in sorted(faces) if person_of(number) is None), ones[3][0])
    told.make(faces[lone], "Cy")
    told.move(faces[ones[2][0]], None)


def come_to_be(library: Library, seed: int) -> tuple[object, object]:
    """Let the same faces arrive in an order of their own, decide the same, and give who is together and who has a name.

    Other groupings on the way, and other thresholds in between. Faces are given by their numbers.
    """
    vectors, shuffle, told = likenesses(), random.Random(seed), Told()
    half = len(vectors) // 2
    faces: dict[int, Face] = {}

    def arrive(numbers: list[int]) -> None:
        for some in batches(numbers, shuffle):
            faces.update({number: add_face(library, vectors[number]) for number in some})
            if shuffle.random() < 0.5:
                group(library, shuffle.choice(THRESHOLDS))
                assert told.broken() == []

    arrive(list(range(half)))
    group(library)
    decide(told, faces)
    assert told.broken() == []
    arrive(list(range(half, len(vectors))))
    for number in (half + 1, half + 8):
        remove(faces.pop(number))
    group(library)
    assert told.broken() == []

    number_of = {face.pk: number for number, face in faces.items()}
    together = numbered(library, number_of)
    # and as from scratch
    FaceEmbedding.objects.filter(library=library).update(component=None)
    GroupLoss.objects.filter(library=library).delete()
    ours = Face.objects.filter(photo__library=library)
    ours.exclude(links__in_force=True, links__kind__in=["is", "held"]).update(person=None)
    group(library)
    assert numbered(library, number_of) == together
    named = Person.objects.filter(library=library).exclude(name="")
    return together, {one.name: {number_of[face.pk] for face in one.faces.all()} for one in named}


def numbered(library: Library, number_of: dict[object, int]) -> set[frozenset[int]]:
    return {frozenset(number_of[pk] for pk in members) for members in groups(library)}


def test_the_order_of_arrival_does_not_matter(face_library: Library) -> None:
    first = come_to_be(face_library, 0)
    assert set(first[1]) == {"Ada", "Bob", "Cy"}
    assert 4 < len([members for members in first[0] if len(members) > 1]) < 20
    for seed in range(1, 6):
        other = Library.objects.create(name=f"library of order {seed}")
        face_analysis.switch_face_analysis(library=other, enabled=True, by=None)
        assert come_to_be(other, seed) == first


@pytest.mark.parametrize("seed", range(8))
def test_whatever_is_decided_and_regrouped_no_decision_is_broken(face_library: Library, seed: int) -> None:
    """Acts and regroupings as they come, at any moment; what is contradictory is refused or ends what was said."""
    vectors, shuffle, told = likenesses(), random.Random(100 + seed), Told()
    faces: list[Face] = []
    for some in chain(batches(list(range(len(vectors))), shuffle)):
        faces += [add_face(face_library, vectors[number]) for number in some]
        group(face_library, shuffle.choice(THRESHOLDS))
        assert told.broken() == []
        for _ in range(shuffle.randint(1, 3)):
            act_at_random(told, shuffle, faces)
            assert told.broken() == []
            if shuffle.random() < 0.5:
                group(face_library, shuffle.choice(THRESHOLDS))
                assert told.broken() == []
    assert told.count > 4


def act_at_random(told: Told, shuffle: random.Random, faces: list[Face]) -> None:
    everybody = list(Person.objects.filter(merged_into=None).order_by("pk"))
    face = Face.objects.get(pk=shuffle.choice(faces).pk)
    person = shuffle.choice(everybody) if everybody else None
    theirs = [] if person is None else list(person.faces.order_by("pk"))
    act = shuffle.choice(["name", "merge", "split", "move", "nobody", "make", "reject", "confirm", "undo"])
    if act == "name" and person is not None and not person.name:
        told.name(person, f"name {told.count}")
    elif act == "merge" and len(everybody) > 1:
        merge_unless_it_contradicts(told, *shuffle.sample(everybody, 2))
    elif act == "split" and len(theirs) > 1:
        told.split(person, shuffle.sample(theirs, shuffle.randint(1, len(theirs) - 1)), f"name {told.count}")
    elif act == "move" and person is not None:
        told.move(face, person)
    elif act == "nobody":
        told.move(face, None)
    elif act == "make":
        told.make(face, f"name {told.count}")
    elif act == "reject" and face.person is not None:
        told.reject(face)
    elif act == "confirm" and theirs:
        told.confirm(person)
    elif act == "undo":
        told.undo()


def merge_unless_it_contradicts(told: Told, into: Person, other: Person) -> None:
    both = {into.pk, other.pk}
    contradicts = any(person in both and told.is_person.get(face) in both for face, person in told.is_not)
    if not contradicts:
        told.merge(into, other)
