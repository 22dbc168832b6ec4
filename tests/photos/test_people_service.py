"""People: what a grouping may move and what it may not, also when somebody decides at the same moment."""

import factories
import numpy as np
import pytest
from concurrency import in_a_thread, wait_until_blocked
from django.core.exceptions import ValidationError
from django.db import transaction
from pytest_django import Settings

from accounts.models import Library
from accounts.problems import ConflictError, NotFoundError
from photos.models import Face, FaceEmbedding, GroupLoss, Person
from photos.services import decisions, face_persons, faces, groups, people

MODEL = "m"


@pytest.fixture
def library(db: None) -> Library:
    return factories.make_library()


def make_face(library: Library, *, component: int | None = None, model: str = MODEL, **values: object) -> Face:
    """Make a face, on a photo of its own, with an embedding."""
    face = factories.make_face(factories.make_photo(library), **values)
    FaceEmbedding.objects.create(
        face=face,
        library=library,
        model=model,
        version="v1",
        dimensions=3,
        vector=[0.5, 0.25, 1.0],
        component=component,
    )
    return face


def write(library: Library, persons: dict[Face, Person | None], **values: object) -> int:
    given = {
        "components": {row.pk: 7 for face in persons for row in face.embeddings.all()},
        "persons": {face.pk: person and person.pk for face, person in persons.items()},
        "new_people": [],
        "losses": [],
        "verdicts": decisions.verdicts_of(face.pk for face in persons),
    }
    with transaction.atomic():
        return groups.write_grouping(library_id=library.pk, model=MODEL, **{**given, **values})


def test_an_unread_vector_makes_a_grouping_due(library: Library) -> None:
    def due() -> bool:
        return groups.has_ungrouped(library_id=library.pk, model=MODEL)

    make_face(factories.make_library())
    make_face(library, model="another")
    make_face(library, component=3)
    candidate = make_face(library, confidence=0.9)
    assert not due()
    Face.objects.filter(pk=candidate.pk).update(person_decided=True)
    assert due()
    candidate.embeddings.update(component=4)
    assert not due()
    GroupLoss.objects.create(library=library, model=MODEL, component=3)
    assert due()


def test_a_library_is_read_as_a_grouping_wants_it(library: Library) -> None:
    person = factories.make_person(library)
    first = make_face(library, component=9, person=person, person_decided=True)
    second = make_face(library)
    make_face(library, confidence=0.9)
    make_face(library, model="another")
    make_face(factories.make_library())
    loss = GroupLoss.objects.create(library=library, model=MODEL, component=9)
    GroupLoss.objects.create(library=library, model="another", component=9)

    found = groups.read_library(library_id=library.pk, model=MODEL)

    assert found.face_ids == [first.pk, second.pk]
    assert found.embedding_ids == [first.embeddings.get().pk, second.embeddings.get().pk]
    assert (found.vectors.dtype, found.vectors.tolist()) == (np.float32, [[0.5, 0.25, 1.0]] * 2)
    assert (found.components.dtype, found.components.tolist()) == (np.int64, [9, -1])
    said = {first.pk: decisions.FaceVerdict(is_pinned=True, person_id=person.pk)}
    assert (found.persons, found.verdicts, found.losses) == ([person.pk, None], said, [loss])

    empty = groups.read_library(library_id=factories.make_library().pk, model=MODEL)
    assert (len(empty.face_ids), len(empty.vectors)) == (0, 0)


