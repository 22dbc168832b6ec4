"""What somebody says of people: what each act does at once, and what it leaves for groupings to obey."""

import factories
import pytest
from people_samples import everything, links, persons_of, somebody

from accounts.models import Library
from accounts.problems import ConflictError, InvalidValueError, NotFoundError
from photos.models import Face, FaceEmbedding, GroupLoss, Person, PersonDecision
from photos.services import faces as face_rows
from photos.services import people
from photos.services.decisions import ContradictsDecisionError


@pytest.fixture
def library(db: None) -> Library:
    return factories.make_library()


def test_a_name_holds_the_faces_that_are_theirs_at_that_moment(library: Library) -> None:
    user = factories.make_user()
    ada, faces = somebody(library)
    candidate = factories.make_face(factories.make_photo(library), person=ada, confidence=0.5)

    decision = people.rename_person(person=ada, name="Ada", by=user)

    assert (decision.kind, decision.person, decision.by, decision.details) == (
        "name",
        ada,
        user,
        {"before": "", "after": "Ada"},
    )
    assert links() == {(face.pk, "held", ada.pk) for face in faces}
    assert candidate.links.count() == 0
    assert not Face.objects.filter(person_decided=True).exists()
    # nothing new is said
    assert people.rename_person(person=ada, name="Ada", by=user) is None
    later = factories.make_face(factories.make_photo(library), person=ada)
    people.rename_person(person=ada, name="Ada Lovelace")
    assert links() == {(face.pk, "held", ada.pk) for face in [*faces, later]}
    people.rename_person(person=ada, name="")
    assert PersonDecision.objects.count() == 3


def test_groups_of_faces_on_which_somebody_decided_are_looked_at_again(library: Library) -> None:
    ada, faces = somebody(library, faces=3)
    for face, component in zip(faces, (7, 7, None), strict=True):
        values = {"version": "v1", "dimensions": 2, "vector": [1, 0], "component": component}
        FaceEmbedding.objects.create(face=face, library=library, model="m", **values)
    people.rename_person(person=ada, name="Ada")
    assert list(GroupLoss.objects.values_list("library", "model", "component")) == [(library.pk, "m", 7)]


def test_merging_makes_them_one(library: Library) -> None:
    ada, hers = somebody(library, name="Ada")
    other, theirs = somebody(library)
    people.confirm_faces(person=other, face_ids=[theirs[0].pk])
    third, few = somebody(library, faces=1)

    decision = people.merge_people(into=ada, people=[other, third])

    assert persons_of([*hers, *theirs, *few]) == [ada.pk] * 5
    held = {(face.pk, "held", ada.pk) for face in (*hers, theirs[1], *few)}
    assert links() == held | {(theirs[0].pk, "is", ada.pk)}
    assert list(Face.objects.filter(person_decided=True)) == [theirs[0]]
    assert dict(Person.objects.values_list("pk", "merged_into")) == {ada.pk: None, other.pk: ada.pk, third.pk: ada.pk}
    assert decision.details == {"people": [str(other.pk), str(third.pk)], "named_after": None}


def test_whoever_has_no_name_takes_the_first_of_those_who_are_merged_into_them(library: Library) -> None:
    [nameless, nobody, ada, bob] = [somebody(library, name=name)[0] for name in ("", "", "Ada", "Bob")]
    people.merge_people(into=nameless, people=[nobody, ada, bob])
    assert Person.objects.get(pk=nameless.pk).name == "Ada"


def test_who_is_not_one_of_the_merged_is_not_who_stays(library: Library) -> None:
    ada, _ = somebody(library, name="Ada")
    other, theirs = somebody(library)
    people.reject_face(face=theirs[0])
    guessed, [mine] = somebody(library, faces=1)
    people.reject_face(face=mine, person=other)

    people.merge_people(into=ada, people=[other, guessed])

    barred = {(face, person) for face, kind, person in links() if kind == "is_not"}
    assert barred == {(theirs[0].pk, ada.pk), (mine.pk, ada.pk)}
    # it was there by guess alone
    assert persons_of([theirs[0], theirs[1], mine]) == [None, ada.pk, None]


def test_a_merge_against_what_was_said_of_a_face_is_refused(library: Library) -> None:
    ada, hers = somebody(library, name="Ada")
    other, _ = somebody(library)
    people.confirm_faces(person=ada, face_ids=[hers[0].pk])
    decision = people.reject_face(face=hers[0], person=other)
    before = everything()

    with pytest.raises(ContradictsDecisionError) as refused:
        people.merge_people(into=other, people=[ada])

    assert refused.value.extra == {"decisions": [str(decision.pk)], "faces": [str(hers[0].pk)]}
    assert everything() == before


