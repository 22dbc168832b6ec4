"""The door: what is taken in is stored once with its runs, what is refused leaves nothing."""

import hashlib
import importlib
import io
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import factories
import photo_samples
import pytest
import redis
from concurrency import in_a_thread, wait_until_blocked
from django.core.files.storage import FileSystemStorage
from django.db import connection, transaction
from pytest_django import Settings

from accounts.models import Library
from photos.models import Photo
from photos.problems import RefusedFileError
from photos.services import originals, trash
from processing import ingest, publish
from processing.models import StageRun
from processing.models.ledger import Lane

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("photo_store")]


def take_in(library: Library, data: bytes, **values: object) -> ingest.Ingested:
    return ingest.take_in(**{"library": library, "file": io.BytesIO(data), "filename": "a.jpg", **values})


def assert_nothing_stored(photo_store: Path) -> None:
    assert photo_samples.files_below(photo_store) == {}
    assert (Photo.objects.count(), StageRun.objects.count()) == (0, 0)


def test_a_photo_is_stored_with_its_row_and_its_runs(library: Library, photo_store: Path) -> None:
    data = photo_samples.picture(size=(64, 48))
    uploader = factories.make_user()
    taken = take_in(library, data, filename="../dir/holiday.jpg", uploader=uploader, lane=Lane.IMPORT)
    photo = Photo.objects.get()
    assert taken == ingest.Ingested(photo=photo, is_new=True)
    assert (photo.library, photo.uploader, photo.original_filename) == (library, uploader, "holiday.jpg")
    assert (photo.sha256, photo.byte_size) == (hashlib.sha256(data).hexdigest(), len(data))
    assert (photo.width, photo.height, photo.image_format, photo.mime_type) == (64, 48, "JPEG", "image/jpeg")
    assert (photo.thumbhash, photo.perceptual_hash, photo.trashed_at) == (None, None, None)
    assert photo_samples.files_below(photo_store) == {f"originals/{library.pk}/{photo.pk}": data}
    assert set(StageRun.objects.values_list("photo", "stage", "state", "lane")) == {
        (photo.pk, "exif", "pending", Lane.IMPORT),
        (photo.pk, "place", "waiting", Lane.IMPORT),
        (photo.pk, "renditions", "pending", Lane.IMPORT),
    }


def test_the_same_bytes_are_the_existing_photo(library: Library, photo_store: Path) -> None:
    data = photo_samples.picture()
    first = take_in(library, data, filename="first.jpg")
    before = (list(Photo.objects.values()), list(StageRun.objects.order_by("pk").values()))
    second = take_in(library, data, filename="second.jpg", lane=Lane.IMPORT)
    assert (second.photo, second.is_new) == (first.photo, False)
    assert (list(Photo.objects.values()), list(StageRun.objects.order_by("pk").values())) == before
    assert len(photo_samples.files_below(photo_store)) == 1

    elsewhere = take_in(factories.make_library(), data)
    assert elsewhere.is_new
    assert len(photo_samples.files_below(photo_store)) == 2


def test_bytes_in_the_trash_are_restored(library: Library, photo_store: Path) -> None:
    data = photo_samples.picture()
    photo = take_in(library, data).photo
    trash.move_to_trash(photo_ids=[photo.pk])
    again = take_in(library, data)
    assert (again.photo, again.is_new, again.photo.trashed_at) == (photo, False, None)
    assert list(Photo.objects.present()) == [photo]
    assert len(photo_samples.files_below(photo_store)) == 1


def test_a_digest_that_was_taken_on_the_way_is_used(library: Library) -> None:
    data = photo_samples.picture()
    digest = (hashlib.sha256(data).hexdigest(), len(data))
    assert take_in(library, data, digest=digest).photo.sha256 == digest[0]
    assert not take_in(library, b"not looked at", digest=digest).is_new


REFUSALS = {
    "empty_file": b"",
    "unsupported_format": b"GIF87, or so it says" * 10,
    "damaged": b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01",
}


@pytest.mark.parametrize("code", REFUSALS)
def test_what_is_no_picture_is_refused(library: Library, photo_store: Path, code: str) -> None:
    with pytest.raises(RefusedFileError) as refused:
        take_in(library, REFUSALS[code])
    assert refused.value.code == code
    assert refused.value.detail != ""
    assert_nothing_stored(photo_store)


