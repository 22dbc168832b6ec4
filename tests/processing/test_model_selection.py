"""The models in use: chosen by rows, flipped without work, and missed where an operator looks."""

from collections.abc import Callable
from dataclasses import replace

import photo_samples
import pytest
from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from pytest_django import Settings

from accounts.models import Library
from accounts.problems import ConflictError
from photos.models import FaceEmbedding, Photo
from processing import overview, reconciler
from processing.engines.installation import InstalledModel
from processing.model_overview import models_overview
from processing.models import ModelSelection, StageRun, WorkerPresence
from processing.models.ledger import Lane
from processing.services.selection import drop_model, select_model
from processing.stages import registry

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("photo_store")]

DLIB, FACENET = "dlib-resnet-v1", "facenet-vggface2"


@pytest.fixture
def facenet(installed_models: dict[str, InstalledModel]) -> InstalledModel:
    """A model that this host does not have."""
    return replace(installed_models[DLIB], name=FACENET, weights_hash="ab" * 32)


def selected() -> dict[str, bool]:
    return dict(ModelSelection.objects.filter(task="face_embedding").values_list("model", "in_use"))


def embedding_runs(photo: Photo) -> dict[str, str]:
    runs = photo.stage_runs.filter(stage="face_embedding")
    return {version.split(".")[2]: state for version, state in runs.values_list("version", "state")}


def work_as_worker(name: str, *, queues: list[str], versions: dict[str, list[str]]) -> None:
    WorkerPresence.objects.create(name=name, queues=queues, versions=versions, started_at=Now(), seen_at=Now())


def test_a_model_is_selected_where_there_are_no_photos(installed_models: dict[str, InstalledModel]) -> None:
    selection = select_model(installed=installed_models[DLIB], in_use=True)
    assert (selection.task, selection.model, selection.in_use) == ("face_embedding", DLIB, True)
    assert selection.weights_hash == installed_models[DLIB].weights_hash
    assert StageRun.objects.count() == 0
    # once more is no change
    assert select_model(installed=installed_models[DLIB], in_use=True).pk == selection.pk
    assert select_model(installed=installed_models[DLIB], in_use=False).in_use
    assert selected() == {DLIB: True}


def test_selecting_a_model_plans_its_runs_for_the_photos_that_are_there(
    library: Library, face_library: Library, facenet: InstalledModel
) -> None:
    photo = photo_samples.take_through(face_library, photo_samples.portrait())
    waiting = photo_samples.take_in(face_library, photo_samples.picture())
    assert embedding_runs(photo) == {DLIB: "done"}

    select_model(installed=facenet, in_use=False)
    photo_samples.run_library_work("plan")

    assert selected() == {DLIB: True, FACENET: False}
    assert embedding_runs(photo) == {DLIB: "done", FACENET: "pending"}
    assert embedding_runs(waiting) == {DLIB: "waiting", FACENET: "waiting"}
    run = photo.stage_runs.get(version__contains=FACENET)
    assert run.version == registry.get("face_embedding").version_with(FACENET, "ab" * 32)
    assert run.lane == Lane.BACKFILL


def test_flipping_and_flipping_back_embeds_nothing_again(
    face_library: Library, facenet: InstalledModel, installed_models: dict[str, InstalledModel]
) -> None:
    photo = photo_samples.take_through(face_library, photo_samples.portrait())
    before = list(FaceEmbedding.objects.values("pk", "vector", "version"))
    run = photo.stage_runs.get(stage="face_embedding")

    select_model(installed=facenet, in_use=True)
    photo_samples.run_library_work("plan")
    assert selected() == {DLIB: False, FACENET: True}
    assert embedding_runs(photo) == {DLIB: "done", FACENET: "pending"}
    select_model(installed=installed_models[DLIB], in_use=True)
    photo_samples.run_library_work("plan")
    assert selected() == {DLIB: True, FACENET: False}

    assert embedding_runs(photo) == {DLIB: "done", FACENET: "pending"}
    assert photo_samples.run("face_embedding") == 0
    assert list(FaceEmbedding.objects.values("pk", "vector", "version")) == before
    after = photo.stage_runs.get(pk=run.pk)
    assert (after.finished_at, after.attempt) == (run.finished_at, run.attempt)


