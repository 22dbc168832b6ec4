"""Trash, purge and upload of the same bytes at the same moment: what was acknowledged is there, whole, and alone."""

import hashlib
import io
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import factories
import photo_samples
import pytest
from concurrency import in_a_thread, wait_until_blocked
from django.db import connections, transaction
from django.db.models.functions import Now
from pytest_django import Settings

from accounts.models import Library
from photos import storage
from photos.models import ObjectSweep, Photo
from photos.services import object_sweeps as sweep_dates
from photos.services import originals
from photos.services import trash as photo_trash
from processing import ingest
from processing.models import StageRun
from processing.services import object_sweeps, trash

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("photo_store", "broker")]

ROUNDS = 120
LATER = timedelta(days=1)


def take_in(library: Library, data: bytes) -> ingest.Ingested:
    return ingest.take_in(library=library, file=io.BytesIO(data), filename="a.jpg")


def purge_all(library: Library) -> int:
    return trash.purge(photo_ids=list(Photo.objects.filter(library=library).values_list("pk", flat=True)))


def sweep_everything() -> None:
    """Sweep what is due, and what would be due when all deadlines have passed."""
    for _ in range(2):
        ObjectSweep.objects.update(due_at=Now() - LATER, final_at=Now() - LATER)
        object_sweeps.sweep(seconds=60)
    assert ObjectSweep.objects.count() == 0


