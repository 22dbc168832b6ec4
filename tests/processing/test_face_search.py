"""Search by a face on a picture: found by workers, ranked within what the caller may see, and nothing of it kept."""

import io
from pathlib import Path
from typing import Any

import factories
import numpy as np
import photo_samples
import pytest
from answerer import answering_worker, be_there
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from PIL import Image
from pytest_django import Settings

from accounts.models import AuditAction, AuditEvent, Library
from photos.models import Face, FaceEmbedding, Photo
from processing.engines import installation
from processing.models import ModelSelection, Question, WorkerPresence
from processing.services.selection import select_model

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("photo_store")]

FIND, MODEL = "/api/v1/search/face", "dlib-resnet-v1"


@pytest.fixture
def library(db: None, settings: Settings) -> Library:
    for name in ("mtcnn", MODEL):
        select_model(installed=installation.install(name, models_dir=settings.MODELS_DIR), in_use=True)
    return factories.make_library()


@pytest.fixture
def visitor(library: Library) -> Client:
    return factories.client_of(factories.make_member(library, "visitor"))


def find(client: Client, data: bytes, **values: Any) -> Any:
    body = {"file": SimpleUploadedFile("somebody.jpg", data, "image/jpeg"), **values}
    return client.post(FIND, body, format="multipart")


def face_at(library: Library, vector: np.ndarray, **values: Any) -> Face:
    face = factories.make_face(factories.make_photo(library), **values)
    FaceEmbedding.objects.create(
        face=face, library=library, model=MODEL, version="1", dimensions=128, vector=vector.tolist()
    )
    return face


def assert_nothing_is_kept(photo_store: Path) -> None:
    assert Question.objects.count() == 0
    assert Photo.objects.filter(original_filename="somebody.jpg").count() == 0
    assert [path for path in photo_store.rglob("*") if path.is_file()] == []


def test_the_face_of_a_picture_finds_who_it_is(visitor: Client, library: Library, photo_store: Path) -> None:
    person = factories.make_person(library, name="Eileen")
    other = face_at(library, np.full(128, 0.12))
    picture = photo_samples.portrait()
    with answering_worker():
        first = find(visitor, picture)
        assert first.status_code == 200, first.content
        # the vector is nobody's to read: what is near is told, and how near
        assert first.json()["faces"][0]["id"] == str(other.pk)
        assert "vector" not in first.content.decode()
    vector = embedded_by_the_pipeline(library, picture, photo_store)
    hers = face_at(library, vector, person=person)
    face_at(factories.make_library(), vector)
    with answering_worker():
        response = find(visitor, picture, library=str(library.pk), limit=1)

    assert response.status_code == 200, response.content
    found = response.json()
    assert [one["id"] for one in found["faces"]] == [str(hers.pk)]
    # as the stages see it, through an original, a preview and a chip
    assert found["faces"][0]["distance"] == pytest.approx(0, abs=0.01)
    assert [(one["name"], one["faces"]) for one in found["people"]] == [("Eileen", 1)]
    assert (found["model"], found["threshold"], found["used"], len(found["boxes"])) == (MODEL, 0.52, 0, 1)
    box = found["boxes"][0]
    assert 0 <= box["left"] < box["right"] <= 1
    assert 0 <= box["top"] < box["bottom"] <= 1
    assert_nothing_is_kept(photo_store)
    events = AuditEvent.objects.filter(action=AuditAction.FACE_SEARCHED).order_by("pk")
    assert list(events.values_list("library_id", "details")) == [
        (None, {"faces": 1, "people": []}),
        (library.pk, {"faces": 1, "people": [str(person.pk)]}),
    ]


def embedded_by_the_pipeline(library: Library, picture: bytes, photo_store: Path) -> np.ndarray:
    """Give the vector that the stages make of a picture's face, and take the picture away again."""
    photo = photo_samples.take_through(library, picture)
    vector = np.asarray(FaceEmbedding.objects.get(face__photo=photo).vector)
    photo.delete()
    for path in photo_store.rglob("*"):
        if path.is_file():
            path.unlink()
    return vector


