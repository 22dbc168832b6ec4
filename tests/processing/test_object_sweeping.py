"""Deleting what no row names: never what a row names, whoever is at work, and whoever dies in between."""

import errno
import json
import logging
import os
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from datetime import timedelta
from pathlib import Path

import factories
import photo_samples
import pytest
import redis
from botocore.exceptions import ClientError, EndpointConnectionError
from concurrency import end_connection_of_this_thread, in_a_thread, wait_until_blocked
from django.core.files.base import ContentFile
from django.db import OperationalError, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone
from prometheus_client import REGISTRY
from pytest_django import Settings

from accounts.models import Library
from photos import storage
from photos.models import ObjectSweep, Photo
from photos.services import object_sweeps as sweep_dates
from processing import ledger, reconciler, stopping, tasks
from processing.models import RunState, StageRun
from processing.services import object_sweeps
from processing.services.object_sweeps import Swept

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("photo_store")]

Reason = ObjectSweep.Reason
HOUR = timedelta(hours=1)


@pytest.fixture
def photo(library: Library) -> Photo:
    """A photo with an original, one rendition and one face chip, and two objects that no row names."""
    photo = factories.make_photo(library, data=b"original")
    factories.make_rendition(photo, "preview", data=b"preview")
    factories.make_face(photo, chip=b"chip")
    for name in ("preview.0.old.jpg", "face.0.old.1234.jpg"):
        put(photo, name)
    return photo


def put(photo: Photo, name: str) -> None:
    storage.write_object(alias=storage.RENDITIONS, key=prefix_of(photo) + name, file=ContentFile(b"nobody's"))


def prefix_of(photo: Photo) -> str:
    return storage.derived_prefix(library_id=photo.library_id, photo_id=photo.pk)


def request(photo: Photo, reason: Reason = Reason.LOST) -> None:
    object_sweeps.request_for(photo_id=photo.pk, library_id=photo.library_id, reason=reason)


def named(photo: Photo) -> set[str]:
    return {photo.renditions.get().storage_key, photo.faces.get().chip_key}


def stored(photo: Photo) -> set[str]:
    return {one.key for one in storage.list_objects(alias=storage.RENDITIONS, prefix=prefix_of(photo))}


def make_due() -> None:
    ObjectSweep.objects.update(due_at=Now())


def swept_metric(reason: str) -> float:
    return REGISTRY.get_sample_value("darkroom_swept_objects_total", {"reason": reason}) or 0.0


def test_what_no_row_names_is_deleted_and_nothing_else(photo: Photo, library: Library) -> None:
    other = factories.make_photo(library, data=b"other")
    put(other, "preview.0.old.jpg")
    before = swept_metric("lost")
    request(photo)
    assert object_sweeps.sweep() == Swept(prefixes=1, objects_deleted=2)
    assert stored(photo) == named(photo)
    assert storage.read_object(alias=storage.ORIGINALS, key=photo.storage_key) == b"original"
    assert len(stored(other)) == 1
    assert swept_metric("lost") == before + 2
    # again at the end, and then nobody speaks of it any more
    put(photo, "late.0.old.jpg")
    assert object_sweeps.sweep() == Swept()
    ObjectSweep.objects.update(due_at=Now(), final_at=Now())
    assert object_sweeps.sweep() == Swept(prefixes=1, objects_deleted=1)
    assert stored(photo) == named(photo)
    assert ObjectSweep.objects.count() == 0


def test_an_object_that_is_named_again_stays(photo: Photo) -> None:
    """Version 2 replaced version 1, and version 1 was chosen again before the sweep came."""
    request(photo, Reason.REPLACED)
    photo.renditions.update(storage_key=prefix_of(photo) + "preview.0.old.jpg")
    photo.faces.update(chip_key=prefix_of(photo) + "face.0.old.1234.jpg")
    assert object_sweeps.sweep() == Swept(prefixes=1, objects_deleted=2)
    assert stored(photo) == named(photo) == {
        prefix_of(photo) + "preview.0.old.jpg",
        prefix_of(photo) + "face.0.old.1234.jpg",
    }  # fmt: skip


