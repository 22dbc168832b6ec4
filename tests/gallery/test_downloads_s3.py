"""Media in a bucket: addresses that the bucket signs, and what they are signed over.

moto answers whatever the signature says, so that a refusal cannot be seen here. What is asserted instead is the
signature itself, reckoned anew by botocore over the address as it was altered: it is another one, which S3 refuses.
"""

import re
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

import factories
import pytest
import requests
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from django.test import Client
from pytest_django import Settings

from accounts.models import Library
from gallery.checks import check_media_delivery
from photos.models import Photo

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("s3_storages")]

PHOTOS = "/api/v1/photos"
DATA = bytes(range(256)) * 2000


@pytest.fixture
def library() -> Library:
    return factories.make_library()


@pytest.fixture
def client(library: Library) -> Client:
    return factories.client_of(factories.make_member(library, "editor"))


@pytest.fixture
def photo(library: Library) -> Photo:
    photo = factories.make_photo(library, data=DATA, original_filename="Strände.jpg")
    factories.make_rendition(photo, "preview", data=b"picture")
    return photo


def parameters(address: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query, strict_parsing=True).items()}


def signature_of(address: str, *, method: str = "GET") -> str:
    """Reckon the signature that a bucket expects on an address."""
    parts = urlsplit(address)
    given = parameters(address)
    given.pop("X-Amz-Signature")
    auth = S3SigV4QueryAuth(Credentials("key", "secret"), "s3", "eu-central-1", expires=int(given["X-Amz-Expires"]))
    request = AWSRequest(method=method, url=urlunsplit(parts._replace(query=urlencode(given, quote_via=_quote))))
    request.headers["host"] = parts.netloc
    request.context["timestamp"] = given["X-Amz-Date"]
    canonical = auth.canonical_request(request)
    return auth.signature(auth.string_to_sign(request, canonical), request)


def _quote(text: Any, *_: object) -> str:
    from urllib.parse import quote

    return quote(text, safe="-_.~")


def test_by_default_a_bucket_is_streamed_with_ranges(client: Client, photo: Photo) -> None:
    response = client.get(f"{PHOTOS}/{photo.pk}/original", headers={"Range": "bytes=300000-300009"})
    assert (response.status_code, response["Content-Range"]) == (206, f"bytes 300000-300009/{len(DATA)}")
    assert b"".join(response.streaming_content) == DATA[300000:300010]
    assert check_media_delivery() == []


def test_an_original_comes_from_the_bucket_as_an_attachment(client: Client, photo: Photo, settings: Settings) -> None:
    settings.MEDIA_DELIVERY = "presigned"

    response = client.get(f"{PHOTOS}/{photo.pk}/original")

    assert (response.status_code, response["Cache-Control"]) == (302, "private, no-store")
    assert not response.has_header("ETag")
    address = response["Location"]
    given = parameters(address)
    assert int(given["X-Amz-Expires"]) == 300
    assert given["response-content-disposition"] == "attachment; filename*=utf-8''Str%C3%A4nde.jpg"
    assert given["X-Amz-SignedHeaders"] == "host"
    answer = requests.get(address, timeout=10)
    assert (answer.status_code, answer.content) == (200, DATA)
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert answer.headers["Content-Disposition"] == "attachment; filename*=utf-8''Str%C3%A4nde.jpg"
    part = requests.get(address, headers={"Range": "bytes=5-9"}, timeout=10)
    assert (part.status_code, part.content) == (206, DATA[5:10])


def test_a_rendition_is_kept_and_its_redirect_a_minute(client: Client, photo: Photo, settings: Settings) -> None:
    settings.MEDIA_DELIVERY = "presigned"
    address = client.get(f"{PHOTOS}/{photo.pk}").json()["renditions"][0]["url"]

    response = client.get(address)

    assert (response.status_code, response["Cache-Control"]) == (302, "private, max-age=60")
    answer = requests.get(response["Location"], timeout=10)
    assert (answer.content, answer.headers["Content-Type"]) == (b"picture", "image/jpeg")
    assert answer.headers["Cache-Control"] == "private, max-age=2592000, immutable"
    etag = f'"{photo.renditions.get().sha256}"'
    assert client.get(address, headers={"If-None-Match": etag}).status_code == 304
    unversioned = client.get(address.split("?", maxsplit=1)[0])
    assert (unversioned.status_code, unversioned["Cache-Control"]) == (302, "private, no-store")


