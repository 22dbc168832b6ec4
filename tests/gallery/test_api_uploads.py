"""Resumable uploads: the protocol, word for word, and that what is refused changes nothing."""

import hashlib
from datetime import timedelta
from pathlib import Path

import factories
import pytest
import tus_requests as tus
from django.db.models.functions import Now
from django.test import Client
from django.utils.http import parse_http_date
from pytest_django import Settings

from accounts.models import Library
from gallery.api.uploads import protocol
from photos.models import Photo
from processing.models import StageRun, Upload

pytestmark = pytest.mark.django_db


@pytest.fixture
def library() -> Library:
    return factories.make_library()


@pytest.fixture
def client(library: Library) -> Client:
    return factories.client_of(factories.make_member(library, "editor"))


def test_what_is_spoken_is_said(client: Client, settings: Settings) -> None:
    response = client.options(tus.UPLOADS)

    assert response.status_code == 200
    said = {name: response[name] for name in response.headers if name.startswith("Tus-")}
    assert said == {
        "Tus-Resumable": "1.0.0",
        "Tus-Version": "1.0.0",
        "Tus-Extension": "creation,creation-with-upload,checksum,termination,expiration",
        "Tus-Max-Size": str(settings.UPLOAD_MAX_BYTES),
        "Tus-Checksum-Algorithm": "sha1,sha256,sha512,md5",
    }


def test_a_file_comes_in_by_three_requests(client: Client, library: Library, photo_store: Path) -> None:
    data = factories.image_bytes(size=(64, 48))
    made = tus.create(client, library, len(data))
    assert (made.status_code, made.content) == (201, b"")
    address = made["Location"]
    upload = Upload.objects.get()
    assert address == f"http://testserver{tus.UPLOADS}/{upload.pk}"
    assert made["Upload-Offset"] == "0"
    assert abs(parse_http_date(made["Upload-Expires"]) - upload.expires_at.timestamp()) < 2

    for offset, piece in ((0, data[:100]), (100, data[100:300])):
        sent = tus.patch(client, address, offset, piece)
        assert (sent.status_code, sent["Upload-Offset"]) == (204, str(offset + len(piece)))
        assert "Darkroom-Photo" not in sent
        asked = tus.head(client, address)
        assert (asked.status_code, asked["Upload-Offset"], asked["Upload-Length"]) == (
            200,
            str(offset + len(piece)),
            str(len(data)),
        )
        assert asked["Cache-Control"] == "no-store"
        assert asked["Upload-Metadata"] == tus.metadata(library=library.pk, filename="holiday.jpg")
    assert tus.originals(photo_store) == []
    assert tus.parts(photo_store) == [data[:300]]
    last = tus.patch(client, address, 300, data[300:])

    photo = Photo.objects.get()
    assert (last.status_code, last["Upload-Offset"]) == (204, str(len(data)))
    assert last["Darkroom-Photo"] == str(photo.pk)
    assert last["Content-Location"] == f"http://testserver/api/v1/photos/{photo.pk}"
    assert client.get(last["Content-Location"]).json()["sha256"] == hashlib.sha256(data).hexdigest()
    assert (photo.sha256, photo.byte_size) == (hashlib.sha256(data).hexdigest(), len(data))
    assert (photo.original_filename, photo.width, photo.height) == ("holiday.jpg", 64, 48)
    assert photo.uploader == upload.owner
    assert set(photo.stage_runs.values_list("stage", "state")) == {
        ("exif", "pending"),
        ("place", "waiting"),
        ("renditions", "pending"),
    }
    assert tus.originals(photo_store) == [data]
    assert tus.parts(photo_store) == []


def test_all_of_a_file_comes_with_the_first_request(client: Client, library: Library, photo_store: Path) -> None:
    data = factories.image_bytes()

    made = tus.create(client, library, len(data), data=data)

    assert (made.status_code, made["Upload-Offset"]) == (201, str(len(data)))
    photo = Photo.objects.get()
    assert made["Darkroom-Photo"] == str(photo.pk)
    assert made["Location"].startswith(f"http://testserver{tus.UPLOADS}/")
    assert tus.originals(photo_store) == [data]


