"""What is out of date: what a new version, a new model or a newer input makes so, and nothing else."""

from collections.abc import Callable
from uuid import UUID

import photo_samples
import pytest
from django.db import OperationalError
from django.db.models.functions import Now
from pytest_django import Settings

from accounts.models import Library
from photos import storage
from photos.models import Face, Photo, Rendition
from photos.services import trash
from processing import outdated
from processing.models import ModelSelection, RunState, StageRun
from processing.models.ledger import Lane
from processing.outdated import Choice
from processing.pipeline import planning
from processing.services import face_analysis, reprocess
from processing.stages import registry

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("photo_store")]

STAGES = ("exif", "place", "renditions", "face_detection", "face_embedding")


def counted(choice: Choice = Choice.OUTDATED, stage: str | None = None) -> dict[str, tuple[int, int]]:
    found = outdated.Survey()
    for found in outdated.survey(Photo.objects.present(), choice, stage):
        assert found.looked_at <= Photo.objects.present().count()
    return {name: (found.now[name], found.following[name]) for name in STAGES if found.runs[name]}


def begin(choice: Choice = Choice.OUTDATED, stage: str | None = None, after: UUID | None = None) -> int:
    photos = Photo.objects.present()
    return sum(one.runs for one in reprocess.begin_anew(photos=photos, choice=choice, stage=stage, after=after))


def open_runs(photo: Photo) -> dict[str, tuple[str, int]]:
    """The state and the lane of the planned runs of a photo that are not final."""
    planned = {(stage.name, version) for stage in registry.all_stages() for version in stage.planned_versions()}
    runs = photo.stage_runs.exclude(state__in=[RunState.DONE, RunState.SKIPPED])
    return {run.stage: (run.state, run.lane) for run in runs if (run.stage, run.version) in planned}


@pytest.fixture
def done(face_library: Library) -> Photo:
    """A photo with faces that went through everything."""
    photo = photo_samples.take_through(face_library, photo_samples.portrait())
    assert photo_samples.states(photo) == {**dict.fromkeys(STAGES, "done"), "place": "skipped"}
    return photo


@pytest.fixture
def new_sizes(settings: Settings, fresh_versions: Callable[[], None]) -> Callable[[], None]:
    """Make renditions out of date."""

    def change() -> None:
        settings.RENDITION_SIZES = {"preview": 1000, "thumb_300": 300}
        fresh_versions()

    return change


def test_what_is_up_to_date_is_left_alone(done: Photo) -> None:
    before = list(StageRun.objects.order_by("pk").values())
    for choice in (Choice.OUTDATED, Choice.MISSING, Choice.DEAD):
        assert counted(choice) == {}
        assert begin(choice) == 0
    assert list(StageRun.objects.order_by("pk").values()) == before


def test_a_new_version_makes_its_stage_out_of_date_and_the_rest_follows(
    done: Photo, new_sizes: Callable[[], None]
) -> None:
    new_sizes()
    expected = {"renditions": (1, 0), "face_detection": (0, 1), "face_embedding": (0, 1)}
    assert counted(Choice.OUTDATED) == counted(Choice.MISSING) == expected
    assert counted(Choice.DEAD) == {}

    assert begin() == 1
    assert open_runs(done) == {"renditions": ("pending", Lane.BACKFILL)}
    assert counted() == {}
    photo_samples.run("renditions")
    # what follows a backfill is a backfill, although it was an upload once
    assert open_runs(done) == {"face_detection": ("pending", Lane.BACKFILL)}
    photo_samples.run_everything()
    assert counted() == {}
    [run] = done.stage_runs.filter(stage="face_detection")
    assert run.inputs == {"renditions": registry.get("renditions").base_version}


