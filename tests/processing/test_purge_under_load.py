"""Everything at once: stages, purges, switches, groupings, sweeps and uploads, and nobody waits in a circle."""

import contextlib
import io
import logging
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

import photo_samples
import pytest
from concurrency import in_a_thread
from django.db.models import F
from django.db.models.functions import Now

from accounts.models import Library
from accounts.problems import ConflictError
from photos import storage
from photos.models import Face, ObjectSweep, Photo, Rendition
from photos.services import trash as photo_trash
from processing import ingest, reconciler
from processing.models import RunState, StageRun
from processing.services import face_analysis, object_sweeps, reprocess, trash
from processing.stages import registry

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("photo_store", "broker")]

SECONDS = 12


def some_photos(library: Library) -> list[Photo]:
    return random.sample(photos, min(3, len(photos))) if (photos := list(Photo.objects.filter(library=library))) else []


def delete_some(library: Library) -> None:
    ids = [photo.pk for photo in some_photos(library)]
    photo_trash.move_to_trash(photo_ids=ids)
    if random.random() < 0.3:
        trash.restore(photo_ids=ids)
    # others have the rows all the time, and that is said so
    with contextlib.suppress(ConflictError):
        trash.purge(photo_ids=ids)


def run_again(library: Library) -> None:
    ids = [photo.pk for photo in some_photos(library)]
    reprocess.run_again(photos=Photo.objects.filter(pk__in=ids), stage=random.choice(["renditions", "face_detection"]))


def switch(library: Library) -> None:
    library.refresh_from_db()
    face_analysis.switch_face_analysis(library=library, enabled=not library.face_analysis, by=None)
    for kind in ("erase_faces", "plan"):
        photo_samples.run_library_work(kind)
    time.sleep(0.3)


def run_stages() -> None:
    for stage in registry.all_stages():
        photo_samples.run(stage.name)


@pytest.mark.timeout(200)
@pytest.mark.usefixtures("one_model_each_at_a_time")
def test_nothing_is_left_and_nobody_waits_for_ever(
    face_library: Library, photo_store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    (photo_store / "renditions" / "of another library").mkdir(parents=True)
    samples = [photo_samples.portrait(brightness=0.8 + number / 20) for number in range(6)]

    def upload() -> None:
        data = random.choice(samples)
        taken = ingest.take_in(library=face_library, file=io.BytesIO(data), filename="a.jpg")
        assert taken.photo.library_id == face_library.pk

    def repeat(work: Callable[[], object]) -> int:
        count = 0
        while not stop.wait(random.uniform(0, 0.05)):
            work()
            count += 1
        return count

    stop = threading.Event()
    works = {
        "upload": upload,
        "delete": lambda: delete_some(face_library),
        "run again": lambda: run_again(face_library),
        "stages": run_stages,
        "more stages": run_stages,
        "switch": lambda: switch(face_library),
        "people": photo_samples.run_people,
        "reconcile": reconciler.reconcile,
        "sweep": object_sweeps.sweep,
    }
    futures = {name: in_a_thread(repeat, work) for name, work in works.items()}
    time.sleep(SECONDS)
    stop.set()
    done = {name: future.result(60) for name, future in futures.items()}
    assert all(done.values()), done

    messages = [record.getMessage() for record in caplog.records]
    assert [one for one in messages if "deadlock" in one or "unexpected" in one or "violates" in one] == []
    upload()
    settle(face_library)
    named = {
        *(f"originals/{key}" for key in Photo.objects.values_list("storage_key", flat=True)),
        *(f"renditions/{key}" for key in Rendition.objects.values_list("storage_key", flat=True)),
        *(f"renditions/{key}" for key in Face.objects.values_list("chip_key", flat=True)),
    }
    assert set(photo_samples.files_below(photo_store)) == named
    assert len(named) >= 5
    assert set(StageRun.objects.values_list("state", flat=True)) <= {"done", "skipped"}
    for photo in Photo.objects.all():
        data = storage.read_object(alias=storage.ORIGINALS, key=photo.storage_key)
        assert data in samples
        assert photo.renditions.count() == 4


def settle(library: Library) -> None:
    """Let everything come to its end, as if all deadlines had passed."""
    for _ in range(3):
        StageRun.objects.filter(state=RunState.PENDING).update(not_before=None)
        for kind in ("erase_faces", "plan"):
            photo_samples.run_library_work(kind)
        run_stages()
        photo_samples.run_people()
        ObjectSweep.objects.update(due_at=F("created_at"), final_at=Now())
        object_sweeps.sweep(seconds=60)
    assert ObjectSweep.objects.count() == 0
