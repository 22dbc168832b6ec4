"""Deleting for good: every row, vector and object, whoever is at work on the photo."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import factories
import photo_samples
import pytest
import redis
from concurrency import in_a_thread, wait_until_blocked
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone
from face_samples import MODEL, add_face, vector
from pytest_django import Settings

from accounts.models import Library
from accounts.problems import ConflictError
from photos import storage
from photos.models import Face, FaceEmbedding, GroupLoss, Metadata, ObjectSweep, Person, Photo, Rendition
from photos.services import purge as photo_purge
from photos.services import trash as photo_trash
from processing import ledger, reconciler
from processing.models import RunState, StageRun
from processing.pipeline.planning import plan
from processing.services import object_sweeps, trash
from processing.stages import registry
from processing.stages.exif import ExifStage
from processing.stages.face_detection import FaceDetectionStage
from processing.stages.face_embedding import FaceEmbeddingStage
from processing.stages.renditions import RenditionsStage

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("photo_store")]

DAY = timedelta(days=1)
ROWS = (Photo, StageRun, Metadata, Rendition, Face, FaceEmbedding)


def counts() -> list[int]:
    return [model.objects.count() for model in ROWS]


def trashed(photo: Photo) -> Photo:
    photo_trash.move_to_trash(photo_ids=[photo.pk])
    return photo


def test_everything_goes_and_everything_else_stays(face_library: Library, photo_store: Path) -> None:
    kept = photo_samples.take_through(face_library, photo_samples.portrait(faces=2))
    before, stored = counts(), photo_samples.files_below(photo_store)
    rows = photo_samples.written_rows()
    gone = trashed(photo_samples.take_through(face_library, photo_samples.portrait(brightness=0.8)))
    assert counts() > before
    added = {key for key in photo_samples.files_below(photo_store) if str(gone.pk) in key}
    assert len(added) == 6

    assert trash.purge(photo_ids=[gone.pk]) == 1

    assert counts() == before
    # by the deletion the group has lost a member: the next grouping looks at what is left of it
    assert GroupLoss.objects.count() == 1
    assert set(ObjectSweep.objects.values_list("alias", "prefix", "reason")) == {
        ("originals", gone.storage_key, "purged"),
        ("renditions", f"{gone.storage_key}/", "purged"),
    }
    assert object_sweeps.sweep().objects_deleted == 6
    assert photo_samples.files_below(photo_store) == stored
    assert not (photo_store / "renditions" / gone.storage_key).exists()
    reconciler.reconcile()
    photo_samples.run_everything()
    assert GroupLoss.objects.count() == 0
    assert photo_samples.written_rows() == rows
    assert trash.purge(photo_ids=[gone.pk]) == 0
    assert Photo.objects.get() == kept


def test_objects_go_at_once_by_a_message(library: Library, broker: redis.Redis) -> None:
    photo = trashed(factories.make_photo(library, data=b"bytes"))
    with transaction.atomic():
        assert trash.purge(photo_ids=[photo.pk]) == 1
        assert broker.llen("maintenance") == 0
    assert broker.llen("maintenance") == 1


def test_only_what_lies_in_the_trash_goes_unless_it_is_said(library: Library) -> None:
    present, gone = factories.make_photo(library), trashed(factories.make_photo(library))
    assert photo_purge.purge_photos(photo_ids=[present.pk, gone.pk]) == 1
    assert list(Photo.objects.all()) == [present]
    assert ObjectSweep.objects.count() == 2
    assert trash.purge(photo_ids=[present.pk]) == 0
    assert ObjectSweep.objects.count() == 2
    assert trash.purge(photo_ids=[present.pk], also_present=True) == 1
    assert Photo.objects.count() == 0


def test_many_go_in_several_transactions(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photo_purge, "PHOTOS_PER_TRANSACTION", 4)
    photos = [trashed(factories.make_photo(library)) for _ in range(10)]
    held: list[int] = []
    assert photo_purge.purge_photos(photo_ids=(photo.pk for photo in photos), hold=lambda ids: held.append(len(ids)))
    assert (held, Photo.objects.count(), ObjectSweep.objects.count()) == ([4, 4, 2], 0, 20)


def test_what_has_expired_goes(library: Library, settings: Settings) -> None:
    settings.TRASH_RETENTION_DAYS = 30
    old, new, present = (factories.make_photo(library) for _ in range(3))
    Photo.objects.filter(pk=old.pk).update(trashed_at=Now() - 30 * DAY - timedelta(minutes=1))
    Photo.objects.filter(pk=new.pk).update(trashed_at=Now() - 30 * DAY + timedelta(minutes=1))
    settings.TRASH_RETENTION_DAYS = 0
    assert trash.purge_expired() == 0
    settings.TRASH_RETENTION_DAYS = 30
    assert trash.purge_expired() == 1
    assert set(Photo.objects.all()) == {new, present}
    assert trash.purge_expired(older_than=DAY) == 1
    assert list(Photo.objects.all()) == [present]


def test_a_host_whose_clock_is_ahead_deletes_nothing_early(
    library: Library, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.TRASH_RETENTION_DAYS = 1
    photo = factories.make_photo(library)
    Photo.objects.filter(pk=photo.pk).update(trashed_at=Now())
    now = timezone.now
    monkeypatch.setattr(timezone, "now", lambda: now() + 2 * DAY)
    assert trash.purge_expired() == 0
    assert trash.purge_expired(older_than=DAY) == 0
    assert Photo.objects.get() == photo


def test_what_was_trashed_anew_meanwhile_has_not_expired(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = factories.make_photo(library)
    Photo.objects.update(trashed_at=Now() - 40 * DAY)

    def hold(ids: list[object]) -> None:
        Photo.objects.update(trashed_at=Now())

    monkeypatch.setattr(trash, "hold_runs", hold)
    assert trash.purge_expired() == 0
    assert list(Photo.objects.all()) == [photo]


STAGES = [ExifStage, RenditionsStage, FaceDetectionStage, FaceEmbeddingStage]


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("moment", ["compute", "store"])
def test_a_stage_at_work_writes_nothing_and_leaves_nothing(
    stage: type, moment: str, face_library: Library, photo_store: Path, monkeypatch: pytest.MonkeyPatch, broker: Any
) -> None:
    """The photo goes while the stage computes, or after it has stored its objects and before it commits."""
    photo = photo_samples.take_in(face_library, photo_samples.portrait())
    for before in registry.all_stages():
        if before.name == stage.name:
            break
        photo_samples.run(before.name)
    trashed(photo)
    real = getattr(stage, moment)

    def purged_meanwhile(self: object, *arguments: object, **named: object) -> object:
        result = real(self, *arguments, **named)
        assert trash.purge(photo_ids=[photo.pk]) == 1
        object_sweeps.sweep()
        return result

    monkeypatch.setattr(stage, moment, purged_meanwhile)
    broker.flushdb()
    assert photo_samples.run(stage.name) == 1
    assert counts() == [0] * 6
    if stage.stores_objects:
        # the purge rang, and so does whoever stored something in vain
        assert broker.llen("maintenance") == 2
    object_sweeps.sweep()
    assert photo_samples.files_below(photo_store) == {}


@pytest.mark.parametrize("stage", STAGES)
def test_a_photo_that_goes_before_it_is_read_is_no_error(
    stage: type,
    face_library: Library,
    photo_store: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    photo = photo_samples.take_in(face_library, photo_samples.portrait())
    for before in registry.all_stages():
        if before.name == stage.name:
            break
        photo_samples.run(before.name)
    trashed(photo)
    load = stage.load

    def late(self: object, lease: ledger.Lease) -> object:
        trash.purge(photo_ids=[photo.pk])
        object_sweeps.sweep()
        return load(self, lease)

    monkeypatch.setattr(stage, "load", late)
    caplog.clear()
    assert photo_samples.run(stage.name) == 1
    assert [record for record in caplog.records if "unexpected" in record.getMessage()] == []
    assert (counts(), photo_samples.files_below(photo_store)) == ([0] * 6, {})


@pytest.mark.parametrize("stage", STAGES)
def test_a_commit_under_way_ends_before_the_purge(
    stage: type, face_library: Library, photo_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = photo_samples.take_in(face_library, photo_samples.portrait())
    for before in registry.all_stages():
        if before.name == stage.name:
            break
        photo_samples.run(before.name)
    trashed(photo)
    write = stage.write
    purges: list[Any] = []

    def slow(self: object, *arguments: object, **named: object) -> object:
        written = write(self, *arguments, **named)
        purges.append(in_a_thread(trash.purge, photo_ids=[photo.pk]))
        wait_until_blocked()
        return written

    monkeypatch.setattr(stage, "write", slow)
    assert photo_samples.run(stage.name) == 1
    assert purges[0].result(10) == 1
    assert counts() == [0] * 6
    object_sweeps.sweep()
    assert photo_samples.files_below(photo_store) == {}


def test_without_the_hold_it_yields_to_a_commit(
    face_library: Library, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Then it holds the photo, to which the commit wants to refer, and waits for the commit's run: a circle."""
    photo = trashed(photo_samples.take_in(face_library, photo_samples.portrait()))
    write = RenditionsStage.write
    purges: list[Any] = []

    def slow(self: object, *arguments: object, **named: object) -> object:
        written = write(self, *arguments, **named)
        purges.append(in_a_thread(photo_purge.purge_photos, photo_ids=[photo.pk]))
        wait_until_blocked()
        return written

    monkeypatch.setattr(RenditionsStage, "write", slow)
    photo_samples.run("renditions")
    assert purges[0].result(10) == 1
    assert counts() == [0] * 6
    assert "unexpected" not in caplog.text
    assert "deadlock" not in caplog.text