def test_the_upload_says_what_became_of_it(client: Client, library: Library, photo_store: Path) -> None:
    data = factories.image_bytes()
    address = tus.create(client, library, len(data), data=data[:10])["Location"]
    upload = Upload.objects.get()

    found = client.get(address)

    assert found["Cache-Control"] == "no-store"
    assert found.json() == {
        "id": str(upload.pk),
        "library": str(library.pk),
        "way": "tus",
        "filename": "holiday.jpg",
        "length": len(data),
        "offset": 10,
        "state": "open",
        "created_at": found.json()["created_at"],
        "expires_at": found.json()["expires_at"],
        "photo": None,
        "error": None,
    }
    tus.patch(client, address, 10, data[10:])
    done = client.get(address).json()
    photo = Photo.objects.get()
    assert (done["state"], done["offset"]) == ("complete", len(data))
    assert done["photo"] == {
        "id": str(photo.pk),
        "library": str(library.pk),
        "sha256": photo.sha256,
        "byte_size": len(data),
        "state": "pending",
    }


def test_an_answer_that_was_lost_is_given_again(client: Client, library: Library, photo_store: Path) -> None:
    data = factories.image_bytes()
    address = tus.create(client, library, len(data), data=data)["Location"]
    photo = Photo.objects.get()

    for response, status in ((tus.head(client, address), 200), (tus.patch(client, address, len(data)), 204)):
        assert (response.status_code, response["Upload-Offset"]) == (status, str(len(data)))
        assert response["Darkroom-Photo"] == str(photo.pk)
        assert response["Content-Location"] == f"http://testserver/api/v1/photos/{photo.pk}"
    assert Photo.objects.count() == 1
    tus.assert_problem(tus.patch(client, address, 0, data), 409, "wrong_offset")


def test_the_same_bytes_again_are_the_same_photo(client: Client, library: Library, photo_store: Path) -> None:
    data = factories.image_bytes()
    first = tus.create(client, library, len(data), data=data)

    second = tus.create(client, library, len(data), data=data)

    assert second["Darkroom-Photo"] == first["Darkroom-Photo"]
    assert (Photo.objects.count(), Upload.objects.filter(state="complete").count()) == (1, 2)
    assert tus.originals(photo_store) == [data]
    assert tus.parts(photo_store) == []


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        pytest.param(b"%PDF-1.7 not a picture", 415, "unsupported_format", id="not a picture"),
        pytest.param(b"\xff\xd8\xff\xe0\x00\x10JFIF", 400, "damaged", id="header cut off"),
    ],
)
def test_a_refused_file_is_remembered(
    client: Client, library: Library, photo_store: Path, data: bytes, status: int, code: str
) -> None:
    address = tus.create(client, library, len(data))["Location"]

    refused = tus.patch(client, address, 0, data)

    tus.assert_problem(refused, status, code)
    assert refused["Darkroom-Error"] == code
    again = tus.patch(client, address, len(data))
    tus.assert_problem(again, status, code)
    assert again.json() == refused.json()
    asked = tus.head(client, address)
    assert (asked.status_code, asked["Darkroom-Error"], "Upload-Offset" in asked) == (status, code, False)
    told = client.get(address).json()
    assert (told["state"], told["photo"]) == ("refused", None)
    assert told["error"] == {"code": code, "detail": refused.json()["detail"]}
    assert (Photo.objects.count(), StageRun.objects.count()) == (0, 0)
    assert tus.originals(photo_store) + tus.parts(photo_store) == []


def test_too_many_pixels_are_refused(client: Client, library: Library, photo_store: Path, settings: Settings) -> None:
    settings.IMAGE_MAX_PIXELS = 40 * 30 - 1
    data = factories.image_bytes()
    response = tus.create(client, library, len(data), data=data)
    tus.assert_problem(response, 422, "too_many_pixels")
    assert tus.originals(photo_store) + tus.parts(photo_store) == []


# checksums


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha512", "md5"])
def test_a_checksum_that_is_right(client: Client, library: Library, photo_store: Path, algorithm: str) -> None:
    data = factories.image_bytes()
    address = tus.create(client, library, len(data))["Location"]
    first = tus.patch(client, address, 0, data[:50], **{"Upload-Checksum": tus.checksum(algorithm, data[:50])})
    assert (first.status_code, first["Upload-Offset"]) == (204, "50")
    last = tus.patch(client, address, 50, data[50:], **{"Upload-Checksum": tus.checksum(algorithm, data[50:])})
    assert (last.status_code, "Darkroom-Photo" in last) == (204, True)
    assert tus.originals(photo_store) == [data]


