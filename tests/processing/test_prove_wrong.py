"""Wrong: bytes that are not those of the row, done runs without their rows, vectors that no model makes."""

import errno
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import photo_samples
import proving
import pytest
from botocore.exceptions import ClientError
from django.core.management import CommandError
from django.utils import timezone
from PIL import Image
from pytest_django import Settings

from accounts.models import Library
from photos import storage
from photos.models import Face, FaceEmbedding, Metadata, Photo, Rendition
from processing.engines import catalogue
from processing.models import RunState, StageRun
from processing.prove import contents

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("photo_store", "quick_ripening")]


def finished(library: Library, *, data: bytes | None = None) -> Photo:
    return photo_samples.take_through(library, data or photo_samples.picture())


def overwrite(alias: str, key: str, data: bytes) -> None:
    storage.write_object(alias=alias, key=key, file=photo_samples.content(data))


def repaired(photo: Photo) -> proving.Said:
    """Repair, run what that has opened, and prove again."""
    said = proving.prove("--repair", "--yes")
    photo_samples.run_everything()
    assert StageRun.objects.filter(photo=photo).exclude(state__in=["done", "skipped"]).count() == 0
    return said


def test_an_original_with_other_bytes_is_said_and_left(library: Library) -> None:
    photo, _ = finished(library), finished(library)
    data = storage.read_object(alias=storage.ORIGINALS, key=photo.storage_key)
    overwrite(storage.ORIGINALS, photo.storage_key, data[:-1] + bytes([data[-1] ^ 1]))

    said = proving.prove("--repair", "--yes")

    assert (said.status, said.counts) == (1, {**proving.NOTHING, "wrong": 1})
    assert said.offences == {("original_wrong", str(photo.pk))}
    assert said.body["repair"] == {"plan": ["cannot repair 1 x original_wrong: see above what to do"], "done": None}
    # as long as it was: only its bytes tell
    assert proving.prove("--no-bytes").counts == proving.NOTHING
    overwrite(storage.ORIGINALS, photo.storage_key, data + b"x")
    assert proving.prove("--no-bytes").offences == {("original_wrong", str(photo.pk))}
    assert "cannot be repaired" in proving.say()[1]
    overwrite(storage.ORIGINALS, photo.storage_key, data)
    assert proving.prove().counts == proving.NOTHING


def test_an_original_that_cannot_be_read_is_wrong(library: Library, photo_store: Path) -> None:
    photo = finished(library)
    path = photo_store / "originals" / photo.storage_key
    data = path.read_bytes()
    path.unlink()
    path.mkdir()
    said = proving.prove()
    assert said.offences == {("original_unreadable", str(photo.pk))}
    assert said.named("detail") == ["original: not readable: Is a directory"]
    path.rmdir()
    path.write_bytes(data)
    assert proving.prove().counts == proving.NOTHING


def test_renditions_that_are_not_their_rows_are_made_anew(library: Library) -> None:
    missing, other_bytes, other_size, sound = (finished(library) for _ in range(4))
    before = photo_samples.written_rows()["Rendition"]
    preview = missing.renditions.get(kind="preview")
    storage.delete_objects(alias=storage.RENDITIONS, keys=[preview.storage_key])
    thumb = other_bytes.renditions.get(kind="thumb_300")
    overwrite(storage.RENDITIONS, thumb.storage_key, b"x" * thumb.byte_size)
    Rendition.objects.filter(photo=other_size, kind="thumb_600").update(width=599)

    said = repaired(missing)

    assert (said.status, said.counts) == (1, {**proving.NOTHING, "wrong": 3})
    assert {(one["code"], one["photo"], one["item"]) for one in said.body["findings"]} == {
        ("rendition_missing", str(missing.pk), f"renditions/{preview.storage_key}"),
        ("rendition_wrong", str(other_bytes.pk), f"renditions/{thumb.storage_key}"),
        (
            "rendition_wrong",
            str(other_size.pk),
            f"renditions/{other_size.renditions.get(kind='thumb_600').storage_key}",
        ),
    }
    assert "thumb_600: 64 x 48 pixels, and its row says 599 x 48" in said.named("detail")
    assert said.body["repair"] == {
        "plan": ["run renditions again for 3 photos, unless it is dead there"],
        "done": ["3 runs opened again"],
    }
    assert proving.prove().counts == proving.NOTHING
    assert photo_samples.written_rows()["Rendition"] == before
    assert photo_samples.run_of(sound, "renditions").attempt == 1


