"""Uploads that come in by the tus protocol, in the API: what the protocol and the house refuse."""

from pathlib import Path

import factories
import pytest
import tus_requests as tus
from django.test import Client
from pytest_django import Settings

from accounts.models import Library
from photos.models import Photo
from processing.models import Upload

pytestmark = pytest.mark.django_db


@pytest.fixture
def library() -> Library:
    return factories.make_library()


@pytest.fixture
def client(library: Library) -> Client:
    return factories.client_of(factories.make_member(library, "editor"))


# the protocol's refusals


def test_another_version_is_refused(client: Client, library: Library, photo_store: Path) -> None:
    address = tus.create(client, library, 100)["Location"]
    for version in ("0.2.2", ""):
        other = {"Tus-Resumable": version}
        answers = [
            tus.create(client, library, 100, **other),
            tus.patch(client, address, 0, b"x", **other),
            client.delete(address, headers=other),
        ]
        for response in answers:
            tus.assert_problem(response, 412, "tus_version")
            assert response["Tus-Version"] == "1.0.0"
        assert client.head(address, headers=other).status_code == 412
    assert client.get(address).status_code == 200  # GET is ours
    assert Upload.objects.get().offset == 0


def test_another_type_of_body_is_refused(client: Client, library: Library, photo_store: Path) -> None:
    address = tus.create(client, library, 100)["Location"]
    headers = {**tus.VERSION, "Upload-Offset": "0"}
    for content_type in ("application/octet-stream", "application/json", "multipart/form-data; boundary=x"):
        response = client.generic("PATCH", address, b"x" * 10, content_type=content_type, headers=headers)
        tus.assert_problem(response, 415, "unsupported_media_type")
    headers = {**tus.VERSION, "Upload-Length": "10", "Upload-Metadata": tus.metadata(library=library.pk)}
    response = client.generic("POST", tus.UPLOADS, b"x" * 10, content_type="application/json", headers=headers)
    tus.assert_problem(response, 415, "unsupported_media_type")
    assert Upload.objects.get().offset == 0


@pytest.mark.parametrize("offset", [0, 99, 101, 150, 201])
def test_bytes_for_another_place_are_refused(client: Client, library: Library, photo_store: Path, offset: int) -> None:
    address = tus.create(client, library, 200, data=b"x" * 100)["Location"]
    response = tus.patch(client, address, offset, b"y" * 10)
    tus.assert_problem(response, 409, "wrong_offset")
    assert response.json()["offset"] == 100
    assert Upload.objects.get().offset == 100
    assert tus.parts(photo_store) == [b"x" * 100]


def test_more_than_is_missing_is_refused_before_it_is_read(client: Client, library: Library, photo_store: Path) -> None:
    address = tus.create(client, library, 100, data=b"x" * 90)["Location"]
    response = tus.patch(client, address, 90, b"y" * 11)
    tus.assert_problem(response, 413, "beyond_length")
    assert response.json()["missing"] == 10
    tus.assert_problem(tus.create(client, library, 10, data=b"y" * 11), 413, "beyond_length")
    assert [one.offset for one in Upload.objects.all()] == [90]


@pytest.mark.parametrize(
    ("headers", "field", "reason"),
    [
        ({"Upload-Length": "-1"}, "Upload-Length", "invalid"),
        ({"Upload-Length": "ten"}, "Upload-Length", "invalid"),
        ({"Upload-Length": "9" * 30}, "Upload-Length", "invalid"),
        ({"Upload-Metadata": ""}, "Upload-Metadata", "required"),
        ({"Upload-Metadata": "library !!!"}, "Upload-Metadata", "invalid"),
        ({"Upload-Metadata": "library /w=="}, "Upload-Metadata", "invalid"),
        ({"Upload-Metadata": tus.metadata(library="archive")}, "Upload-Metadata", "invalid"),
        ({"Upload-Checksum": "crc32 AAAA"}, "Upload-Checksum", "unknown_algorithm"),
        ({"Upload-Checksum": "sha1 AAAA"}, "Upload-Checksum", "invalid"),
        ({"Upload-Checksum": "sha1 !!!!"}, "Upload-Checksum", "invalid"),
    ],
)
def test_headers_that_cannot_be_are_named(
    client: Client, library: Library, headers: dict[str, str], field: str, reason: str
) -> None:
    response = tus.create(client, library, 10, **headers)
    tus.assert_problem(response, 400, "invalid")
    assert [(one["field"], one["code"]) for one in response.json()["errors"]] == [(field, reason)]
    assert Upload.objects.count() == 0


