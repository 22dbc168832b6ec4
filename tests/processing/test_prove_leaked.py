"""Leaked: stored objects that no row names, on a disk and in buckets, and faces without consent."""

import os
import time
import uuid
from datetime import timedelta
from pathlib import Path

import boto3
import photo_samples
import proving
import pytest
from django.core.files.storage import storages
from django.db.models.functions import Now

from accounts.models import Library
from photos import storage
from photos.models import Face, FaceEmbedding, ObjectSweep, Photo
from processing.models import LibraryRun, RunState, StageRun
from processing.prove import remedies

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("quick_ripening")]

HOUR = timedelta(hours=1)


def put(alias: str, key: str, data: bytes = b"nobody's") -> str:
    storage.write_object(alias=alias, key=key, file=photo_samples.content(data))
    return f"{alias}/{key}"


def orphans_of(photo: Photo) -> set[str]:
    """Store objects of every sort that no row names: a rendition and a chip of `photo`, and those of no photo."""
    gone = {"library_id": photo.library_id, "photo_id": uuid.UUID(int=9)}
    mine = {"library_id": photo.library_id, "photo_id": photo.pk}
    return {
        put(storage.RENDITIONS, storage.rendition_key(**mine, kind="preview", version="0.old")),
        put(storage.RENDITIONS, storage.chip_key(**mine, version="0.old", position="somewhere")),
        put(storage.RENDITIONS, storage.rendition_key(**gone, kind="preview", version="0.old")),
        put(storage.ORIGINALS, storage.original_key(**gone)),
    }


@pytest.fixture(params=["disk", "s3"])
def stores(request: pytest.FixtureRequest) -> str:
    """The stores, on a disk of this test's own or in two buckets."""
    request.getfixturevalue("photo_store" if request.param == "disk" else "s3_storages")
    return request.param


def keys_of_all() -> set[str]:
    return {f"{alias}/{one.key}" for alias in ("originals", "renditions") for one in storage.list_objects(alias=alias)}


def test_objects_that_no_row_names_are_deleted_when_they_are_old(library: Library, stores: str) -> None:
    photo = photo_samples.take_through(library, photo_samples.picture())
    own = keys_of_all()
    orphans = orphans_of(photo)

    said = proving.prove("--repair", "--yes")

    assert (said.status, said.counts) == (1, {**proving.NOTHING, "leaked": 4})
    assert set(said.named("item")) == orphans
    assert set(said.named("code")) == {"object_unnamed"}
    assert sorted(said.named("photo")) == sorted([str(photo.pk)] * 2 + [str(uuid.UUID(int=9))] * 2)
    # none is a week old
    assert said.body["repair"] == {"plan": ["leave 4 objects younger than 168 h"], "done": None}
    assert keys_of_all() == own | orphans

    without_bytes = proving.prove("--no-bytes")
    assert set(without_bytes.named("item")) == orphans
    repaired = proving.prove("--repair", "--yes", "--grace", "0s")
    assert repaired.body["repair"] == {
        "plan": [
            "delete 3 derived objects older than 0 h that no row names",
            "DELETE 1 ORIGINAL older than 0 h that no row names",
            "  (after a database was restored from a backup, these may be the only copies)",
        ],
        "done": ["4 objects deleted"],
    }
    assert keys_of_all() == own
    assert proving.prove().counts == proving.NOTHING


def test_what_a_sweep_is_going_to_look_at_is_explained(library: Library, photo_store: Path) -> None:
    photo = photo_samples.take_through(library, photo_samples.picture())
    orphans = orphans_of(photo)
    prefixes = {(name.split("/", 1)[0], name.split("/", 1)[1]) for name in orphans}
    for alias, key in prefixes:
        prefix = key if alias == "originals" else f"{key.rpartition('/')[0]}/"
        ObjectSweep.objects.get_or_create(
            alias=alias, prefix=prefix, defaults={"reason": "lost", "due_at": Now(), "final_at": Now() + HOUR}
        )
    assert proving.prove().counts == proving.NOTHING
    # nor one that is put off again and again: nothing moves the time at which it was asked for
    ObjectSweep.objects.update(created_at=Now() - 3 * HOUR)
    assert set(proving.prove().named("item")) == orphans
    # nor one that is long overdue
    ObjectSweep.objects.update(created_at=Now())
    ObjectSweep.objects.update(due_at=Now() - HOUR, final_at=Now() - HOUR)
    assert set(proving.prove().named("item")) == orphans


def test_objects_of_a_photo_that_is_being_worked_on_are_waited_for(library: Library, photo_store: Path) -> None:
    photo = photo_samples.take_through(library, photo_samples.picture())
    key = storage.rendition_key(library_id=library.pk, photo_id=photo.pk, kind="preview", version="0.new")
    item = put(storage.RENDITIONS, key)
    lease = {"lease_token": uuid.UUID(int=1), "lease_until": Now() + timedelta(seconds=3), "started_at": Now()}
    running = {"state": RunState.RUNNING, "finished_at": None, **lease}
    StageRun.objects.filter(photo=photo, stage="renditions").update(**running)
    started = time.monotonic()
    said = proving.prove("--repair", "--yes", "--grace", "0s")
    assert said.named("item") == [item]
    assert time.monotonic() - started > 2
    # still in hand: left alone, and said so
    assert said.body["repair"]["done"] == ["1 object left to the sweep: in hand at the moment"]
    assert item in keys_of_all()


