"""Real stages on real photos: one result each, the same one if repeated, and nothing from a zombie."""

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import photo_samples
import pytest
from django.db.models import Count
from pytest_django import Settings

from accounts.models import Library
from photos import storage
from photos.models import Face, FaceEmbedding, Metadata, Person, Photo, Rendition
from photos.services import people
from processing import overview
from processing.models import RunState, StageRun
from processing.pipeline import working
from processing.services import object_sweeps, reprocess
from processing.services.object_sweeps import Swept
from processing.stages import registry

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("photo_store")]

STAGES = ("exif", "place", "renditions", "face_detection", "face_embedding")


def test_every_photo_has_exactly_one_result_per_stage(face_library: Library, shared_photos: Path) -> None:
    files = [
        "people/kit_harington/john1.jpeg",
        "people/kit_harington/john2.jpeg",
        "groups/kit_with_rose.jpg",
        "scenes/notocactus_minimus.jpg",
        "formats/IMG_2682.heic",
        "exif/Arbitro.tiff",
        "broken_exif/image01137.jpg",
    ]
    photos = {name: photo_samples.take_in(face_library, (shared_photos / name).read_bytes()) for name in files}

    photo_samples.run_everything()

    assert set(StageRun.objects.values_list("state", flat=True)) == {"done", "skipped"}
    per_stage = StageRun.objects.values_list("photo_id", "stage").annotate(count=Count("pk"))
    assert set(per_stage) == {(photo.pk, stage, 1) for photo in photos.values() for stage in STAGES}
    assert set(StageRun.objects.filter(state="skipped").values_list("stage", "skip_reason")) == {
        ("face_embedding", "no_faces"),
        ("place", "no_position"),
    }
    faces = {name: Face.objects.kept().filter(photo=photo).count() for name, photo in photos.items()}
    assert (faces["groups/kit_with_rose.jpg"], faces["scenes/notocactus_minimus.jpg"]) == (2, 0)
    assert faces["people/kit_harington/john1.jpeg"] == faces["people/kit_harington/john2.jpeg"] == 1
    kit = {Face.objects.get(photo=photos[name]).person_id for name in files[:2]}
    assert len(kit) == 1
    assert kit < set(Face.objects.filter(photo=photos[files[2]]).values_list("person_id", flat=True))
    assert photo_samples.run_of(photos["broken_exif/image01137.jpg"], "exif").warnings != []
    assert overview.overview().is_settled


def test_what_a_run_keeps_of_its_work(face_library: Library) -> None:
    photo = photo_samples.take_through(face_library, photo_samples.portrait())
    versions = {stage.name: stage.planned_versions()[0] for stage in registry.all_stages() if stage.planned_versions()}
    inputs = {run.stage: run.inputs for run in photo.stage_runs.all()}
    assert inputs == {
        "exif": {},
        "place": {},
        "renditions": {},
        "face_detection": {"renditions": versions["renditions"]},
        "face_embedding": {"face_detection": versions["face_detection"]},
    }
    # never begun: the portrait says no position
    for run in photo.stage_runs.exclude(stage="place"):
        assert (run.version, run.attempt, run.worker, run.lease_token) == (versions[run.stage], 1, "worker@test", None)
        assert 0 < run.work_seconds < 30
        assert run.started_at < run.finished_at
    assert Metadata.objects.get().version == versions["exif"]
    assert set(Rendition.objects.values_list("version", flat=True)) == {versions["renditions"]}
    face = Face.objects.get()
    assert (face.version, face.embeddings.get().version) == (versions["face_detection"], versions["face_embedding"])
    assert face.embeddings.get().dimensions == 128
    # where NASA's portrait shows it, as fractions of the picture
    box = (face.left, face.top, face.right, face.bottom)
    assert box == pytest.approx((0.355, 0.202, 0.616, 0.580), abs=0.02)


