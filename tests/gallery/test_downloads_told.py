"""The trail tells of every original that is given out: by what is sent, whatever the request says of itself."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import factories
import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings
from shared_links import body, share

from accounts.models import AuditAction, AuditEvent, Library, User
from accounts.services import api_keys
from gallery import downloads
from photos.models import Photo

pytestmark = pytest.mark.django_db

DATA = bytes(range(256)) * 4
FOREIGN = {"If-Range": '"another"'}


@pytest.fixture
def library() -> Library:
    return factories.make_library()


@pytest.fixture
def user(library: Library) -> User:
    return factories.make_member(library, "editor")


@pytest.fixture
def client(user: User) -> Client:
    return factories.client_of(user)


@pytest.fixture
def photo(library: Library, photo_store: object) -> Photo:
    return factories.make_photo(library, data=DATA)


def original(photo: Photo) -> str:
    return f"/api/v1/photos/{photo.pk}/original"


def told() -> int:
    """Give how many downloads the trail tells of."""
    return AuditEvent.objects.filter(action=AuditAction.ORIGINAL_DOWNLOADED).count()


def take(client: Client, address: str, *, where: str = "127.0.0.1", **headers: str) -> int:
    """Ask for an original and read all that is sent; gives the status."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    response = client.get(address, headers=given, REMOTE_ADDR=where)
    body(response)
    return response.status_code


@pytest.mark.parametrize(
    ("headers", "status", "sent"),
    [
        ({}, 200, DATA),
        ({"Range": "x"}, 200, DATA),
        ({"Range": "bytes=5-9,20-"}, 200, DATA),
        ({"Range": "bytes=1-", **FOREIGN}, 200, DATA),
        ({"Range": "Bytes=0-"}, 206, DATA),
        ({"Range": "bytes= 0-"}, 206, DATA),
        ({"Range": "bytes=-999999999"}, 206, DATA),
        ({"Range": "bytes=1-"}, 206, DATA[1:]),
        ({"Range": "bytes=1000-1001"}, 206, DATA[1000:1002]),
    ],
)
def test_whatever_is_sent_is_told(
    client: Client, photo: Photo, headers: dict[str, str], status: int, sent: bytes
) -> None:
    response = client.get(original(photo), headers=headers)
    assert (response.status_code, body(response), told()) == (status, sent, 1)
    # again: a whole is another download, a part goes on with the one before
    again = client.get(original(photo), headers=headers)
    assert (body(again), told()) == (sent, 2 if sent == DATA else 1)


def test_what_sends_nothing_is_not_told(client: Client, photo: Photo) -> None:
    etag = f'"{photo.sha256}"'
    for headers, status in (
        ({"If-None-Match": etag}, 304),
        ({"Range": "bytes=1024-"}, 416),
        ({"If-Match": '"x"'}, 412),
    ):
        assert client.get(original(photo), headers=headers).status_code == status
    for headers in ({}, {"Range": "bytes=0-3"}):
        assert body(client.head(original(photo), headers=headers)) == b""
    assert told() == 0


@pytest.mark.parametrize(
    ("headers", "events"),
    [
        ({}, 2),
        ({"Range": "x"}, 2),
        ({"Range": "Bytes=0-"}, 2),
        ({"Range": "bytes=-1024"}, 2),
        ({"Range": "bytes=1-", **FOREIGN}, 2),
        ({"Range": "bytes=1-"}, 1),
        # nginx reads it itself, and it might read it otherwise
        ({"Range": "bytes=9999-"}, 1),
    ],
)
def test_what_nginx_may_send_is_told(
    client: Client, photo: Photo, settings: Settings, headers: dict[str, str], events: int
) -> None:
    settings.MEDIA_DELIVERY = "x-accel"
    for count in (1, events):
        assert client.get(original(photo), headers=headers).has_header("X-Accel-Redirect")
        assert told() == count
    client.head(original(photo))
    client.get(original(photo), headers={"If-None-Match": f'"{photo.sha256}"'})
    assert told() == events


