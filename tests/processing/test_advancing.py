"""What a finished run means for the stages that read its result."""

import uuid
from collections.abc import Callable

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from accounts.models import Library
from photos.models import Photo
from processing.models import RunState, StageRun
from processing.models.ledger import Lane
from processing.pipeline.advancing import advance
from processing.pipeline.planning import plan
from processing.services import face_analysis
from processing.stages import registry

pytestmark = pytest.mark.django_db

MakePhoto = Callable[..., Photo]


@pytest.fixture
def photo(make_photo: MakePhoto, face_library: Library) -> Photo:
    """A photo whose renditions are done."""
    photo = make_photo()
    plan([photo.pk], lane=Lane.IMPORT)
    photo.stage_runs.filter(stage="renditions").update(state=RunState.DONE, finished_at=Now())
    return photo


def run_of(photo: Photo, stage: str) -> StageRun:
    return photo.stage_runs.get(stage=stage)


def put(photo: Photo, stage: str, state: str, **values: object) -> StageRun:
    """Put a run into a state, with what the database wants of it."""
    wanted = {
        RunState.RUNNING: {"lease_token": uuid.uuid4(), "lease_until": Now(), "started_at": Now()},
        RunState.DONE: {"finished_at": Now()},
        RunState.SKIPPED: {"finished_at": Now(), "skip_reason": "no_faces"},
        RunState.DEAD: {"finished_at": Now(), "error_code": "damaged", "error_detail": "why", "attempt": 3},
    }
    photo.stage_runs.filter(stage=stage).update(state=state, **wanted[RunState(state)], **values)
    return run_of(photo, stage)


def assert_starts_over(run: StageRun) -> None:
    assert (run.state, run.attempt, run.finished_at, run.lease_token, run.lease_until) == (
        "pending",
        0,
        None,
        None,
        None,
    )
    assert (run.error_code, run.error_detail, run.skip_reason, run.not_before) == ("", "", "", None)
    assert (run.claim_alone, run.queued_at is None) == (False, False)


def test_a_waiting_child_can_be_claimed_and_nobody_elses(photo: Photo, make_photo: MakePhoto) -> None:
    other = make_photo()
    plan([other.pk], lane=Lane.IMPORT)
    advance(photo_id=photo.pk, stage="renditions")
    assert_starts_over(run_of(photo, "face_detection"))
    assert run_of(photo, "face_detection").lane == Lane.IMPORT
    # a grandchild waits for the child
    assert run_of(photo, "face_embedding").state == "waiting"
    assert run_of(other, "face_detection").state == "waiting"
    advance(photo_id=photo.pk, stage="exif")
    assert run_of(photo, "renditions").state == "done"


@pytest.mark.parametrize("state", ["running", "done", "skipped", "dead"])
def test_a_child_that_read_an_older_input_starts_over(photo: Photo, state: str) -> None:
    put(photo, "face_detection", state, claim_alone=True, not_before=timezone.now())
    advance(photo_id=photo.pk, stage="renditions")
    assert_starts_over(run_of(photo, "face_detection"))


def test_every_version_that_waits_can_be_claimed_known_or_not(photo: Photo) -> None:
    newer = StageRun.objects.create(photo=photo, stage="face_detection", version="9.newer", state=RunState.WAITING)
    superseded = StageRun.objects.create(
        photo=photo,
        stage="face_detection",
        version="0.older",
        state=RunState.SKIPPED,
        skip_reason="superseded",
        finished_at=Now(),
    )
    advance(photo_id=photo.pk, stage="renditions")
    newer.refresh_from_db()
    superseded.refresh_from_db()
    assert (newer.state, superseded.state) == ("pending", "skipped")


@pytest.mark.parametrize("state", ["waiting", "running", "done", "dead"])
def test_a_child_with_nothing_to_do_is_skipped(photo: Photo, state: str) -> None:
    if state != "waiting":
        put(photo, "face_embedding", state)
    advance(photo_id=photo.pk, stage="face_detection", skip_children="no_faces")
    run = run_of(photo, "face_embedding")
    assert (run.state, run.skip_reason, run.lease_token, run.error_code) == ("skipped", "no_faces", None, "")
    assert run.finished_at is not None
    before = StageRun.objects.values().get(pk=run.pk)
    advance(photo_id=photo.pk, stage="face_detection", skip_children="no_faces")
    assert StageRun.objects.values().get(pk=run.pk) == before


def test_a_skip_goes_all_the_way_down(photo: Photo) -> None:
    advance(photo_id=photo.pk, stage="renditions", skip_children="nothing_there")
    reasons = photo.stage_runs.exclude(skip_reason="").values_list("stage", "skip_reason")
    assert set(reasons) == {("face_detection", "nothing_there"), ("face_embedding", "nothing_there")}


def test_withdrawn_consent_is_not_undone_by_a_new_input(photo: Photo, face_library: Library) -> None:
    face_analysis.switch_face_analysis(library=face_library, enabled=False, by=None)
    advance(photo_id=photo.pk, stage="renditions")
    assert run_of(photo, "face_detection").skip_reason == "face_analysis_off"
    advance(photo_id=photo.pk, stage="face_detection", skip_children="no_faces")
    assert run_of(photo, "face_embedding").skip_reason == "face_analysis_off"


@pytest.mark.django_db(transaction=True)
def test_whoever_serves_the_child_is_rung_for(broker: object, photo: Photo) -> None:
    broker.flushdb()
    advance(photo_id=photo.pk, stage="renditions")
    assert {stage.queue: broker.llen(stage.queue) for stage in registry.all_stages()} == {
        "ingest": 0,
        "maintenance": 0,
        "faces": 1,
        "embeddings": 0,
    }
    advance(photo_id=photo.pk, stage="face_detection", skip_children="no_faces")
    assert broker.llen("embeddings") == 0