def test_an_upload_that_was_not_committed_is_deleted_and_one_that_was_stays(library: Library) -> None:
    kept = factories.make_photo(library, data=b"kept")
    lost = storage.original_key(library_id=library.pk, photo_id=uuid.uuid4())
    storage.write_object(alias=storage.ORIGINALS, key=lost, file=ContentFile(b"lost"))
    for key in (kept.storage_key, lost):
        sweep_dates.request(alias=storage.ORIGINALS, prefix=key, reason=Reason.UPLOAD)
    assert object_sweeps.sweep() == Swept(prefixes=2, objects_deleted=1)
    assert [one.key for one in storage.list_objects(alias=storage.ORIGINALS)] == [kept.storage_key]


@pytest.mark.parametrize(("stage", "waits"), [("renditions", True), ("face_detection", True), ("exif", False)])
def test_a_stage_that_may_name_them_is_waited_for(photo: Photo, stage: str, waits: bool) -> None:
    run = factories.make_run(photo, stage, RunState.RUNNING)
    request(photo)
    if not waits:
        assert object_sweeps.sweep() == Swept(prefixes=1, objects_deleted=2)
        return
    assert object_sweeps.sweep() == Swept()
    assert len(stored(photo)) == 4
    left = ObjectSweep.objects.annotate(now=Now()).get()
    assert timedelta(seconds=8) < left.due_at - left.now <= timedelta(seconds=10)
    assert left.final_at > left.due_at

    factories.make_run(photo, "exif", RunState.DONE)
    StageRun.objects.filter(pk=run.pk).update(
        state=RunState.DONE, lease_token=None, lease_until=None, finished_at=Now()
    )
    make_due()
    assert object_sweeps.sweep() == Swept(prefixes=1, objects_deleted=2)


def test_where_nothing_has_to_go_nobody_is_waited_for(photo: Photo) -> None:
    factories.make_run(photo, "renditions", RunState.RUNNING)
    storage.delete_objects(alias=storage.RENDITIONS, keys=stored(photo) - named(photo))
    request(photo)
    assert object_sweeps.sweep() == Swept(prefixes=1, objects_deleted=0)