def test_an_address_of_the_bucket_is_told_each_time(s3_storages: object, settings: Settings, library: Library) -> None:
    settings.MEDIA_DELIVERY = "presigned"
    photo = factories.make_photo(library, data=DATA)
    client = factories.client_of(factories.make_member(library, "editor"))
    for number in (1, 2):
        # it gives the whole to whoever leaves the range away
        assert client.get(original(photo), headers={"Range": "bytes=1-"}).status_code == 302
        assert told() == number
    assert client.head(original(photo)).status_code == 302
    assert told() == 2


def test_a_hundred_parts_are_one_download(client: Client, photo: Photo) -> None:
    for at in range(0, 1000, 10):
        assert take(client, original(photo), Range=f"bytes={at}-{at + 9}") == 206
    assert told() == 1


def test_parts_that_follow_a_whole_are_of_the_same_download(client: Client, photo: Photo) -> None:
    assert take(client, original(photo)) == 200
    assert take(client, original(photo), Range="bytes=500-") == 206
    assert told() == 1


def test_parts_of_somebody_or_something_else_are_another_download(
    client: Client, library: Library, user: User, photo: Photo
) -> None:
    other_photo = factories.make_photo(library, data=DATA[::-1])
    key = api_keys.create(owner=user, name="sync", scopes=["photos.view", "originals.download"])
    with_key = factories.client_of(user)
    with_key.credentials(HTTP_X_API_KEY=key.text)
    colleague = factories.client_of(factories.make_member(library, "editor"))
    ways: list[Callable[[], int]] = [
        lambda: take(client, original(photo), Range="bytes=1-"),
        lambda: take(client, original(other_photo), Range="bytes=1-"),
        lambda: take(with_key, original(photo), Range="bytes=1-"),
        lambda: take(colleague, original(photo), Range="bytes=1-"),
        lambda: take(client, original(photo), where="192.0.2.7", Range="bytes=1-"),
    ]
    for number, way in enumerate(ways, 1):
        assert (way(), told()) == (206, number)
        assert (way(), told()) == (206, number)


@pytest.mark.parametrize(("age", "events"), [(timedelta(seconds=-5), 1), (timedelta(seconds=5), 2)])
def test_the_same_download_ends(client: Client, user: User, photo: Photo, age: timedelta, events: int) -> None:
    note(photo, user.pk, at=timezone.now() - downloads.SAME_DOWNLOAD - age)
    assert take(client, original(photo), Range="bytes=1-") == 206
    assert told() == events


def note(photo: Photo, actor_id: UUID, **values: Any) -> None:
    AuditEvent.objects.create(
        action=AuditAction.ORIGINAL_DOWNLOADED,
        actor_id=actor_id,
        library_id=photo.library_id,
        subject_type="photo",
        subject_id=str(photo.pk),
        address="127.0.0.1",
        **values,
    )


@pytest.mark.parametrize("rest", ["x", "Bytes=0-", "bytes=1-"])
def test_shares_tell_of_it_for_each_photo_and_address(user: User, library: Library, photo: Photo, rest: str) -> None:
    made, link = share(user, photo, factories.make_photo(library, data=b"other"), allow_originals=True)
    visitor = Client()
    assert take(visitor, f"{link}/1/original", Range=rest) in {200, 206}
    event = AuditEvent.objects.get(action=AuditAction.ORIGINAL_DOWNLOADED)
    assert (event.subject_id, event.details, event.actor_id) == (str(made.pk), {"photo": str(photo.pk)}, None)
    assert take(visitor, f"{link}/1/original", Range="bytes=3-") == 206
    assert told() == 1
    assert take(visitor, f"{link}/2/original", Range="bytes=3-") == 206
    assert told() == 2
    assert take(visitor, f"{link}/1/original", where="192.0.2.7", Range="bytes=3-") == 206
    assert told() == 3


@pytest.mark.parametrize("rest", ["x", "Bytes=0-", "bytes=1-"])
def test_the_admin_tells_of_it(photo: Photo, rest: str) -> None:
    staff, chief = Client(), factories.make_user(is_staff=True, is_superuser=True)
    staff.force_login(chief)
    assert take(staff, f"/admin/photos/photo/{photo.pk}/original/", Range=rest) in {200, 206}
    event = AuditEvent.objects.get(action=AuditAction.ORIGINAL_DOWNLOADED)
    assert (event.actor_id, event.subject_id) == (chief.pk, str(photo.pk))