def test_merges_that_cannot_be_change_nothing(library: Library) -> None:
    ada, _ = somebody(library, name="Ada")
    foreign, _ = somebody(factories.make_library())
    gone = factories.make_person(library)
    Person.objects.filter(pk=gone.pk).delete()
    merged, _ = somebody(library)
    people.merge_people(into=ada, people=[merged])
    before = everything()
    with pytest.raises(InvalidValueError):
        people.merge_people(into=ada, people=[])
    with pytest.raises(InvalidValueError):
        people.merge_people(into=ada, people=[ada])
    with pytest.raises(ConflictError, match="different libraries"):
        people.merge_people(into=ada, people=[foreign])
    for one in (gone, merged):
        with pytest.raises(NotFoundError):
            people.merge_people(into=ada, people=[one])
    assert everything() == before


def test_splitting_makes_two_of_one(library: Library) -> None:
    ada, faces = somebody(library, faces=4, name="Ada")

    decision = people.split_person(person=ada, face_ids=[face.pk for face in faces[:2]], name=" Grace ")

    grace = Person.objects.get(name="Grace")
    assert decision.details == {"made": str(grace.pk)}
    assert persons_of(faces) == [grace.pk] * 2 + [ada.pk] * 2
    assert links() == {
        *((face.pk, "is", grace.pk) for face in faces[:2]),
        *((face.pk, "held", ada.pk) for face in faces[2:]),
    }


def test_splits_that_cannot_be_change_nothing(library: Library) -> None:
    ada, faces = somebody(library, name="Ada")
    _, others = somebody(library)
    before = everything()
    for wrong in ([], [face.pk for face in faces]):
        with pytest.raises(InvalidValueError):
            people.split_person(person=ada, face_ids=wrong)
    with pytest.raises(people.NotTheirFaceError) as refused:
        people.split_person(person=ada, face_ids=[faces[0].pk, others[0].pk])
    assert refused.value.extra == {"faces": [str(others[0].pk)]}
    assert everything() == before


def test_confirming_is_of_what_is_shown(library: Library) -> None:
    ada, faces = somebody(library, faces=3)
    candidate = factories.make_face(factories.make_photo(library), person=ada, confidence=0.5)
    one = people.confirm_faces(person=ada, face_ids=[faces[0].pk])
    assert links() == {(faces[0].pk, "is", ada.pk), *((face.pk, "held", ada.pk) for face in faces[1:])}
    both = people.confirm_faces(person=ada)
    assert links() == {(face.pk, "is", ada.pk) for face in faces}
    assert (one.links.count(), both.links.count(), candidate.links.count()) == (3, 2, 0)
    assert people.confirm_faces(person=ada) is None
    assert set(Face.objects.filter(person_decided=True)) == set(faces)


def test_moving_a_face_leaves_the_others_with_who_has_a_name(library: Library) -> None:
    ada, hers = somebody(library, name="Ada")
    nameless, theirs = somebody(library)
    bob, his = somebody(library, name="Bob", faces=1)
    people.decide_face(face=hers[0], person=bob)
    people.decide_face(face=theirs[0], person=bob)
    # of the nameless nobody has said anything: they may follow
    assert links() == {
        (hers[0].pk, "is", bob.pk),
        (theirs[0].pk, "is", bob.pk),
        (hers[1].pk, "held", ada.pk),
        (his[0].pk, "held", bob.pk),
    }
    assert persons_of([*hers, *theirs]) == [bob.pk, ada.pk, bob.pk, nameless.pk]


def test_moving_a_face_to_somebody_new(library: Library) -> None:
    _, faces = somebody(library)
    decision = people.decide_face(face=faces[0], person=None, new_name=" Ada ")
    ada = Person.objects.get(name="Ada")
    assert (faces[0].person, decision.person, decision.details) == (ada, ada, {"made": str(ada.pk)})
    # said again, it is another of that name
    again = people.decide_face(face=faces[1], person=None, new_name="Ada")
    assert again.person != ada


def test_moving_ends_what_was_said_before(library: Library) -> None:
    ada, hers = somebody(library, name="Ada")
    people.reject_face(face=hers[0])
    assert links() == {(hers[0].pk, "is_not", ada.pk), (hers[1].pk, "held", ada.pk)}
    people.decide_face(face=hers[0], person=ada)
    assert links() == {(hers[0].pk, "is", ada.pk), (hers[1].pk, "held", ada.pk)}
    assert people.decide_face(face=hers[0], person=ada) is None
    people.decide_face(face=hers[0], person=None)
    assert links() == {(hers[0].pk, "is", None), (hers[1].pk, "held", ada.pk)}
    assert people.decide_face(face=hers[0], person=None) is None


def test_a_rejected_face_is_nobody_and_the_others_are_held(library: Library) -> None:
    nameless, faces = somebody(library, faces=3)
    decision = people.reject_face(face=faces[0])
    assert decision.person == nameless
    assert persons_of(faces) == [None, nameless.pk, nameless.pk]
    assert links() == {
        (faces[0].pk, "is_not", nameless.pk),
        *((face.pk, "held", nameless.pk) for face in faces[1:]),
    }
    assert people.reject_face(face=faces[0], person=nameless) is None
    with pytest.raises(people.OfNobodyError):
        people.reject_face(face=faces[0])
    assert not Face.objects.get(pk=faces[0].pk).person_decided