def test_of_several_faces_the_largest_is_used_or_the_one_that_is_named(visitor: Client, library: Library) -> None:
    with Image.open(io.BytesIO(photo_samples.portrait())) as image:
        small = image.resize((image.width // 2, image.height // 2))
        both = Image.new("RGB", (image.width + small.width, image.height))
        both.paste(small, (0, 0))
        both.paste(image, (small.width, 0))
    buffer = io.BytesIO()
    both.save(buffer, "JPEG", quality=90)
    with answering_worker():
        largest, second, third = (find(visitor, buffer.getvalue(), face=number) for number in range(3))
    boxes = largest.json()["boxes"]
    assert (largest.json()["used"], second.json()["used"], len(boxes)) == (0, 1, 2)
    assert boxes[0]["left"] > boxes[1]["left"]
    assert boxes[0]["right"] - boxes[0]["left"] > 1.5 * (boxes[1]["right"] - boxes[1]["left"])
    assert (third.status_code, third.json()["code"]) == (422, "no_such_face")


def test_with_an_idempotency_key_it_is_found_too(visitor: Client, library: Library, photo_store: Path) -> None:
    body = {"file": SimpleUploadedFile("somebody.jpg", photo_samples.portrait(), "image/jpeg")}
    with answering_worker():
        response = visitor.post(FIND, body, format="multipart", headers={"Idempotency-Key": "once"})
    assert response.status_code == 200, response.content
    assert len(response.json()["boxes"]) == 1
    assert_nothing_is_kept(photo_store)


def test_a_picture_without_a_face_says_so(visitor: Client, library: Library, photo_store: Path) -> None:
    with answering_worker():
        response = find(visitor, factories.image_bytes(size=(200, 150)))
    assert (response.status_code, response.json()["code"]) == (422, "no_face_found")
    assert_nothing_is_kept(photo_store)


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"", 400, "empty_file"),
        (b"GIF? no", 415, "unsupported_format"),
        # found out by the worker that decodes it
        (photo_samples.damaged_picture(), 400, "damaged"),
    ],
)
def test_what_is_no_picture_is_refused(
    data: bytes, status: int, code: str, visitor: Client, library: Library, photo_store: Path
) -> None:
    with answering_worker():
        response = find(visitor, data)
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert_nothing_is_kept(photo_store)


def test_a_picture_that_is_too_large_is_refused(visitor: Client, library: Library, settings: Settings) -> None:
    be_there("ingest", "faces")
    settings.SEARCH_FACE_MAX_BYTES = 1000
    response = find(visitor, photo_samples.portrait())
    assert (response.status_code, response.json()["code"], response.json()["limit"]) == (413, "too_large", 1000)
    settings.SEARCH_FACE_MAX_BYTES, settings.IMAGE_MAX_PIXELS = 1_000_000, 100
    response = find(visitor, photo_samples.portrait())
    assert (response.status_code, response.json()["code"]) == (422, "too_many_pixels")
    assert Question.objects.count() == 0


def test_where_face_analysis_is_off_no_picture_is_looked_at(library: Library) -> None:
    off = factories.make_library(**factories.FACES_OFF)
    client = factories.client_of(factories.make_member(off, "visitor"))
    for values in ({}, {"library": str(off.pk)}):
        response = find(client, photo_samples.portrait(), **values)
        assert (response.status_code, response.json()["code"]) == (409, "face_analysis_off")
    assert Question.objects.count() == 0


def test_a_library_that_is_not_seen_is_not_found(visitor: Client, library: Library) -> None:
    response = find(visitor, photo_samples.portrait(), library=str(factories.make_library().pk))
    assert response.status_code == 404
    assert Question.objects.count() == 0


def test_without_face_models_in_use_it_is_said(visitor: Client, library: Library) -> None:
    for task in ("face_detection", "face_embedding"):
        ModelSelection.objects.filter(task=task).delete()
        response = find(visitor, photo_samples.portrait())
        assert (response.status_code, response.json()["code"]) == (409, "model_not_installed")


def test_without_workers_it_is_said(visitor: Client, library: Library, settings: Settings, photo_store: Path) -> None:
    response = find(visitor, photo_samples.portrait())
    assert (response.status_code, response.json()["code"]) == (503, "face_search_unavailable")
    assert response["Retry-After"] == "5"
    # one that decodes, and none that has the models
    settings.SEARCH_FACE_SECONDS = 2
    with answering_worker("ingest"):
        response = find(visitor, photo_samples.portrait())
    assert (response.status_code, response.json()["code"]) == (503, "face_search_unavailable")
    assert_nothing_is_kept(photo_store)
    assert WorkerPresence.objects.count() == 1


@pytest.mark.parametrize(
    ("values", "field"),
    [({"face": -1}, "face"), ({"limit": 101}, "limit"), ({"limit": 0}, "limit"), ({"library": "x"}, "library")],
)
def test_values_that_cannot_be_are_refused(
    values: dict[str, Any], field: str, visitor: Client, library: Library
) -> None:
    response = find(visitor, photo_samples.portrait(), **values)
    assert (response.status_code, response.json()["errors"][0]["field"]) == (400, field)
    assert Question.objects.count() == 0
