"""Byte ranges, and whose the sending is: what Darkroom answers by itself, and what it tells an nginx in front."""

from typing import Any
from urllib.parse import unquote

import factories
import pytest
from django.test import Client
from pytest_django import Settings

from accounts.models import Library
from gallery.byte_ranges import UnsatisfiableRangeError, wanted_range
from gallery.checks import check_media_delivery
from photos.models import Photo

DATA = bytes(range(256)) * 4
PHOTOS = "/api/v1/photos"


def content(response: Any) -> bytes:
    assert response.streaming
    return b"".join(response.streaming_content)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-0", range(1)),
        ("bytes=0-9", range(10)),
        ("bytes=5-", range(5, 10)),
        ("bytes=-3", range(7, 10)),
        ("bytes=-99", range(10)),
        ("bytes=2-99", range(2, 10)),
        ("BYTES= 2-3 ", range(2, 4)),
        ("bytes=2-3,5-6", None),
        ("bytes=3-2", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
        ("items=0-1", None),
        ("bytes=٣-٤", None),
        ("bytes=0-" + "9" * 40, None),
        ("", None),
    ],
)
def test_a_range_is_read_or_is_none(header: str, expected: range | None) -> None:
    assert wanted_range(header, size=10) == expected


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=10-20", "bytes=-0", "bytes=999999999999999999-"])
def test_a_range_behind_the_end_cannot_be(header: str) -> None:
    with pytest.raises(UnsatisfiableRangeError):
        wanted_range(header, size=10)


@pytest.fixture
def library(db: None) -> Library:
    return factories.make_library()


@pytest.fixture
def client(library: Library) -> Client:
    return factories.client_of(factories.make_member(library, "editor"))


@pytest.fixture
def photo(library: Library, photo_store: object) -> Photo:
    photo = factories.make_photo(library, data=DATA)
    factories.make_rendition(photo, "preview", data=b"picture")
    return photo


def test_a_part_of_an_original(client: Client, photo: Photo) -> None:
    address = f"{PHOTOS}/{photo.pk}/original"
    whole = client.get(address)
    assert (whole["Accept-Ranges"], content(whole)) == ("bytes", DATA)

    response = client.get(address, headers={"Range": "bytes=1000-"})

    assert response.status_code == 206
    assert response["Content-Range"] == "bytes 1000-1023/1024"
    assert response["Content-Length"] == "24"
    assert response["ETag"] == f'"{photo.sha256}"'
    assert response["Content-Disposition"].startswith("attachment; ")
    assert response["X-Content-Type-Options"] == "nosniff"
    assert content(response) == DATA[1000:]


def test_parts_put_together_are_the_original(client: Client, photo: Photo) -> None:
    address = f"{PHOTOS}/{photo.pk}/original"
    parts = [content(client.get(address, headers={"Range": f"bytes={at}-{at + 99}"})) for at in range(0, 1024, 100)]
    assert [len(part) for part in parts] == [100] * 10 + [24]
    assert b"".join(parts) == DATA


def test_a_part_behind_the_end_is_416(client: Client, photo: Photo) -> None:
    response = client.get(f"{PHOTOS}/{photo.pk}/original", headers={"Range": "bytes=1024-"})
    assert (response.status_code, response["Content-Range"], response.content) == (416, "bytes */1024", b"")


@pytest.mark.parametrize("validator", ["the same", "another", "a date", "weak"])
def test_a_part_of_another_file_is_of_no_use(client: Client, photo: Photo, validator: str) -> None:
    given = {
        "the same": f'"{photo.sha256}"',
        "another": '"another"',
        "a date": "Sat, 21 Nov 2026 10:00:00 GMT",
        "weak": f'W/"{photo.sha256}"',
    }[validator]
    response = client.get(f"{PHOTOS}/{photo.pk}/original", headers={"Range": "bytes=0-3", "If-Range": given})
    assert response.status_code == (206 if validator == "the same" else 200)
    assert content(response) == (DATA[:4] if validator == "the same" else DATA)


def test_the_headers_of_a_part_are_those_of_the_whole(client: Client, photo: Photo) -> None:
    response = client.head(f"{PHOTOS}/{photo.pk}/original", headers={"Range": "bytes=0-3"})
    assert (response.status_code, response["Content-Length"]) == (200, "1024")
    assert content(response) == b""


def test_what_the_client_has_is_not_sent_in_parts(client: Client, photo: Photo) -> None:
    headers = {"Range": "bytes=0-3", "If-None-Match": f'"{photo.sha256}"'}
    assert client.get(f"{PHOTOS}/{photo.pk}/original", headers=headers).status_code == 304


def test_nginx_is_told_the_file_and_every_header(client: Client, photo: Photo, settings: Settings) -> None:
    settings.MEDIA_DELIVERY = "x-accel"

    response = client.get(f"{PHOTOS}/{photo.pk}/original")

    assert (response.status_code, response.content) == (200, b"")
    assert response["X-Accel-Redirect"] == f"/_media/originals/{photo.storage_key}"
    assert response["Content-Type"] == "image/jpeg"
    assert response["Content-Disposition"] == f'attachment; filename="{photo.original_filename}"'
    assert response["ETag"] == f'"{photo.sha256}"'
    assert response["Cache-Control"] == "private, no-cache"
    assert response["X-Content-Type-Options"] == "nosniff"
    again = client.get(f"{PHOTOS}/{photo.pk}/original", headers={"If-None-Match": response["ETag"]})
    assert (again.status_code, again.has_header("X-Accel-Redirect")) == (304, False)


def test_a_path_for_nginx_is_quoted(library: Library, client: Client, photo: Photo, settings: Settings) -> None:
    settings.MEDIA_DELIVERY = "x-accel"
    version = "1.50% of ä?#"
    rendition = factories.make_rendition(photo, "thumb_300", data=b"small", version=version)

    response = client.get(f"{PHOTOS}/{photo.pk}/renditions/thumb_300")

    told = response["X-Accel-Redirect"]
    assert told == f"/_media/renditions/{library.pk}/{photo.pk}/thumb_300.1.50%25%20of%20%C3%A4%3F%23.jpg"
    assert unquote(told) == f"/_media/renditions/{rendition.storage_key}"


def test_nginx_is_not_sent_for_what_is_missing_or_forbidden(
    client: Client, library: Library, photo: Photo, settings: Settings
) -> None:
    settings.MEDIA_DELIVERY = "x-accel"
    lost = factories.make_photo(library)
    visitor = factories.client_of(factories.make_member(library, "visitor"))
    for who, address, status in (
        (client, f"{PHOTOS}/{lost.pk}/original", 404),
        (visitor, f"{PHOTOS}/{photo.pk}/original", 403),
        (Client(), f"{PHOTOS}/{photo.pk}/renditions/preview", 401),
    ):
        response = who.get(address)
        assert (response.status_code, response.has_header("X-Accel-Redirect")) == (status, False)


@pytest.mark.parametrize("delivery", ["stream", "x-accel"])
def test_ways_that_fit_a_disk(settings: Settings, photo_store: object, delivery: str) -> None:
    settings.MEDIA_DELIVERY = delivery
    assert check_media_delivery() == []


@pytest.mark.parametrize(("delivery", "expected"), [("presigned", ["gallery.E002"] * 2), ("nginx", ["gallery.E001"])])
def test_ways_that_do_not_fit_a_disk(
    settings: Settings, photo_store: object, delivery: str, expected: list[str]
) -> None:
    settings.MEDIA_DELIVERY = delivery
    assert [error.id for error in check_media_delivery()] == expected
