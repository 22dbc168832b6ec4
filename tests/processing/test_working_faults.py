"""What goes wrong while a stage works: zombies, lost connections, time limits, withdrawn consent."""

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import photo_samples
import pytest
from celery.exceptions import SoftTimeLimitExceeded
from concurrency import end_connection_of_this_thread, in_a_thread, wait_until, wait_until_blocked
from django.db import OperationalError
from django.db.models.functions import Now
from pytest_django import Settings

from accounts.models import Library
from photos.models import Face, FaceEmbedding, Photo, Rendition
from processing import ledger, publish
from processing.models import StageRun
from processing.pipeline import working
from processing.services import face_analysis, reprocess
from processing.stages import registry
from processing.stages.exif import ExifStage
from processing.stages.face_detection import FaceDetectionStage
from processing.stages.face_embedding import FaceEmbeddingStage
from processing.stages.renditions import RenditionsStage

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("photo_store")]

STAGES = ("exif", "place", "renditions", "face_detection", "face_embedding")


class PoisonedDetection(FaceDetectionStage):
    """Fails on the picture whose preview is the smallest."""

    def compute(self, loaded: Any, *, version: str) -> list[Any]:
        if any(len(one.data) < 1000 for one in loaded):
            raise ZeroDivisionError("a bug that only this preview shows")
        return super().compute(loaded, version=version)


def test_one_bad_photo_in_a_batch_fails_no_other(face_library: Library, replaced_stage: Callable[[type], None]) -> None:
    replaced_stage(PoisonedDetection)
    portraits = [photo_samples.take_in(face_library, photo_samples.portrait(brightness=0.9 + n / 10)) for n in (0, 1)]
    bad = photo_samples.take_in(face_library, photo_samples.picture(size=(16, 16)))
    photo_samples.run_everything()
    assert [photo_samples.states(photo)["face_detection"] for photo in portraits] == ["done", "done"]
    assert {photo_samples.run_of(photo, "face_detection").claimed_with for photo in (*portraits, bad)} == {3}
    run = photo_samples.run_of(bad, "face_detection")
    assert (run.state, run.attempt, run.error_code) == ("pending", 1, "unexpected_error")
    assert run.error_detail == "ZeroDivisionError: a bug that only this preview shows"
    assert run.not_before > run.queued_at


def expire(run: StageRun) -> None:
    StageRun.objects.filter(pk=run.pk).update(lease_until=Now() - timedelta(seconds=1))
    assert ledger.expire_leases(ledger=StageRun).returned == {run.stage: 1}


@pytest.mark.parametrize("stage", [ExifStage, RenditionsStage, FaceDetectionStage, FaceEmbeddingStage])
def test_a_zombie_writes_nothing(
    face_library: Library, photo_store: Path, replaced_stage: Callable[[type], None], stage: type
) -> None:
    photo = photo_samples.take_in(face_library, photo_samples.portrait())
    for name in STAGES[: STAGES.index(stage.name)]:
        photo_samples.run(name)
    rows, states = photo_samples.written_rows(), photo_samples.states(photo)

    class Zombie(stage):
        """Loses its lease while it computes, and nobody has taken the run yet."""

        def compute(self, loaded: Any, *, version: str) -> list[Any]:
            expire(photo_samples.run_of(photo, self.name))
            # one claim is enough: the run is not taken again by this loop
            StageRun.objects.filter(stage=self.name).update(not_before=Now() + timedelta(hours=1))
            return super().compute(loaded, version=version)

    replaced_stage(Zombie)
    assert photo_samples.run(stage.name) == 1
    run = photo_samples.run_of(photo, stage.name)
    assert (run.state, run.attempt, run.error_code) == ("pending", 1, "lease_expired")
    assert photo_samples.written_rows() == rows
    assert photo_samples.states(photo) == states


class StoppedRenditions(RenditionsStage):
    """The first time it computes, it stops until it is told to go on: as a worker under SIGSTOP."""

    calls = 0
    stopped = go_on = False

    def compute(self, loaded: Any, *, version: str) -> list[Any]:
        kind = type(self)
        kind.calls += 1
        if kind.calls == 1:
            kind.stopped = True
            wait_until(lambda: kind.go_on, "nobody said to go on")
        return super().compute(loaded, version=version)