def test_without_bytes_sizes_and_presence_are_compared(library: Library) -> None:
    missing, longer, same = (finished(library) for _ in range(3))
    keys = {photo: photo.renditions.get(kind="preview").storage_key for photo in (missing, longer, same)}
    storage.delete_objects(alias=storage.RENDITIONS, keys=[keys[missing]])
    overwrite(storage.RENDITIONS, keys[longer], b"x" * 100_000)
    overwrite(storage.RENDITIONS, keys[same], b"x" * same.renditions.get(kind="preview").byte_size)
    assert proving.prove("--no-bytes").offences == {
        ("rendition_missing", str(missing.pk)),
        ("rendition_wrong", str(longer.pk)),
    }
    assert ("rendition_wrong", str(same.pk)) in proving.prove().offences


def answering(monkeypatch: pytest.MonkeyPatch, key: str, errors: list[Exception]) -> None:
    """Have the store fail for one derived object, each time with the next error, and with the last one for ever."""
    read = storage.read_object

    def read_object(*, alias: str, key: str) -> bytes:
        if key == failing:
            raise errors.pop(0) if len(errors) > 1 else errors[0]
        return read(alias=alias, key=key)

    failing = key
    monkeypatch.setattr(contents, "SECONDS_BETWEEN_TRIES", 0)
    monkeypatch.setattr(storage, "read_object", read_object)


def denied(status: int) -> ClientError:
    said = {"Error": {"Code": "AccessDenied", "Message": "Access Denied"}}
    return ClientError({**said, "ResponseMetadata": {"HTTPStatusCode": status}}, "GetObject")


@pytest.mark.parametrize(
    "errors",
    [
        [PermissionError(errno.EACCES, "Permission denied")],
        # a bad sector
        [OSError(errno.EIO, "Input/output error")],
        [denied(403)],
        # wrong in two ways, one after the other
        [FileNotFoundError(errno.ENOENT, "No such file"), PermissionError(errno.EACCES, "Permission denied")],
    ],
)
def test_one_object_that_cannot_be_read_is_wrong(
    library: Library, monkeypatch: pytest.MonkeyPatch, errors: list[Exception]
) -> None:
    photo, _ = finished(library), finished(library)
    answering(monkeypatch, photo.renditions.get(kind="preview").storage_key, errors)
    said = proving.prove()
    assert said.offences == {("rendition_wrong", str(photo.pk))}
    assert said.named("detail")[0].startswith("preview: not readable: ")


@pytest.mark.parametrize(
    ("error", "is_listed"),
    [
        (OSError(errno.ESTALE, "Stale file handle"), True),
        (OSError(errno.EMFILE, "Too many open files"), True),
        (denied(503), True),
        (OSError(errno.EIO, "Input/output error"), False),
        (OSError(errno.ENOTCONN, "Transport endpoint is not connected"), False),
        (denied(403), False),
    ],
)
def test_a_store_that_cannot_be_read_proves_nothing(
    library: Library, monkeypatch: pytest.MonkeyPatch, error: Exception, is_listed: bool
) -> None:
    photo = finished(library)
    answering(monkeypatch, photo.renditions.get(kind="preview").storage_key, [error])
    listed = storage.list_objects

    def list_objects(*, alias: str, prefix: str | None = None) -> object:
        # the listing at the beginning works
        if prefix is None and not is_listed:
            raise error
        return listed(alias=alias, prefix=prefix or "")

    monkeypatch.setattr(storage, "list_objects", list_objects)
    with pytest.raises(CommandError, match="The store 'renditions' does not answer") as refused:
        proving.prove("--repair", "--yes")
    assert refused.value.returncode == 2
    assert StageRun.objects.exclude(state__in=["done", "skipped"]).count() == 0