def test_without_another_face_a_nameless_person_is_gone(library: Library) -> None:
    nameless, [face] = somebody(library, faces=1)
    people.confirm_faces(person=nameless)
    assert people.reject_face(face=face) is None
    assert (Person.objects.count(), links()) == (0, set())
    assert Face.objects.values_list("person", "person_decided").get() == (None, False)


def test_a_face_stays_who_it_is_when_it_is_not_somebody_else(library: Library) -> None:
    ada, hers = somebody(library, name="Ada")
    bob, _ = somebody(library, name="Bob")
    people.reject_face(face=hers[0], person=bob)
    assert persons_of(hers) == [ada.pk] * 2
    with pytest.raises(ConflictError, match="another library"):
        people.reject_face(face=hers[0], person=somebody(factories.make_library())[0])


def test_hiding_and_showing(library: Library) -> None:
    ada, faces = somebody(library)
    assert people.hide_person(person=ada, is_hidden=False) is None
    assert people.hide_person(person=ada, is_hidden=True).kind == "hide"
    assert links() == {(face.pk, "held", ada.pk) for face in faces}
    assert people.hide_person(person=ada, is_hidden=True) is None
    assert people.hide_person(person=ada, is_hidden=False).kind == "show"
    assert not Person.objects.get(pk=ada.pk).is_hidden


def test_the_cover_is_the_chosen_face_while_it_is_theirs(library: Library) -> None:
    ada, _ = somebody(library, faces=0, name="Ada")
    plain, best = (factories.make_face(factories.make_photo(library), person=ada, quality=q) for q in (0.3, 0.9))
    _, others = somebody(library)

    visitor = factories.make_member(library, "visitor")

    def cover() -> str:
        return Person.objects.with_faces(visitor).get(pk=ada.pk).cover["id"]

    assert cover() == str(best.pk)
    assert people.choose_cover(person=ada, face_id=plain.pk).kind == "cover"
    assert cover() == str(plain.pk)
    with pytest.raises(people.NotTheirFaceError):
        people.choose_cover(person=ada, face_id=others[0].pk)
    assert cover() == str(plain.pk)
    people.decide_face(face=plain, person=None)
    assert cover() == str(best.pk)
    people.decide_face(face=plain, person=ada)
    assert cover() == str(plain.pk)
    Face.objects.filter(pk=plain.pk).delete()
    assert cover() == str(best.pk)
    assert people.choose_cover(person=ada, face_id=None).details == {"before": str(plain.pk), "after": None}
    assert people.choose_cover(person=ada, face_id=None) is None


def test_detection_removes_no_face_of_which_somebody_said_who_it_is_or_is_not(library: Library) -> None:
    ada, faces = somebody(library, faces=4, name="Ada")
    people.confirm_faces(person=ada, face_ids=[faces[0].pk])
    people.reject_face(face=faces[1])
    for face in faces:
        face_rows.replace_faces(photo_id=face.photo_id, version="v2", found=[])
    assert set(Face.objects.all()) == set(faces[:2])
    assert links() == {(faces[0].pk, "is", ada.pk), (faces[1].pk, "is_not", ada.pk)}


def test_many_faces_are_rejected_by_one_decision(library: Library) -> None:
    ada, [one, two, other] = somebody(library, faces=3, name="Ada")
    decision = people.reject_faces(person=ada, face_ids=[one.pk, two.pk])
    assert decision.kind == "reject"
    assert links() == {(one.pk, "is_not", ada.pk), (two.pk, "is_not", ada.pk), (other.pk, "held", ada.pk)}
    assert persons_of([one, two, other]) == [None, None, ada.pk]


def test_somebody_nameless_whose_faces_are_all_rejected_is_gone_with_the_decision(library: Library) -> None:
    nobody, faces = somebody(library)
    assert people.reject_faces(person=nobody, face_ids=[face.pk for face in faces]) is None
    assert (Person.objects.count(), PersonDecision.objects.count(), links()) == (0, 0, set())
    assert persons_of(faces) == [None, None]
    assert not Face.objects.filter(person_decided=True).exists()


def test_faces_of_others_and_none_are_not_rejected(library: Library) -> None:
    ada, faces = somebody(library, name="Ada")
    _, [others, _last] = somebody(library)
    before = everything()
    with pytest.raises(people.NotTheirFaceError):
        people.reject_faces(person=ada, face_ids=[faces[0].pk, others.pk])
    with pytest.raises(InvalidValueError):
        people.reject_faces(person=ada, face_ids=[])
    assert everything() == before
