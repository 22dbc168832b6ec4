"""Forgetting and exporting by the API, and receipts."""

import base64
import json
import tracemalloc

import factories
import pytest
from django.test import Client

from accounts.models import AuditEvent, ErasureReceipt, Library
from photos.models import Face, FaceEmbedding, Person, Photo
from photos.services import people, person_export
from photos.services.decisions import BeingForgottenError
from processing.pipeline import library_work

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("photo_store")]


def work(kind: str) -> int:
    return library_work.work(kind=kind, task_id="t", worker="w")


@pytest.fixture
def library() -> Library:
    return factories.make_library(name="Family")


@pytest.fixture
def client(library: Library) -> Client:
    return factories.client_of(factories.make_member(library, "admin"))


def test_a_person_is_forgotten_and_the_receipt_is_read(library: Library, client: Client) -> None:
    person = factories.make_person(library, name="Ada")
    factories.make_face(factories.make_photo(library), person=person)

    response = client.post(f"/api/v1/people/{person.pk}/forget")

    assert response.status_code == 202
    receipt = response.json()
    assert (receipt["kind"], receipt["subject_id"], receipt["ended_at"]) == ("person", str(person.pk), None)
    assert client.get(f"/api/v1/people/{person.pk}").json()["name"] == ""
    assert work("forget") == 1
    found = client.get(f"/api/v1/erasures/{receipt['id']}").json()
    assert found["counts"] == {"photos": 1, "faces": 1, "embeddings": 0, "people": 1}
    assert found["ended_at"] is not None
    assert client.get("/api/v1/erasures").json()["results"] == [found]
    assert client.post(f"/api/v1/people/{person.pk}/forget").status_code == 404


def test_nobody_saves_a_face_or_a_name_from_being_forgotten(library: Library, client: Client) -> None:
    ada, bob = factories.make_person(library, name="Ada"), factories.make_person(library, name="Bob")
    faces = [factories.make_face(factories.make_photo(library), person=ada) for _ in range(2)]
    of_bob = factories.make_face(factories.make_photo(library), person=bob)
    assert client.post(f"/api/v1/people/{ada.pk}/forget").status_code == 202

    refused = client.patch(f"/api/v1/people/{ada.pk}", {"name": "Ada"})
    assert (refused.status_code, refused.json()["code"]) == (409, "being_forgotten")
    for face, person in ((faces[0], bob), (faces[1], None), (of_bob, ada)):
        with pytest.raises(BeingForgottenError):
            people.decide_face(face=face, person=person)

    assert work("forget") == 1
    assert [face.pk for face in Face.objects.all()] == [of_bob.pk]
    assert [(person.pk, person.name) for person in Person.objects.all()] == [(bob.pk, "Bob")]
    assert ErasureReceipt.objects.get().counts["faces"] == 2
    people.decide_face(face=of_bob, person=bob)


def test_a_library_is_forgotten_when_its_name_is_typed(library: Library, client: Client) -> None:
    address = f"/api/v1/libraries/{library.pk}/forget"
    factories.make_photo(library)
    for body in ({}, {"what": "all"}, {"what": "everything"}, {"what": "everything", "name": "family"}):
        assert client.post(address, body).status_code == 400
    assert (Library.objects.get().erasure_requested_at, ErasureReceipt.objects.count()) == (None, 0)

    response = client.post(address, {"what": "everything", "name": "Family"})

    assert response.status_code == 202
    assert client.get(f"/api/v1/libraries/{library.pk}").status_code == 404
    assert client.get("/api/v1/photos").json()["results"] == []
    assert work("forget") == 1
    assert (Library.objects.count(), Photo.objects.count()) == (0, 0)
    # of a library that is gone whoever had it erased reads the receipt, and nobody else but superusers
    receipt = f"/api/v1/erasures/{response.json()['id']}"
    assert client.get(receipt).json()["counts"]["photos"] == 1
    assert factories.client_of(factories.make_user()).get(receipt).status_code == 404
    assert factories.client_of(factories.make_user(is_superuser=True)).get(receipt).status_code == 200