class Together:
    """Threads that keep their connections, and do things at the same moment."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.barrier = threading.Barrier(count)
        self.pool = ThreadPoolExecutor(count)

    def __call__(self, *works: Callable[[], object]) -> list[object]:
        """Do these at the same moment, begun in random order; gives their results in the order of the arguments."""
        order = random.sample(range(self.count), self.count)
        futures = {index: self.pool.submit(self._begin, works[index]) for index in order}
        return [futures[index].result(60) for index in range(self.count)]

    def _begin(self, work: Callable[[], object]) -> object:
        self.barrier.wait(60)
        return work()


@pytest.fixture
def together() -> Iterator[Together]:
    """Five threads."""
    chosen = Together(5)
    yield chosen
    chosen(*[connections.close_all] * chosen.count)
    chosen.pool.shutdown()


@pytest.fixture
def something_stored(photo_store: Path) -> None:
    """Folders in the stores: an empty one is taken for a disk that is not mounted, and not swept."""
    for alias in ("originals", "renditions"):
        (photo_store / alias / "of another library").mkdir(parents=True)


@pytest.mark.usefixtures("something_stored")
def test_an_upload_that_races_with_a_purge_finds_its_photo_there(
    library: Library, photo_store: Path, together: Together
) -> None:
    """The photo lies in the trash; a purge, a second purge and two uploads of its bytes come at the same moment."""
    data = photo_samples.picture()
    outcomes: set[tuple[int, bool]] = set()
    for _ in range(ROUNDS):
        first = take_in(library, data).photo
        photo_trash.move_to_trash(photo_ids=[first.pk])
        purged, again, one, other, _ = together(
            lambda: purge_all(library),
            lambda: purge_all(library),
            lambda: take_in(library, data),
            lambda: take_in(library, data),
            object_sweeps.sweep,
        )
        photo = Photo.objects.get()
        assert one.photo == other.photo == photo
        assert photo.trashed_at is None
        assert purged + again == (photo != first)
        assert one.is_new + other.is_new == (photo != first)
        assert storage.read_object(alias=storage.ORIGINALS, key=photo.storage_key) == data
        assert set(photo.stage_runs.values_list("stage", "state")) == {
            ("exif", "pending"),
            ("place", "waiting"),
            ("renditions", "pending"),
        }
        outcomes.add((purged + again, one.is_new or other.is_new))
    # it went both ways, or nothing was tried
    assert outcomes == {(0, False), (1, True)}
    sweep_everything()
    assert photo_samples.files_below(photo_store) == {f"originals/{photo.storage_key}": data}


@pytest.mark.usefixtures("something_stored")
def test_any_order_of_trash_restore_purge_and_upload_leaks_nothing(
    library: Library, photo_store: Path, together: Together
) -> None:
    data = photo_samples.picture()
    digest = hashlib.sha256(data).hexdigest()

    def move_to_trash() -> int:
        return photo_trash.move_to_trash(photo_ids=Photo.objects.filter(sha256=digest).values_list("pk", flat=True))

    def restore() -> int:
        return trash.restore(photo_ids=list(Photo.objects.filter(sha256=digest).values_list("pk", flat=True)))

    chosen = [
        move_to_trash,
        restore,
        lambda: purge_all(library),
        lambda: take_in(library, data),
        object_sweeps.sweep,
        lambda: photo_samples.run("exif"),
    ]
    for _ in range(ROUNDS):
        together(*(random.choice(chosen) for _ in range(5)))
        assert Photo.objects.count() <= 1
    taken = take_in(library, data)
    assert Photo.objects.get() == taken.photo
    assert Photo.objects.present().count() == 1
    assert storage.read_object(alias=storage.ORIGINALS, key=taken.photo.storage_key) == data
    assert StageRun.objects.exclude(photo=taken.photo).count() == 0
    sweep_everything()
    assert photo_samples.files_below(photo_store) == {f"originals/{taken.photo.storage_key}": data}


def test_an_upload_waits_for_a_purge_and_is_a_new_photo(library: Library) -> None:
    data = photo_samples.picture()
    first = take_in(library, data).photo
    photo_trash.move_to_trash(photo_ids=[first.pk])
    with transaction.atomic():
        assert purge_all(library) == 1
        upload = in_a_thread(take_in, library, data)
        wait_until_blocked()
    taken = upload.result(10)
    assert taken.is_new
    assert Photo.objects.get() == taken.photo != first


def test_a_purge_waits_for_an_upload_and_leaves_the_photo(library: Library) -> None:
    data = photo_samples.picture()
    first = take_in(library, data).photo
    photo_trash.move_to_trash(photo_ids=[first.pk])
    with transaction.atomic():
        assert take_in(library, data) == ingest.Ingested(photo=first, is_new=False)
        purge = in_a_thread(purge_all, library)
        wait_until_blocked()
    assert purge.result(10) == 0
    assert Photo.objects.present().get() == first
    assert ObjectSweep.objects.count() == 0


def test_bytes_that_are_swept_while_they_are_stored_are_stored_again(
    library: Library, photo_store: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.UPLOAD_SWEEP_SECONDS = 0
    data = photo_samples.picture()
    save, keys = originals.save_once, []

    def slow(*, photo: Photo, **values: object) -> bool:
        keys.append(photo.storage_key)
        if len(keys) == 1:
            assert object_sweeps.sweep().objects_deleted == 1
        return save(photo=photo, **values)

    monkeypatch.setattr(originals, "save_once", slow)
    taken = take_in(library, data)
    assert taken.is_new
    assert len(set(keys)) == 2
    assert taken.photo.storage_key == keys[1]
    assert photo_samples.files_below(photo_store) == {f"originals/{keys[1]}": data}
    assert StageRun.objects.count() == 3
    sweep_everything()
    assert photo_samples.files_below(photo_store) == {f"originals/{keys[1]}": data}


def test_a_store_that_is_always_too_slow_is_the_stores_trouble(
    library: Library, photo_store: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.UPLOAD_SWEEP_SECONDS = 0
    save = originals.save_once

    def slow(**values: object) -> bool:
        object_sweeps.sweep()
        return save(**values)

    monkeypatch.setattr(originals, "save_once", slow)
    client = factories.client_of(factories.make_member(library, "editor"))
    data = photo_samples.picture()
    response = client.post(
        "/api/v1/photos", {"library": str(library.pk), "file": photo_samples.content(data)}, format="multipart"
    )
    assert (response.status_code, response.json()["code"]) == (503, "storage_unavailable")
    assert "Retry-After" in response.headers
    assert (Photo.objects.count(), StageRun.objects.count()) == (0, 0)
    assert photo_samples.files_below(photo_store) == {}


def test_an_upload_that_is_killed_leaves_bytes_for_an_hour(
    library: Library, photo_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(**_: object) -> bool:
        raise SystemExit("killed")

    with monkeypatch.context() as patch:
        patch.setattr(originals, "save_once", killed)
        with pytest.raises(SystemExit):
            take_in(library, photo_samples.picture())
    assert len(photo_samples.files_below(photo_store)) == 1
    assert object_sweeps.sweep().prefixes == 0
    left = ObjectSweep.objects.annotate(now=Now()).get()
    assert timedelta(minutes=59) < left.due_at - left.now <= timedelta(hours=1)
    ObjectSweep.objects.update(due_at=Now())
    assert object_sweeps.sweep().objects_deleted == 1
    assert photo_samples.files_below(photo_store) == {}


def test_an_upload_whose_commit_answered_nothing_is_there_or_goes(
    library: Library, photo_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is lost at the commit; whether it was in time, only the database knows."""
    data = photo_samples.picture()
    plan = ingest.plan

    def planned_and_lost(*arguments: object, **values: object) -> int:
        count = plan(*arguments, **values)
        transaction.on_commit(lambda: (_ for _ in ()).throw(ConnectionResetError("the answer is lost")))
        return count

    with monkeypatch.context() as patch:
        patch.setattr(ingest, "plan", planned_and_lost)
        with pytest.raises(ConnectionResetError):
            take_in(library, data)
    photo = Photo.objects.get()
    assert not sweep_dates.cancel(alias=storage.ORIGINALS, prefix=photo.storage_key)
    assert photo_samples.files_below(photo_store) == {f"originals/{photo.storage_key}": data}
    assert take_in(library, data) == ingest.Ingested(photo=photo, is_new=False)
