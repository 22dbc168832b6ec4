"""Which runs a photo gets, and that none is forgotten whoever plans at the same moment."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import factories
import photo_samples
import pytest
import redis
from concurrency import in_a_thread, wait_until_blocked
from django.db import transaction
from django.db.models.functions import Now
from pytest_django import Settings

from accounts.models import Library
from photos.models import Photo
from processing import reconciler
from processing.engines.installation import InstalledModel
from processing.models import RunState, StageRun
from processing.models.ledger import Lane
from processing.pipeline.planning import announce_new, plan
from processing.services import face_analysis, selection
from processing.stages import registry

pytestmark = pytest.mark.django_db

MakePhoto = Callable[..., Photo]


def runs(photo: Photo) -> dict[str, str]:
    """Give the states by stage, and by stage and model where a stage has several runs."""
    found: dict[str, str] = {}
    for stage, version, state in photo.stage_runs.values_list("stage", "version", "state"):
        found[stage if stage != "face_embedding" else f"{stage} {version.split('.')[2]}"] = state
    return found


def version(stage: str) -> str:
    [only] = registry.get(stage).planned_versions()
    return only


def finish(photo: Photo, stage: str, **values: object) -> None:
    """Put a run into the state that its worker would leave it in; the pipeline itself is tested elsewhere."""
    done = {"state": RunState.DONE, "finished_at": Now(), "lease_token": None, "lease_until": None}
    assert photo.stage_runs.filter(stage=stage).update(**done, **values) == 1


def other_weights(model: InstalledModel) -> InstalledModel:
    return replace(model, name="facenet-vggface2", weights_hash="ab" * 32)


def test_without_face_analysis_only_pixels_and_tags_are_planned(make_photo: MakePhoto, models_in_use: None) -> None:
    photo = make_photo()
    assert plan([photo.pk], lane=Lane.IMPORT) == 3
    assert runs(photo) == {"exif": "pending", "place": "waiting", "renditions": "pending"}
    rows = photo.stage_runs.exclude(queued_at=None).values_list("version", "lane", "attempt")
    assert set(rows) == {(version("exif"), 1, 0), (version("renditions"), 1, 0)}
    assert plan([photo.pk], lane=Lane.UPLOAD) == 0
    assert set(photo.stage_runs.values_list("lane", flat=True)) == {1}


def test_without_a_model_no_face_work_is_planned(make_photo: MakePhoto, library: Library) -> None:
    face_analysis.switch_face_analysis(library=library, enabled=True, by=None)
    photo_samples.run_library_work("plan")
    photo = make_photo()
    assert plan([photo.pk], lane=Lane.UPLOAD) == 3
    assert runs(photo) == {"exif": "pending", "place": "waiting", "renditions": "pending"}


def test_face_work_waits_for_its_input(make_photo: MakePhoto, face_library: Library) -> None:
    photo = make_photo()
    assert plan([photo.pk], lane=Lane.UPLOAD) == 5
    expected = {
        "exif": "pending",
        "place": "waiting",
        "renditions": "pending",
        "face_detection": "waiting",
        "face_embedding dlib-resnet-v1": "waiting",
    }
    assert runs(photo) == expected
    assert plan([photo.pk], lane=Lane.UPLOAD) == 0
    assert runs(photo) == expected


def test_every_selected_model_has_a_run_of_its_own(
    make_photo: MakePhoto, face_library: Library, installed_models: dict[str, InstalledModel]
) -> None:
    photo = make_photo()
    plan([photo.pk], lane=Lane.UPLOAD)
    selection.select_model(installed=other_weights(installed_models["dlib-resnet-v1"]), in_use=False)
    photo_samples.run_library_work("plan")
    assert runs(photo)["face_embedding dlib-resnet-v1"] == "waiting"
    assert runs(photo)["face_embedding facenet-vggface2"] == "waiting"
    assert photo.stage_runs.count() == 6


def test_what_is_planned_late_starts_where_the_photo_is(
    make_photo: MakePhoto, library: Library, models_in_use: None
) -> None:
    new, rendered = make_photo(), make_photo()
    plan([new.pk, rendered.pk], lane=Lane.UPLOAD)
    finish(rendered, "renditions")
    face_analysis.switch_face_analysis(library=library, enabled=True, by=None)
    photo_samples.run_library_work("plan")
    assert runs(new)["face_detection"] == "waiting"
    assert runs(rendered)["face_detection"] == "pending"
    assert runs(rendered)["face_embedding dlib-resnet-v1"] == "waiting"
    assert set(StageRun.objects.filter(stage="face_detection").values_list("lane", flat=True)) == {Lane.BACKFILL}


def test_a_photo_without_faces_has_nothing_for_another_model(
    make_photo: MakePhoto, face_library: Library, installed_models: dict[str, InstalledModel]
) -> None:
    photo = make_photo()
    plan([photo.pk], lane=Lane.UPLOAD)
    finish(photo, "renditions")
    finish(photo, "face_detection")
    selection.select_model(installed=other_weights(installed_models["dlib-resnet-v1"]), in_use=False)
    photo_samples.run_library_work("plan")
    run = photo.stage_runs.get(version__contains="facenet-vggface2")
    assert (run.state, run.skip_reason, run.finished_at is None) == ("skipped", "no_faces", False)


def test_a_photo_that_is_gone_is_passed_over(make_photo: MakePhoto) -> None:
    photo = make_photo()
    gone = photo.pk
    photo.delete()
    assert plan([gone], lane=Lane.UPLOAD) == 0
    assert StageRun.objects.count() == 0


def test_old_versions_end_as_superseded(
    make_photo: MakePhoto, settings: Settings, fresh_versions: Callable[[], None]
) -> None:
    photos = [make_photo() for _ in range(4)]
    plan([photo.pk for photo in photos], lane=Lane.IMPORT)
    old = version("renditions")
    open_run, running, dead, done = (photo.stage_runs.get(stage="renditions") for photo in photos)
    lease = {"lease_token": open_run.pk, "lease_until": Now(), "started_at": Now()}
    StageRun.objects.filter(pk=running.pk).update(state=RunState.RUNNING, **lease)
    StageRun.objects.filter(pk=dead.pk).update(state=RunState.DEAD, finished_at=Now(), error_code="damaged")
    finish(photos[3], "renditions")

    settings.RENDITION_QUALITY = 70
    fresh_versions()
    assert version("renditions") != old
    assert plan([photo.pk for photo in photos], lane=Lane.BACKFILL) == 4

    before = StageRun.objects.filter(version=old).in_bulk()
    for run in (open_run, running, dead):
        ended = before[run.pk]
        assert (ended.state, ended.skip_reason, ended.lease_token) == ("skipped", "superseded", None)
    assert before[done.pk].state == "done"
    new = StageRun.objects.filter(stage="renditions", version=version("renditions"))
    assert set(new.values_list("state", "lane")) == {("pending", 2)}
    assert StageRun.objects.filter(stage="exif").count() == 4


def test_a_version_that_is_planned_again_runs_again(
    make_photo: MakePhoto, settings: Settings, fresh_versions: Callable[[], None]
) -> None:
    superseded, replaced = make_photo(), make_photo()
    both = [superseded.pk, replaced.pk]
    plan(both, lane=Lane.IMPORT)
    finish(replaced, "renditions")
    first = version("renditions")
    settings.RENDITION_QUALITY = 70
    fresh_versions()
    plan(both, lane=Lane.IMPORT)
    # its rows are of the second version now
    later = {"state": RunState.DONE, "finished_at": Now() + timedelta(seconds=1)}
    replaced.stage_runs.filter(version=version("renditions")).update(**later)

    settings.RENDITION_QUALITY = 80
    fresh_versions()
    assert version("renditions") == first
    assert plan(both, lane=Lane.BACKFILL) == 2
    assert plan(both, lane=Lane.BACKFILL) == 0

    for photo in (superseded, replaced):
        run = photo.stage_runs.get(stage="renditions", version=first)
        assert (run.state, run.skip_reason, run.finished_at, run.lane) == ("pending", "", None, Lane.BACKFILL)


def test_a_dropped_model_that_comes_back_is_run_where_it_was_not(
    make_photo: MakePhoto, face_library: Library, installed_models: dict[str, InstalledModel]
) -> None:
    photo = make_photo()
    plan([photo.pk], lane=Lane.UPLOAD)
    facenet = other_weights(installed_models["dlib-resnet-v1"])
    selection.select_model(installed=facenet, in_use=False)
    photo_samples.run_library_work("plan")
    selection.drop_model(name="facenet-vggface2")
    photo_samples.run_library_work("plan")
    assert runs(photo)["face_embedding facenet-vggface2"] == "skipped"
    selection.select_model(installed=facenet, in_use=False)
    photo_samples.run_library_work("plan")
    assert runs(photo)["face_embedding facenet-vggface2"] == "waiting"


@pytest.mark.django_db(transaction=True)
def test_new_photos_are_announced_by_what_reads_originals(broker: object, make_photo: MakePhoto) -> None:
    photos = [make_photo().pk for _ in range(33)]
    plan(photos, lane=Lane.IMPORT, announce=False)
    assert broker.llen("ingest") == 0
    announce_new(photos)
    # two stages, and 32 photos to a message
    assert broker.llen("ingest") == 4
    assert broker.llen("faces") == 0


@pytest.mark.django_db(transaction=True)
def test_an_upload_that_races_with_the_switch_is_planned(make_photo: MakePhoto, face_library: Library) -> None:
    face_analysis.switch_face_analysis(library=face_library, enabled=False, by=None)
    with transaction.atomic():
        photo = make_photo()
        plan([photo.pk], lane=Lane.UPLOAD)
        # it has read "off", and is not there yet for the switch to plan
        switch = in_a_thread(face_analysis.switch_face_analysis, library=face_library, enabled=True, by=None)
        wait_until_blocked()
    switch.result(10)
    assert photo_samples.run_library_work("erase_faces") == 1
    assert photo_samples.run_library_work("plan") == 1
    assert runs(photo)["face_detection"] == "waiting"

    with transaction.atomic():
        face_analysis.switch_face_analysis(library=face_library, enabled=False, by=None)
        late = make_photo()
        planning = in_a_thread(plan, [photo.pk, late.pk], lane=Lane.UPLOAD)
        wait_until_blocked()
    planning.result(10)
    assert runs(photo)["face_detection"] == "skipped"
    assert runs(late) == {"exif": "pending", "place": "waiting", "renditions": "pending"}


@pytest.mark.django_db(transaction=True)
def test_two_that_plan_at_once_plan_once(make_photo: MakePhoto) -> None:
    photo = make_photo()
    with transaction.atomic():
        plan([photo.pk], lane=Lane.UPLOAD)
        second = in_a_thread(plan, [photo.pk], lane=Lane.IMPORT)
        wait_until_blocked()
    second.result(10)
    assert set(photo.stage_runs.values_list("stage", "state", "lane")) == {
        ("exif", "pending", 0),
        ("place", "waiting", 0),
        ("renditions", "pending", 0),
    }


@pytest.mark.django_db(transaction=True)
def test_what_is_being_planned_is_passed_by_and_rung_for(
    library: Library, models_in_use: None, photo_store: object, broker: redis.Redis
) -> None:
    photo = photo_samples.take_in(library, photo_samples.picture())
    face_analysis.switch_face_analysis(library=library, enabled=True, by=None)
    with transaction.atomic():
        plan([photo.pk], lane=Lane.BACKFILL)
        # it has read that the renditions are not there; their commit would not see its runs
        assert in_a_thread(photo_samples.run, "renditions").result(30) == 0
        broker.flushdb()
    assert broker.llen("ingest") == 2
    assert photo_samples.run("renditions") == 1
    assert runs(photo)["face_detection"] == "pending"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("has_ended_before", [False, True])
def test_a_commit_under_way_is_waited_for(make_photo: MakePhoto, face_library: Library, has_ended_before: bool) -> None:
    photo = make_photo()
    plan([photo.pk], lane=Lane.UPLOAD, only=["renditions", "face_detection"])
    finish(photo, "renditions")
    if has_ended_before:
        finish(photo, "face_detection")
    with transaction.atomic():
        # as a commit does: the run, and then its faces; it sees no run that reads them
        finish(photo, "face_detection")
        factories.make_face(photo)
        planning = in_a_thread(plan, [photo.pk], lane=Lane.BACKFILL)
        wait_until_blocked()
    # exif and place, and what reads the faces
    assert planning.result(10) == 3
    assert runs(photo)["face_embedding dlib-resnet-v1"] == "pending"


@pytest.mark.django_db(transaction=True)
def test_faces_that_go_while_somebody_plans_are_not_waited_for_in_vain(
    make_photo: MakePhoto, face_library: Library
) -> None:
    photo = make_photo()
    plan([photo.pk], lane=Lane.UPLOAD, only=["renditions", "face_detection"])
    finish(photo, "renditions")
    finish(photo, "face_detection")
    face = factories.make_face(photo)
    with transaction.atomic():
        finish(photo, "face_detection")
        face.delete()
        planning = in_a_thread(plan, [photo.pk], lane=Lane.BACKFILL)
        wait_until_blocked()
    # exif and place, and what reads the faces
    assert planning.result(10) == 3
    assert photo.stage_runs.values_list("state", "skip_reason").get(stage="face_embedding") == ("skipped", "no_faces")


def test_a_run_that_waits_although_its_input_is_there_is_found_by_the_sweep(
    make_photo: MakePhoto, face_library: Library
) -> None:
    photo = make_photo()
    plan([photo.pk], lane=Lane.BACKFILL)
    # by another release, which holds nothing while it plans
    finish(photo, "renditions")

    assert reconciler.reconcile()

    assert runs(photo)["face_detection"] == "pending"
    assert runs(photo)["face_embedding dlib-resnet-v1"] == "waiting"
    photo.stage_runs.filter(stage="face_detection").update(state=RunState.WAITING)
    assert photo_samples.plan_missing(Photo.objects.all()) == 1
    assert runs(photo)["face_detection"] == "pending"
