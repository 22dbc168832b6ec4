"""Uploading: what is taken in, what is refused, and that a refusal leaves nothing behind."""

import hashlib
import threading
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID

import factories
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart
from pytest_django import Settings
from uuid_utils.compat import uuid7

from accounts.models import Library
from gallery.api import upload
from photos.models import Photo
from photos.services import originals, trash
from processing import ingest
from processing.models import StageRun

pytestmark = pytest.mark.django_db

PHOTOS = "/api/v1/photos"


@pytest.fixture
def library() -> Library:
    return factories.make_library()


@pytest.fixture
def client(library: Library) -> Client:
    return factories.client_of(factories.make_member(library, "editor"))


def post(client: Client, library: Library, data: bytes, name: str = "holiday.jpg") -> Any:
    body = {"library": str(library.pk), "file": SimpleUploadedFile(name, data, "application/x-made-up")}
    return client.post(PHOTOS, body, format="multipart")


def delete_for_good(*, photo_ids: list[UUID]) -> None:
    Photo.objects.filter(pk__in=photo_ids).delete()


def stored(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def assert_nothing_stored(photo_store: Path) -> None:
    assert stored(photo_store) == []
    assert Photo.objects.count() == 0
    assert StageRun.objects.count() == 0


def assert_problem(response: Any, status: int, code: str) -> None:
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert response["Content-Type"] == "application/problem+json"


def test_a_new_photo_is_stored_with_its_row_and_its_runs(client: Client, library: Library, photo_store: Path) -> None:
    data = factories.image_bytes(size=(64, 48))

    response = post(client, library, data, name="C:\\Users\\me\\ho\u0308liday \U0001f305.jpg")

    assert response.status_code == 201
    photo = Photo.objects.get()
    found = response.json()
    assert response["Location"] == f"http://testserver{PHOTOS}/{photo.pk}"
    assert client.get(response["Location"]).json() == found
    assert found["id"] == str(photo.pk)
    assert found["library"] == str(library.pk)
    assert found["uploader"] == str(photo.uploader_id)
    assert found["original_filename"] == "ho\u0308liday \U0001f305.jpg"
    assert found["sha256"] == hashlib.sha256(data).hexdigest()
    assert found["byte_size"] == len(data)
    assert (found["width"], found["height"], found["mime_type"]) == (64, 48, "image/jpeg")
    assert found["state"] == "pending"
    assert found["metadata"] is None
    assert [(stage["stage"], stage["state"]) for stage in found["stages"]] == [
        ("exif", "pending"),
        ("place", "waiting"),
        ("renditions", "pending"),
    ]
    assert [path.read_bytes() for path in stored(photo_store)] == [data]


@pytest.mark.parametrize(
    ("image_format", "mime_type"),
    [
        ("JPEG", "image/jpeg"),
        ("PNG", "image/png"),
        ("WEBP", "image/webp"),
        ("GIF", "image/gif"),
        ("AVIF", "image/avif"),
        ("TIFF", "image/tiff"),
    ],
)
def test_formats_are_told_by_their_bytes(
    client: Client, library: Library, photo_store: Path, image_format: str, mime_type: str
) -> None:
    response = post(client, library, factories.image_bytes(image_format), name="a.txt")

    assert response.status_code == 201
    assert (response.json()["mime_type"], response.json()["width"], response.json()["height"]) == (mime_type, 40, 30)


def test_the_same_bytes_again_are_the_same_photo(client: Client, library: Library, photo_store: Path) -> None:
    data = factories.image_bytes()
    first = post(client, library, data, name="first.jpg")

    second = post(client, library, data, name="second.jpg")

    assert (first.status_code, second.status_code) == (201, 200)
    assert "Location" not in second
    assert second.json() == first.json()
    assert Photo.objects.count() == 1
    assert len(stored(photo_store)) == 1


def test_the_same_bytes_in_another_library_are_another_photo(
    client: Client, library: Library, photo_store: Path
) -> None:
    data = factories.image_bytes()
    other = factories.make_library()
    post(client, library, data)

    response = post(factories.client_of(factories.make_member(other, "editor")), other, data)

    assert response.status_code == 201
    assert Photo.objects.count() == 2
    assert len(stored(photo_store)) == 2


def test_bytes_in_the_trash_come_back(client: Client, library: Library, photo_store: Path) -> None:
    data = factories.image_bytes()
    photo_id = post(client, library, data).json()["id"]
    trash.move_to_trash(photo_ids=[photo_id])
    assert client.get(f"{PHOTOS}/{photo_id}").status_code == 404

    response = post(client, library, data)

    assert (response.status_code, response.json()["id"]) == (200, photo_id)
    assert client.get(f"{PHOTOS}/{photo_id}").status_code == 200


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(b"", (400, "empty_file"), id="empty"),
        pytest.param(b"%PDF-1.7 not a picture", (415, "unsupported_format"), id="not a picture"),
        pytest.param(b"<svg xmlns='http://www.w3.org/2000/svg'/>", (415, "unsupported_format"), id="svg"),
        pytest.param(b"\xff\xd8\xff\xe0\x00\x10JFIF", (400, "damaged"), id="header cut off"),
    ],
)
def test_a_file_that_is_no_picture_is_refused(
    client: Client, library: Library, photo_store: Path, data: bytes, expected: tuple[int, str]
) -> None:
    response = post(client, library, data)

    assert_problem(response, *expected)
    assert_nothing_stored(photo_store)