def test_claims_pass_by_while_objects_are_deleted(
    photo: Photo, make_run: Callable[..., StageRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = factories.make_run(photo, "renditions", RunState.PENDING, queued_at=Now())
    other = make_run(stage="renditions")
    claimed: list[uuid.UUID] = []

    def deleting(*, alias: str, keys: list[str]) -> None:
        def claim() -> list[ledger.Lease]:
            return ledger.claim(stage="renditions", versions=["v1"], limit=5, task_id="t", worker="w")

        claimed.extend(lease.run_id for lease in in_a_thread(claim).result(10))
        delete(alias=alias, keys=keys)

    delete = storage.delete_objects
    monkeypatch.setattr(storage, "delete_objects", deleting)
    request(photo)
    assert object_sweeps.sweep() == Swept(prefixes=1, objects_deleted=2)
    assert claimed == [other.pk]
    mine.refresh_from_db()
    assert mine.state == RunState.PENDING


@pytest.mark.parametrize("is_store_well", [True, False])
def test_who_passed_a_run_by_is_rung_for_again(
    photo: Photo, broker: redis.Redis, monkeypatch: pytest.MonkeyPatch, is_store_well: bool
) -> None:
    """Its hint is used up: the run would wait for the next sweep of the ledger."""
    factories.make_run(photo, "renditions", RunState.PENDING, queued_at=Now())
    factories.make_run(photo, "exif", RunState.DONE)
    factories.make_run(photo, "a stage of a newer release", RunState.PENDING, queued_at=Now())
    if not is_store_well:
        monkeypatch.setattr(storage, "delete_objects", _refuse)
    request(photo)
    broker.flushdb()
    assert object_sweeps.sweep().prefixes == is_store_well
    (message,) = broker.lrange("ingest", 0, -1)
    assert json.loads(message)["headers"]["task"] == "renditions"


def _refuse(**_: object) -> None:
    raise OSError(errno.EIO, "the disk does not answer")


def test_no_run_is_planned_while_objects_are_deleted(photo: Photo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it could be claimed, and store anew what is about to be deleted."""
    delete = storage.delete_objects
    planning: list[Future[StageRun]] = []

    def deleting(*, alias: str, keys: list[str]) -> None:
        planning.append(in_a_thread(factories.make_run, photo, "renditions", RunState.PENDING))
        wait_until_blocked()
        delete(alias=alias, keys=keys)

    monkeypatch.setattr(storage, "delete_objects", deleting)
    request(photo)
    assert object_sweeps.sweep() == Swept(prefixes=1, objects_deleted=2)
    assert planning[0].result(10).photo == photo


@pytest.mark.parametrize("locked", [Photo, StageRun])
def test_a_commit_under_way_is_not_waited_for(photo: Photo, locked: type) -> None:
    factories.make_run(photo, "renditions", RunState.PENDING)
    request(photo)
    with transaction.atomic():
        list(locked.objects.select_for_update())
        assert in_a_thread(object_sweeps.sweep).result(5) == Swept()
        assert len(stored(photo)) == 4
    make_due()
    assert object_sweeps.sweep() == Swept(prefixes=1, objects_deleted=2)


def test_a_disk_that_is_not_mounted_loses_no_sweep(
    photo: Photo, photo_store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    request(photo)
    sweep_dates.request(alias=storage.ORIGINALS, prefix="a/b", reason=Reason.UPLOAD)
    photo_store.rename(photo_store.with_name("away"))
    for alias in ("originals", "renditions"):
        (photo_store / alias / ".incoming").mkdir(parents=True)
    with caplog.at_level(logging.WARNING):
        assert object_sweeps.sweep() == Swept()
    assert sorted(record.getMessage().split(":")[0] for record in caplog.records) == [
        "the store 'originals' is empty, or not mounted",
        "the store 'renditions' is empty, or not mounted",
    ]
    assert ObjectSweep.objects.filter(due_at__gt=Now()).count() == 2
    for alias in ("originals", "renditions"):
        (photo_store / alias / ".incoming").rmdir()
        (photo_store / alias).rmdir()
    photo_store.rmdir()
    photo_store.with_name("away").rename(photo_store)
    make_due()
    assert object_sweeps.sweep() == Swept(prefixes=2, objects_deleted=2)


@pytest.mark.parametrize(
    "error",
    [
        TimeoutError("the store hangs"),
        EndpointConnectionError(endpoint_url="http://store"),
        ClientError({"ResponseMetadata": {"HTTPStatusCode": 503}}, "ListObjectsV2"),
    ],
)
def test_a_store_in_trouble_is_asked_once_and_left_for_another_time(
    photo: Photo,
    library: Library,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
) -> None:
    others = [factories.make_photo(library) for _ in range(3)]
    for one in (photo, *others):
        put(one, "preview.0.old.jpg")
        request(one)
    lost = storage.original_key(library_id=library.pk, photo_id=uuid.uuid4())
    sweep_dates.request(alias=storage.ORIGINALS, prefix=lost, reason=Reason.UPLOAD)
    asked: list[str] = []

    def hanging(*, alias: str, prefix: str) -> object:
        asked.append(f"{alias}/{prefix}")
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(storage, "list_objects", hanging)
        assert object_sweeps.sweep() == Swept(prefixes=1, objects_deleted=0)
    # the originals' store works
    assert len(asked) == 1
    [record] = caplog.records
    assert record.getMessage().endswith("was not swept (storage_unavailable)")
    assert ObjectSweep.objects.filter(alias=storage.RENDITIONS, due_at__gt=Now()).count() == 4
    make_due()
    assert object_sweeps.sweep() == Swept(prefixes=5, objects_deleted=5)


def test_a_prefix_that_cannot_be_swept_waits_longer_each_time_and_keeps_no_other_waiting(
    photo: Photo, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = factories.make_photo(library)
    put(other, "preview.0.old.jpg")
    request(photo)
    working = storage.list_objects

    def denying(*, alias: str, prefix: str) -> object:
        if prefix == prefix_of(photo):
            raise PermissionError(errno.EACCES, "Permission denied")
        return working(alias=alias, prefix=prefix)

    monkeypatch.setattr(storage, "list_objects", denying)
    waits = []
    for minutes in (0, 2, 4, 1000):
        request(other)
        tried = {"taken_at": Now() - timedelta(minutes=minutes)} if minutes else {}
        ObjectSweep.objects.filter(prefix=prefix_of(photo)).update(due_at=Now() - HOUR, **tried)
        ObjectSweep.objects.filter(prefix=prefix_of(other)).update(due_at=Now())
        assert object_sweeps.sweep().prefixes == 1
        left = ObjectSweep.objects.annotate(now=Now()).get(prefix=prefix_of(photo))
        waits.append(round((left.due_at - left.now).total_seconds(), -1))
    assert stored(other) == set()
    assert waits == [30, 120, 240, 600]


def test_one_original_is_swept_without_listing_its_library(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = factories.make_photo(library, data=b"kept")
    lost = storage.original_key(library_id=library.pk, photo_id=uuid.uuid4())
    storage.write_object(alias=storage.ORIGINALS, key=lost, file=ContentFile(b"lost"))
    sweep_dates.request(alias=storage.ORIGINALS, prefix=lost, reason=Reason.UPLOAD)
    read: list[str] = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: read.append(str(path)) or scandir(path))
    assert object_sweeps.sweep() == Swept(prefixes=1, objects_deleted=1)
    assert [path for path in read if str(library.pk) in path] == []
    monkeypatch.undo()
    assert [one.key for one in storage.list_objects(alias=storage.ORIGINALS)] == [kept.storage_key]


def test_a_database_that_restarts_in_the_middle_loses_no_sweep(photo: Photo, monkeypatch: pytest.MonkeyPatch) -> None:
    request(photo)
    delete = storage.delete_objects

    def deleting(*, alias: str, keys: list[str]) -> None:
        delete(alias=alias, keys=keys)
        # and with it the locks that keep stages from storing the rest anew
        end_connection_of_this_thread()

    with monkeypatch.context() as patch:
        patch.setattr(storage, "delete_objects", deleting)
        with pytest.raises(OperationalError):
            object_sweeps.sweep()
    assert len(stored(photo)) == 3
    assert in_a_thread(object_sweeps.sweep).result(10) == Swept()
    in_a_thread(make_due).result(10)
    assert in_a_thread(object_sweeps.sweep).result(10) == Swept(prefixes=1, objects_deleted=1)
    assert in_a_thread(stored, photo).result(10) == in_a_thread(named, photo).result(10)


def test_any_number_of_sweepers_at_once(library: Library) -> None:
    photos = [factories.make_photo(library) for _ in range(60)]
    for photo in photos:
        factories.make_rendition(photo, "preview", data=b"preview")
        put(photo, "preview.0.old.jpg")
        request(photo)
    swept = [future.result(30) for future in [in_a_thread(object_sweeps.sweep) for _ in range(4)]]
    assert sum(one.objects_deleted for one in swept) == sum(one.prefixes for one in swept) == 60
    assert all(stored(photo) == {photo.renditions.get().storage_key} for photo in photos)
    assert ObjectSweep.objects.filter(due_at=F("final_at")).count() == 60


def test_a_sweep_ends_in_time_and_gives_back_what_it_has_in_hand(library: Library) -> None:
    for _ in range(3):
        photo = factories.make_photo(library)
        put(photo, "preview.0.old.jpg")
        request(photo)
    assert object_sweeps.sweep(limit=1) == Swept(prefixes=1, objects_deleted=1)
    assert object_sweeps.sweep(seconds=0) == Swept()
    assert object_sweeps.sweep() == Swept(prefixes=2, objects_deleted=2)


def test_runs_that_are_lost_ask_for_a_sweep(photo: Photo) -> None:
    factories.make_run(photo, "renditions", RunState.RUNNING, lease_until=Now() - HOUR)
    assert reconciler.reconcile()
    assert stored(photo) == named(photo)
    assert list(ObjectSweep.objects.values_list("prefix", "reason")) == [(prefix_of(photo), "lost")]


def test_a_worker_that_is_stopped_asks_for_a_sweep_of_what_it_holds(photo: Photo, library: Library) -> None:
    others = [factories.make_photo(library) for _ in range(3)]
    factories.make_run(photo, "renditions", RunState.RUNNING, worker="me", attempt=1)
    factories.make_run(others[0], "renditions", RunState.RUNNING, worker="another", attempt=1)
    factories.make_run(others[1], "exif", RunState.RUNNING, worker="me", attempt=1)
    factories.make_run(others[2], "renditions", RunState.DONE, worker="me", attempt=1)
    assert stopping.hand_back(worker="me", works=()) == {"renditions": 1, "exif": 1}
    assert list(ObjectSweep.objects.values_list("prefix", "reason")) == [(prefix_of(photo), "lost")]
    assert object_sweeps.sweep() == Swept(prefixes=1, objects_deleted=2)


def test_only_losses_of_stages_that_store_ask_for_one(make_run: Callable[..., StageRun]) -> None:
    leased = {"lease_token": uuid.uuid4(), "lease_until": Now() - HOUR, "started_at": Now()}
    run = make_run(stage="exif", state=RunState.RUNNING, **leased)
    assert reconciler.reconcile()
    run.refresh_from_db()
    assert run.error_code == "lease_expired"
    assert ObjectSweep.objects.count() == 0


def test_a_stage_that_fails_while_it_stores_asks_for_a_sweep(
    library: Library, photo_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = photo_samples.take_in(library, photo_samples.picture())
    write = storage.write_object
    written: list[str] = []

    def failing(*, alias: str, key: str, file: ContentFile) -> None:
        if len(written) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(alias=alias, key=key, file=file)
        written.append(key)

    with monkeypatch.context() as patch:
        patch.setattr(storage, "write_object", failing)
        assert photo_samples.run("renditions") == 1
    run = photo.stage_runs.get(stage="renditions")
    assert (run.state, run.attempt, run.error_code) == ("pending", 0, "storage_unavailable")
    assert stored(photo) == set(written)
    assert list(ObjectSweep.objects.values_list("prefix", "reason")) == [(prefix_of(photo), "lost")]
    assert object_sweeps.sweep() == Swept(prefixes=1, objects_deleted=2)
    # and the next attempt is a clean one
    StageRun.objects.filter(pk=run.pk).update(not_before=None)
    assert photo_samples.run("renditions") == 1
    assert stored(photo) == set(photo.renditions.values_list("storage_key", flat=True))
    assert len(stored(photo)) == 4


def test_a_version_that_is_chosen_again_finds_its_objects(
    library: Library, settings: Settings, fresh_versions: Callable[[], None]
) -> None:
    """Version 1, version 2, version 1 again, and only then the sweep that version 2 has asked for."""
    photo = photo_samples.take_through(library, photo_samples.picture())
    first = stored(photo)
    quality = settings.RENDITION_QUALITY
    for value in (quality - 10, quality):
        settings.RENDITION_QUALITY = value
        fresh_versions()
        assert photo_samples.plan_missing(Photo.objects.all()) == 1
        photo_samples.run("renditions")
    assert len(stored(photo)) == 8
    assert object_sweeps.sweep() == Swept(prefixes=1, objects_deleted=4)
    assert stored(photo) == first == set(photo.renditions.values_list("storage_key", flat=True))


@pytest.mark.parametrize("task", ["sweep_objects", "sweep_incoming", "empty_trash"])
def test_beat_and_messages_find_their_tasks(task: str, photo: Photo, photo_store: Path, settings: Settings) -> None:
    request(photo)
    left = photo_store / "originals" / ".incoming" / "left"
    left.touch()
    os.utime(left, (0, 0))
    gone = factories.make_photo(photo.library, trashed_at=timezone.now() - timedelta(days=31))
    getattr(tasks, task).apply(kwargs={"v": 1, "ids": []}, throw=True)
    assert (len(stored(photo)) == 2) == (task == "sweep_objects")
    assert left.exists() == (task != "sweep_incoming")
    assert Photo.objects.filter(pk=gone.pk).exists() == (task != "empty_trash")
    if task != "sweep_objects":
        assert settings.CELERY_BEAT_SCHEDULE[task]["task"] == task


def test_temporary_files_of_killed_writers_go_after_a_day(photo: Photo, photo_store: Path) -> None:
    incoming = photo_store / "renditions" / ".incoming"
    old, new = incoming / "old", incoming / "new"
    for path, hours in ((old, 25), (new, 23)):
        path.write_bytes(b"half an object")
        then = time.time() - hours * 3600
        os.utime(path, (then, then))
    assert object_sweeps.sweep_incoming() == 1
    assert list(incoming.iterdir()) == [new]
    assert object_sweeps.sweep_incoming() == 0
    assert len(photo_samples.files_below(photo_store / "originals")) == 1