def test_faces_of_a_library_are_forgotten(library: Library, client: Client) -> None:
    factories.make_face(factories.make_photo(library), person=factories.make_person(library))
    response = client.post(f"/api/v1/libraries/{library.pk}/forget", {"what": "faces"})
    assert response.status_code == 202
    assert client.get(f"/api/v1/libraries/{library.pk}").json()["face_analysis"] is False
    assert work("erase_faces") == 1
    assert (Face.objects.count(), Person.objects.count(), Photo.objects.count()) == (0, 0, 1)
    assert ErasureReceipt.objects.get().counts["faces"] == 1


def test_a_person_is_exported_whole(library: Library, client: Client) -> None:
    person = factories.make_person(library, name='Ada "Countess" Lovelace')
    faces = [factories.make_face(factories.make_photo(library), person=person, chip=b"a chip") for _ in range(2)]
    lost = factories.make_face(factories.make_photo(library), person=person, person_decided=True, quality=0)
    factories.make_face(factories.make_photo(library), person=factories.make_person(library))
    FaceEmbedding.objects.create(
        face=faces[0], library=library, model="dlib-resnet-v1", version="v1", dimensions=128, vector=[0.5] * 128
    )

    response = client.get(f"/api/v1/people/{person.pk}/export")

    assert response["Content-Disposition"] == f'attachment; filename="person-{person.pk}.json"'
    assert response["Cache-Control"] == "private, no-store"
    exported = json.loads(b"".join(response.streaming_content))
    assert exported["person"]["name"] == 'Ada "Countess" Lovelace'
    assert [one["id"] for one in exported["faces"]] == [str(face.pk) for face in (*faces, lost)]
    first, _, last = exported["faces"]
    assert base64.b64decode(first["chip_jpeg_base64"]) == b"a chip"
    assert [(one["model"], one["vector"]) for one in first["embeddings"]] == [("dlib-resnet-v1", [0.5] * 128)]
    assert (first["box"], first["photo"]) == ([0.25, 0.125, 0.5, 0.375], str(faces[0].photo_id))
    assert (last["decided_by_somebody"], last["chip_jpeg_base64"], last["embeddings"]) == (True, None, [])
    event = AuditEvent.objects.get()
    assert (event.action, event.subject_id, event.library_id) == ("person.exported", str(person.pk), library.pk)


def test_nobody_is_an_export_too(library: Library, client: Client) -> None:
    person = factories.make_person(library)
    response = client.get(f"/api/v1/people/{person.pk}/export")
    assert json.loads(b"".join(response.streaming_content))["faces"] == []


def test_an_export_holds_a_few_faces_at_a_time(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(person_export, "FACES_AT_ONCE", 5)
    person = factories.make_person(library)
    for _ in range(40):
        factories.make_face(factories.make_photo(library), person=person, chip=bytes(200_000))
    tracemalloc.start()
    try:
        size = sum(len(piece) for piece in person_export.export_person(person=person, by=None))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert size > 40 * 200_000
    assert peak < size / 3


@pytest.mark.parametrize(("role", "status"), [("visitor", 403), ("editor", 403)])
def test_a_refusal_changes_nothing(library: Library, role: str, status: int) -> None:
    person = factories.make_person(library, name="Ada")
    client = factories.client_of(factories.make_member(library, role))
    assert client.post(f"/api/v1/people/{person.pk}/forget").status_code == status
    assert client.get(f"/api/v1/people/{person.pk}/export").status_code == status
    for what in ("faces", "everything"):
        body = {"what": what, "name": library.name}
        assert client.post(f"/api/v1/libraries/{library.pk}/forget", body).status_code == status
    library.refresh_from_db()
    assert (Person.objects.get().name, library.face_analysis, library.erasure_requested_at) == ("Ada", True, None)
    assert (ErasureReceipt.objects.count(), AuditEvent.objects.count(), library.runs.count()) == (0, 0, 0)
