"""The stage `image_embedding`: from the preview, a vector for each model that is selected, fenced and repeatable."""

import dataclasses
from typing import Any

import numpy as np
import photo_samples
import proving
import pytest
from django.db import connection
from pytest_django import Settings

from accounts.models import Library
from photos import integrity
from photos.models import FaceEmbedding, ImageEmbedding, Photo, PhotoFingerprint
from photos.services import image_embeddings, trash
from processing.engines import imaging, installation
from processing.engines.image_text import load_image_encoder
from processing.engines.installation import InstalledModel
from processing.model_overview import models_overview
from processing.models import ModelSelection, StageRun
from processing.overview import overview
from processing.services import reprocess
from processing.services.dead_letters import retry
from processing.services.selection import drop_model, select_model
from processing.services.stage_control import pause, resume
from processing.services.trash import purge
from processing.stages import registry

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("photo_store", "broker")]

NAME, OTHER, STAGE = "clip-vit-b-32-laion2b", "mobileclip-s1", "image_embedding"


@pytest.fixture
def installed(tiny_clip: dict[str, Any], settings: Settings) -> InstalledModel:
    settings.MODELS_DIR = tiny_clip["folder"] / "models"
    return installation.installed(NAME, settings.MODELS_DIR)


@pytest.fixture
def in_use(db: None, installed: InstalledModel) -> ModelSelection:
    return select_model(installed=installed, in_use=True)


def runs(photo: Photo) -> dict[str, str]:
    found = photo.stage_runs.filter(stage=STAGE).values_list("version", "state")
    return {version.split(".")[2]: state for version, state in found}


def test_a_photo_is_embedded_from_its_preview(
    library: Library, in_use: ModelSelection, installed: InstalledModel
) -> None:
    photo = photo_samples.take_through(library, photo_samples.picture(size=(300, 200)))

    row = ImageEmbedding.objects.get()
    version = registry.get(STAGE).version_with(NAME, installed.weights_hash)
    assert (row.photo_id, row.library_id, row.model, row.version, row.dimensions) == (
        photo.pk, library.pk, NAME, version, 512,
    )  # fmt: skip
    preview = photo.renditions.get(kind="preview")
    data = integrity.read_derived(key=preview.storage_key, sha256=preview.sha256)
    encoder = load_image_encoder(NAME, models_dir=installed.folder.parent, device="cpu")
    [expected] = encoder.encode([imaging.decode_rgb(data)])
    np.testing.assert_allclose(row.vector, expected, rtol=0, atol=1e-3)
    run = photo_samples.run_of(photo, STAGE)
    assert (run.state, run.version, run.commits) == ("done", version, 1)
    assert run.inputs == {"renditions": registry.get("renditions").planned_versions()[0]}
    # pixels say more than faces: it needs no consent to look for those
    assert not library.face_analysis
    assert FaceEmbedding.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_a_batch_embeds_many_and_one_that_is_damaged_fails_alone(
    library: Library, in_use: ModelSelection, photo_store: Any
) -> None:
    photos = [photo_samples.take_in(library, photo_samples.picture()) for _ in range(3)]
    photo_samples.run("renditions")
    bad = photos[1].renditions.get(kind="preview")
    (photo_store / "renditions" / bad.storage_key).write_bytes(b"no picture")
    with connection.cursor() as cursor:
        # as if it had been stored so
        cursor.execute(
            "UPDATE photos_rendition SET sha256 = encode(sha256('no picture'), 'hex') WHERE id = %s", [bad.pk]
        )
    assert photo_samples.run(STAGE) == 3
    assert set(ImageEmbedding.objects.values_list("photo_id", flat=True)) == {photos[0].pk, photos[2].pk}
    run = photo_samples.run_of(photos[1], STAGE)
    assert (run.state, run.error_code) == ("dead", "damaged")


def test_without_a_model_in_use_no_run_is_planned(library: Library, installed: InstalledModel) -> None:
    photo = photo_samples.take_through(library, photo_samples.picture())
    assert runs(photo) == {}
    assert ImageEmbedding.objects.count() == 0
    assert next(one for one in overview().work if one.name == STAGE).obstacle == ""