def test_too_large_and_too_many_pixels_are_refused(library: Library, photo_store: Path, settings: Settings) -> None:
    data = photo_samples.picture(size=(64, 48))
    settings.UPLOAD_MAX_BYTES = len(data) - 1
    with pytest.raises(RefusedFileError) as large:
        take_in(library, data)
    assert (large.value.code, large.value.extra) == ("too_large", {"limit": len(data) - 1})
    settings.UPLOAD_MAX_BYTES = len(data)
    settings.IMAGE_MAX_PIXELS = 64 * 48 - 1
    with pytest.raises(RefusedFileError) as pixels:
        take_in(library, data)
    assert pixels.value.code == "too_many_pixels"
    assert_nothing_stored(photo_store)
    settings.IMAGE_MAX_PIXELS = 64 * 48
    assert take_in(library, data).is_new


def test_a_file_that_is_too_large_is_not_read(library: Library, photo_store: Path, settings: Settings) -> None:
    class Endless(io.BytesIO):
        def read(self, *_: object) -> bytes:
            raise AssertionError

    settings.UPLOAD_MAX_BYTES = 9
    with pytest.raises(RefusedFileError) as refused:
        ingest.take_in(library=library, file=Endless(b"0123456789"), filename="a.jpg")
    assert (refused.value.code, refused.value.extra) == ("too_large", {"limit": 9})
    assert_nothing_stored(photo_store)


def test_a_file_that_ends_early_is_taken_in_and_its_damage_found_later(library: Library) -> None:
    """The request reads headers only; the original is kept, and the run says what is wrong with it."""
    assert take_in(library, photo_samples.damaged_picture()).is_new


def test_the_request_decodes_nothing_and_reads_little(library: Library) -> None:
    class Counting(io.BytesIO):
        largest = 0

        def read(self, size: int = -1) -> bytes:
            data = super().read(size)
            Counting.largest = max(Counting.largest, len(data))
            return data

    data = photo_samples.picture(size=(400, 300), quality=95) + bytes(8_000_000)
    assert take_in(library, data, file=Counting(data)).is_new
    assert Counting.largest <= originals.HASH_CHUNK_BYTES


@pytest.mark.django_db(transaction=True)
def test_two_at_once_are_one_row_and_one_object(library: Library, photo_store: Path) -> None:
    data = photo_samples.picture()
    with transaction.atomic():
        first = take_in(library, data)
        # it has stored its own copy already when it finds that it was second
        second = in_a_thread(take_in, library, data)
        wait_until_blocked()
        assert len(photo_samples.files_below(photo_store)) == 2
    taken = second.result(10)
    assert (first.is_new, taken.is_new, taken.photo) == (True, False, first.photo)
    assert Photo.objects.count() == 1
    assert photo_samples.files_below(photo_store) == {f"originals/{first.photo.storage_key}": data}
    assert StageRun.objects.count() == 3


@pytest.mark.django_db(transaction=True)
def test_of_two_at_once_the_second_is_taken_where_the_first_fails(library: Library, photo_store: Path) -> None:
    data = photo_samples.picture()
    with transaction.atomic():
        first = take_in(library, data)
        second = in_a_thread(take_in, library, data)
        wait_until_blocked()
        transaction.set_rollback(True)
    taken = second.result(10)
    assert taken.is_new
    assert Photo.objects.get() == taken.photo != first.photo


@pytest.mark.django_db(transaction=True)
def test_photo_and_runs_are_one_transaction(library: Library) -> None:
    # whatever goes wrong while runs are planned: here the table refuses them
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE processing_stagerun ADD CONSTRAINT full_up CHECK (stage <> 'renditions') NOT VALID")
    try:
        with pytest.raises(Exception, match="full_up"):
            take_in(library, photo_samples.picture())
        assert (Photo.objects.count(), StageRun.objects.count()) == (0, 0)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE processing_stagerun DROP CONSTRAINT full_up")


@pytest.mark.django_db(transaction=True)
def test_an_unwritable_store_takes_nothing_in(library: Library, photo_store: Path) -> None:
    photo_store.mkdir()
    (photo_store / "originals").write_bytes(b"no folder")
    with pytest.raises(OSError, match="originals"):
        take_in(library, photo_samples.picture())
    assert (Photo.objects.count(), StageRun.objects.count()) == (0, 0)


