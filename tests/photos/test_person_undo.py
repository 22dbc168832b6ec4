"""Undoing what was decided about people: everything is as it was, or a later decision is named that rests on it."""

from collections.abc import Callable

import factories
import pytest
from people_samples import everything, links, persons_of, somebody

from accounts.models import Library
from accounts.problems import NotFoundError
from photos.models import Face, Person, PersonDecision
from photos.services import erasure, people, person_undo


@pytest.fixture
def library(db: None) -> Library:
    return factories.make_library()


def state(library: Library) -> dict[str, object]:
    """Give what undoing has to bring back."""
    return {
        "faces": dict(Face.objects.values_list("pk", "person")),
        "decided": set(Face.objects.filter(person_decided=True).values_list("pk", flat=True)),
        "links": links(),
        "people": set(Person.objects.values_list("pk", "name", "is_hidden", "chosen_cover", "merged_into")),
    }


def acts(library: Library) -> dict[str, Callable[[], PersonDecision]]:
    """Give every act on a library in which much has been decided before."""
    ada, hers = somebody(library, faces=4, name="Ada")
    bob, his = somebody(library, faces=3)
    cy, theirs = somebody(library, faces=2)
    people.rename_person(person=ada, name="Ada Lovelace")
    people.confirm_faces(person=bob, face_ids=[his[0].pk])
    people.reject_face(face=hers[3], person=bob)
    people.reject_face(face=theirs[0], person=ada)
    return {
        "name": lambda: people.rename_person(person=bob, name="Bob"),
        "no name": lambda: people.rename_person(person=ada, name=""),
        "hide": lambda: people.hide_person(person=cy, is_hidden=True),
        "cover": lambda: people.choose_cover(person=ada, face_id=hers[1].pk),
        "merge": lambda: people.merge_people(into=cy, people=[bob]),
        "merge with a name": lambda: people.merge_people(into=bob, people=[cy]),
        "split": lambda: people.split_person(person=ada, face_ids=[hers[0].pk, hers[1].pk], name="Eve"),
        "move": lambda: people.decide_face(face=hers[0], person=bob),
        "move what was said": lambda: people.decide_face(face=his[0], person=ada),
        "move against a rejection": lambda: people.decide_face(face=hers[3], person=bob),
        "move to somebody new": lambda: people.decide_face(face=theirs[1], person=None, new_name="Dee"),
        "move to nobody": lambda: people.decide_face(face=theirs[1], person=None),
        "reject": lambda: people.reject_face(face=hers[0]),
        "reject what was said": lambda: people.reject_face(face=his[0]),
        "confirm": lambda: people.confirm_faces(person=ada),
    }


