"""The bytes of photos and faces: exactly what is stored, with headers that a browser cannot misread."""

import io
from typing import Any

import factories
import pytest
from django.test import Client
from PIL import Image
from uuid_utils.compat import uuid7

from accounts.models import AuditEvent, Library, Membership, Role
from accounts.roles import Permission
from photos import storage
from photos.models import Photo
from photos.services import trash

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("photo_store")]

PHOTOS = "/api/v1/photos"


@pytest.fixture
def library() -> Library:
    return factories.make_library()


@pytest.fixture
def client(library: Library) -> Client:
    return factories.client_of(factories.make_member(library, "editor"))


def content(response: Any) -> bytes:
    """Read a streamed answer; the test client closes it at its end, as a server does."""
    assert response.streaming
    return b"".join(response.streaming_content)


def test_a_rendition_is_served_as_the_picture_that_it_is(client: Client, library: Library) -> None:
    data = factories.image_bytes(size=(64, 48))
    photo = factories.make_photo(library)
    rendition = factories.make_rendition(photo, "preview", data=data)
    address = client.get(f"{PHOTOS}/{photo.pk}").json()["renditions"][0]["url"]

    response = client.get(address)

    assert response.status_code == 200
    assert response["Content-Type"] == "image/jpeg"
    assert response["Content-Length"] == str(len(data))
    assert response["ETag"] == f'"{rendition.sha256}"'
    assert response["Cache-Control"] == "private, max-age=2592000, immutable"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Content-Disposition"] == 'inline; filename="preview.jpg"'
    body = content(response)
    assert body == data
    assert Image.open(io.BytesIO(body)).size == (64, 48)


@pytest.mark.parametrize("query", ["", "?v=1.old"])
def test_an_address_without_the_current_version_is_asked_for_again(
    client: Client, library: Library, query: str
) -> None:
    photo = factories.make_photo(library)
    factories.make_rendition(photo, "preview", data=b"picture")

    response = client.get(f"{PHOTOS}/{photo.pk}/renditions/preview{query}")

    assert response["Cache-Control"] == "private, no-cache"
    assert content(response) == b"picture"