def test_the_bytes_are_there_before_the_row(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    rows_when_stored: list[int] = []
    save = FileSystemStorage.save

    def watched(self: FileSystemStorage, *arguments: object, **named: object) -> str:
        rows_when_stored.append(Photo.objects.count())
        return save(self, *arguments, **named)

    monkeypatch.setattr(FileSystemStorage, "save", watched)
    take_in(library, photo_samples.picture())
    assert rows_when_stored == [0]


@pytest.mark.django_db(transaction=True)
def test_workers_are_rung_for_after_the_commit(library: Library, broker: redis.Redis) -> None:
    with transaction.atomic():
        take_in(library, photo_samples.picture())
        assert broker.llen("ingest") == 0
    assert broker.llen("ingest") == 2
    take_in(library, photo_samples.picture(), announce=False)
    assert broker.llen("ingest") == 2


@pytest.mark.django_db(transaction=True)
def test_a_broker_that_is_down_changes_nothing(
    library: Library, settings: Settings, closed_port: int, monkeypatch: pytest.MonkeyPatch, broker: redis.Redis
) -> None:
    broker_url = settings.CELERY_BROKER_URL
    settings.CELERY_BROKER_URL = f"redis://127.0.0.1:{closed_port}/0"
    publisher = publish._Publisher()
    monkeypatch.setattr(publish, "_publisher", publisher)
    started = time.monotonic()
    for _ in range(5):
        assert take_in(library, photo_samples.picture()).is_new
    assert time.monotonic() - started < 2
    assert set(StageRun.objects.values_list("stage", "state")) == {
        ("exif", "pending"),
        ("place", "waiting"),
        ("renditions", "pending"),
    }
    assert StageRun.objects.count() == 15

    # the breaker holds hints back for a while after the broker is there again, then lets them through
    settings.CELERY_BROKER_URL = broker_url
    take_in(library, photo_samples.picture())
    assert broker.llen("ingest") == 0
    publisher._closed_until = time.monotonic()
    take_in(library, photo_samples.picture())
    assert broker.llen("ingest") == 2


@pytest.mark.parametrize("harm", [Path.unlink, lambda path: path.write_bytes(b"cut")])
def test_the_same_bytes_again_put_a_lost_original_back(
    library: Library, photo_store: Path, harm: Callable[[Path], object]
) -> None:
    data = photo_samples.picture()
    photo = take_in(library, data).photo
    original = photo_store / "originals" / photo.storage_key
    written_at = original.stat().st_mtime_ns
    again = take_in(library, data)
    assert (again.photo, again.is_new, original.stat().st_mtime_ns) == (photo, False, written_at)

    harm(original)
    again = take_in(library, data)
    assert (again.photo, again.is_new) == (photo, False)
    assert original.read_bytes() == data


def test_bytes_of_a_photo_that_is_deleted_meanwhile_are_not_put_back(library: Library, photo_store: Path) -> None:
    data = photo_samples.picture()
    photo = take_in(library, data).photo
    (photo_store / "originals" / photo.storage_key).unlink()
    Photo.objects.filter(pk=photo.pk).delete()
    assert originals.put_back(photo=photo, file=io.BytesIO(data)) is False
    assert photo_samples.files_below(photo_store / "originals") == {}


@pytest.mark.django_db(transaction=True)
def test_a_web_process_waits_for_a_silent_broker_but_a_moment(
    library: Library, settings: Settings, silent_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CELERY_BROKER_URL = f"redis://127.0.0.1:{silent_port}/0"
    settings.REQUEST_BROKER_SECONDS = 0.03
    monkeypatch.setattr(publish, "_publisher", publish._Publisher())
    monkeypatch.delitem(sys.modules, "config.wsgi", raising=False)
    importlib.import_module("config.wsgi")
    started = time.monotonic()
    assert publish.ring(task="exif", queue="ingest") == 0
    assert 0.03 <= time.monotonic() - started < publish.PATIENCE_SECONDS


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "GIF", "AVIF", "TIFF", "HEIF"])
def test_every_format_is_taken_in_by_its_bytes(library: Library, image_format: str) -> None:
    data = photo_samples.picture(size=(64, 48), image_format=image_format)
    photo = take_in(library, data, filename=f"{uuid.uuid4()}.txt").photo
    assert (photo.image_format, photo.width, photo.height) == (image_format, 64, 48)
