"""Faces that are near to one: ranked by the model in use, within what the caller may see."""

from typing import Any

import factories
import numpy as np
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import Library
from accounts.services import api_keys
from photos.models import Face, FaceEmbedding, Person
from photos.services import trash
from processing.models import ModelSelection

pytestmark = pytest.mark.django_db

MODEL = "dlib-resnet-v1"


@pytest.fixture
def library() -> Library:
    return factories.make_library()


@pytest.fixture
def visitor(library: Library) -> Client:
    return factories.client_of(factories.make_member(library, "visitor"))


@pytest.fixture(autouse=True)
def model_in_use() -> ModelSelection:
    return ModelSelection.objects.create(task="face_embedding", model=MODEL, weights_hash="ab" * 32, in_use=True)


def face_at(library: Library, place: float, *, person: Person | None = None, **values: Any) -> Face:
    """Make a face whose vector lies so far along one axis."""
    face = factories.make_face(factories.make_photo(library), person=person, **values)
    embed(face, place)
    return face


def embed(face: Face, place: float, model: str = MODEL) -> None:
    vector = np.zeros(128)
    vector[0] = place
    library_id = face.photo.library_id
    FaceEmbedding.objects.create(
        face=face, library_id=library_id, model=model, version="1.x", dimensions=128, vector=vector.tolist()
    )


def similar(client: Client, face: Face, query: str = "") -> Any:
    return client.get(f"/api/v1/faces/{face.pk}/similar{query}")


def ranked(response: Any) -> list[tuple[str, float]]:
    assert response.status_code == 200, response.content
    return [(one["id"], one["distance"]) for one in response.json()["faces"]]


def test_faces_are_ranked_and_grouped_by_whose_they_are(visitor: Client, library: Library) -> None:
    ada, grace = factories.make_person(library, name="Ada"), factories.make_person(library)
    face = face_at(library, 0, person=ada)
    far, near = face_at(library, 0.75, person=ada), face_at(library, 0.25, person=ada)
    hers, nobodys = face_at(library, 0.5, person=grace), face_at(library, 1)

    response = similar(visitor, face)

    assert ranked(response) == [(str(near.pk), 0.25), (str(hers.pk), 0.5), (str(far.pk), 0.75), (str(nobodys.pk), 1)]
    assert response.json()["people"] == [
        {"id": str(ada.pk), "name": "Ada", "distance": 0.25, "faces": 2},
        {"id": str(grace.pk), "name": "", "distance": 0.5, "faces": 1},
    ]
    assert {key: response.json()[key] for key in ("model", "threshold")} == {"model": MODEL, "threshold": 0.52}
    first = response.json()["faces"][0]
    assert (first["photo"], first["person"]) == (str(near.photo_id), {"id": str(ada.pk), "name": "Ada"})
    assert "vector" not in response.content.decode()
    shortened = similar(visitor, face, "?limit=2")
    assert ranked(shortened) == [(str(near.pk), 0.25), (str(hers.pk), 0.5)]


def test_what_the_caller_may_not_see_is_not_near(library: Library) -> None:
    face = face_at(library, 0)
    own, others = factories.make_library(), factories.make_library()
    off = factories.make_library(**factories.FACES_OFF)
    user = factories.make_member(library, "visitor")
    role = user.memberships.get().role
    for one in (own, off):
        factories.Membership.objects.create(library=one, user=user, role=role)
    seen = face_at(own, 0.25)
    face_at(others, 0.1)
    face_at(off, 0.1)
    face_at(library, 0.1, confidence=0.5)  # a candidate
    trash.move_to_trash(photo_ids=[face_at(library, 0.1).photo_id])
    embed(factories.make_face(factories.make_photo(library)), 0.1, model="another")

    assert ranked(similar(factories.client_of(user), face)) == [(str(seen.pk), 0.25)]

    key = api_keys.create(owner=user, name="k", scopes=["photos.view", "people.view"], library_id=library.pk)
    client = factories.APIClient()
    client.credentials(HTTP_X_API_KEY=key.text)
    assert ranked(similar(client, face)) == []


def test_a_face_that_may_not_be_seen_is_not_found(visitor: Client, library: Library) -> None:
    for face in (
        face_at(factories.make_library(), 0),
        face_at(library, 0, confidence=0.5),
        face_at(factories.make_library(**factories.FACES_OFF), 0),
    ):
        assert similar(visitor, face).status_code == 404


def test_a_face_that_the_model_has_not_embedded_says_so(visitor: Client, library: Library) -> None:
    face = factories.make_face(factories.make_photo(library))
    embed(face, 0, model="another")
    response = similar(visitor, face)
    assert (response.status_code, response.json()["code"]) == (409, "not_analysed_yet")


@pytest.mark.parametrize("name", [None, "of-a-newer-release"])
def test_without_a_known_model_in_use_there_is_nothing_to_compare(
    name: str | None, visitor: Client, library: Library, model_in_use: ModelSelection
) -> None:
    model_in_use.delete()
    if name:
        ModelSelection.objects.create(task="face_embedding", model=name, weights_hash="ab" * 32, in_use=True)
    response = similar(visitor, face_at(library, 0))
    assert (response.status_code, response.json()["code"]) == (409, "model_not_installed")


@pytest.mark.parametrize("limit", ["0", "101", "-1", "x"])
def test_a_limit_that_cannot_be_is_refused(limit: str, visitor: Client, library: Library) -> None:
    response = similar(visitor, face_at(library, 0), f"?limit={limit}")
    assert (response.status_code, response.json()["errors"][0]["field"]) == (400, "limit")


def test_a_list_of_faces_costs_the_same_however_long_it_is(visitor: Client, library: Library) -> None:
    face = face_at(library, 0)

    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert similar(visitor, face).status_code == 200
        return len(queries)

    similar(visitor, face)
    face_at(library, 0.1, person=factories.make_person(library))
    few = count()
    for _ in range(5):
        face_at(library, 0.1, person=factories.make_person(library))
    assert count() == few
