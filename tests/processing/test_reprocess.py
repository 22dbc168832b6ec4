"""Making results anew: what is missing is planned, what is asked for runs again, and nothing else."""

from collections.abc import Callable

import photo_samples
import pytest
from django.db.models.functions import Now
from pytest_django import Settings

from accounts.models import Library
from photos.models import Photo
from photos.services import trash
from processing.models import RunState, StageRun
from processing.models.ledger import Lane
from processing.services import face_analysis, reprocess
from processing.stages import registry

pytestmark = pytest.mark.django_db

MakePhoto = Callable[..., Photo]


def test_what_is_missing_is_planned(
    make_photo: MakePhoto, settings: Settings, fresh_versions: Callable[[], None]
) -> None:
    bare, planned = make_photo(), make_photo()
    assert photo_samples.plan_missing(Photo.objects.filter(pk=planned.pk)) == 3
    assert photo_samples.plan_missing(Photo.objects.all()) == 3
    assert set(bare.stage_runs.values_list("stage", "state", "lane")) == {
        ("exif", "pending", Lane.BACKFILL),
        ("place", "waiting", Lane.BACKFILL),
        ("renditions", "pending", Lane.BACKFILL),
    }
    assert photo_samples.plan_missing(Photo.objects.all()) == 0
    settings.RENDITION_SIZES = {"preview": 1000}
    fresh_versions()
    assert photo_samples.plan_missing(Photo.objects.filter(pk=bare.pk)) == 1
    assert bare.stage_runs.count() == 4
    assert planned.stage_runs.count() == 3


def finish(photo: Photo, *stages: str) -> None:
    done = {"state": RunState.DONE, "finished_at": Now(), "attempt": 2, "work_seconds": 1.5}
    assert photo.stage_runs.filter(stage__in=stages).update(**done) == len(stages)


def test_a_stage_runs_again_whatever_came_of_it(make_photo: MakePhoto, face_library: Library) -> None:
    done, dead, waiting = make_photo(), make_photo(), make_photo()
    photo_samples.plan_missing(Photo.objects.all())
    for photo in (done, dead):
        finish(photo, "renditions", "face_detection")
    dead.stage_runs.filter(stage="face_detection").update(state=RunState.DEAD, error_code="unexpected_error")

    assert reprocess.run_again(photos=Photo.objects.all(), stage="face_detection") == 2

    for photo in (done, dead):
        run = photo_samples.run_of(photo, "face_detection")
        assert (run.state, run.attempt, run.error_code, run.finished_at) == ("pending", 0, "", None)
        assert photo_samples.run_of(photo, "renditions").state == "done"
    assert photo_samples.run_of(waiting, "face_detection").state == "waiting"


def test_a_run_at_work_loses_its_lease(make_photo: MakePhoto) -> None:
    photo = make_photo()
    photo_samples.plan_missing(Photo.objects.all())
    lease = {"lease_token": photo.pk, "lease_until": Now(), "started_at": Now()}
    photo.stage_runs.filter(stage="exif").update(state=RunState.RUNNING, attempt=1, **lease)
    assert reprocess.run_again(photos=Photo.objects.all(), stage="exif") == 1
    run = photo_samples.run_of(photo, "exif")
    assert (run.state, run.attempt, run.lease_token) == ("pending", 0, None)


def test_what_was_skipped_stays_skipped(make_photo: MakePhoto, face_library: Library) -> None:
    photo = make_photo()
    photo_samples.plan_missing(Photo.objects.all())
    finish(photo, "renditions", "face_detection")
    skipped = {"state": RunState.SKIPPED, "skip_reason": "no_faces", "finished_at": Now()}
    photo.stage_runs.filter(stage="face_embedding").update(**skipped)
    before = list(StageRun.objects.order_by("pk").values())
    assert reprocess.run_again(photos=Photo.objects.all(), stage="face_embedding") == 0
    assert list(StageRun.objects.order_by("pk").values()) == before


def test_without_consent_no_face_work_runs_again(make_photo: MakePhoto, face_library: Library) -> None:
    photo = make_photo()
    photo_samples.plan_missing(Photo.objects.all())
    finish(photo, "renditions", "face_detection", "face_embedding")
    face_analysis.switch_face_analysis(library=face_library, enabled=False, by=None)
    before = list(StageRun.objects.order_by("pk").values())
    for stage in ("face_detection", "face_embedding"):
        assert reprocess.run_again(photos=Photo.objects.all(), stage=stage) == 0
    assert list(StageRun.objects.order_by("pk").values()) == before


def test_a_photo_that_has_no_run_yet_gets_one(make_photo: MakePhoto) -> None:
    photo = make_photo()
    assert reprocess.run_again(photos=Photo.objects.all(), stage="exif") == 1
    assert photo_samples.states(photo) == {"exif": "pending", "place": "waiting", "renditions": "pending"}


def test_only_the_photos_that_were_chosen(make_photo: MakePhoto) -> None:
    chosen, other, trashed = make_photo(), make_photo(), make_photo()
    trash.move_to_trash(photo_ids=[trashed.pk])
    present = Photo.objects.present().exclude(pk=other.pk)
    assert reprocess.run_again(photos=present, stage="exif") == 1
    assert set(StageRun.objects.values_list("photo", flat=True)) == {chosen.pk}


@pytest.mark.django_db(transaction=True)
def test_workers_are_rung_for_once_for_many(make_photo: MakePhoto, broker: object) -> None:
    for _ in range(33):
        make_photo()
    photo_samples.plan_missing(Photo.objects.all())
    StageRun.objects.update(state=RunState.DONE, finished_at=Now())
    broker.flushdb()
    assert reprocess.run_again(photos=Photo.objects.all(), stage="exif") == 33
    assert {stage.queue: broker.llen(stage.queue) for stage in registry.all_stages()} == {
        "ingest": 2,
        "maintenance": 0,
        "faces": 0,
        "embeddings": 0,
    }
    assert reprocess.run_again(photos=Photo.objects.none(), stage="exif") == 0
    assert broker.llen("ingest") == 2