def test_of_bytes_with_a_wrong_checksum_none_is_kept(client: Client, library: Library, photo_store: Path) -> None:
    data = factories.image_bytes()
    address = tus.create(client, library, len(data), data=data[:50])["Location"]
    wrong = {"Upload-Checksum": tus.checksum("sha1", b"other bytes")}

    response = tus.patch(client, address, 50, data[50:100], **wrong)

    tus.assert_problem(response, 460, "wrong_checksum")
    assert response.json()["title"] == "Checksum Mismatch"
    assert tus.head(client, address)["Upload-Offset"] == "50"
    # all at once as well, and then as it should be
    assert tus.patch(client, address, 50, data[50:], **wrong).status_code == 460
    assert Photo.objects.count() == 0
    assert "Darkroom-Photo" in tus.patch(client, address, 50, data[50:])
    assert tus.originals(photo_store) == [data]


def test_an_upload_whose_first_bytes_were_wrong_is_there(client: Client, library: Library, photo_store: Path) -> None:
    data = factories.image_bytes()
    response = tus.create(client, library, len(data), data=data, **{"Upload-Checksum": tus.checksum("sha1", b"x")})
    tus.assert_problem(response, 460, "wrong_checksum")
    assert "Darkroom-Photo" in tus.patch(client, response["Location"], 0, data)


# the end


def test_an_upload_is_ended(client: Client, library: Library, photo_store: Path) -> None:
    address = tus.create(client, library, 100, data=b"x" * 50)["Location"]
    assert tus.parts(photo_store) == [b"x" * 50]

    response = tus.end(client, address)

    assert (response.status_code, response.content) == (204, b"")
    assert Upload.objects.count() == 0
    assert tus.parts(photo_store) == []
    assert list((photo_store / "originals" / ".uploads").iterdir()) == []
    for again in (tus.end(client, address), tus.patch(client, address, 50, b"x"), client.get(address)):
        tus.assert_problem(again, 404, "not_found")
    assert tus.head(client, address).status_code == 404


def test_the_photo_of_an_upload_that_is_ended_stays(client: Client, library: Library, photo_store: Path) -> None:
    data = factories.image_bytes()
    made = tus.create(client, library, len(data), data=data)
    assert tus.end(client, made["Location"]).status_code == 204
    assert (Upload.objects.count(), Photo.objects.count()) == (0, 1)
    assert tus.originals(photo_store) == [data]


def test_an_upload_that_has_expired_is_gone(client: Client, library: Library, photo_store: Path) -> None:
    address = tus.create(client, library, 100, data=b"x" * 50)["Location"]
    Upload.objects.update(expires_at=Now() - timedelta(seconds=1))
    for response in (tus.patch(client, address, 50, b"x"), client.get(address), tus.end(client, address)):
        tus.assert_problem(response, 410, "upload_ended")
    asked = tus.head(client, address)
    assert (asked.status_code, "Upload-Offset" in asked) == (410, False)
    assert Upload.objects.get().offset == 50


def test_each_byte_gives_more_time(client: Client, library: Library, photo_store: Path, settings: Settings) -> None:
    settings.UPLOAD_EXPIRES_SECONDS = 100
    address = tus.create(client, library, 100)["Location"]
    Upload.objects.update(expires_at=Now() + timedelta(seconds=5))
    before = Upload.objects.get().expires_at
    response = tus.patch(client, address, 0, b"x")
    after = Upload.objects.get().expires_at
    assert after - before > timedelta(seconds=90)
    assert abs(parse_http_date(response["Upload-Expires"]) - after.timestamp()) < 2


# who may


def test_an_upload_belongs_to_whoever_made_it(client: Client, library: Library, photo_store: Path) -> None:
    address = tus.create(client, library, 100, data=b"x" * 50)["Location"]
    others = [
        factories.client_of(factories.make_member(library, "admin")),
        factories.client_of(factories.make_user(is_superuser=True)),
        factories.client_of(factories.make_member(factories.make_library(), "admin")),
    ]
    for other in others:
        for response in (tus.patch(other, address, 50, b"x"), other.get(address), tus.end(other, address)):
            tus.assert_problem(response, 404, "not_found")
        assert other.post(f"{address}/complete").status_code == 404
        assert tus.head(other, address).status_code == 404
    assert tus.head(Client(), address).status_code == 401
    assert Upload.objects.get().offset == 50


def test_whoever_may_not_upload_any_more_finds_nothing(client: Client, library: Library, photo_store: Path) -> None:
    address = tus.create(client, library, 100, data=b"x" * 50)["Location"]
    visitor, _ = factories.Role.objects.get_or_create(name="visitor")
    factories.Membership.objects.update(role=visitor)
    tus.assert_problem(tus.patch(client, address, 50, b"x"), 404, "not_found")
    tus.assert_problem(tus.create(client, library, 100), 403, "permission_denied")
    assert Upload.objects.get().offset == 50


