"""Decisions that do not hold are wrong; a repair puts the faces where the decisions say."""

import factories
import proving
import pytest

from accounts.models import Library
from photos.models import Face, FaceLink, Person, PersonDecision
from photos.services import broken_decisions, people

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("photo_store", "quick_ripening", "broker"),
]


def decided(library: Library) -> tuple[Person, Person, list[Face]]:
    """Decide much: of five faces one is Ada, one is held by her, one is nobody, one is not Ada; the last is Bob's."""
    ada, bob = factories.make_person(library), factories.make_person(library)
    photos = [factories.make_photo(library, data=f"{library.pk} {number}".encode()) for number in range(5)]
    faces = [factories.make_face(photo, person=ada, chip=b"chip") for photo in photos[:4]]
    faces.append(factories.make_face(photos[4], person=bob, chip=b"chip"))
    people.rename_person(person=ada, name="Ada")
    people.confirm_faces(person=ada, face_ids=[faces[0].pk])
    people.decide_face(face=faces[2], person=None)
    people.reject_face(face=faces[3])
    return ada, bob, faces


def offences() -> set[tuple[str, str]]:
    """Give the broken decisions: faces have no rows of runs and no chips here, which are offences of their own."""
    said = proving.prove("--no-bytes")
    return {(one["photo"], one["detail"]) for one in said.body["findings"] if one["code"] == "decision_broken"}


def test_decisions_that_hold_are_no_offence(library: Library) -> None:
    decided(factories.make_library())
    assert offences() == set()


def test_each_way_of_breaking_one_is_counted_and_repaired() -> None:
    ada, bob, faces = decided(factories.make_library())
    elsewhere = decided(factories.make_library())
    right = dict(Face.objects.values_list("pk", "person"))
    for face, person in zip(faces[:4], (bob, None, bob, ada), strict=True):
        Face.objects.filter(pk=face.pk).update(person=person)
    Face.objects.filter(pk=faces[4].pk).update(person_decided=True)

    pinned = "pinned to a person, and another's"
    assert offences() == {
        *((str(face.photo_id), pinned) for face in faces[:3]),
        (str(faces[3].photo_id), "said not to be a person, and theirs"),
        (str(faces[4].photo_id), "said to be decided on, or not to be, and it is the other way round"),
    }
    other = elsewhere[2][0].photo.library_id
    assert list(broken_decisions.broken(library_id=other)) == []

    said = proving.prove("--no-bytes", "--repair", "--yes")
    assert "put 5 faces where what was decided of them says" in said.body["repair"]["plan"]
    assert "5 faces put where what was decided of them says" in said.body["repair"]["done"]

    assert offences() == set()
    assert dict(Face.objects.values_list("pk", "person")) == {**right, faces[3].pk: None}
    assert not Face.objects.get(pk=faces[4].pk).person_decided


def test_a_decision_that_was_undone_and_still_holds_is_wrong() -> None:
    _, _, faces = decided(factories.make_library())
    link = FaceLink.objects.get(face=faces[0], in_force=True)
    PersonDecision.objects.filter(pk=link.decision_id).update(undone_at=link.decision.made_at)
    assert (str(faces[0].photo_id), "held by a decision that was undone") in offences()
    proving.prove("--no-bytes", "--repair", "--yes")
    assert offences() == set()
    assert not Face.objects.get(pk=faces[0].pk).person_decided