def test_of_a_zombie_and_its_successor_one_commits(
    face_library: Library, photo_store: Path, replaced_stage: Callable[[type], None]
) -> None:
    replaced_stage(type("Stopped", (StoppedRenditions,), {}))
    kind = type(registry.get("renditions"))
    photo = photo_samples.take_in(face_library, photo_samples.portrait())
    zombie = in_a_thread(photo_samples.run, "renditions")
    wait_until(lambda: kind.stopped, "the first worker has not begun")
    expire(photo_samples.run_of(photo, "renditions"))
    assert photo_samples.run("renditions") == 1
    rows, bytes_before = photo_samples.written_rows(), photo_samples.files_below(photo_store)
    done = photo_samples.run_of(photo, "renditions")
    assert (done.state, done.attempt) == ("done", 2)
    assert photo_samples.run("face_detection") == 1
    # it has its faces counted
    rows["Photo"] = photo_samples.written_rows()["Photo"]

    kind.go_on = True
    assert zombie.result(30) == 1

    after = photo_samples.written_rows()
    assert {name: after[name] for name in ("Rendition", "Photo", "Metadata")} == {
        name: rows[name] for name in ("Rendition", "Photo", "Metadata")
    }
    assert {name: photo_samples.files_below(photo_store)[name] for name in bytes_before} == bytes_before
    run = photo_samples.run_of(photo, "renditions")
    assert (run.finished_at, run.attempt, run.task_id) == (done.finished_at, 2, done.task_id)
    # the zombie did not send detection round again
    assert photo_samples.states(photo)["face_detection"] == "done"


def test_consent_that_is_withdrawn_stops_a_worker_at_work(
    face_library: Library, replaced_stage: Callable[[type], None]
) -> None:
    class Interrupted(FaceEmbeddingStage):
        def compute(self, loaded: Any, *, version: str) -> list[Any]:
            face_analysis.switch_face_analysis(library=face_library, enabled=False, by=None)
            return super().compute(loaded, version=version)

    replaced_stage(Interrupted)
    photo = photo_samples.take_through(face_library, photo_samples.portrait())
    assert photo_samples.run_of(photo, "face_embedding").skip_reason == "face_analysis_off"
    assert FaceEmbedding.objects.count() == 0


@pytest.mark.parametrize(
    ("stage", "states"),
    [
        (FaceDetectionStage, {"face_detection": "done", "face_embedding": "skipped"}),
        (FaceEmbeddingStage, {"face_detection": "done", "face_embedding": "done"}),
    ],
)
def test_a_switch_waits_for_a_commit_and_does_not_deadlock(
    face_library: Library, replaced_stage: Callable[[type], None], stage: type, states: dict[str, str]
) -> None:
    switches = []

    class Slow(stage):
        def write(self, loaded: Any, stored: Any, *, version: str) -> Any:
            written = super().write(loaded, stored, version=version)
            arguments = {"library": face_library, "enabled": False, "by": None}
            switches.append(in_a_thread(face_analysis.switch_face_analysis, **arguments))
            # it waits for the run that is committed here, which has yet to reach for its child's
            wait_until_blocked()
            return written

    replaced_stage(Slow)
    photo = photo_samples.take_in(face_library, photo_samples.portrait())
    for name in STAGES:
        photo_samples.run(name)
    [switch] = switches
    assert not switch.result(10).face_analysis
    assert photo_samples.states(photo) == {"exif": "done", "place": "skipped", "renditions": "done", **states}
    # what was committed before the withdrawal is not followed by more
    grouped = face_library.runs.filter(kind="people")
    assert set(grouped.values_list("state", "skip_reason")) <= {("skipped", "face_analysis_off")}
    assert photo_samples.run_people() == 0


class FindsNothing(FaceDetectionStage):
    """Finds no face any more."""

    def compute(self, loaded: Any, *, version: str) -> list[Any]:
        return [replace(found, faces=()) for found in super().compute(loaded, version=version)]


def test_a_stage_and_the_one_that_reads_it_commit_at_once_and_do_not_deadlock(
    face_library: Library, replaced_stage: Callable[[type], None]
) -> None:
    detections = []

    class Slow(FaceEmbeddingStage):
        def write(self, loaded: Any, stored: Any, *, version: str) -> Any:
            written = super().write(loaded, stored, version=version)
            detections.append(in_a_thread(photo_samples.run, "face_detection"))
            wait_until_blocked()
            return written

    photo = photo_samples.take_in(face_library, photo_samples.portrait())
    for name in STAGES[:4]:
        photo_samples.run(name)
    replaced_stage(FindsNothing)
    replaced_stage(Slow)
    assert reprocess.run_again(photos=Photo.objects.all(), stage="face_detection") == 1
    assert photo_samples.run("face_embedding") == 1
    assert detections[0].result(30) == 1
    runs = photo.stage_runs.values_list("stage", "state", "skip_reason", "error_code")
    assert set(runs.filter(stage__startswith="face_")) == {
        ("face_detection", "done", "", ""),
        ("face_embedding", "skipped", "no_faces", ""),
    }
    assert (Face.objects.count(), FaceEmbedding.objects.count()) == (0, 0)