def test_dropping_a_model_ends_its_open_runs_and_keeps_its_vectors(
    face_library: Library, facenet: InstalledModel, installed_models: dict[str, InstalledModel]
) -> None:
    photo = photo_samples.take_through(face_library, photo_samples.portrait())
    select_model(installed=facenet, in_use=True)
    photo_samples.run_library_work("plan")
    with pytest.raises(ConflictError, match="is in use"):
        drop_model(name=FACENET)
    assert selected() == {DLIB: False, FACENET: True}
    drop_model(name=DLIB)
    photo_samples.run_library_work("plan")
    assert selected() == {FACENET: True}
    assert embedding_runs(photo) == {DLIB: "done", FACENET: "pending"}
    assert FaceEmbedding.objects.filter(model=DLIB).count() == 1

    select_model(installed=installed_models[DLIB], in_use=True)
    photo_samples.run_library_work("plan")
    drop_model(name=FACENET)
    photo_samples.run_library_work("plan")
    assert embedding_runs(photo) == {DLIB: "done", FACENET: "skipped"}
    assert photo.stage_runs.get(version__contains=FACENET).skip_reason == "superseded"


def test_other_weights_of_the_same_model_embed_everything_again(
    face_library: Library, installed_models: dict[str, InstalledModel]
) -> None:
    photo = photo_samples.take_through(face_library, photo_samples.portrait())
    other = replace(installed_models[DLIB], weights_hash="cd" * 32)
    select_model(installed=other, in_use=True)
    photo_samples.run_library_work("plan")
    assert sorted(photo.stage_runs.filter(stage="face_embedding").values_list("state", flat=True)) == [
        "done",
        "pending",
    ]
    # and back: the rows are still those of the first weights
    select_model(installed=installed_models[DLIB], in_use=True)
    photo_samples.run_library_work("plan")
    states = photo.stage_runs.filter(stage="face_embedding").values_list("state", "skip_reason")
    assert set(states) == {("done", ""), ("skipped", "superseded")}


def test_one_model_is_in_use_for_a_task(models_in_use: None) -> None:
    with pytest.raises(IntegrityError, match="model_selection_one_in_use"), transaction.atomic():
        ModelSelection.objects.create(task="face_embedding", model="another", weights_hash="x", in_use=True)
    with pytest.raises(IntegrityError, match="model_selection_task_model_unique"), transaction.atomic():
        ModelSelection.objects.create(task="face_embedding", model=DLIB, weights_hash="x")
    assert selected() == {DLIB: True}


def obstacle(stage: str) -> str:
    return next(work.obstacle for work in overview.overview().work if work.name == stage)


def test_a_model_in_use_that_no_worker_has_leaves_its_runs_pending_and_says_so(
    face_library: Library, facenet: InstalledModel
) -> None:
    photo = photo_samples.take_through(face_library, photo_samples.portrait())
    select_model(installed=facenet, in_use=True)
    photo_samples.run_library_work("plan")
    run = photo.stage_runs.get(version__contains=FACENET)
    assert obstacle("face_embedding") == "no_worker"
    known = {stage.name: stage.known_versions() for stage in registry.all_stages()}
    work_as_worker("faces@host", queues=["faces", "embeddings"], versions=known)

    assert obstacle("face_embedding") == "model_not_installed"
    assert overview.Obstacles().of_run(run) == "model_not_installed"
    assert photo_samples.run("face_embedding") == 0
    reconciler.reconcile()
    run.refresh_from_db()
    assert (run.state, run.attempt, run.error_code) == ("pending", 0, "")
    found = {model.name: (model.is_in_use, model.workers, model.obstacle) for model in models_overview()}
    assert found["facenet-vggface2"] == (True, [], "model_not_installed")
    assert found[DLIB] == (False, ["faces@host"], "")
    assert found["facenet-casia"] == (False, [], "")

    able = {"face_embedding": [run.version]}
    work_as_worker("gpu@host", queues=["embeddings"], versions=able)
    assert obstacle("face_embedding") == ""
    assert overview.Obstacles().of_run(run) == ""
    WorkerPresence.objects.filter(name="gpu@host").update(queues=["faces"])
    assert obstacle("face_embedding") == "model_not_installed"


def test_a_selection_survives_other_settings(
    face_library: Library, settings: Settings, fresh_versions: Callable[[], None]
) -> None:
    photo = photo_samples.take_through(face_library, photo_samples.portrait())
    settings.FACE_CHIP_MARGIN = 0.4
    fresh_versions()
    assert photo_samples.plan_missing(Photo.objects.all()) == 1
    photo_samples.run_everything()
    detections = photo.stage_runs.filter(stage="face_detection").order_by("created_at").values_list("state", flat=True)
    assert list(detections) == ["done", "done"]
    # new chips are embedded anew, under the same version
    embedding = photo.stage_runs.get(stage="face_embedding")
    assert embedding.inputs == {"face_detection": registry.get("face_detection").planned_versions()[0]}