@pytest.mark.django_db(transaction=True)
def test_old_results_serve_until_new_ones_are_committed(
    done: Photo, new_sizes: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    before, objects = photo_samples.written_rows(), {row.storage_key for row in Rendition.objects.all()}
    new_sizes()
    assert begin() == 1
    assert begin(Choice.ALL) == 1  # exif; renditions are pending
    assert photo_samples.written_rows() == before

    # whatever comes between the work and its commit
    def fail(**_: object) -> None:
        raise OperationalError("the connection is gone")

    with monkeypatch.context() as patched:
        patched.setattr("processing.pipeline.working.hold_children", fail)
        photo_samples.run("renditions")
    run = done.stage_runs.get(stage="renditions", version=registry.get("renditions").base_version)
    assert (run.state, run.error_code) == ("pending", "database_unavailable")
    assert photo_samples.written_rows() == before
    for row in Rendition.objects.all():
        assert storage.read_object(alias="renditions", key=row.storage_key)

    StageRun.objects.filter(pk=run.pk).update(not_before=None)
    photo_samples.run("renditions")
    kinds = dict(Rendition.objects.values_list("kind", "storage_key"))
    assert set(kinds) == {"preview", "thumb_300"}
    assert not set(kinds.values()) & objects
    # faces serve until detection has read the new preview
    assert photo_samples.written_rows()["Face"] == before["Face"]


def test_an_older_input_makes_a_run_out_of_date(done: Photo) -> None:
    StageRun.objects.filter(stage="face_detection").update(inputs={"renditions": "0.older"})
    assert counted(Choice.MISSING) == {}
    assert counted() == {"face_detection": (1, 0), "face_embedding": (0, 1)}
    assert begin(Choice.MISSING) == 0
    assert begin(stage="face_embedding") == 0
    assert begin() == 1
    assert open_runs(done) == {"face_detection": ("pending", Lane.BACKFILL)}


def test_a_run_that_does_not_say_what_it_read_is_out_of_date(done: Photo) -> None:
    StageRun.objects.filter(stage="face_embedding").update(inputs={})
    assert counted() == {"face_embedding": (1, 0)}
    assert begin() == 1


def test_while_the_input_is_made_anew_nothing_is_older_than_it(done: Photo) -> None:
    StageRun.objects.filter(stage="renditions").update(state=RunState.PENDING, queued_at=Now(), finished_at=None)
    StageRun.objects.filter(stage="face_detection").update(inputs={"renditions": "0.older"})
    assert counted() == {}


def test_a_new_model_makes_its_embeddings_missing(done: Photo) -> None:
    ModelSelection.objects.create(task="face_embedding", model="facenet-casia", weights_hash="ab" * 32)
    assert counted(Choice.MISSING) == {"face_embedding": (1, 0)}
    assert begin(stage="face_detection") == 0
    assert begin() == 1
    new = done.stage_runs.get(stage="face_embedding", state=RunState.PENDING)
    assert (new.lane, "facenet-casia" in new.version) == (Lane.BACKFILL, True)
    assert counted() == {}


def test_only_the_stage_that_was_named(done: Photo, new_sizes: Callable[[], None]) -> None:
    new_sizes()
    StageRun.objects.filter(stage="exif").delete()
    assert counted(stage="exif") == {"exif": (1, 0), "place": (0, 1)}
    assert begin(stage="exif") == 1
    assert open_runs(done) == {"exif": ("pending", Lane.BACKFILL)}


def test_a_stage_whose_input_nobody_has_planned_brings_it(face_library: Library) -> None:
    photo = photo_samples.take_in(face_library, photo_samples.picture())
    StageRun.objects.all().delete()
    assert begin(stage="face_detection") == 5
    assert {name: state for name, (state, _) in open_runs(photo).items()} == {
        "exif": "pending",
        "place": "waiting",
        "renditions": "pending",
        "face_detection": "waiting",
        "face_embedding": "waiting",
    }


def test_dead_runs_start_over_as_a_backfill(done: Photo, new_sizes: Callable[[], None]) -> None:
    dead = {"state": RunState.DEAD, "error_code": "unexpected_error", "attempt": 3, "finished_at": Now()}
    StageRun.objects.filter(stage__in=["exif", "face_detection"]).update(**dead)
    new_sizes()
    assert counted(Choice.DEAD) == {
        "exif": (1, 0),
        "place": (0, 1),
        "face_detection": (1, 0),
        "face_embedding": (0, 1),
    }
    assert counted(Choice.DEAD, "exif") == {"exif": (1, 0), "place": (0, 1)}
    assert begin(Choice.DEAD, "exif") == 1
    run = photo_samples.run_of(done, "exif")
    assert (run.state, run.attempt, run.error_code, run.lane) == ("pending", 0, "", Lane.BACKFILL)
    assert photo_samples.run_of(done, "face_detection").state == "dead"
    assert done.stage_runs.count() == 5


def test_dead_runs_of_an_older_version_are_made_anew_in_the_planned_one(
    done: Photo, face_library: Library, new_sizes: Callable[[], None]
) -> None:
    fresh = photo_samples.take_in(face_library, photo_samples.picture())
    fresh.stage_runs.filter(stage="exif").delete()
    dead = {"state": RunState.DEAD, "error_code": "unexpected_error", "attempt": 3, "finished_at": Now()}
    StageRun.objects.filter(stage="renditions").update(**dead)
    new_sizes()
    assert counted(Choice.DEAD, "exif") == {}
    assert counted(Choice.DEAD)["renditions"] == (2, 0)

    assert begin(Choice.DEAD) == 2

    for photo in (done, fresh):
        ended = photo.stage_runs.filter(stage="renditions").values_list("state", "skip_reason")
        assert set(ended) == {("skipped", "superseded"), ("pending", "")}
    # what is missing and no dead letter is another choice
    assert not fresh.stage_runs.filter(stage="exif").exists()
    assert counted(Choice.DEAD) == {}


def test_all_begins_with_the_originals_and_leaves_what_is_under_way(
    done: Photo, face_library: Library, settings: Settings
) -> None:
    fresh = photo_samples.take_in(face_library, photo_samples.picture())
    assert counted(Choice.ALL) == {
        "exif": (1, 0),
        "place": (0, 1),
        "renditions": (1, 0),
        "face_detection": (0, 1),
        "face_embedding": (0, 1),
    }
    assert begin(Choice.ALL) == 2
    assert open_runs(done) == dict.fromkeys(("exif", "renditions"), ("pending", Lane.BACKFILL))
    # an upload that is under way is as urgent as before
    assert open_runs(fresh)["renditions"] == ("pending", Lane.UPLOAD)
    assert begin(Choice.ALL) == 0


def test_an_upload_that_is_under_way_is_not_made_a_backfill(done: Photo) -> None:
    StageRun.objects.filter(stage="face_detection").update(
        state=RunState.PENDING, queued_at=Now(), finished_at=None, lane=Lane.UPLOAD
    )
    StageRun.objects.filter(stage="face_embedding").update(state=RunState.WAITING, finished_at=None)
    assert begin(Choice.ALL, "renditions") == 1
    photo_samples.run("renditions")
    assert open_runs(done)["face_detection"] == ("pending", Lane.UPLOAD)


def test_skipped_runs_have_nothing_to_do(face_library: Library) -> None:
    photo = photo_samples.take_through(face_library, photo_samples.picture())
    assert photo_samples.states(photo)["face_embedding"] == "skipped"
    assert counted() == {}
    assert begin(Choice.ALL, "face_embedding") == 0


def test_without_consent_no_face_work_is_out_of_date(done: Photo, face_library: Library) -> None:
    face_analysis.switch_face_analysis(library=face_library, enabled=False, by=None)
    StageRun.objects.filter(stage__startswith="face_").delete()
    before = list(StageRun.objects.order_by("pk").values())
    for choice in (Choice.OUTDATED, Choice.MISSING, Choice.DEAD):
        assert counted(choice) == {}
        assert begin(choice) == 0
    assert list(StageRun.objects.order_by("pk").values()) == before


def test_the_trash_is_left_out(done: Photo, new_sizes: Callable[[], None]) -> None:
    new_sizes()
    trash.move_to_trash(photo_ids=[done.pk])
    assert counted() == {}
    assert begin() == 0


def test_what_waits_although_its_input_is_there_is_missing(done: Photo) -> None:
    StageRun.objects.filter(stage="face_detection").update(state=RunState.WAITING, finished_at=None)
    assert counted(Choice.MISSING) == {"face_detection": (1, 0), "face_embedding": (0, 1)}
    assert begin() == 1
    assert open_runs(done) == {"face_detection": ("pending", Lane.BACKFILL)}


def test_a_version_whose_rows_were_replaced_since_is_missing(
    done: Photo, new_sizes: Callable[[], None], settings: Settings, fresh_versions: Callable[[], None]
) -> None:
    old = settings.RENDITION_SIZES
    new_sizes()
    begin()
    photo_samples.run_everything()
    settings.RENDITION_SIZES = old
    fresh_versions()
    # back to the first version: its run says done, of rows that are gone
    assert counted(Choice.MISSING)["renditions"] == (1, 0)
    assert begin() == 1
    assert open_runs(done) == {"renditions": ("pending", Lane.BACKFILL)}


@pytest.mark.parametrize("choice", [Choice.OUTDATED, Choice.ALL])
def test_an_interruption_loses_nothing(
    library: Library, new_sizes: Callable[[], None], monkeypatch: pytest.MonkeyPatch, choice: Choice
) -> None:
    for _ in range(5):
        photo_samples.take_in(library, photo_samples.picture())
    photo_samples.run_everything()
    new_sizes()
    monkeypatch.setattr(outdated, "PHOTOS_PER_TRANSACTION", 2)
    per_photo = 1 if choice == Choice.OUTDATED else 2
    begun = reprocess.begin_anew(photos=Photo.objects.present(), choice=choice)
    first = next(begun)
    begun.close()
    ids = list(Photo.objects.order_by("pk").values_list("pk", flat=True))
    assert (first.photos, first.runs, first.last) == (2, 2 * per_photo, ids[1])
    # run meanwhile, so that nothing of `all` shows that it was done
    photo_samples.run_everything()
    after = first.last if choice == Choice.ALL else None
    assert begin(choice, after=after) == 3 * per_photo
    assert Face.objects.count() == 0
    assert planning.PHOTOS_PER_TRANSACTION == 500