def test_face_work_that_slipped_through_is_not_done(face_library: Library) -> None:
    photo = photo_samples.take_through(face_library, photo_samples.portrait())
    face_analysis.switch_face_analysis(library=face_library, enabled=False, by=None)
    rows = photo_samples.written_rows()
    # new renditions open the detection that was done again, by a commit that knows nothing of consent
    assert reprocess.run_again(photos=Photo.objects.all(), stage="renditions") == 1
    photo_samples.run("renditions")
    assert photo_samples.states(photo)["face_detection"] == "pending"
    photo_samples.run("face_detection")
    assert photo_samples.run_of(photo, "face_detection").skip_reason == "face_analysis_off"
    assert {**photo_samples.written_rows(), "Rendition": []} == {**rows, "Rendition": []}
    assert reprocess.run_again(photos=Photo.objects.all(), stage="face_embedding") == 0

    assert photo_samples.run_library_work("erase_faces") == 1
    # and once more, of what was withdrawn
    assert reprocess.run_again(photos=Photo.objects.all(), stage="renditions") == 1
    photo_samples.run("renditions")
    face_states = photo.stage_runs.filter(stage__startswith="face_").values_list("state", "skip_reason")
    assert set(face_states) == {("skipped", "face_analysis_off")}
    without_faces = {"Photo": [{**one, "face_count": 0} for one in rows["Photo"]]}
    assert photo_samples.written_rows() == {**rows, **without_faces, "Face": [], "FaceEmbedding": [], "Person": []}


def test_a_store_that_cannot_be_read_burns_no_attempt(face_library: Library, photo_store: Path) -> None:
    photo = photo_samples.take_in(face_library, photo_samples.picture())
    # as where the disk is not mounted
    originals = photo_store / "originals"
    originals.rename(photo_store / "away")
    for _ in range(2):
        StageRun.objects.update(not_before=None)
        assert photo_samples.run("exif") == 1
        run = photo_samples.run_of(photo, "exif")
        assert (run.state, run.attempt, run.error_code) == ("pending", 0, "storage_unavailable")
        assert 7.5 <= (run.not_before - run.queued_at).total_seconds() <= 12.5
        originals.mkdir(exist_ok=True)

    originals.rmdir()
    (photo_store / "away").rename(originals)
    StageRun.objects.update(not_before=None)
    photo_samples.run("exif")
    run.refresh_from_db()
    assert (run.state, run.attempt, run.error_code, run.error_detail) == ("done", 1, "", "")


def test_an_original_that_is_missing_is_dead_after_three_attempts(face_library: Library, photo_store: Path) -> None:
    photo = photo_samples.take_in(face_library, photo_samples.picture())
    (photo_store / "originals" / photo.storage_key).unlink()
    for attempt in (1, 2, 3):
        StageRun.objects.update(not_before=None)
        assert photo_samples.run("renditions") == 1
        run = photo_samples.run_of(photo, "renditions")
        assert (run.attempt, run.error_code) == (attempt, "object_missing")
    assert run.state == "dead"
    assert photo_samples.run("renditions") == 0


@pytest.mark.parametrize("moment", ["compute", "write"])
def test_a_database_that_ends_the_connection_burns_no_attempt(
    face_library: Library, replaced_stage: Callable[[type], None], moment: str
) -> None:
    class Cut(RenditionsStage):
        cuts = 0

        def _cut(self) -> None:
            Cut.cuts += 1
            if Cut.cuts == 1:
                end_connection_of_this_thread()

        def compute(self, loaded: Any, *, version: str) -> list[Any]:
            if moment == "compute":
                self._cut()
                Photo.objects.count()
            return super().compute(loaded, version=version)

        def write(self, loaded: Any, stored: Any, *, version: str) -> Any:
            if moment == "write":
                self._cut()
            return super().write(loaded, stored, version=version)

    replaced_stage(Cut)
    photo = photo_samples.take_in(face_library, photo_samples.picture())
    assert photo_samples.run("renditions") == 1
    run = photo_samples.run_of(photo, "renditions")
    assert (run.state, run.attempt, run.error_code) == ("pending", 0, "database_unavailable")
    assert Rendition.objects.count() == 0
    StageRun.objects.update(not_before=None)
    photo_samples.run("renditions")
    assert (photo_samples.run_of(photo, "renditions").state, photo_samples.run_of(photo, "renditions").attempt) == (
        "done",
        1,
    )


class TimedOut(FaceDetectionStage):
    """The soft time limit strikes while it computes."""

    def compute(self, loaded: Any, *, version: str) -> list[Any]:
        raise SoftTimeLimitExceeded


def test_a_soft_time_limit_alone_counts(face_library: Library, replaced_stage: Callable[[type], None]) -> None:
    replaced_stage(TimedOut)
    photo = photo_samples.take_in(face_library, photo_samples.picture())
    photo_samples.run("renditions")
    for attempt in (1, 2, 3):
        with pytest.raises(SoftTimeLimitExceeded):
            photo_samples.run("face_detection")
        run = photo_samples.run_of(photo, "face_detection")
        assert (run.attempt, run.error_code, run.claimed_with) == (attempt, "timed_out", 1)
    assert run.state == "dead"