def test_running_a_stage_again_leaves_equal_rows_and_bytes(face_library: Library, photo_store: Path) -> None:
    for data in (photo_samples.portrait(faces=2), photo_samples.portrait(brightness=0.8), photo_samples.picture()):
        photo_samples.take_in(face_library, data)
    photo_samples.run_everything()
    rows, bytes_before = photo_samples.written_rows(), photo_samples.files_below(photo_store)
    assert (len(rows["Face"]), len(rows["FaceEmbedding"]), len(rows["Person"])) == (3, 3, 1)

    for stage in STAGES:
        # the picture without a face has nothing to embed, and none of them has a position
        expected = {"place": 0, "face_embedding": 2}.get(stage, 3)
        assert reprocess.run_again(photos=Photo.objects.all(), stage=stage) == expected
        photo_samples.run_everything()
        assert photo_samples.written_rows() == rows, stage
        assert photo_samples.files_below(photo_store) == bytes_before, stage
    assert set(StageRun.objects.values_list("stage", "state")) == {
        *((stage, "done") for stage in STAGES if stage != "place"),
        ("place", "skipped"),
        ("face_embedding", "skipped"),
    }
    assert set(StageRun.objects.values_list("attempt", flat=True)) <= {0, 1}


def test_one_damaged_file_is_dead_at_once_and_fails_no_other(face_library: Library) -> None:
    first = photo_samples.take_in(face_library, photo_samples.portrait())
    damaged = photo_samples.take_in(face_library, photo_samples.damaged_picture())
    last = photo_samples.take_in(face_library, photo_samples.picture())
    assert not overview.overview().is_settled

    photo_samples.run_everything()

    assert photo_samples.states(first) == {**dict.fromkeys(STAGES, "done"), "place": "skipped"}
    assert photo_samples.states(last) == {
        **dict.fromkeys(STAGES, "done"),
        "place": "skipped",
        "face_embedding": "skipped",
    }
    assert photo_samples.states(damaged) == {
        "exif": "done",
        "place": "skipped",
        "renditions": "dead",
        "face_detection": "waiting",
        "face_embedding": "waiting",
    }
    run = photo_samples.run_of(damaged, "renditions")
    assert (run.attempt, run.error_code) == (1, "damaged")
    assert "truncated" in run.error_detail
    with storage.open_object(alias="originals", key=damaged.storage_key) as original:
        assert len(original.read()) == damaged.byte_size
    assert Rendition.objects.filter(photo=damaged).count() == 0
    seen = overview.overview()
    assert seen.is_settled
    blocked = {work.name: work.blocked for work in seen.work if work.blocked}
    assert blocked == {"face_detection": 1, "face_embedding": 1}


def test_a_photo_without_a_face_has_nothing_to_embed(face_library: Library) -> None:
    photo = photo_samples.take_through(face_library, photo_samples.picture())
    run = photo_samples.run_of(photo, "face_embedding")
    assert (run.state, run.skip_reason, run.attempt) == ("skipped", "no_faces", 0)
    assert reprocess.run_again(photos=Photo.objects.all(), stage="face_embedding") == 0
    run.refresh_from_db()
    assert (run.state, run.skip_reason) == ("skipped", "no_faces")


def test_objects_that_no_row_names_any_more_are_deleted(
    face_library: Library, photo_store: Path, settings: Settings, fresh_versions: Callable[[], None]
) -> None:
    photo = photo_samples.take_through(face_library, photo_samples.portrait())
    before = photo_samples.files_below(photo_store / "renditions")
    face = Face.objects.get()
    assert len(before) == 5
    settings.RENDITION_QUALITY, settings.FACE_CHIP_QUALITY = 70, 80
    settings.RENDITION_SIZES = {"preview": 1440, "thumb_300": 300}
    fresh_versions()
    assert photo_samples.plan_missing(Photo.objects.all()) == 2

    photo_samples.run("renditions")
    photo_samples.run_everything()

    # not at once: a run of the older version may be about to name one of them again
    assert len(photo_samples.files_below(photo_store / "renditions")) == 8
    assert object_sweeps.sweep() == Swept(prefixes=1, objects_deleted=5)
    after = photo_samples.files_below(photo_store / "renditions")
    named = {*Rendition.objects.values_list("storage_key", flat=True), Face.objects.get().chip_key}
    assert set(after) == named
    assert len(after) == 3
    assert not set(after) & set(before)
    again = Face.objects.get()
    assert again.pk == face.pk
    latest = registry.get("face_detection").planned_versions()[0]
    assert again.version == latest
    assert photo.stage_runs.get(version=latest).inputs == {"renditions": registry.get("renditions").base_version}