def test_too_many_pixels_are_refused(client: Client, library: Library, photo_store: Path, settings: Settings) -> None:
    settings.IMAGE_MAX_PIXELS = 40 * 30 - 1

    response = post(client, library, factories.image_bytes())

    assert_problem(response, 422, "too_many_pixels")
    assert_nothing_stored(photo_store)


class Counted(BytesIO):
    """A body that knows how much of it was read."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.bytes_read = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.bytes_read += len(data)
        return data


def post_body(client: Client, body: BytesIO, length: int) -> Any:
    return client.generic("POST", PHOTOS, content_type=MULTIPART_CONTENT, CONTENT_LENGTH=length, **{"wsgi.input": body})


def form(library: Library, data: bytes) -> bytes:
    return encode_multipart(BOUNDARY, {"file": SimpleUploadedFile("a.jpg", data), "library": str(library.pk)})


def test_the_limit_is_the_last_size_that_is_taken(
    client: Client, library: Library, photo_store: Path, settings: Settings
) -> None:
    data = factories.image_bytes() + bytes(3000)
    settings.UPLOAD_MAX_BYTES = len(data)

    assert post(client, library, data).status_code == 201

    settings.UPLOAD_MAX_BYTES = len(data)
    response = post(client, library, data + b"x")
    assert_problem(response, 413, "too_large")
    assert response.json()["limit"] == len(data)
    assert Photo.objects.count() == 1
    assert len(stored(photo_store)) == 1


def test_a_file_over_the_limit_is_stopped_while_it_comes_in(
    client: Client, library: Library, photo_store: Path, settings: Settings
) -> None:
    settings.UPLOAD_MAX_BYTES = 1_000_000
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 20_000_000
    data = form(library, factories.image_bytes() + bytes(10_000_000))
    body = Counted(data)

    response = post_body(client, body, len(data))

    assert_problem(response, 413, "too_large")
    assert body.bytes_read < 1_000_000 + 2 * upload.HashingUploadHandler.chunk_size
    assert_nothing_stored(photo_store)


def test_a_body_that_says_it_is_too_large_is_not_read_at_all(
    client: Client, library: Library, photo_store: Path, settings: Settings
) -> None:
    settings.UPLOAD_MAX_BYTES = 1_000_000
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    body = Counted(form(library, bytes(2_000_000)))

    response = post_body(client, body, len(body.getvalue()))

    assert_problem(response, 413, "too_large")
    assert body.bytes_read == 0
    assert_nothing_stored(photo_store)


def test_an_upload_that_breaks_off_is_refused(client: Client, library: Library, photo_store: Path) -> None:
    whole = form(library, factories.image_bytes() + bytes(100_000))
    cut = whole[:50_000]

    response = post_body(client, BytesIO(cut), len(whole))

    assert_problem(response, 400, "incomplete_upload")
    assert_nothing_stored(photo_store)


class BrokenBody(BytesIO):
    """A connection that is reset."""

    def read(self, size: int | None = -1, /) -> bytes:
        raise ConnectionResetError("reset by peer")


def test_a_connection_that_is_reset_is_refused(client: Client, library: Library, photo_store: Path) -> None:
    response = post_body(client, BrokenBody(), 100_000)

    assert_problem(response, 400, "incomplete_upload")
    assert_nothing_stored(photo_store)


def test_what_is_missing_is_named(client: Client, photo_store: Path) -> None:
    response = client.post(PHOTOS, {"file": ""}, format="multipart")

    assert_problem(response, 400, "invalid")
    assert [(error["field"], error["code"]) for error in response.json()["errors"]] == [
        ("file", "invalid"),
        ("library", "required"),
    ]
    assert_nothing_stored(photo_store)


def test_a_file_in_another_field_is_dropped(client: Client, library: Library, photo_store: Path) -> None:
    body = {"library": str(library.pk), "picture": SimpleUploadedFile("a.jpg", factories.image_bytes())}

    response = client.post(PHOTOS, body, format="multipart")

    assert_problem(response, 400, "invalid")
    assert [(error["field"], error["code"]) for error in response.json()["errors"]] == [("file", "required")]
    assert_nothing_stored(photo_store)


def test_two_files_are_refused(client: Client, library: Library, photo_store: Path) -> None:
    files = [SimpleUploadedFile(f"{number}.jpg", factories.image_bytes()) for number in range(2)]

    response = client.post(PHOTOS, {"library": str(library.pk), "file": files}, format="multipart")

    assert_problem(response, 400, "too_many_files")
    assert_nothing_stored(photo_store)


def test_fields_beside_the_file_are_bounded(
    client: Client, library: Library, photo_store: Path, settings: Settings
) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    body = {"library": str(library.pk), "note": "x" * 2000, "file": SimpleUploadedFile("a", factories.image_bytes())}

    response = client.post(PHOTOS, body, format="multipart")

    assert_problem(response, 413, "request_too_large")
    assert_nothing_stored(photo_store)


def test_another_type_of_body_is_refused(client: Client, photo_store: Path) -> None:
    response = client.post(PHOTOS, {"file": "x"}, format="json")

    assert_problem(response, 415, "unsupported_media_type")
    assert_nothing_stored(photo_store)


@pytest.mark.parametrize("library_id", ["", "nonsense", "1"])
def test_a_library_that_cannot_be_is_named(client: Client, photo_store: Path, library_id: str) -> None:
    body = {"library": library_id, "file": SimpleUploadedFile("a.jpg", factories.image_bytes())}

    response = client.post(PHOTOS, body, format="multipart")

    assert_problem(response, 400, "invalid")
    assert [error["field"] for error in response.json()["errors"]] == ["library"]
    assert_nothing_stored(photo_store)


def test_a_library_that_is_not_visible_is_not_there(client: Client, photo_store: Path) -> None:
    foreign = factories.make_library()

    answers = [post(client, target, factories.image_bytes()) for target in (foreign, Library(pk=uuid7()))]

    for response in answers:
        assert_problem(response, 404, "not_found")
    assert answers[0].json() == answers[1].json()
    assert_nothing_stored(photo_store)


def test_seeing_a_library_is_not_enough(library: Library, photo_store: Path) -> None:
    visitor = factories.client_of(factories.make_member(library, "visitor"))

    response = post(visitor, library, factories.image_bytes())

    assert_problem(response, 403, "permission_denied")
    assert response.json()["permission"] == "photos.upload"
    assert_nothing_stored(photo_store)


def test_a_stranger_is_answered_before_the_body_is_read(library: Library, photo_store: Path) -> None:
    body = Counted(form(library, factories.image_bytes()))

    response = post_body(Client(), body, len(body.getvalue()))

    assert_problem(response, 401, "not_authenticated")
    assert body.bytes_read == 0
    assert_nothing_stored(photo_store)


def session_of(library: Library) -> tuple[Client, str]:
    """Log a member in as a browser does; gives the client and its CSRF token."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(factories.make_member(library, "editor"))
    client.cookies["csrftoken"] = "a" * 32
    return client, "a" * 32