def test_a_soft_time_limit_in_company_burns_no_attempt(
    face_library: Library, replaced_stage: Callable[[type], None]
) -> None:
    replaced_stage(TimedOut)
    photos = [photo_samples.take_in(face_library, photo_samples.picture()) for _ in range(3)]
    photo_samples.run("renditions")
    with pytest.raises(SoftTimeLimitExceeded):
        photo_samples.run("face_detection")
    runs = StageRun.objects.filter(stage="face_detection")
    assert set(runs.values_list("state", "attempt", "error_code", "claim_alone")) == {("pending", 0, "timed_out", True)}
    # from now on each comes alone, and the next loss is its own
    for _ in photos:
        with pytest.raises(SoftTimeLimitExceeded):
            photo_samples.run("face_detection")
    assert set(runs.values_list("state", "attempt", "claimed_with")) == {("pending", 1, 1)}


@pytest.mark.parametrize("stage", ["exif", "face_detection"])
def test_a_store_that_hangs_until_the_time_limit_burns_no_attempt(
    face_library: Library, photo_store: Path, time_limit_soon: Callable[[], None], stage: str
) -> None:
    photos = [photo_samples.take_in(face_library, photo_samples.picture()) for _ in range(2)]
    read = {photo.storage_key: photo_store / "originals" / photo.storage_key for photo in photos}
    if stage == "face_detection":
        photo_samples.run("renditions")
        keys = Rendition.objects.filter(kind="preview").values_list("storage_key", flat=True)
        read = {key: photo_store / "renditions" / key for key in keys}
    for path in read.values():
        path.rename(path.with_suffix(".away"))
        os.mkfifo(path)  # whoever opens it waits for somebody who writes
    runs = StageRun.objects.filter(stage=stage)
    for _ in range(4):
        StageRun.objects.update(not_before=None)
        time_limit_soon()
        with pytest.raises(SoftTimeLimitExceeded):
            photo_samples.run(stage)
        assert set(runs.values_list("state", "attempt", "claim_alone")) == {("pending", 0, False)}
    assert runs.filter(error_code="storage_unavailable", not_before__isnull=False).exists()

    for path in read.values():
        path.with_suffix(".away").replace(path)
    StageRun.objects.update(not_before=None)
    photo_samples.run(stage)
    assert set(runs.values_list("state", "attempt", "error_code")) == {("done", 1, "")}


def test_what_was_committed_before_the_time_limit_stays(
    face_library: Library, replaced_stage: Callable[[type], None]
) -> None:
    class TimedOutLater(FaceDetectionStage):
        def store(self, loaded: Any, result: Any, *, version: str) -> Any:
            if loaded.photo_id == photos[1].pk:
                raise SoftTimeLimitExceeded
            return super().store(loaded, result, version=version)

    replaced_stage(TimedOutLater)
    photos = [photo_samples.take_in(face_library, photo_samples.picture()) for _ in range(3)]
    photo_samples.run("renditions")
    with pytest.raises(SoftTimeLimitExceeded):
        photo_samples.run("face_detection")
    assert [photo_samples.run_of(photo, "face_detection").state for photo in photos] == ["done", "pending", "pending"]


def test_work_goes_on_without_a_broker(
    face_library: Library, settings: Settings, closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CELERY_BROKER_URL = f"redis://127.0.0.1:{closed_port}/0"
    monkeypatch.setattr(publish, "_publisher", publish._Publisher())
    photo = photo_samples.take_through(face_library, photo_samples.portrait())
    assert photo_samples.states(photo) == {**dict.fromkeys(STAGES, "done"), "place": "skipped"}


def test_a_host_without_the_model_claims_nothing(face_library: Library, settings: Settings, tmp_path: Path) -> None:
    photo = photo_samples.take_in(face_library, photo_samples.portrait())
    photo_samples.run("renditions")
    settings.MODELS_DIR = tmp_path / "none"
    assert photo_samples.run("face_detection") == 0
    run = photo_samples.run_of(photo, "face_detection")
    assert (run.state, run.attempt, run.error_code) == ("pending", 0, "")


def test_a_database_that_restarts_burns_no_attempt(make_run: Callable[..., StageRun]) -> None:
    run = make_run(version=registry.get("exif").base_version)
    [lease] = ledger.claim(stage="exif", versions=[run.version], limit=1, task_id="t", worker="w")
    end_connection_of_this_thread()
    working.end_attempt(lease, OperationalError("the server closed the connection"))
    run.refresh_from_db()
    assert (run.state, run.attempt, run.error_code) == ("pending", 0, "database_unavailable")