def test_a_model_that_comes_into_use_is_planned_for_the_photos_that_are_there(
    library: Library, installed: InstalledModel
) -> None:
    done = photo_samples.take_through(library, photo_samples.picture())
    waiting = photo_samples.take_in(library, photo_samples.picture())
    select_model(installed=installed, in_use=True)
    photo_samples.run_library_work("plan")
    assert (runs(done), runs(waiting)) == ({NAME: "pending"}, {NAME: "waiting"})
    assert photo_samples.run(STAGE) == 1
    # a second model beside it, then in its place: of a host that has it not
    other = dataclasses.replace(installed, name=OTHER)
    select_model(installed=other, in_use=False)
    photo_samples.run_library_work("plan")
    assert runs(done) == {NAME: "done", OTHER: "pending"}
    assert photo_samples.run(STAGE) == 0
    found = {one.name: (one.is_selected, one.is_in_use, one.obstacle) for one in models_overview()}
    assert found[OTHER] == (True, False, "no_worker")
    drop_model(name=OTHER)
    photo_samples.run_library_work("plan")
    assert runs(done) == {NAME: "done", OTHER: "skipped"}


def test_running_it_again_leaves_the_row_as_it_was(library: Library, in_use: ModelSelection) -> None:
    photo_samples.take_through(library, photo_samples.picture())
    PhotoFingerprint.objects.update(is_grouped=True)
    before = list(ImageEmbedding.objects.values())
    assert reprocess.run_again(photos=Photo.objects.all(), stage=STAGE) == 1
    assert photo_samples.run(STAGE) == 1
    assert list(ImageEmbedding.objects.values()) == before
    assert PhotoFingerprint.objects.get().is_grouped


def test_another_vector_takes_the_place_of_the_old_one(library: Library, in_use: ModelSelection) -> None:
    photo = photo_samples.take_through(library, photo_samples.picture())
    PhotoFingerprint.objects.update(is_grouped=True)
    row = ImageEmbedding.objects.get()
    vector = np.eye(512, dtype=np.float32)[7]
    image_embeddings.replace_embedding(
        photo_id=photo.pk, library_id=library.pk, model=NAME, version="2.x", vector=vector
    )
    changed = ImageEmbedding.objects.get()
    assert (changed.pk, changed.version, list(changed.vector)) == (row.pk, "2.x", vector.tolist())
    # what it looks like has changed, so near-duplicates are looked for anew
    assert not PhotoFingerprint.objects.get().is_grouped


@pytest.mark.django_db(transaction=True)
def test_it_is_paused_and_retried_as_every_stage(library: Library, in_use: ModelSelection) -> None:
    photo = photo_samples.take_in(library, photo_samples.picture())
    photo_samples.run("renditions")
    pause(work=STAGE, by=None)
    assert photo_samples.run(STAGE) == 0
    resume(work=STAGE)
    photo.renditions.all().delete()
    assert photo_samples.run(STAGE) == 1
    run = photo_samples.run_of(photo, STAGE)
    assert (run.state, run.error_code) == ("pending", "input_missing")
    StageRun.objects.filter(pk=run.pk).update(attempt=3, not_before=None)
    photo_samples.run(STAGE)
    run.refresh_from_db()
    assert run.state == "dead"
    assert retry(runs=StageRun.objects.filter(pk=run.pk), by=None) == 1
    reprocess.run_again(photos=Photo.objects.all(), stage="renditions")
    photo_samples.run("renditions")
    photo_samples.run(STAGE)
    assert runs(photo) == {NAME: "done"}


def test_a_photo_that_goes_takes_its_vector_with_it(library: Library, in_use: ModelSelection) -> None:
    photo = photo_samples.take_through(library, photo_samples.picture())
    kept = photo_samples.take_through(library, photo_samples.picture())
    trash.move_to_trash(photo_ids=[photo.pk])
    assert ImageEmbedding.objects.count() == 2
    purge(photo_ids=[photo.pk])
    assert ImageEmbedding.objects.get().photo_id == kept.pk
    assert PhotoFingerprint.objects.get().photo_id == kept.pk