def test_a_library_that_is_not_visible_is_not_there(client: Client) -> None:
    tus.assert_problem(tus.create(client, factories.make_library(), 100), 404, "not_found")
    assert Upload.objects.count() == 0


def test_a_key_that_may_only_upload_is_told_the_receipt(library: Library, photo_store: Path) -> None:
    from access_world import key_client

    owner = factories.make_member(library, "editor")
    camera = key_client(owner, frozenset({"photos.upload"}), library)
    data = factories.image_bytes()
    made = tus.create(camera, library, len(data), data=data[:10])
    assert made.status_code == 201
    last = tus.patch(camera, made["Location"], 10, data[10:])
    photo = Photo.objects.get()
    assert last["Darkroom-Photo"] == str(photo.pk)
    told = camera.get(made["Location"]).json()
    assert sorted(told["photo"]) == ["byte_size", "id", "library", "sha256", "state"]
    assert camera.get(last["Content-Location"]).status_code == 404
    blind = key_client(owner, frozenset({"photos.view"}), library)
    assert blind.get(made["Location"]).status_code == 404


# clients


def test_a_client_without_patch_says_what_it_means(client: Client, library: Library, photo_store: Path) -> None:
    address = tus.create(client, library, 100)["Location"]
    headers = {**tus.VERSION, "Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"}
    response = client.generic("POST", address, b"x" * 10, content_type=tus.OCTETS, headers=headers)
    assert (response.status_code, response["Upload-Offset"]) == (204, "10")
    ended = client.generic("POST", address, headers={**tus.VERSION, "X-HTTP-Method-Override": "DELETE"})
    assert ended.status_code == 204
    assert Upload.objects.count() == 0


def test_a_session_needs_its_token(library: Library, photo_store: Path) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(factories.make_member(library, "editor"))
    client.cookies["csrftoken"] = "a" * 32
    data = factories.image_bytes()
    refused = tus.create(client, library, len(data), data=data)
    tus.assert_problem(refused, 403, "permission_denied")
    assert Upload.objects.count() == 0
    address = tus.create(client, library, len(data), data=data[:10], **{"X-CSRFToken": "a" * 32})["Location"]
    override = {**tus.VERSION, "Upload-Offset": "10", "X-HTTP-Method-Override": "PATCH"}
    refused = client.generic("POST", address, data[10:], content_type=tus.OCTETS, headers=override)
    tus.assert_problem(refused, 403, "permission_denied")
    assert Upload.objects.get().offset == 10
    assert "Darkroom-Photo" in tus.patch(client, address, 10, data[10:], **{"X-CSRFToken": "a" * 32})


def test_a_script_of_another_origin_may_read_what_it_needs(client: Client, library: Library, photo_store: Path) -> None:
    """Whatever an answer says beside what every answer says is among the headers that are named for CORS."""
    data = factories.image_bytes()
    made = tus.create(client, library, len(data), data=data[:10])
    answers = [
        client.options(tus.UPLOADS),
        made,
        tus.head(client, made["Location"]),
        tus.patch(client, made["Location"], 10, data[10:]),
        tus.create(client, library, len(data), **{"Tus-Resumable": "0"}),
    ]
    said = {name for answer in answers for name in answer.headers}
    simple = {
        "Allow", "Cache-Control", "Content-Length", "Content-Type", "Vary", "X-Content-Type-Options", "Referrer-Policy",
        "Cross-Origin-Opener-Policy", "X-Frame-Options", "Content-Security-Policy",
    }  # fmt: skip
    assert said - simple == set(protocol.EXPOSED_HEADERS)


def test_a_disk_that_is_not_mounted_loses_no_upload(client: Client, library: Library, photo_store: Path) -> None:
    data = factories.image_bytes()
    address = tus.create(client, library, len(data), data=data[:50])["Location"]
    (photo_store / "originals").rename(photo_store / "elsewhere")
    response = tus.patch(client, address, 50, data[50:])
    tus.assert_problem(response, 503, "storage_unavailable")
    assert response["Retry-After"] == "10"
    (photo_store / "elsewhere").rename(photo_store / "originals")
    assert "Darkroom-Photo" in tus.patch(client, address, 50, data[50:])
    assert tus.originals(photo_store) == [data]