def test_what_the_client_has_is_not_sent_again(client: Client, library: Library) -> None:
    photo = factories.make_photo(library, data=b"original")
    rendition = factories.make_rendition(photo, "preview", data=b"picture")
    face = factories.make_face(photo, chip=b"chip")
    addresses = {
        f"{PHOTOS}/{photo.pk}/renditions/preview": rendition.sha256,
        f"{PHOTOS}/{photo.pk}/original": photo.sha256,
        f"/api/v1/faces/{face.pk}/chip": None,
    }

    for address, etag in addresses.items():
        first = client.get(address)
        assert content(first)
        assert etag is None or first["ETag"] == f'"{etag}"'
        again = client.get(address, headers={"If-None-Match": first["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert again["ETag"] == first["ETag"]
        assert again["Cache-Control"] == first["Cache-Control"]
        other = client.get(address, headers={"If-None-Match": '"another"'})
        assert (
            content(other)
            == {"preview": b"picture", "original": b"original", "chip": b"chip"}[address.rsplit("/", 1)[-1]]
        )


@pytest.mark.parametrize("accept", ["image/jpeg", "image/avif,image/webp", "text/html", "*/*"])
def test_files_are_given_whatever_is_accepted(client: Client, library: Library, accept: str) -> None:
    photo = factories.make_photo(library, data=b"original")
    factories.make_rendition(photo, "preview", data=b"picture")
    face = factories.make_face(photo, chip=b"chip")

    for address, data in (
        (f"{PHOTOS}/{photo.pk}/renditions/preview", b"picture"),
        (f"{PHOTOS}/{photo.pk}/original", b"original"),
        (f"/api/v1/faces/{face.pk}/chip", b"chip"),
    ):
        assert content(client.get(address, headers={"Accept": accept})) == data
    missing = client.get(f"{PHOTOS}/{uuid7()}/renditions/preview", headers={"Accept": accept})
    assert (missing.status_code, missing["Content-Type"]) == (404, "application/problem+json")


@pytest.mark.parametrize("kind", ["thumb_9000", "%00", "..", "preview.jpg", "a%2Fb"])
def test_an_unknown_rendition_is_not_there(client: Client, library: Library, kind: str) -> None:
    photo = factories.make_photo(library)
    factories.make_rendition(photo, "preview", data=b"picture")

    response = client.get(f"{PHOTOS}/{photo.pk}/renditions/{kind}")

    assert (response.status_code, response.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("filename", "disposition"),
    [
        ("holiday.jpg", 'attachment; filename="holiday.jpg"'),
        ('a "b"; filename=evil.html', 'attachment; filename="a \\"b\\"; filename=evil.html"'),
        ("Strände ☀.jpg", "attachment; filename*=utf-8''Str%C3%A4nde%20%E2%98%80.jpg"),
        ("", 'attachment; filename="{id}.jpeg"'),
    ],
)
def test_an_original_is_always_a_download(client: Client, library: Library, filename: str, disposition: str) -> None:
    data = factories.image_bytes()
    photo = factories.make_photo(library, data=data, original_filename=filename)

    response = client.get(f"{PHOTOS}/{photo.pk}/original")

    assert response.status_code == 200
    assert response["Content-Disposition"] == disposition.format(id=photo.pk)
    assert response["Content-Type"] == "image/jpeg"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Cache-Control"] == "private, no-cache"
    assert response["ETag"] == f'"{photo.sha256}"'
    assert response["Content-Length"] == str(len(data))
    assert content(response) == data


def test_the_headers_alone_can_be_asked_for(client: Client, library: Library) -> None:
    photo = factories.make_photo(library, data=b"original")

    response = client.head(f"{PHOTOS}/{photo.pk}/original")

    assert (response.status_code, response["Content-Length"], response["ETag"]) == (200, "8", f'"{photo.sha256}"')
    assert content(response) == b""


def test_seeing_a_photo_is_not_enough_for_its_original(library: Library) -> None:
    photo = factories.make_photo(library, data=b"original")
    visitor = factories.client_of(factories.make_member(library, "visitor"))

    response = visitor.get(f"{PHOTOS}/{photo.pk}/original")

    assert (response.status_code, response.json()["code"]) == (403, "permission_denied")
    assert response.json()["permission"] == "originals.download"


def test_a_lost_object_is_a_404_and_is_logged(
    client: Client, library: Library, caplog: pytest.LogCaptureFixture
) -> None:
    photo = factories.make_photo(library)

    response = client.get(f"{PHOTOS}/{photo.pk}/original")

    assert (response.status_code, response.json()["code"]) == (404, "not_found")
    assert photo.storage_key.encode() not in response.content
    assert [record.message for record in caplog.records if record.name == "gallery.downloads"] == [
        f"a row names an object that is missing: {photo.storage_key} in originals"
    ]


def test_a_chip_is_served_by_an_address_of_its_own(client: Client, library: Library) -> None:
    photo = factories.make_photo(library)
    data = factories.image_bytes()
    factories.make_face(photo, chip=data)
    address = client.get(f"{PHOTOS}/{photo.pk}").json()["faces"][0]["chip_url"]

    response = client.get(address)

    assert response.status_code == 200
    assert response["Content-Type"] == "image/jpeg"
    assert response["Cache-Control"] == "private, max-age=2592000, immutable"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Content-Disposition"] == 'inline; filename="face.jpg"'
    assert content(response) == data


def test_a_chip_of_a_candidate_is_not_there(client: Client, library: Library) -> None:
    face = factories.make_face(factories.make_photo(library), chip=b"chip", confidence=0.5)

    assert client.get(f"/api/v1/faces/{face.pk}/chip").status_code == 404


def test_chips_need_sight_of_people(library: Library) -> None:
    face = factories.make_face(factories.make_photo(library), chip=b"chip")
    user = factories.make_user()
    role = Role.objects.create(name="no people", permissions=[Permission.VIEW_PHOTOS])
    Membership.objects.create(library=library, user=user, role=role)

    assert factories.client_of(user).get(f"/api/v1/faces/{face.pk}/chip").status_code == 404


def test_files_in_the_trash_and_of_others_are_not_there(client: Client, library: Library) -> None:
    def make(where: Library) -> tuple[Photo, list[str]]:
        photo = factories.make_photo(where, data=b"original")
        factories.make_rendition(photo, "preview", data=b"picture")
        face = factories.make_face(photo, chip=b"chip")
        base = f"{PHOTOS}/{photo.pk}"
        return photo, [f"{base}/renditions/preview", f"{base}/original", f"/api/v1/faces/{face.pk}/chip"]

    _, foreign = make(factories.make_library())
    trashed, in_the_trash = make(library)
    assert [content(client.get(address)) for address in in_the_trash] == [b"picture", b"original", b"chip"]
    trash.move_to_trash(photo_ids=[trashed.pk])

    assert [client.get(address).status_code for address in foreign + in_the_trash] == [404] * 6


def test_reading_leaves_nothing_open(client: Client, library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = factories.make_photo(library, data=b"original")
    opened: list[Any] = []
    open_object = storage.open_object

    def watch(**values: Any) -> Any:
        opened.append(open_object(**values))
        return opened[-1]

    monkeypatch.setattr(storage, "open_object", watch)

    assert content(client.get(f"{PHOTOS}/{photo.pk}/original")) == b"original"

    assert [file.closed for file in opened] == [True]


def test_the_trail_tells_who_took_an_original(client: Client, library: Library) -> None:
    photo = factories.make_photo(library, data=b"0123456789")
    address = f"/api/v1/photos/{photo.pk}/original"
    visitor = factories.client_of(factories.make_member(library, "visitor"))
    assert client.get(address, headers={"If-None-Match": f'"{photo.sha256}"'}).status_code == 304
    assert visitor.get(address).status_code == 403
    taken = AuditEvent.objects.filter(action="original.downloaded")
    assert not taken.exists()
    assert b"".join(client.get(address).streaming_content) == b"0123456789"
    event = taken.get()
    assert (event.library_id, event.subject_type, event.subject_id) == (library.pk, "photo", str(photo.pk))
    assert event.actor_id is not None