def test_rows_that_stay_locked_are_not_waited_for_for_ever(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photo_purge, "ATTEMPTS", 2)
    photo = trashed(factories.make_photo(library))
    with transaction.atomic():
        Photo.objects.select_for_update().get(pk=photo.pk)
        with pytest.raises(ConflictError, match="being worked on"):
            in_a_thread(trash.purge, photo_ids=[photo.pk]).result(10)
    assert (Photo.objects.count(), ObjectSweep.objects.count()) == (1, 0)
    assert trash.purge(photo_ids=[photo.pk]) == 1


def test_who_plans_a_photo_keeps_it(library: Library) -> None:
    """Its runs refer to it, which the database looks at when they are committed."""
    photo = trashed(factories.make_photo(library))
    with transaction.atomic():
        assert plan([photo.pk], lane=0, announce=False) == 3
        purge = in_a_thread(trash.purge, photo_ids=[photo.pk])
        wait_until_blocked()
    assert purge.result(10) == 1
    assert counts() == [0] * 6
    with transaction.atomic():
        assert plan([photo.pk], lane=0, announce=False) == 0


def test_a_photo_that_comes_back_is_planned(
    library: Library, settings: Settings, fresh_versions: Callable[[], None], broker: redis.Redis
) -> None:
    photos = [photo_samples.take_through(library, photo_samples.picture()) for _ in range(2)]
    photo_trash.move_to_trash(photo_ids=[photo.pk for photo in photos])
    settings.RENDITION_QUALITY = 71
    fresh_versions()
    assert photo_samples.plan_missing(Photo.objects.present()) == 0
    broker.flushdb()
    assert trash.restore(photo_ids=[photos[0].pk]) == 1
    assert trash.restore(photo_ids=[photos[0].pk]) == 0
    assert list(Photo.objects.present()) == [photos[0]]
    pending = StageRun.objects.filter(state=RunState.PENDING)
    assert list(pending.values_list("photo", "stage", "lane")) == [(photos[0].pk, "renditions", 2)]
    assert broker.llen("ingest") == 1

    # the same bytes uploaded again bring it back too, and somebody waits for it
    with storage.open_object(alias="originals", key=photos[1].storage_key) as original:
        again = photo_samples.take_in(library, original.read())
    assert again == photos[1]
    assert list(pending.filter(photo=photos[1]).values_list("stage", "lane")) == [("renditions", 0)]


def test_people_who_lost_a_face_are_looked_at_again(face_library: Library) -> None:
    faces = [add_face(face_library, vector(1)) for _ in range(3)]
    reconciler.reconcile()
    photo_samples.run_people()
    person = Person.objects.get()
    trashed(faces[0].photo)
    assert trash.purge(photo_ids=[faces[0].photo_id]) == 1
    assert list(GroupLoss.objects.values_list("library", "model")) == [(face_library.pk, MODEL)]
    reconciler.reconcile()
    assert photo_samples.run_people() == 1
    assert GroupLoss.objects.count() == 0
    assert set(Face.objects.values_list("person", flat=True)) == {person.pk}
    for face in faces[1:]:
        trashed(face.photo)
    assert trash.purge(photo_ids=[face.photo_id for face in faces]) == 2
    reconciler.reconcile()
    photo_samples.run_people()
    assert Person.objects.count() == 0