NAMES = (
    "name", "no name", "hide", "cover", "merge", "merge with a name", "split", "move", "move what was said",
    "move against a rejection", "move to somebody new", "move to nobody", "reject", "reject what was said", "confirm",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_everything_is_as_it_was(library: Library, name: str) -> None:
    chosen = acts(library)
    assert tuple(chosen) == NAMES
    user = factories.make_user()
    before = state(library)
    decision = chosen[name]()
    assert state(library) != before

    undone = person_undo.undo(decision=decision, by=user)

    assert state(library) == before
    assert (undone.undone_by, undone.undone_at is None) == (user, False)
    again = everything()
    with pytest.raises(person_undo.AlreadyUndoneError):
        person_undo.undo(decision=decision)
    assert everything() == again


@pytest.mark.parametrize("first", NAMES)
@pytest.mark.parametrize("second", ["merge", "split", "move", "reject", "confirm", "move to somebody new"])
def test_two_acts_are_undone_in_turn(library: Library, first: str, second: str) -> None:
    chosen = acts(library)
    begin = state(library)
    one = chosen[first]()
    between = state(library)
    try:
        other = chosen[second]()
    except NotFoundError:
        other = None  # merged away, and the like
    except people.NotTheirFaceError:
        other = None
    except people.OfNobodyError:
        other = None
    if other is None:
        assert state(library) == between
    else:
        person_undo.undo(decision=other)
        assert state(library) == between
    person_undo.undo(decision=one)
    assert state(library) == begin


def test_what_a_later_decision_rests_on_is_not_undone(library: Library) -> None:
    ada, hers = somebody(library, faces=3, name="Ada")
    bob, his = somebody(library, faces=2, name="Bob")
    moved = people.decide_face(face=hers[0], person=bob)
    back = people.decide_face(face=hers[0], person=ada)
    merged = people.merge_people(into=ada, people=[bob])
    named = people.rename_person(person=ada, name="A.")
    before = everything()

    def refused_for(decision: PersonDecision) -> tuple:
        with pytest.raises(person_undo.DecidedSinceError) as refused:
            person_undo.undo(decision=decision)
        assert everything() == before
        return refused.value.extra["decision"], refused.value.extra["kind"]

    assert refused_for(moved) in {(str(back.pk), "move"), (str(merged.pk), "merge")}
    # a name is no matter of what was merged
    assert (named.kind, persons_of(his)) == ("name", [ada.pk] * 2)
    person_undo.undo(decision=merged)
    assert persons_of([*hers, *his]) == [ada.pk] * 3 + [bob.pk] * 2
    before = everything()
    assert refused_for(moved) == (str(back.pk), "move")
    person_undo.undo(decision=back)
    person_undo.undo(decision=moved)
    assert persons_of(hers) == [ada.pk] * 3


def test_somebody_whom_others_rest_on_is_not_unmade(library: Library) -> None:
    ada, hers = somebody(library, faces=4, name="Ada")
    split = people.split_person(person=ada, face_ids=[hers[0].pk])
    made = Person.objects.get(pk=split.details["made"])
    moved = people.decide_face(face=hers[1], person=made)
    with pytest.raises(person_undo.DecidedSinceError) as refused:
        person_undo.undo(decision=split)
    assert refused.value.extra == {"decision": str(moved.pk), "kind": "move"}
    person_undo.undo(decision=moved)
    person_undo.undo(decision=split)
    assert persons_of(hers) == [ada.pk] * 4
    assert not Person.objects.filter(pk=made.pk).exists()


def test_of_names_the_last_one_goes_first(library: Library) -> None:
    ada, _ = somebody(library)
    first = people.rename_person(person=ada, name="Ada")
    second = people.rename_person(person=ada, name="Ada L.")
    with pytest.raises(person_undo.DecidedSinceError):
        person_undo.undo(decision=first)
    person_undo.undo(decision=second)
    assert Person.objects.get().name == "Ada"
    person_undo.undo(decision=first)
    assert Person.objects.get().name == ""
    assert links() == set()


def test_a_nameless_person_who_went_empty_is_back(library: Library) -> None:
    ada, _ = somebody(library, name="Ada")
    nameless, faces = somebody(library)
    first, second = (people.decide_face(face=face, person=ada) for face in faces)
    assert not Person.objects.filter(pk=nameless.pk).exists()
    person_undo.undo(decision=first)
    person_undo.undo(decision=second)
    assert persons_of(faces) == [nameless.pk] * 2
    assert Person.objects.get(pk=nameless.pk).library == library


def test_what_a_merge_carried_is_where_it_would_be(library: Library) -> None:
    """Undone after the person was merged: it is of whoever that is by now, and back when the merging is undone."""
    ada, hers = somebody(library, name="Ada")
    bob, _ = somebody(library, name="Bob")
    people.confirm_faces(person=ada)
    moved = people.decide_face(face=hers[0], person=None)
    merged = people.merge_people(into=bob, people=[ada])

    person_undo.undo(decision=moved)
    assert persons_of(hers) == [bob.pk] * 2
    assert {(hers[0].pk, "is", bob.pk), (hers[1].pk, "is", bob.pk)} <= links()

    person_undo.undo(decision=merged)
    assert persons_of(hers) == [ada.pk] * 2
    assert {(hers[0].pk, "is", ada.pk), (hers[1].pk, "is", ada.pk)} <= links()


def test_what_was_said_later_of_the_same_face_stands(library: Library) -> None:
    ada, hers = somebody(library, name="Ada")
    bob, _ = somebody(library, name="Bob")
    people.confirm_faces(person=ada, face_ids=[hers[0].pk])
    rejected = people.reject_face(face=hers[0])
    moved = people.decide_face(face=hers[0], person=bob)
    person_undo.undo(decision=rejected)
    assert persons_of(hers[:1]) == [bob.pk]
    assert {link for link in links() if link[0] == hers[0].pk} == {(hers[0].pk, "is", bob.pk)}
    person_undo.undo(decision=moved)
    assert persons_of(hers[:1]) == [ada.pk]
    assert {link for link in links() if link[0] == hers[0].pk} == {(hers[0].pk, "is", ada.pk)}


def test_a_decision_that_went_with_its_person_is_not_there(library: Library) -> None:
    ada, _ = somebody(library, name="Ada", faces=0)
    decision = people.rename_person(person=ada, name="Ada L.")
    erasure.delete_person(person_id=ada.pk)
    with pytest.raises(NotFoundError):
        person_undo.undo(decision=decision)
    assert PersonDecision.objects.count() == 0


def test_what_was_said_of_others_outlives_somebody_who_is_gone(library: Library) -> None:
    """A face goes from Ada to somebody nameless, and back; of him nothing is left, and her faces are held."""
    ada, hers = somebody(library, name="Ada", faces=3)
    nobody, [his] = somebody(library, faces=1)
    people.decide_face(face=hers[0], person=nobody)
    people.decide_face(face=his, person=None)
    people.decide_face(face=hers[0], person=ada)
    assert not Person.objects.filter(pk=nobody.pk).exists()
    assert {(face.pk, "held", ada.pk) for face in hers[1:]} <= links()