def test_detection_again_keeps_faces_people_and_decisions(face_library: Library) -> None:
    photo = photo_samples.take_through(face_library, photo_samples.portrait(faces=2))
    left, right = Face.objects.order_by("left")
    ada = Person.objects.create(library=face_library, name="Ada")
    people.decide_face(face=left, person=ada)
    chosen = (
        "left",
        "top",
        "right",
        "bottom",
        "confidence",
        "quality",
        "version",
        "chip_width",
        "chip_height",
        "chip_box",
    )
    like_right = {name: getattr(right, name) for name in (*chosen, "chip_landmarks", "landmarks")}
    nowhere = {**like_right, "left": 0.0, "right": 0.05, "chip_key": right.chip_key + "x"}
    decided_elsewhere = Face.objects.create(photo=photo, person=ada, person_decided=True, **nowhere)
    data = storage.read_object(alias="renditions", key=right.chip_key)
    storage.write_object(alias="renditions", key=decided_elsewhere.chip_key, file=photo_samples.content(data))

    reprocess.run_again(photos=Photo.objects.all(), stage="face_detection")
    photo_samples.run_everything()

    faces = {face.pk: face for face in Face.objects.filter(photo=photo)}
    assert set(faces) == {left.pk, right.pk, decided_elsewhere.pk}
    assert (faces[left.pk].person, faces[left.pk].person_decided) == (ada, True)
    assert (faces[decided_elsewhere.pk].person, faces[decided_elsewhere.pk].person_decided) == (ada, True)
    # the face that nobody decided on looks like those that are Ada
    assert (faces[right.pk].person, faces[right.pk].person_decided) == (ada, False)
    assert FaceEmbedding.objects.filter(face__in=faces).count() == 3


def test_vectors_do_not_depend_on_the_batch(face_library: Library, settings: Settings) -> None:
    settings.EMBEDDINGS_BATCH_SIZE = 1
    for brightness in (0.8, 0.9, 1.0):
        photo_samples.take_in(face_library, photo_samples.portrait(brightness=brightness))
    photo_samples.run_everything()
    alone = dict(FaceEmbedding.objects.values_list("pk", "vector"))
    settings.EMBEDDINGS_BATCH_SIZE = 32
    FaceEmbedding.objects.update(version="older")
    reprocess.run_again(photos=Photo.objects.all(), stage="face_embedding")
    assert photo_samples.run("face_embedding") == 3
    assert set(StageRun.objects.filter(stage="face_embedding").values_list("claimed_with", flat=True)) == {3}
    assert dict(FaceEmbedding.objects.values_list("pk", "vector")) == alone
    first, *others = alone.values()
    assert len(others) == 2
    assert all(0 < np.linalg.norm(np.subtract(first, other)) < 0.52 for other in others)


def test_a_task_stops_when_its_budget_is_spent_and_rings_again(
    library: Library, settings: Settings, broker: Any
) -> None:
    for _ in range(5):
        photo_samples.take_in(library, photo_samples.picture())
    broker.flushdb()
    settings.LEDGER_TASK_RUNS = 3
    assert photo_samples.run("exif") == 3
    assert broker.llen("ingest") == 1
    assert photo_samples.run("exif") == 2
    assert photo_samples.run("exif") == 0
    assert broker.llen("ingest") == 1
    settings.LEDGER_TASK_SECONDS = 0
    assert photo_samples.run("renditions") == 0
    assert broker.llen("ingest") == 2


def test_a_stage_that_nobody_knows_is_an_error() -> None:
    with pytest.raises(KeyError):
        working.work(stage_name="unknown", task_id=uuid.uuid4().hex, worker="worker@test")
    assert not StageRun.objects.filter(state=RunState.RUNNING).exists()