def test_a_length_is_asked_for(client: Client, library: Library) -> None:
    headers = {**tus.VERSION, "Upload-Metadata": tus.metadata(library=library.pk)}
    response = client.generic("POST", tus.UPLOADS, headers=headers)
    tus.assert_problem(response, 400, "invalid")
    address = tus.create(client, library, 10)["Location"]
    headers = {**tus.VERSION, "Upload-Offset": "0", "Transfer-Encoding": "chunked"}
    chunked = client.generic("PATCH", address, b"x", content_type=tus.OCTETS, headers=headers, CONTENT_LENGTH="")
    tus.assert_problem(chunked, 411, "length_required")
    assert Upload.objects.get().offset == 0


# what cannot come to a good end


def test_a_file_that_is_too_large_or_empty_is_refused_at_once(
    client: Client, library: Library, settings: Settings
) -> None:
    settings.UPLOAD_MAX_BYTES = 1000
    response = tus.create(client, library, 1001)
    tus.assert_problem(response, 413, "too_large")
    assert response.json()["limit"] == 1000
    tus.assert_problem(tus.create(client, library, 0), 400, "empty_file")
    assert Upload.objects.count() == 0
    assert tus.create(client, library, 1000).status_code == 201


def test_a_file_beyond_the_quota_is_refused_at_once(client: Client, library: Library) -> None:
    Library.objects.filter(pk=library.pk).update(quota_bytes=1000)
    response = tus.create(client, library, 1001)
    tus.assert_problem(response, 413, "quota_exceeded")
    assert {name: response.json()[name] for name in ("of", "used", "limit")} == {
        "of": "library", "used": 0, "limit": 1000,
    }  # fmt: skip
    assert Upload.objects.count() == 0


def test_a_quota_that_was_used_up_meanwhile_is_found_at_the_end(
    client: Client, library: Library, photo_store: Path
) -> None:
    data = factories.image_bytes()
    address = tus.create(client, library, len(data), data=data[:10])["Location"]
    Library.objects.filter(pk=library.pk).update(quota_bytes=10)
    response = tus.patch(client, address, 10, data[10:])
    tus.assert_problem(response, 413, "quota_exceeded")
    again = tus.patch(client, address, len(data))
    assert again.json() == response.json()
    assert Photo.objects.count() == 0
    assert tus.originals(photo_store) + tus.parts(photo_store) == []


def test_an_account_has_only_so_many_open_uploads(
    client: Client, library: Library, settings: Settings, photo_store: Path
) -> None:
    settings.UPLOAD_MAX_OPEN = 2
    data = factories.image_bytes()
    assert tus.create(client, library, len(data), data=data).status_code == 201  # complete: it does not count
    addresses = [tus.create(client, library, 100)["Location"] for _ in range(2)]
    response = tus.create(client, library, 100)
    tus.assert_problem(response, 409, "too_many_uploads")
    assert response.json()["limit"] == 2
    assert Upload.objects.count() == 3
    other = factories.client_of(factories.make_member(library, "editor"))
    assert tus.create(other, library, 100).status_code == 201
    assert tus.end(client, addresses[0]).status_code == 204
    assert tus.create(client, library, 100).status_code == 201
