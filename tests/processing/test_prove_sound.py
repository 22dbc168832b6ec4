"""A sound library gives five zeros, with every byte read and without, also while runs are open for a reason."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import photo_samples
import proving
import pytest
from django.core.management import CommandError
from django.db.models.functions import Now
from pytest_django import Settings

from accounts.models import Library
from photos import storage
from photos.models import Face, Photo
from photos.services import shown, trash
from processing.models import RunState, StagePause, StageRun, WorkerPresence
from processing.prove import contents
from processing.prove.batches import Batch
from processing.prove.findings import Finding
from processing.services import face_analysis

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("photo_store", "quick_ripening")]

HOUR = timedelta(hours=1)


def test_a_sound_library_gives_five_zeros(face_library: Library, photo_store: Path) -> None:
    photos = [
        photo_samples.take_in(face_library, data)
        for data in (photo_samples.portrait(faces=2), photo_samples.picture(), photo_samples.damaged_picture())
    ]
    photo_samples.run_everything()
    trash.move_to_trash(photo_ids=[photos[1].pk])
    rows, files = photo_samples.written_rows(), photo_samples.files_below(photo_store)
    size = sum(len(data) for data in files.values())

    said = proving.prove()

    assert (said.status, said.counts, said.body["findings"]) == (0, proving.NOTHING, [])
    assert (said.body["photos"], said.body["runs"], said.body["objects"]) == (3, 15, len(files))
    assert said.body["bytes_read"] == size
    # the damaged one: its face runs wait, one for the other, behind it
    assert (said.body["dead"], said.body["explained"]) == (1, {"waiting behind a dead run": 2})
    without_bytes = proving.prove("--no-bytes")
    assert (without_bytes.status, without_bytes.counts) == (0, proving.NOTHING)
    assert without_bytes.body["bytes_read"] is None
    assert photo_samples.written_rows() == rows
    assert photo_samples.files_below(photo_store) == files


def test_what_waits_for_work_in_hand_is_explained(face_library: Library) -> None:
    photo_samples.take_in(face_library, photo_samples.picture())
    said = proving.prove()
    assert (said.counts, said.body["explained"]) == (
        proving.NOTHING,
        {"queued just now": 2, "waiting for an input that is open itself": 3},
    )


def work_on(library: Library) -> Photo:
    photo = photo_samples.take_in(library, photo_samples.picture())
    photo_samples.run_everything()
    return photo


def worker(*queues: str, versions: dict[str, list[str]] | None = None) -> WorkerPresence:
    """A worker that is alive."""
    return WorkerPresence.objects.create(
        name=f"worker of {queues}", queues=queues, versions=versions or {}, started_at=Now(), seen_at=Now()
    )


def long_pending(photo: Photo, stage: str = "renditions", **columns: object) -> StageRun:
    """Open a run as if it had been pending for an hour."""
    run = photo_samples.run_of(photo, stage)
    pending = {"state": RunState.PENDING, "finished_at": None, "queued_at": Now() - HOUR, "commits": 0}
    StageRun.objects.filter(pk=run.pk).update(**{**pending, **columns})
    return run


def test_open_runs_that_something_explains_are_no_offence(library: Library) -> None:
    photos = [work_on(library) for _ in range(3)]
    version = photo_samples.run_of(photos[0], "renditions").version
    StageRun.objects.update(finished_at=Now() - HOUR)

    long_pending(photos[0])
    worker("ingest", "faces", versions={"renditions": [version]})
    assert proving.prove().counts == {**proving.NOTHING, "stuck": 1}
    pause = StagePause.objects.create(work="renditions")
    said = proving.prove()
    assert (said.counts, said.body["explained"]) == (proving.NOTHING, {"of a paused stage": 1})
    pause.delete()

    StageRun.objects.filter(photo=photos[0]).update(not_before=Now() + HOUR)
    assert proving.prove().body["explained"] == {"waiting for the next attempt's time": 1}
    StageRun.objects.filter(photo=photos[0]).update(not_before=None, queued_at=Now())
    assert proving.prove().body["explained"] == {"queued just now": 1}
    running = {"state": RunState.RUNNING, "lease_token": photos[0].pk, "lease_until": Now() + HOUR, "started_at": Now()}
    long_pending(photos[0])
    long_pending(photos[1], **running)
    said = proving.prove()
    assert (said.counts, said.status) == (proving.NOTHING, 0)
    assert said.body["explained"] == {"at work under a lease": 1, "in a backlog that moves": 1}


def test_a_photo_lacks_nothing_that_it_should_not_have(
    face_library: Library, settings: Settings, fresh_versions: Callable[[], None]
) -> None:
    photo, trashed = (photo_samples.take_in(face_library, photo_samples.picture()) for _ in range(2))
    photo_samples.run_everything()
    face_analysis.switch_face_analysis(library=face_library, enabled=False, by=None)
    while photo_samples.run_library_work("erase_faces"):
        pass
    assert StageRun.objects.filter(stage="face_detection", state="done").count() == 0
    assert proving.prove().counts == proving.NOTHING

    settings.RENDITION_QUALITY = 50
    fresh_versions()
    said = proving.prove()
    assert (said.counts, said.body["outdated"]) == (proving.NOTHING, 2)
    trash.move_to_trash(photo_ids=[trashed.pk])
    trashed.stage_runs.all().delete()
    said = proving.prove()
    assert (said.counts, said.body["outdated"]) == (proving.NOTHING, 1)
    photo_samples.plan_missing(Photo.objects.all())
    photo_samples.run("renditions")
    # the superseded version's run is still there, and names nothing
    assert photo.stage_runs.filter(stage="renditions").count() == 2
    said = proving.prove()
    assert (said.counts, said.body["outdated"]) == (proving.NOTHING, 0)


def test_near_faces_are_not_doubled(face_library: Library) -> None:
    photo = photo_samples.take_through(face_library, photo_samples.portrait())
    face = Face.objects.get()
    width = face.right - face.left
    Face.objects.create(
        **{name: value for name, value in Face.objects.values().get().items() if name not in {"id", "left", "right"}}
        | {"left": face.left + 0.1 * width, "right": face.right + 0.1 * width, "chip_key": face.chip_key + "x"}
    )
    shown.refresh(photo_ids=[photo.pk])
    # its chip and its vector are missing, and that is all
    assert proving.prove().offences == {("chip_missing", str(photo.pk)), ("result_missing", str(photo.pk))}


def test_one_library_is_proved_by_itself(library: Library) -> None:
    other = Library.objects.create(name="another")
    mine, theirs = work_on(library), work_on(other)
    theirs.stage_runs.filter(stage="exif").delete()
    assert proving.prove().offences == {("run_missing", str(theirs.pk))}
    said = proving.prove("--library", library.name)
    assert (said.counts, said.body["photos"]) == (proving.NOTHING, 1)
    assert proving.prove("--library", other.name).offences == {("run_missing", str(theirs.pk))}
    with pytest.raises(CommandError, match="There is no library named 'third'"):
        proving.prove("--library", "third")
    assert mine.stage_runs.count() == 3


def test_what_changes_while_it_is_read_is_looked_at_again(
    library: Library, settings: Settings, fresh_versions: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = work_on(library)
    old_keys = set(photo.renditions.values_list("storage_key", flat=True))
    examine, looks = contents.examine, []

    def examine_late(batch: Batch, *arguments: object, **named: object) -> Iterator[Finding]:
        """Look at the objects when the rows that were read have been replaced, and their objects are gone."""
        if not looks:
            settings.RENDITION_QUALITY = 50
            fresh_versions()
            photo_samples.plan_missing(Photo.objects.all())
            photo_samples.run("renditions")
            storage.delete_objects(alias=storage.RENDITIONS, keys=old_keys)
        found = list(examine(batch, *arguments, **named))
        looks.append({finding.code for finding in found})
        return iter(found)

    monkeypatch.setattr(contents, "examine", examine_late)
    said = proving.prove()
    assert (said.status, said.counts) == (0, proving.NOTHING)
    assert looks == [{"rendition_missing"}, set()]
    assert not old_keys & set(photo.renditions.values_list("storage_key", flat=True))