def test_candidates_are_let_go_of(library: Library, settings: Settings) -> None:
    person = factories.make_person(library)
    doubtful = make_face(library, component=1, person=person, confidence=0.96)
    sure = make_face(library, component=1, person=person, confidence=0.99)
    decided = make_face(library, component=1, person=person, confidence=0.5, person_decided=True)
    settings.FACE_MIN_CONFIDENCE = 0.97

    late = make_face(library, component=1, person=person, confidence=0.96)
    make_face(library, confidence=0.9)

    rows = FaceEmbedding.objects.values_list("face_id", "component", "face__person_id")
    before = set(rows.all())
    found = groups.read_library(library_id=library.pk, model=MODEL)
    assert {(one.face_id, one.component) for one in found.let_go} == {(doubtful.pk, 1), (late.pk, 1)}
    assert set(rows.all()) == before

    # a person is sure of this one, after it was read
    people.decide_face(face=late, person=person)
    assert write(library, {}, let_go=found.let_go) == 0

    assert set(rows.filter(face__in=[doubtful, sure, decided, late])) == {
        (doubtful.pk, None, None),
        (sure.pk, 1, person.pk),
        (decided.pk, 1, person.pk),
        (late.pk, None, person.pk),
    }
    assert groups.has_ungrouped(library_id=library.pk, model=MODEL)
    # what was decided since changes the group
    assert list(GroupLoss.objects.values_list("component", flat=True)) == [1]


def test_names_and_hidden_people_are_cherished(library: Library) -> None:
    named, hidden = factories.make_person(library, name="Ada"), factories.make_person(library, is_hidden=True)
    factories.make_person(factories.make_library(), name="Grace")
    make_face(library, person=factories.make_person(library))
    assert groups.cherished_people(library_id=library.pk) == {named.pk, hidden.pk}


def test_a_grouping_moves_what_nobody_decided_on(library: Library) -> None:
    old, named = factories.make_person(library), factories.make_person(library, name="Ada")
    elsewhere = factories.make_person(factories.make_library())
    new = groups.new_person_id()
    moves, stays = make_face(library, person=old), make_face(library, person=named)
    decided = make_face(library, person=named, person_decided=True)
    read = GroupLoss.objects.create(library=library, model=MODEL, component=1)
    later = GroupLoss.objects.create(library=library, model=MODEL, component=2)

    moved = write(
        library,
        {moves: Person(pk=new), stays: named, decided: named},
        new_people=[new],
        losses=[read],
    )

    assert moved == 1
    persons = dict(Face.objects.values_list("pk", "person_id"))
    assert persons == {moves.pk: new, stays.pk: named.pk, decided.pk: named.pk}
    assert set(FaceEmbedding.objects.values_list("component", flat=True)) == {7}
    assert set(Person.objects.values_list("pk", flat=True)) == {new, named.pk, elsewhere.pk}
    assert list(GroupLoss.objects.all()) == [later]


def test_a_person_whom_nobody_needed_in_the_end_is_not_made(library: Library) -> None:
    new = groups.new_person_id()
    face = make_face(library, person_decided=True)
    assert write(library, {face: Person(pk=new)}, new_people=[new], verdicts={}) == 0
    assert Person.objects.count() == 0


def test_a_face_that_went_while_a_grouping_ran_is_a_loss_to_its_group(library: Library) -> None:
    stays, bridge = make_face(library), make_face(library)
    person = factories.make_person(library)
    components = {face.embeddings.get().pk: 7 for face in (stays, bridge)}
    Face.objects.filter(pk=bridge.pk).delete()

    write(library, {stays: person, bridge: person}, components=components)

    assert list(GroupLoss.objects.values_list("library_id", "model", "component")) == [(library.pk, MODEL, 7)]
    assert groups.has_ungrouped(library_id=library.pk, model=MODEL)


@pytest.mark.django_db(transaction=True)
def test_a_face_that_goes_while_a_grouping_writes_is_a_loss_to_its_group(library: Library) -> None:
    stays, bridge = make_face(library), make_face(library)
    person = factories.make_person(library)
    with transaction.atomic():
        write(library, {stays: person, bridge: person})
        replace_faces = transaction.atomic(faces.replace_faces)
        remove = in_a_thread(replace_faces, photo_id=bridge.photo_id, version="v2", found=[])
        wait_until_blocked()
    remove.result()
    assert list(Face.objects.all()) == [stays]
    assert list(GroupLoss.objects.values_list("library_id", "model", "component")) == [(library.pk, MODEL, 7)]


