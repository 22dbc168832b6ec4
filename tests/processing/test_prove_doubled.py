"""Doubled, and what else the database's constraints forbid: dropped here, within a transaction that is rolled back."""

import uuid

import factories
import photo_samples
import proving
import pytest
from concurrency import in_a_thread, wait_until_blocked
from django.db import connection, transaction
from django.utils import timezone

from accounts.models import Library
from photos.models import Face, FaceEmbedding, Photo, Rendition
from photos.services import shown
from processing import ledger
from processing.models import LibraryRun, RunState, StageRun
from processing.prove import remedies

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("photo_store", "quick_ripening")]


def drop(*statements: str) -> None:
    with connection.cursor() as cursor:
        # those that are checked at the end would keep a table from being altered
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for statement in statements:
            cursor.execute(statement)


def drop_constraint(model: type, name: str) -> None:
    drop(f'ALTER TABLE "{model._meta.db_table}" DROP CONSTRAINT "{name}"')


def copy_of(row: object, **values: object) -> object:
    """Insert a second row that differs in its key and in these values."""
    columns = {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}
    return type(row).objects.create(**{**columns, "id": uuid.uuid4(), **values})


def finished(library: Library, data: bytes | None = None) -> Photo:
    return photo_samples.take_through(library, data or photo_samples.picture())


def test_a_run_that_is_there_twice(library: Library) -> None:
    drop_constraint(StageRun, "stage_run_photo_stage_version_unique")
    photo, _ = finished(library), finished(library)
    copy_of(photo_samples.run_of(photo, "exif"))
    said = proving.prove("--repair", "--yes")
    assert (said.status, said.counts) == (1, {**proving.NOTHING, "doubled": 1})
    assert said.offences == {("run_twice", str(photo.pk))}
    assert said.body["repair"] == {
        "plan": ["keep one of each double of 1 photo"],
        "done": ["doubles removed from 1 photo"],
    }
    photo_samples.run_everything()
    assert (proving.prove().counts, photo.stage_runs.count()) == (proving.NOTHING, 3)


def test_a_second_commit_of_one_run_is_counted(library: Library) -> None:
    photo = photo_samples.take_in(library, photo_samples.picture())
    run = photo_samples.run_of(photo, "exif")
    [lease] = ledger.claim(stage="exif", versions=[run.version], limit=1, task_id="t", worker="w")
    ledger.mark_done(lease, work_seconds=0)
    # what a zombie does where fencing has failed: its lease is not held any more, and it commits all the same
    again = {"state": RunState.RUNNING, "lease_token": lease.token, "lease_until": timezone.now()}
    StageRun.objects.filter(pk=run.pk).update(finished_at=None, **again)
    ledger.mark_done(lease, work_seconds=0)
    photo_samples.run("renditions")

    said = proving.prove("--repair", "--yes")

    assert ("committed_twice", str(photo.pk)) in said.offences
    [found] = [one for one in said.body["findings"] if one["code"] == "committed_twice"]
    assert (found["run"], found["detail"]) == (str(run.pk), "exif: 2 results were committed")
    photo_samples.run_everything()
    assert proving.prove().counts == proving.NOTHING
    run.refresh_from_db()
    assert (run.state, run.commits) == ("done", 1)


def test_a_rendition_that_is_there_twice(library: Library) -> None:
    drop_constraint(Rendition, "rendition_photo_kind_unique")
    photo = finished(library)
    copy_of(photo.renditions.get(kind="preview"))
    said = proving.prove("--repair", "--yes")
    assert said.offences == {("rendition_twice", str(photo.pk))}
    assert said.named("detail") == ["2 renditions preview"]
    photo_samples.run_everything()
    assert (proving.prove().counts, photo.renditions.count()) == (proving.NOTHING, 4)


@pytest.mark.parametrize("decided", [False, True])
def test_a_face_that_is_there_twice(face_library: Library, decided: bool) -> None:
    photo = finished(face_library, photo_samples.portrait())
    face = Face.objects.get()
    second = copy_of(face, left=face.left + 0.001, chip_key=face.chip_key + "x", person_decided=decided)
    if decided:
        factories.decide(second)
    copy_of(FaceEmbedding.objects.get(), face_id=second.pk)
    photo_samples.storage_copy(face.chip_key, second.chip_key)
    shown.refresh(photo_ids=[photo.pk])

    said = proving.prove("--repair", "--yes")

    assert (said.counts, said.offences) == (
        {**proving.NOTHING, "doubled": 1},
        {("face_twice", str(photo.pk))},
    )
    older, newer = sorted([face.pk, second.pk])
    assert said.named("item") == [f"{older} {newer}"]
    assert Face.objects.get().pk == (second.pk if decided else older)
    photo_samples.run_everything()
    assert proving.prove().counts == proving.NOTHING
    assert (Face.objects.count(), FaceEmbedding.objects.count()) == (1, 1)