def test_a_session_uploads_by_the_same_way(library: Library, photo_store: Path, settings: Settings) -> None:
    client, token = session_of(library)
    data = factories.image_bytes() + bytes(400_000)
    settings.FILE_UPLOAD_HANDLERS = []  # Django's own would have no place to put it

    response = client.post(PHOTOS, {"library": library.pk, "file": BytesIO(data)}, headers={"X-CSRFToken": token})
    settings.UPLOAD_MAX_BYTES = 300_000
    too_large = client.post(PHOTOS, {"library": library.pk, "file": BytesIO(data)}, headers={"X-CSRFToken": token})

    assert response.status_code == 201
    assert response.json()["sha256"] == hashlib.sha256(data).hexdigest()
    assert_problem(too_large, 413, "too_large")
    assert Photo.objects.count() == 1


def test_a_session_without_its_token_uploads_nothing(library: Library, photo_store: Path) -> None:
    client, _ = session_of(library)

    response = client.post(PHOTOS, {"library": library.pk, "file": BytesIO(factories.image_bytes())})

    assert_problem(response, 403, "permission_denied")
    assert_nothing_stored(photo_store)


@pytest.mark.usefixtures("photo_store")
def test_the_temporary_file_has_no_name_and_is_closed(
    client: Client, library: Library, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "incoming"
    folder.mkdir()
    settings.FILE_UPLOAD_TEMP_DIR = str(folder)
    seen: list[tuple[Any, list[Path]]] = []
    receive = upload.HashingUploadHandler.receive_data_chunk

    def watch(self: upload.HashingUploadHandler, raw_data: bytes, start: int) -> None:
        seen.append((self._spool, list(folder.iterdir())))
        receive(self, raw_data, start)

    monkeypatch.setattr(upload.HashingUploadHandler, "receive_data_chunk", watch)

    taken = post(client, library, factories.image_bytes() + bytes(600_000))
    settings.UPLOAD_MAX_BYTES = 300_000
    refused = post(client, library, factories.image_bytes() + bytes(600_000))

    assert (taken.status_code, refused.status_code) == (201, 413)
    assert len({id(spool) for spool, _ in seen}) == 2
    assert all(spool.closed and files == [] for spool, files in seen)
    assert list(folder.iterdir()) == []


def test_an_upload_is_never_whole_in_memory(
    client: Client, library: Library, photo_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    receive = upload.HashingUploadHandler.receive_data_chunk

    def watch(self: upload.HashingUploadHandler, raw_data: bytes, start: int) -> None:
        sizes.append(len(raw_data))
        receive(self, raw_data, start)

    monkeypatch.setattr(upload.HashingUploadHandler, "receive_data_chunk", watch)
    data = factories.image_bytes() + bytes(5_000_000)

    assert post(client, library, data).status_code == 201

    assert sum(sizes) == len(data)
    assert max(sizes) <= upload.HashingUploadHandler.chunk_size


@pytest.mark.django_db(transaction=True)
def test_two_uploads_of_the_same_bytes_that_race_are_one_photo(
    client: Client, library: Library, photo_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = factories.image_bytes()
    # both have looked for the bytes and found none before either goes on: the unique constraint has to decide
    both_looked = threading.Barrier(2, timeout=20)
    store = originals.store

    def store_together(**values: Any) -> Photo:
        both_looked.wait()
        return store(**values)

    monkeypatch.setattr(originals, "store", store_together)
    clients = [client, factories.client_of(factories.make_member(library, "editor"))]
    answers: list[Any] = []

    def race(mine: Client) -> None:
        try:
            answers.append(post(mine, library, data))
        finally:
            connection.close()

    threads = [threading.Thread(target=race, args=[mine]) for mine in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)

    assert sorted(answer.status_code for answer in answers) == [200, 201]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert Photo.objects.count() == 1
    assert sorted(StageRun.objects.values_list("stage", flat=True)) == ["exif", "place", "renditions"]
    assert [path.read_bytes() for path in stored(photo_store)] == [data]


def test_a_body_in_chunks_is_refused_for_what_it_is(client: Client, library: Library, photo_store: Path) -> None:
    body = encode_multipart(BOUNDARY, {"library": str(library.pk), "file": BytesIO(factories.image_bytes())})
    response = client.generic("POST", PHOTOS, body, content_type=MULTIPART_CONTENT, CONTENT_LENGTH="")
    assert_problem(response, 411, "length_required")
    assert_nothing_stored(photo_store)


@pytest.mark.parametrize(("meanwhile", "status"), [(trash.move_to_trash, 201), (delete_for_good, 409)])
def test_an_upload_beside_a_deletion_says_what_became_of_it(
    client: Client, library: Library, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[..., object], status: int
) -> None:
    take_in = ingest.take_in

    def overtaken(**values: Any) -> ingest.Ingested:
        taken = take_in(**values)
        meanwhile(photo_ids=[taken.photo.pk])
        return taken

    monkeypatch.setattr(ingest, "take_in", overtaken)
    response = post(client, library, factories.image_bytes())
    assert response.status_code == status
    if status == 409:
        assert response.json()["code"] == "conflict"