def test_a_vector_of_other_dimensions_than_it_says_is_refused_by_the_database(
    library: Library, make_photo: Any
) -> None:
    photo = make_photo()
    with pytest.raises(Exception, match="image_embedding_dimensions_true"):
        ImageEmbedding.objects.create(
            photo=photo, library=library, model="x", version="1", dimensions=3, vector=[1.0, 0.0]
        )


# the proof


@pytest.fixture
def proven(library: Library, in_use: ModelSelection, quick_ripening: None) -> Photo:
    photo = photo_samples.take_through(library, photo_samples.picture())
    assert proving.prove().counts == proving.NOTHING
    return photo


def repaired() -> set[tuple[str, str, str]]:
    """Prove and repair, run what is to be run again, and prove once more; gives code, stage and detail of each."""
    said = proving.prove("--repair", "--yes")
    photo_samples.run_everything()
    assert proving.prove().counts == proving.NOTHING
    return {(one["code"], one["stage"], one["detail"]) for one in said.body["findings"]}


def test_a_missing_vector_is_found_and_made_anew(proven: Photo) -> None:
    ImageEmbedding.objects.all().delete()
    assert repaired() == {("result_missing", STAGE, f"{STAGE}: no vector by {NAME}")}
    assert ImageEmbedding.objects.count() == 1


@pytest.mark.parametrize(("value", "length"), [(0.5, "11.3"), (0.0, "0")])
def test_a_vector_that_is_none_of_the_model_is_made_anew(proven: Photo, value: float, length: str) -> None:
    row = ImageEmbedding.objects.get()
    ImageEmbedding.objects.update(vector=[value] * 512)
    assert repaired() == {("embedding_wrong", STAGE, f"vector {row.pk}: length {length}, {NAME} gives 0.98 to 1.02")}
    assert np.linalg.norm(ImageEmbedding.objects.get().vector) == pytest.approx(1, abs=1e-3)


def test_a_vector_of_other_dimensions_is_made_anew(proven: Photo) -> None:
    row = ImageEmbedding.objects.get()
    with connection.cursor() as cursor:
        cursor.execute('DROP INDEX "image_embedding_b32_laion_hnsw"')
    ImageEmbedding.objects.update(dimensions=2, vector=[1.0, 0.0])
    assert repaired() == {("embedding_wrong", STAGE, f"vector {row.pk}: 2 dimensions, {NAME} gives 512")}
    assert ImageEmbedding.objects.get().dimensions == 512


def test_a_vector_of_another_library_is_made_anew(proven: Photo) -> None:
    other = Library.objects.create(name="another")
    ImageEmbedding.objects.update(library=other)
    [(code, stage, detail)] = repaired()
    assert (code, stage) == ("embedding_wrong", STAGE)
    assert f"of library {other.pk}" in detail
    assert ImageEmbedding.objects.get().library_id == proven.library_id


def test_a_vector_that_is_there_twice_is_kept_once(proven: Photo) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute('ALTER TABLE "photos_imageembedding" DROP CONSTRAINT "image_embedding_photo_model_unique"')
    row = ImageEmbedding.objects.get()
    ImageEmbedding.objects.create(
        photo=proven, library_id=row.library_id, model=NAME, version=row.version, dimensions=512, vector=row.vector
    )
    assert repaired() == {("embedding_twice", STAGE, f"2 vectors of the photo by {NAME}")}
    assert ImageEmbedding.objects.count() == 1


def test_rows_of_an_older_run_are_made_anew(proven: Photo) -> None:
    ImageEmbedding.objects.update(version="0.old")
    [(code, stage, _)] = repaired()
    assert (code, stage) == ("result_outdated", STAGE)


def test_a_missing_fingerprint_is_found_and_made_anew(proven: Photo) -> None:
    PhotoFingerprint.objects.all().delete()
    missing = {("result_missing", "renditions", "renditions: no fingerprint with its hash")}
    assert repaired() == missing
    PhotoFingerprint.objects.update(hash=7)
    assert repaired() == missing
    proven.refresh_from_db()
    assert PhotoFingerprint.objects.get().hash == proven.perceptual_hash