def jpeg(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height)).save(buffer, "JPEG")
    return buffer.getvalue()


def test_chips_that_are_not_their_rows_are_cut_anew(face_library: Library) -> None:
    photo = finished(face_library, data=photo_samples.portrait(faces=2))
    first, second = Face.objects.order_by("pk")
    rows = photo_samples.written_rows()
    storage.delete_objects(alias=storage.RENDITIONS, keys=[first.chip_key])
    overwrite(storage.RENDITIONS, second.chip_key, jpeg(30, 20))

    said = repaired(photo)

    assert {(one["code"], one["photo"], one["item"]) for one in said.body["findings"]} == {
        ("chip_missing", str(photo.pk), f"renditions/{first.chip_key}"),
        ("chip_wrong", str(photo.pk), f"renditions/{second.chip_key}"),
    }
    assert said.body["repair"]["plan"] == ["run face_detection again for 1 photo, unless it is dead there"]
    assert proving.prove().counts == proving.NOTHING
    assert photo_samples.written_rows() == rows
    # of a chip stored before hashes were kept, its pixels tell
    Face.objects.filter(pk=second.pk).update(chip_sha256="")
    assert proving.prove().counts == proving.NOTHING
    overwrite(storage.RENDITIONS, second.chip_key, jpeg(30, 20))
    [detail] = proving.prove().named("detail")
    assert detail == (
        f"chip of face {second.pk}: 30 x 20 pixels, and its row says {second.chip_width} x {second.chip_height}"
    )
    overwrite(storage.RENDITIONS, second.chip_key, b"no picture")
    assert proving.prove().offences == {("chip_wrong", str(photo.pk))}


def test_done_runs_without_their_rows_are_run_again(face_library: Library) -> None:
    photo = finished(face_library, data=photo_samples.portrait())
    rows = photo_samples.written_rows()
    runs = {stage: str(photo_samples.run_of(photo, stage).pk) for stage in photo_samples.states(photo)}
    Metadata.objects.all().delete()
    Rendition.objects.filter(kind="thumb_300").delete()
    FaceEmbedding.objects.all().delete()

    said = proving.prove()

    assert said.counts == {**proving.NOTHING, "wrong": 3, "leaked": 1}
    wrong = [one for one in said.body["findings"] if one["kind"] == "wrong"]
    assert {(one["code"], one["photo"], one["run"], one["detail"]) for one in wrong} == {
        ("result_missing", str(photo.pk), runs["exif"], "exif: no metadata row"),
        ("result_missing", str(photo.pk), runs["renditions"], "renditions: no rendition thumb_300"),
        (
            "result_missing",
            str(photo.pk),
            runs["face_embedding"],
            "face_embedding: 1 of 1 faces have no vector by dlib-resnet-v1",
        ),
    }
    repaired(photo)
    assert proving.prove().counts == proving.NOTHING
    after = photo_samples.written_rows()
    assert {name: len(found) for name, found in after.items()} == {name: len(found) for name, found in rows.items()}

    Face.objects.all().delete()
    assert ("result_missing", str(photo.pk)) in proving.prove().offences
    Photo.objects.update(thumbhash=None)
    assert "renditions: no thumbhash" in proving.prove().named("detail")