def test_a_person_is_named_and_unnamed(library: Library) -> None:
    person = factories.make_person(library)
    assert people.rename_person(person=person, name="  Ada ").details == {"before": "", "after": "Ada"}
    assert Person.objects.get().name == "Ada"
    with pytest.raises(ValidationError):
        people.rename_person(person=person, name="x" * 201)
    assert Person.objects.get().name == "Ada"
    people.rename_person(person=person, name=" ")
    assert Person.objects.get().name == ""
    Person.objects.all().delete()
    with pytest.raises(NotFoundError):
        people.rename_person(person=person, name="Ada")
    assert Person.objects.count() == 0


def test_a_decision_is_for_good(library: Library) -> None:
    ada, before = factories.make_person(library, name="Ada"), factories.make_person(library)
    face = make_face(library, person=before)
    assert people.decide_face(face=face, person=ada).kind == "move"
    assert face.person == ada
    # a nameless person without a face is nobody
    assert list(Person.objects.all()) == [ada]
    assert write(library, {face: None}, verdicts={}) == 0
    assert people.decide_face(face=face, person=None).kind == "move"
    assert face.person is None
    assert Face.objects.values_list("person", "person_decided").get() == (None, True)
    assert list(Person.objects.all()) == [ada]


def test_a_decision_that_cannot_be_changes_nothing(library: Library) -> None:
    before = factories.make_person(library)
    face = make_face(library, person=before)
    gone = factories.make_person(library)
    Person.objects.filter(pk=gone.pk).delete()
    with pytest.raises(ConflictError, match="another library"):
        people.decide_face(face=face, person=factories.make_person(factories.make_library()))
    with pytest.raises(NotFoundError, match="The person is gone"):
        people.decide_face(face=face, person=gone)
    assert Face.objects.values_list("person", "person_decided").get() == (before.pk, False)
    Face.objects.filter(pk=face.pk).delete()
    with pytest.raises(NotFoundError, match="The face is gone"):
        people.decide_face(face=face, person=before)


@pytest.mark.django_db(transaction=True)
def test_somebody_who_is_named_while_a_grouping_ends_stays(library: Library) -> None:
    person, empty = factories.make_person(library), factories.make_person(library)
    with transaction.atomic():
        people.rename_person(person=person, name="Ada")
        clean = in_a_thread(transaction.atomic(face_persons.delete_empty_people), library_id=library.pk)
        wait_until_blocked()
    clean.result()
    assert list(Person.objects.values_list("pk", "name")) == [(person.pk, "Ada")]
    assert not Person.objects.filter(pk=empty.pk).exists()


@pytest.mark.django_db(transaction=True)
def test_somebody_who_is_given_a_face_while_a_grouping_ends_stays(library: Library) -> None:
    person, face = factories.make_person(library), make_face(library)
    with transaction.atomic():
        people.decide_face(face=face, person=person)
        clean = in_a_thread(transaction.atomic(face_persons.delete_empty_people), library_id=library.pk)
        wait_until_blocked()
    clean.result()
    assert Face.objects.values_list("person", "person_decided").get() == (person.pk, True)


@pytest.mark.django_db(transaction=True)
def test_a_decision_waits_for_a_grouping_and_has_the_last_word(library: Library) -> None:
    ada, grouped = factories.make_person(library, name="Ada"), factories.make_person(library)
    face, other = make_face(library), make_face(library)
    with transaction.atomic():
        assert write(library, {face: grouped, other: grouped}) == 2
        decide = in_a_thread(people.decide_face, face=face, person=ada)
        wait_until_blocked()
    decide.result()
    persons = dict(Face.objects.values_list("pk", "person_id"))
    assert persons == {face.pk: ada.pk, other.pk: grouped.pk}