def test_an_object_that_gets_its_row_before_the_deletion_stays(
    library: Library, photo_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row of an original comes between the proof and the repair."""
    from processing.prove import repair

    photo = photo_samples.take_through(library, photo_samples.picture())
    values = Photo.objects.values().get()
    Photo.objects.all().delete()
    original, plan = f"originals/{photo.storage_key}", repair.plan

    def plan_late(*arguments: object, **named: object) -> object:
        made = plan(*arguments, **named)
        Photo.objects.create(**values)
        return made

    monkeypatch.setattr(repair, "plan", plan_late)
    said = proving.prove("--repair", "--yes", "--grace", "0s")
    assert original in said.named("item")
    assert keys_of_all() == {original}
    assert said.body["repair"]["plan"][1] == "DELETE 1 ORIGINAL older than 0 h that no row names"


def test_what_is_not_ours_is_said_and_never_deleted(library: Library, photo_store: Path) -> None:
    photo = photo_samples.take_through(library, photo_samples.picture())
    foreign = {
        put(storage.ORIGINALS, "notes.txt"),
        put(storage.ORIGINALS, f"{library.pk}/{photo.pk}.bak"),
        put(storage.RENDITIONS, f"{library.pk}/notes.txt"),
        put(storage.RENDITIONS, f"{str(library.pk).upper()}/{photo.pk}/preview.jpg"),
    }
    said = proving.prove("--repair", "--yes", "--grace", "0s")
    assert said.counts == {**proving.NOTHING, "leaked": 4}
    assert (set(said.named("item")), set(said.named("code"))) == (foreign, {"object_foreign"})
    assert foreign < keys_of_all()


def test_what_grows_old_after_the_plan_was_said_stays(
    library: Library, photo_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from processing.prove import repair

    photo = photo_samples.take_through(library, photo_samples.picture())
    orphans = orphans_of(photo)
    plan, now = repair.plan, repair.situation.database_now

    def plan_and_wait(*arguments: object, **named: object) -> object:
        made = plan(*arguments, **named)
        monkeypatch.setattr(repair.situation, "database_now", lambda: now() + 2 * HOUR)
        return made

    monkeypatch.setattr(repair, "plan", plan_and_wait)
    # the one sort that there is something to do about
    photo.stage_runs.filter(stage="exif").delete()
    said = proving.prove("--repair", "--yes", "--grace", "1h")
    assert said.body["repair"] == {
        "plan": ["plan the missing runs of 1 photo", "leave 4 objects younger than 1 h"],
        "done": ["1 run planned"],
    }
    assert orphans < keys_of_all()


def leave(path: Path, *, hours: float) -> None:
    path.write_bytes(b"half")
    then = time.time() - hours * 3600
    os.utime(path, (then, then))


def test_temporary_files_that_were_left_behind(library: Library, photo_store: Path) -> None:
    photo_samples.take_through(library, photo_samples.picture())
    folder = photo_store / "renditions" / storage.INCOMING
    old, due, young = (folder / name for name in ("old", "due", "young"))
    # the next sweep is going to find the second; the third may still be written
    for path, hours in ((due, 24.5), (young, 20)):
        leave(path, hours=hours)
    assert proving.prove().counts == proving.NOTHING
    leave(old, hours=48)
    said = proving.prove("--repair", "--yes", "--grace", "1h")
    assert said.offences == {("upload_unfinished", f"renditions/{storage.INCOMING}/old")}
    assert said.body["repair"] == {
        "plan": ["delete what 1 interrupted write older than 24 h left behind"],
        "done": ["2 interrupted writes cleared away"],
    }
    assert (old.exists(), due.exists(), young.exists()) == (False, False, True)
    assert proving.prove().counts == proving.NOTHING


def test_unfinished_uploads_to_a_bucket(library: Library, s3_storages: tuple[str, str], s3_endpoint: str) -> None:
    photo_samples.take_through(library, photo_samples.picture())
    client = boto3.client("s3", endpoint_url=s3_endpoint)
    location = storages["originals"].location
    key = f"{library.pk}/{uuid.UUID(int=3)}"
    client.create_multipart_upload(Bucket=s3_storages[0], Key=f"{location}/{key}")
    # the endpoint says of every upload that it began years ago
    said = proving.prove("--repair", "--yes", "--grace", "0s")
    assert said.offences == {("upload_unfinished", f"originals/{key}")}
    assert client.list_multipart_uploads(Bucket=s3_storages[0]).get("Uploads", []) == []
    assert proving.prove().counts == proving.NOTHING


def test_faces_of_a_library_that_consents_again_are_not_erased(face_library: Library, photo_store: Path) -> None:
    photo_samples.take_through(face_library, photo_samples.portrait())
    assert remedies.erase_faces(library_ids=[face_library.pk]) == 0
    assert LibraryRun.objects.filter(kind="erase_faces").count() == 0
    assert Face.objects.count() == 1


def test_faces_of_a_library_without_consent_are_erased(face_library: Library, photo_store: Path) -> None:
    photo = photo_samples.take_through(face_library, photo_samples.portrait(faces=2))
    Library.objects.filter(pk=face_library.pk).update(face_analysis=False, face_analysis_consent_version="")

    said = proving.prove("--repair", "--yes")

    assert (said.status, said.counts) == (1, {**proving.NOTHING, "leaked": 1})
    assert said.offences == {("faces_without_consent", str(photo.pk))}
    assert said.named("detail") == ["2 faces, 2 vectors; face analysis is off"]
    assert said.body["repair"] == {
        "plan": ["erase the faces of 1 library, whose face analysis is off"],
        "done": ["1 erasure of faces asked for"],
    }
    # asked for: an open run explains it
    assert LibraryRun.objects.filter(kind="erase_faces", state="pending").count() == 1
    assert proving.prove().counts == proving.NOTHING
    photo_samples.run_library_work("erase_faces")
    assert (Face.objects.count(), FaceEmbedding.objects.count()) == (0, 0)
    assert proving.prove("--repair", "--yes", "--grace", "0s").counts == proving.NOTHING