def test_headers_alone_are_signed_for(client: Client, photo: Photo, settings: Settings) -> None:
    settings.MEDIA_DELIVERY = "presigned"
    address = client.head(f"{PHOTOS}/{photo.pk}/original")["Location"]
    assert parameters(address)["X-Amz-Signature"] == signature_of(address, method="HEAD")
    assert requests.head(address, timeout=10).headers["Content-Length"] == str(len(DATA))


def test_a_signature_is_of_one_object_one_time_and_one_way_to_be_shown(
    client: Client, library: Library, photo: Photo, settings: Settings
) -> None:
    settings.MEDIA_DELIVERY = "presigned"
    address = client.get(f"{PHOTOS}/{photo.pk}/original")["Location"]
    signature = parameters(address)["X-Amz-Signature"]
    assert signature == signature_of(address)  # it is reckoned here as the bucket does
    other = factories.make_photo(library, data=b"somebody else's")

    altered = {
        "another object": address.replace(str(photo.pk), str(other.pk)),
        "a longer life": address.replace("X-Amz-Expires=300", "X-Amz-Expires=604800"),
        "a later date": re.sub(r"X-Amz-Date=\d{8}", "X-Amz-Date=20991231", address),
        "shown in the page": address.replace("attachment", "inline"),
        "as a page": address.replace("image%2Fjpeg", "text%2Fhtml"),
        "another host": address.replace("127.0.0.1", "localhost"),
    }
    for what, changed in altered.items():
        assert changed != address, what
        assert signature_of(changed) != signature, what
    assert signature_of(address, method="PUT") != signature


def test_an_address_of_another_library_is_given_to_nobody(photo: Photo, settings: Settings) -> None:
    settings.MEDIA_DELIVERY = "presigned"
    stranger = factories.client_of(factories.make_member(factories.make_library(), "admin"))
    for address in (f"{PHOTOS}/{photo.pk}/original", f"{PHOTOS}/{photo.pk}/renditions/preview"):
        response = stranger.get(address)
        assert (response.status_code, response.has_header("Location")) == (404, False)


@pytest.mark.parametrize(
    ("delivery", "seconds", "expected"),
    [
        ("presigned", 300, []),
        ("presigned", 301, ["gallery.E003"]),
        ("presigned", 0, ["gallery.E003"]),
        ("x-accel", 300, ["gallery.E002"] * 2),
    ],
)
def test_what_fits_a_bucket(settings: Settings, delivery: str, seconds: int, expected: list[str]) -> None:
    settings.MEDIA_DELIVERY, settings.MEDIA_URL_SECONDS = delivery, seconds
    assert [error.id for error in check_media_delivery()] == expected


def test_no_setting_makes_an_address_live_longer_than_five_minutes(
    client: Client, photo: Photo, settings: Settings
) -> None:
    settings.MEDIA_DELIVERY, settings.MEDIA_URL_SECONDS = "presigned", 86400
    assert parameters(client.get(f"{PHOTOS}/{photo.pk}/original")["Location"])["X-Amz-Expires"] == "300"


def test_images_of_the_admin_come_from_here(client: Client, photo: Photo, settings: Settings) -> None:
    settings.MEDIA_DELIVERY = "presigned"
    staff = Client()
    staff.force_login(factories.make_user(is_staff=True, is_superuser=True))
    response = staff.get(f"/admin/photos/photo/{photo.pk}/rendition/preview/")
    assert (response.status_code, b"".join(response.streaming_content)) == (200, b"picture")
    assert staff.get(f"/admin/photos/photo/{photo.pk}/original/").status_code == 302