@pytest.mark.django_db(transaction=True)
def test_a_decision_that_is_made_meanwhile_is_kept(face_library: Library) -> None:
    photo = finished(face_library, photo_samples.portrait())
    copy_of(Face.objects.get(), chip_key="another")
    *_, newer = Face.objects.order_by("pk")
    with transaction.atomic():
        Face.objects.filter(pk=newer.pk).update(person_decided=True)
        removal = in_a_thread(remedies.remove_doubles, photo_id=photo.pk)
        wait_until_blocked()
    assert removal.result(10)
    assert Face.objects.get().pk == newer.pk


def test_a_vector_that_is_there_twice(face_library: Library) -> None:
    drop_constraint(FaceEmbedding, "face_embedding_face_model_unique")
    photo = finished(face_library, photo_samples.portrait())
    row = FaceEmbedding.objects.get()
    copy_of(row)
    said = proving.prove("--repair", "--yes")
    assert said.offences == {("embedding_twice", str(photo.pk))}
    assert said.named("detail") == [f"2 vectors of face {row.face_id} by dlib-resnet-v1"]
    photo_samples.run_everything()
    assert (proving.prove().counts, FaceEmbedding.objects.count()) == (proving.NOTHING, 1)


def test_photos_that_share_bytes_or_an_object(library: Library) -> None:
    drop_constraint(Photo, "photo_library_sha256_unique")
    drop_constraint(Photo, "photo_storage_key_unique")
    photo = finished(library)
    trashed = {"trashed_at": timezone.now()}
    second = copy_of(photo, id=uuid.UUID(int=2**128 - 1), **trashed)
    said = proving.prove("--repair", "--yes")
    assert said.counts == {**proving.NOTHING, "doubled": 2}
    assert {(one["code"], one["photo"], one["item"]) for one in said.body["findings"]} == {
        ("photo_twice", str(second.pk), str(photo.pk)),
        ("original_shared", str(second.pk), str(photo.pk)),
    }
    assert said.body["repair"]["done"] is None
    assert Photo.objects.count() == 2


def test_work_of_a_library_that_is_open_twice(library: Library) -> None:
    # a partial unique constraint is an index
    drop('DROP INDEX "library_run_one_open"')
    for _ in range(2):
        LibraryRun.objects.create(library=library, kind="people", version="v", queued_at=timezone.now())
    said = proving.prove()
    assert said.offences == {("library_run_twice", str(library.pk))}
    assert said.named("detail") == ["2 open runs of people"]


def test_a_vector_of_the_wrong_size_or_without_a_face(face_library: Library) -> None:
    photo = finished(face_library, photo_samples.portrait())
    drop('DROP INDEX "face_embedding_dlib_hnsw"')
    row = FaceEmbedding.objects.get()
    FaceEmbedding.objects.update(vector=[0.125] * 64, dimensions=64)
    said = proving.prove()
    assert said.offences == {("embedding_wrong", str(photo.pk))}
    assert said.named("detail") == [f"vector {row.pk}: 64 dimensions, dlib-resnet-v1 gives 128"]

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT conname FROM pg_constraint WHERE conrelid = 'photos_faceembedding'::regclass AND contype = 'f' "
            "AND confrelid = 'photos_face'::regclass"
        )
        [[name]] = cursor.fetchall()
    drop_constraint(FaceEmbedding, name)
    nobody = uuid.UUID(int=5)
    FaceEmbedding.objects.update(vector=row.vector, dimensions=128, face_id=nobody)
    said = proving.prove()
    assert said.offences == {("vector_without_face", str(row.pk)), ("result_missing", str(photo.pk))}
    assert f"vector {row.pk} by dlib-resnet-v1 of face {nobody}" in said.named("detail")
    # as it was: the constraint is put back by the rollback, and looked at before that
    FaceEmbedding.objects.all().delete()
