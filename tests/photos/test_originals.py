"""Originals: hashed in chunks, stored under a key never used twice, one row for the same bytes."""

import errno
import hashlib
import io
from datetime import timedelta
from pathlib import Path

import factories
import pytest
from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.utils import timezone
from pytest_django import Settings

from accounts.models import Library
from photos import storage
from photos.models import ObjectSweep, Photo
from photos.services import object_sweeps, originals, trash

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("photo_store")]

DATA = b"bytes of a photo"
FACTS = originals.OriginalFacts(
    sha256=hashlib.sha256(DATA).hexdigest(),
    byte_size=len(DATA),
    image_format="JPEG",
    mime_type="image/jpeg",
    width=40,
    height=30,
)


@pytest.fixture
def library() -> Library:
    return factories.make_library()


def stored(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_file_is_hashed_from_its_start_and_rewound() -> None:
    data = b"0123456789abcdef" * 200_000  # more than three chunks
    file = io.BytesIO(data)
    file.seek(1000)
    assert originals.hash_file(file) == (hashlib.sha256(data).hexdigest(), 3_200_000)
    assert file.tell() == 0
    assert originals.hash_file(io.BytesIO(b"")) == (hashlib.sha256(b"").hexdigest(), 0)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("holiday.jpg", "holiday.jpg"),
        ("/etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("C:\\photos/2024\\a b.jpg", "a b.jpg"),
        ("a\x00b\nc\u202ed.jpg", "abcd.jpg"),
        ("broken\udcff.jpg", "broken.jpg"),
        ("  spaces.jpg ", "spaces.jpg"),
        ("été \N{SUNRISE}.jpg", "été \N{SUNRISE}.jpg"),
        ("x" * 300 + ".jpg", "x" * 251 + ".jpg"),
        ("folder/", ""),
        ("", ""),
    ],
)
def test_a_strangers_file_name_is_harmless(given: str, kept: str) -> None:
    assert originals.clean_filename(given) == kept


def test_the_bytes_lie_under_a_fresh_key_before_there_is_a_row(library: Library, photo_store: Path) -> None:
    file = io.BytesIO(DATA)
    file.seek(5)
    first = originals.store(library=library, file=file, facts=FACTS)
    second = originals.store(library=library, file=file, facts=FACTS)
    assert Photo.objects.count() == 0
    assert first.storage_key == f"{library.pk}/{first.pk}"
    assert second.storage_key == f"{library.pk}/{second.pk}"
    assert stored(photo_store) == {f"originals/{one.storage_key}": DATA for one in (first, second)}
    assert first.pk != second.pk

    originals.discard(second)
    assert stored(photo_store) == {f"originals/{first.storage_key}": DATA}


def test_a_row_is_saved_once(library: Library) -> None:
    uploader = factories.make_user()
    first, second = (originals.store(library=library, file=io.BytesIO(DATA), facts=FACTS) for _ in range(2))
    assert originals.save_once(photo=first, uploader=uploader, filename="dir/first.jpg")
    assert not originals.save_once(photo=second, uploader=None, filename="second.jpg")
    photo = Photo.objects.get()
    assert (photo.pk, photo.original_filename, photo.uploader) == (first.pk, "first.jpg", uploader)
    assert (photo.sha256, photo.byte_size, photo.image_format, photo.mime_type) == (
        FACTS.sha256, 16, "JPEG", "image/jpeg",
    )  # fmt: skip
    assert (photo.width, photo.height, photo.storage_alias, photo.storage_key) == (
        40, 30, storage.ORIGINALS, f"{library.pk}/{photo.pk}",
    )  # fmt: skip

    elsewhere = originals.store(library=factories.make_library(), file=io.BytesIO(DATA), facts=FACTS)
    assert originals.save_once(photo=elsewhere, uploader=None, filename="second.jpg")
    assert Photo.objects.count() == 2


def test_another_constraint_is_not_taken_for_the_same_bytes(library: Library) -> None:
    taken = factories.make_photo(library)
    photo = originals.store(library=library, file=io.BytesIO(DATA), facts=FACTS)
    photo.storage_key = taken.storage_key
    with pytest.raises(IntegrityError, match="photo_storage_key_unique"), transaction.atomic():
        originals.save_once(photo=photo, uploader=None, filename="a.jpg")
    assert list(Photo.objects.all()) == [taken]


def test_the_same_bytes_are_found_also_in_the_trash_but_not_elsewhere(library: Library) -> None:
    photo = factories.make_photo(library, trashed_at=timezone.now())
    assert originals.find_same_bytes(library=library, sha256=photo.sha256) == photo
    assert originals.find_same_bytes(library=factories.make_library(), sha256=photo.sha256) is None
    assert originals.find_same_bytes(library=library, sha256=FACTS.sha256) is None


def test_photos_go_into_the_trash_and_come_back(library: Library) -> None:
    photos = [factories.make_photo(library) for _ in range(3)]
    assert trash.move_to_trash(photo_ids=[photos[0].pk, photos[1].pk]) == 2
    assert trash.move_to_trash(photo_ids=[photo.pk for photo in photos]) == 1
    assert trash.restore(photo_ids=[photos[2].pk]) == [photos[2].pk]
    assert trash.restore(photo_ids=[photos[2].pk]) == []
    assert list(Photo.objects.present()) == [photos[2]]


def test_the_bytes_have_a_date_to_go_until_their_row_is_saved(library: Library, settings: Settings) -> None:
    settings.UPLOAD_SWEEP_SECONDS = 100
    first, second = (originals.store(library=library, file=io.BytesIO(DATA), facts=FACTS) for _ in range(2))
    rows = ObjectSweep.objects.annotate(now=Now())
    assert {(row.alias, row.prefix, row.reason) for row in rows} == {
        ("originals", photo.storage_key, "upload") for photo in (first, second)
    }
    assert {round((row.due_at - row.now).total_seconds()) for row in rows} == {100}
    assert {row.final_at - row.due_at for row in rows} == {timedelta(seconds=100)}
    assert originals.save_once(photo=first, uploader=None, filename="first.jpg")
    assert [row.prefix for row in rows.all()] == [second.storage_key]
    assert not originals.save_once(photo=second, uploader=None, filename="second.jpg")
    assert [row.prefix for row in rows.all()] == [second.storage_key]
    originals.discard(second)
    assert not rows.all().exists()


def test_the_date_is_there_before_the_bytes(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(**_: object) -> None:
        assert ObjectSweep.objects.count() == 1
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(storage, "write_object", failing)
    with pytest.raises(OSError, match="No space left"):
        originals.store(library=library, file=io.BytesIO(DATA), facts=FACTS)
    assert ObjectSweep.objects.get().due_at > timezone.now()


def test_bytes_that_were_given_up_get_no_row(library: Library) -> None:
    photo = originals.store(library=library, file=io.BytesIO(DATA), facts=FACTS)
    ObjectSweep.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    assert len(object_sweeps.take(limit=1, lease=timedelta(minutes=1))) == 1
    with pytest.raises(originals.UploadSweptError), transaction.atomic():
        originals.save_once(photo=photo, uploader=None, filename="a.jpg")
    assert Photo.objects.count() == 0
    assert ObjectSweep.objects.count() == 1