def test_rows_of_a_run_that_did_not_end_last_are_made_anew(face_library: Library) -> None:
    photo = finished(face_library, data=photo_samples.portrait())
    long_ago = timezone.now() - timezone.timedelta(hours=1)
    # all but `place`, which is skipped: the picture says no position
    versions = {run.stage: run.version for run in photo.stage_runs.exclude(stage="place")}
    assert photo_samples.run_of(photo, "place").skip_reason == "no_position"
    for model, stage in ((Metadata, "exif"), (Rendition, "renditions"), (Face, "face_detection")):
        old = {"version": "0.old", "state": RunState.DONE, "finished_at": long_ago}
        StageRun.objects.create(photo=photo, stage=stage, **old)
        model.objects.update(version="0.old")
    old_embedding = f"0.old.{'.'.join(versions['face_embedding'].split('.')[2:])}"
    FaceEmbedding.objects.update(version=old_embedding)

    said = repaired(photo)

    assert {(one["code"], one["stage"]) for one in said.body["findings"]} == {
        ("result_outdated", stage) for stage in versions
    }
    assert set(said.named("run")) == {str(run.pk) for run in photo.stage_runs.filter(version__in=versions.values())}
    assert f"exif: rows of 0.old, and {versions['exif']} ended last" in said.named("detail")
    assert proving.prove().counts == proving.NOTHING
    # a run that was opened again wrote them before
    long_before = {"state": RunState.PENDING, "queued_at": timezone.now(), "finished_at": None}
    StageRun.objects.filter(stage="exif", version=versions["exif"]).update(**long_before)
    assert proving.prove().counts == proving.NOTHING


def test_a_run_that_was_skipped_although_there_are_faces(face_library: Library) -> None:
    photo = finished(face_library, data=photo_samples.portrait())
    run = photo_samples.run_of(photo, "face_embedding")
    FaceEmbedding.objects.all().delete()
    StageRun.objects.filter(pk=run.pk).update(state=RunState.SKIPPED, skip_reason="no_faces")
    said = repaired(photo)
    assert [(one["code"], one["run"]) for one in said.body["findings"]] == [("wrongly_skipped", str(run.pk))]
    assert proving.prove().counts == proving.NOTHING
    assert FaceEmbedding.objects.count() == 1


@pytest.mark.parametrize(("value", "length"), [(0.5, "5.66"), (0.0, "0")])
def test_vectors_that_no_model_makes_are_made_anew(face_library: Library, value: float, length: str) -> None:
    photo = finished(face_library, data=photo_samples.portrait())
    row = FaceEmbedding.objects.get()
    FaceEmbedding.objects.update(vector=[value] * 128)
    said = repaired(photo)
    [finding] = said.body["findings"]
    assert (finding["code"], finding["photo"], finding["item"]) == ("embedding_wrong", str(photo.pk), str(row.pk))
    assert finding["detail"] == f"vector {row.pk}: length {length}, dlib-resnet-v1 gives 1 to 1.8"
    assert proving.prove().counts == proving.NOTHING
    made = FaceEmbedding.objects.get()
    assert made.pk != row.pk
    assert np.allclose(made.vector, row.vector, atol=1e-2)


def test_lengths_are_those_of_the_models(installed_models: dict[str, object]) -> None:
    assert catalogue.get("dlib-resnet-v1").lengths == (1.0, 1.8)
    for name in ("facenet-vggface2", "facenet-casia"):
        least, greatest = catalogue.get(name).lengths
        unit = np.full(512, 512**-0.5, dtype=np.float16).astype(np.float32)
        assert least < np.linalg.norm(unit) < greatest


def test_a_dead_run_is_left_to_a_person(
    library: Library, settings: Settings, fresh_versions: Callable[[], None]
) -> None:
    photo = finished(library)
    dead = {"state": RunState.DEAD, "error_code": "out_of_memory"}
    StageRun.objects.filter(photo=photo, stage="renditions").update(**dead)
    preview = photo.renditions.get(kind="preview")
    storage.delete_objects(alias=storage.RENDITIONS, keys=[preview.storage_key])
    said = proving.prove("--repair", "--yes")
    assert (said.offences, said.body["dead"]) == ({("rendition_missing", str(photo.pk))}, 1)
    assert said.body["repair"]["done"] == ["1 photo left: the run is dead or discarded, which a person retries"]
    assert photo_samples.run_of(photo, "renditions").state == "dead"
