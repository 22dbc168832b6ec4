"""Decisions and erasures: no name outlives its person, and what was said of others does."""

import json
import uuid

import factories
import photo_samples
import pytest
from django.apps import apps
from django.db import connection
from people_samples import links, persons_of, somebody

from accounts.models import Library
from accounts.services import erasure as accounts_erasure
from photos.models import Face, FaceLink, Person, PersonDecision, Regrouping
from photos.services import broken_decisions, people, person_export, person_undo
from processing.services import forgetting
from processing.services.face_analysis import switch_face_analysis

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("photo_store", "broker")]

NAME = "Ada Lovelace of the test"


def tables_with(word: str) -> set[str]:
    """Name the tables that have a row with this word."""
    found = set()
    with connection.cursor() as cursor:
        for model in apps.get_models():
            table = model._meta.db_table
            cursor.execute(f'SELECT EXISTS (SELECT FROM "{table}" t WHERE t::text LIKE %s)', [f"%{word}%"])
            found |= {table} if cursor.fetchone()[0] else set()
    return found


def much_said(library: Library) -> tuple[Person, list[Face], Person, list[Face]]:
    """Name Ada, merge somebody of her name into her, split some of Bob off for her, and give him one of hers."""
    ada, hers = somebody(library, faces=4)
    bob, his = somebody(library, faces=4, name="Bob")
    people.rename_person(person=ada, name=NAME)
    people.rename_person(person=ada, name=f"{NAME}!")
    once, _ = somebody(library, name=f"{NAME}?")
    people.merge_people(into=ada, people=[once])
    people.decide_face(face=hers[0], person=bob)
    people.reject_face(face=his[0], person=ada)
    split = people.split_person(person=bob, face_ids=[his[1].pk, his[2].pk], name=NAME)
    people.merge_people(into=ada, people=[Person.objects.get(pk=split.details["made"])])
    return ada, hers, bob, his


def test_no_name_outlives_somebody_who_is_forgotten(face_library: Library) -> None:
    ada, hers, bob, his = much_said(face_library)
    assert tables_with(NAME) == {"photos_person", "photos_persondecision", "photos_photo"}

    forgetting.forget_person(person=ada, by=None)
    # at once, wherever it was
    assert tables_with(NAME) == set()

    assert photo_samples.run_library_work("forget") == 1
    assert tables_with(str(ada.pk)) == {"accounts_auditevent", "accounts_erasurereceipt", "processing_libraryrun"}
    assert not Face.objects.filter(pk__in=[face.pk for face in hers[1:]]).exists()
    # what was said of the faces of others is in force, and broken is none of it
    assert {(hers[0].pk, "is", bob.pk), (his[3].pk, "held", bob.pk)} <= links()
    assert persons_of([hers[0], his[0], his[3]]) == [bob.pk] * 3
    assert list(broken_decisions.broken()) == []
    assert not FaceLink.objects.filter(before=ada.pk).exists()
    # and undoing makes nobody anew
    moved = FaceLink.objects.get(face=hers[0], in_force=True).decision
    person_undo.undo(decision=moved)
    assert not Person.objects.filter(pk=ada.pk).exists()
    assert persons_of(hers[:1]) == [None]


def test_switching_face_analysis_off_leaves_no_decision(face_library: Library) -> None:
    much_said(face_library)
    people.decide_face(face=Face.objects.first(), person=None)
    Regrouping.objects.create(library=face_library, model="m", threshold=0.5)
    switch_face_analysis(library=face_library, enabled=False, by=None)
    assert photo_samples.run_library_work("erase_faces") == 1
    left = [model.objects.count() for model in (Face, Person, PersonDecision, FaceLink, Regrouping)]
    assert left == [0] * 5
    assert tables_with(NAME) == set()


def test_a_library_goes_with_its_decisions(face_library: Library) -> None:
    much_said(face_library)
    forgetting.forget_library(library=face_library, by=None)
    assert photo_samples.run_library_work("forget") == 1
    assert not Library.objects.filter(pk=face_library.pk).exists()
    assert (PersonDecision.objects.count(), tables_with(NAME)) == (0, set())


def test_decisions_outlive_the_account_that_made_them(face_library: Library) -> None:
    user = factories.make_user()
    ada, faces = somebody(face_library)
    decision = people.rename_person(person=ada, name="Ada", by=user)
    undone = people.reject_face(face=faces[0], by=user)
    person_undo.undo(decision=undone, by=user)

    accounts_erasure.forget_user(user=user, by=None)

    decision.refresh_from_db()
    undone.refresh_from_db()
    assert (decision.by, undone.by, undone.undone_by, undone.undone_at is None) == (None, None, None, False)
    assert links() == {(face.pk, "held", ada.pk) for face in faces}


def test_an_export_tells_what_was_decided(face_library: Library) -> None:
    user = factories.make_user()
    ada, faces = somebody(face_library)
    people.rename_person(person=ada, name="Ada", by=user)
    other, _ = somebody(face_library, name="A.")
    people.merge_people(into=ada, people=[other], by=user)
    undone = people.reject_face(face=faces[0], by=user)
    person_undo.undo(decision=undone, by=user)

    text = "".join(person_export.export_person(person=ada, by=None))

    exported = json.loads(text)
    assert exported["person"]["merged"] == [{"id": str(other.pk), "name": "A."}]
    named, merged, rejected = exported["decisions"]
    assert (named["kind"], named["names"], named["undone_at"]) == ("name", ["", "Ada"], None)
    assert {(one["face"], one["says"], one["in_force"]) for one in named["faces"]} == {
        (str(face.pk), "held", True) for face in faces
    }
    assert (merged["kind"], len(merged["faces"])) == ("merge", 2)
    assert (rejected["kind"], rejected["undone_at"] is None) == ("reject", False)
    assert {one["in_force"] for one in rejected["faces"]} == {False}
    # who decided is somebody else
    assert str(user.pk) not in text
    assert uuid.UUID(named["id"])
