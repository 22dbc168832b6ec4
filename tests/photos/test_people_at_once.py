"""Two who decide about the same people at the same moment: one after the other, of what the one before has left."""

import factories
import pytest
from concurrency import in_a_thread, wait_until_blocked
from django.db import transaction
from people_samples import links, persons_of, somebody

from accounts.models import Library
from accounts.problems import NotFoundError
from photos.models import Face, Person, PersonDecision
from photos.services import broken_decisions, erasure, groups, people, person_undo
from photos.services import faces as face_rows
from photos.services.people import NotTheirFaceError

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def no_decision_is_broken(db: None) -> object:
    yield
    assert list(broken_decisions.broken()) == []


@pytest.fixture
def library(db: None) -> Library:
    return factories.make_library()


def test_two_who_merge_the_same_two_people_the_other_way_round(library: Library) -> None:
    ada, hers = somebody(library, name="Ada")
    bob, his = somebody(library, name="Bob")
    with transaction.atomic():
        people.merge_people(into=ada, people=[bob])
        other = in_a_thread(people.merge_people, into=bob, people=[ada])
        wait_until_blocked()
    with pytest.raises(NotFoundError):
        other.result()
    assert persons_of([*hers, *his]) == [ada.pk] * 4
    assert PersonDecision.objects.count() == 1


def test_a_face_that_goes_to_somebody_who_is_merged_meanwhile(library: Library) -> None:
    ada, _ = somebody(library, name="Ada")
    bob, _ = somebody(library, name="Bob")
    _, [face, _] = somebody(library)
    with transaction.atomic():
        people.merge_people(into=ada, people=[bob])
        moved = in_a_thread(people.decide_face, face=face, person=bob)
        wait_until_blocked()
    with pytest.raises(NotFoundError):
        moved.result()
    assert persons_of([face]) != [bob.pk]


def test_a_face_that_is_split_off_and_moved_at_once(library: Library) -> None:
    ada, hers = somebody(library, faces=3, name="Ada")
    bob, _ = somebody(library, name="Bob")
    with transaction.atomic():
        people.decide_face(face=hers[0], person=bob)
        split = in_a_thread(people.split_person, person=ada, face_ids=[hers[0].pk, hers[1].pk])
        wait_until_blocked()
    with pytest.raises(NotTheirFaceError):
        split.result()
    assert persons_of(hers) == [bob.pk, ada.pk, ada.pk]


def test_a_decision_is_undone_once(library: Library) -> None:
    ada, hers = somebody(library, name="Ada")
    decision = people.reject_face(face=hers[0])
    with transaction.atomic():
        person_undo.undo(decision=decision)
        again = in_a_thread(person_undo.undo, decision=decision)
        wait_until_blocked()
    with pytest.raises(person_undo.AlreadyUndoneError):
        again.result()
    assert persons_of(hers) == [ada.pk] * 2


def test_a_decision_that_another_one_rests_on_by_then_is_not_undone(library: Library) -> None:
    ada, hers = somebody(library, name="Ada")
    bob, _ = somebody(library, name="Bob")
    decision = people.decide_face(face=hers[0], person=bob)
    with transaction.atomic():
        people.decide_face(face=hers[0], person=ada)
        undone = in_a_thread(person_undo.undo, decision=decision)
        wait_until_blocked()
    with pytest.raises(person_undo.DecidedSinceError):
        undone.result()
    assert persons_of(hers) == [ada.pk] * 2


def test_detection_and_a_decision_about_the_same_face(library: Library) -> None:
    ada, hers = somebody(library, faces=3, name="Ada")
    with transaction.atomic():
        face_rows.replace_faces(photo_id=hers[0].photo_id, version="v2", found=[])
        named = in_a_thread(people.confirm_faces, person=ada)
        wait_until_blocked()
    assert {link.face_id for link in named.result().links.all()} == {face.pk for face in hers[1:]}
    with transaction.atomic():
        people.confirm_faces(person=ada)
        decided = people.reject_face(face=hers[1])
        removed = in_a_thread(
            transaction.atomic(face_rows.replace_faces), photo_id=hers[1].photo_id, version="v2", found=[]
        )
        wait_until_blocked()
    removed.result()
    # decided on before it was looked for in vain
    assert set(Face.objects.filter(pk__in=[face.pk for face in hers])) == set(hers[1:])
    assert (hers[1].pk, "is_not", ada.pk) in links()
    assert decided.kind == "reject"


def test_somebody_who_is_erased_while_they_are_named(library: Library) -> None:
    ada, _ = somebody(library, faces=0)
    with transaction.atomic():
        erasure.delete_person(person_id=ada.pk)
        named = in_a_thread(people.rename_person, person=ada, name="Ada")
        wait_until_blocked()
    with pytest.raises(NotFoundError):
        named.result()
    assert (Person.objects.count(), PersonDecision.objects.count()) == (0, 0)


def write(library: Library, persons: dict[Face, Person | None]) -> int:
    """Write a grouping that knew of no decision."""
    with transaction.atomic():
        return groups.write_grouping(
            library_id=library.pk,
            model="m",
            components={},
            persons={face.pk: person and person.pk for face, person in persons.items()},
            new_people=[],
            losses=[],
            verdicts={},
        )


def test_a_grouping_that_knew_of_no_decision_leaves_what_was_decided_alone(library: Library) -> None:
    ada, hers = somebody(library, faces=3)
    bob, _ = somebody(library)
    loose = factories.make_face(factories.make_photo(library))
    with transaction.atomic():
        people.rename_person(person=ada, name="Ada")
        people.reject_face(face=hers[0])
        written = in_a_thread(write, library, {**dict.fromkeys(hers, bob), hers[0]: ada, loose: bob})
        wait_until_blocked()
    assert written.result() == 1
    assert persons_of([*hers, loose]) == [None, ada.pk, ada.pk, bob.pk]


def test_a_grouping_gives_nothing_to_somebody_who_was_merged_meanwhile(library: Library) -> None:
    ada, _ = somebody(library, name="Ada")
    bob, _ = somebody(library)
    loose = factories.make_face(factories.make_photo(library))
    with transaction.atomic():
        people.merge_people(into=ada, people=[bob])
        written = in_a_thread(write, library, {loose: bob})
        wait_until_blocked()
    assert written.result() == 0
    assert persons_of([loose]) == [None]


def test_a_merge_takes_what_a_grouping_gives_meanwhile(library: Library) -> None:
    ada, _ = somebody(library, name="Ada")
    bob, _ = somebody(library)
    loose = factories.make_face(factories.make_photo(library))
    with transaction.atomic():
        assert write(library, {loose: bob}) == 1
        merged = in_a_thread(people.merge_people, into=ada, people=[bob])
        wait_until_blocked()
    merged.result()
    assert persons_of([loose]) == [ada.pk]


def test_two_libraries_do_not_wait_for_each_other(library: Library) -> None:
    ada, _ = somebody(library)
    other, _ = somebody(factories.make_library())
    with transaction.atomic():
        people.rename_person(person=ada, name="Ada")
        assert in_a_thread(people.rename_person, person=other, name="Bob").result(10).kind == "name"
