"""What two requests do to one upload at the same moment."""

import threading
from collections.abc import Iterator
from pathlib import Path

import factories
import pytest
import tus_requests as tus
from concurrency import in_a_thread, wait_until, wait_until_blocked
from django.db import connection, transaction
from django.db.models.functions import Now
from django.test import Client
from pytest_django import Settings

from accounts.models import Library, User
from photos import storage
from photos.models import Photo
from photos.services import originals
from photos.storage import uploads as stored_uploads
from processing.models import Upload, UploadState
from processing.problems import TooManyUploadsError, UploadEndedError, UploadLockedError
from processing.services.uploads import beginning, finishing, receiving, sweeping

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def library() -> Library:
    return factories.make_library()


@pytest.fixture
def owner(library: Library) -> User:
    return factories.make_member(library, "editor")


@pytest.fixture
def client(owner: User) -> Client:
    return factories.client_of(owner)


class SlowBody:
    """A body whose first bytes have come, and whose rest comes when it is told to."""

    def __init__(self, *pieces: bytes) -> None:
        self.has_begun, self.may_go_on = threading.Event(), threading.Event()
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        first, *rest = self._pieces
        yield first
        self.has_begun.set()
        assert self.may_go_on.wait(30)
        yield from rest


def begun(library: Library, owner: User, data: bytes) -> tuple[Upload, str]:
    upload = beginning.begin(library=library, owner=owner, filename="a.jpg", length=len(data))
    return upload, f"http://testserver{tus.UPLOADS}/{upload.pk}"


def open_transactions() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND xact_start IS NOT NULL "
            "AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        return cursor.fetchone()[0]


def test_one_request_at_a_time_writes(photo_store: Path, client: Client, library: Library, owner: User) -> None:
    data = factories.image_bytes()
    upload, address = begun(library, owner, data)
    body = SlowBody(data[:100], data[100:])
    first = in_a_thread(receiving.receive, upload_id=upload.pk, offset=0, body=body)
    assert body.has_begun.wait(10)
    assert open_transactions() == 0  # a client may take hours

    second = tus.patch(client, address, 0, data)
    asked = tus.head(client, address)

    assert (second.status_code, second.json()["code"]) == (423, "upload_locked")
    assert (asked.status_code, asked["Upload-Offset"]) == (200, "0")
    body.may_go_on.set()
    assert first.result(10).state == UploadState.COMPLETE
    assert Photo.objects.count() == 1


def test_whoever_is_silent_for_long_is_taken_over_from(
    photo_store: Path, client: Client, library: Library, owner: User
) -> None:
    data = factories.image_bytes()
    upload, address = begun(library, owner, data)
    body = SlowBody(b"x" * 100, b"x" * 100)
    first = in_a_thread(receiving.receive, upload_id=upload.pk, offset=0, body=body)
    assert body.has_begun.wait(10)
    # its time is left out
    Upload.objects.update(lease_until=Now())
    second = tus.patch(client, address, 0, data[:300])
    assert (second.status_code, second["Upload-Offset"]) == (204, "300")
    body.may_go_on.set()
    with pytest.raises(UploadLockedError):
        first.result(10)
    assert "Darkroom-Photo" in tus.patch(client, address, 300, data[300:])
    photo = Photo.objects.get()
    assert storage.read_object(alias="originals", key=photo.storage_key) == data


@pytest.mark.parametrize("store", ["photo_store", "s3_storages"])
def test_an_upload_is_ended_while_bytes_come_in(
    store: str, request: pytest.FixtureRequest, client: Client, library: Library, owner: User
) -> None:
    request.getfixturevalue(store)
    upload, address = begun(library, owner, bytes(1000))
    tus.patch(client, address, 0, bytes(10))
    body = SlowBody(bytes(100), bytes(100))
    first = in_a_thread(receiving.receive, upload_id=upload.pk, offset=10, body=body)
    assert body.has_begun.wait(10)
    assert tus.end(client, address).status_code == 204
    body.may_go_on.set()
    with pytest.raises(UploadEndedError):
        first.result(10)
    assert list(stored_uploads.list_parts()) == []
    assert Upload.objects.count() == 0


def test_while_a_file_is_taken_in_everybody_waits(
    photo_store: Path, client: Client, library: Library, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = factories.image_bytes()
    upload, address = begun(library, owner, data)
    store, is_storing, may_store = originals.store, threading.Event(), threading.Event()

    def slowly(**named: object) -> Photo:
        is_storing.set()
        assert may_store.wait(30)
        return store(**named)

    monkeypatch.setattr(originals, "store", slowly)
    first = in_a_thread(receiving.receive, upload_id=upload.pk, offset=0, body=[data])
    assert is_storing.wait(10)
    for response in (tus.patch(client, address, len(data)), client.post(f"{address}/complete")):
        assert (response.status_code, response.json()["code"]) == (423, "upload_locked")
    asked = tus.head(client, address)
    # all bytes are there, and it may still be refused: a client that read an offset here would think it is done
    assert (asked.status_code, "Upload-Offset" in asked) == (423, False)
    told = client.get(address).json()
    assert (told["state"], told["offset"], told["photo"]) == ("finishing", len(data), None)
    assert sweeping.sweep() == sweeping.Swept()
    may_store.set()
    assert first.result(10).photo == Photo.objects.get()
    assert tus.head(client, address)["Darkroom-Photo"] == str(Photo.objects.get().pk)


def test_two_who_take_in_the_same_file_make_one_photo(
    photo_store: Path, library: Library, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first was thought to be dead."""
    data = factories.image_bytes()
    upload, _ = begun(library, owner, data)
    store, is_storing, may_store = originals.store, threading.Event(), threading.Event()

    def slowly(**named: object) -> Photo:
        if not is_storing.is_set():
            is_storing.set()
            assert may_store.wait(30)
        return store(**named)

    monkeypatch.setattr(originals, "store", slowly)
    first = in_a_thread(receiving.receive, upload_id=upload.pk, offset=0, body=[data])
    assert is_storing.wait(10)
    Upload.objects.update(lease_until=Now())
    second = finishing.finish(upload_id=upload.pk)
    may_store.set()
    photo = Photo.objects.get()
    assert (first.result(10).photo, second.photo) == (photo, photo)
    assert [one.key for one in storage.list_objects(alias="originals")] == [photo.storage_key]


def test_the_limit_of_open_uploads_holds_for_two_at_once(library: Library, owner: User, settings: Settings) -> None:
    settings.UPLOAD_MAX_OPEN = 1
    with transaction.atomic():
        begun(library, owner, bytes(10))
        second = in_a_thread(begun, library, owner, bytes(10))
        wait_until_blocked()
    with pytest.raises(TooManyUploadsError):
        second.result(10)
    assert Upload.objects.count() == 1


def test_a_photo_that_is_deleted_for_good_meanwhile_is_taken_in_anew(
    photo_store: Path, client: Client, library: Library, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = factories.image_bytes()
    assert tus.create(client, library, len(data), data=data).status_code == 201
    before = Photo.objects.get()
    upload, _ = begun(library, owner, data)
    put_back = originals.put_back

    def deleted_meanwhile(**named: object) -> bool:
        done = put_back(**named)
        before.stage_runs.all().delete()
        Photo.objects.filter(pk=before.pk).delete()
        return done

    monkeypatch.setattr(originals, "put_back", deleted_meanwhile)
    done = receiving.receive(upload_id=upload.pk, offset=0, body=[data])
    photo = Photo.objects.get()
    assert (done.photo, photo.pk != before.pk) == (photo, True)
    wait_until(lambda: Upload.objects.get().stored == {}, "its bytes are still there")
