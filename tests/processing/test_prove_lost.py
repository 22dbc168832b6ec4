"""Lost: originals, runs and acknowledged photos that are not there."""

import uuid
from pathlib import Path

import photo_samples
import proving
import pytest
from django.core.management import CommandError
from django.db.models.functions import Now

from accounts.models import Library
from photos import storage
from photos.models import Photo
from processing.models import LibraryRun, RunState, StageRun
from processing.models.ledger import Lane

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("photo_store", "quick_ripening")]


def finished(library: Library, count: int) -> list[Photo]:
    photos = [photo_samples.take_in(library, photo_samples.picture()) for _ in range(count)]
    photo_samples.run_everything()
    return photos


@pytest.mark.parametrize("with_bytes", [True, False])
def test_a_missing_original_is_lost_and_nothing_brings_it_back(library: Library, with_bytes: bool) -> None:
    lost, _ = finished(library, 2)
    data = storage.read_object(alias=storage.ORIGINALS, key=lost.storage_key)
    storage.delete_objects(alias=storage.ORIGINALS, keys=[lost.storage_key])
    arguments = [] if with_bytes else ["--no-bytes"]

    said = proving.prove(*arguments)

    assert (said.status, said.counts) == (1, {**proving.NOTHING, "lost": 1})
    assert said.offences == {("original_missing", str(lost.pk))}
    assert said.named("item") == [f"originals/{lost.storage_key}"]
    before = list(StageRun.objects.order_by("pk").values())
    repaired = proving.prove("--repair", "--yes", *arguments)
    assert repaired.body["repair"] == {
        "plan": ["cannot repair 1 x original_missing: see above what to do"],
        "done": None,
    }
    assert list(StageRun.objects.order_by("pk").values()) == before
    storage.write_object(alias=storage.ORIGINALS, key=lost.storage_key, file=photo_samples.content(data))
    assert proving.prove(*arguments).counts == proving.NOTHING


def test_a_missing_run_is_lost_and_planned_by_the_repair(library: Library) -> None:
    bare, half, superseded, _ = finished(library, 4)
    bare.stage_runs.all().delete()
    half.stage_runs.filter(stage="renditions").delete()
    superseded.stage_runs.filter(stage="exif").update(state=RunState.SKIPPED, skip_reason="superseded")

    said = proving.prove("--repair", "--yes", "--no-bytes")

    assert (said.status, said.counts) == (1, {**proving.NOTHING, "lost": 5})
    assert sorted((one["photo"], one["stage"], one["code"]) for one in said.body["findings"]) == sorted(
        [
            (str(bare.pk), "exif", "run_missing"),
            (str(bare.pk), "place", "run_missing"),
            (str(bare.pk), "renditions", "run_missing"),
            (str(half.pk), "renditions", "run_missing"),
            (str(superseded.pk), "exif", "run_missing"),
        ]
    )
    assert said.body["repair"] == {"plan": ["plan the missing runs of 3 photos"], "done": ["5 runs planned"]}
    # the place waits for exif
    assert StageRun.objects.filter(state=RunState.PENDING, lane=Lane.BACKFILL).count() == 4
    assert StageRun.objects.filter(state=RunState.WAITING, lane=Lane.BACKFILL).count() == 1
    photo_samples.run_everything()
    assert (proving.prove().counts, StageRun.objects.count()) == (proving.NOTHING, 12)


@pytest.mark.parametrize("state", [RunState.PENDING, RunState.DEAD])
def test_runs_that_are_being_planned_are_not_missing(library: Library, state: str) -> None:
    photo, _ = finished(library, 2)
    photo.stage_runs.all().delete()
    ended = {"finished_at": photo.uploaded_at, "error_code": "timed_out"} if state == RunState.DEAD else {}
    LibraryRun.objects.create(library=library, kind="plan", version="1", state=state, queued_at=Now(), **ended)
    assert proving.prove().offences == set()


def line(photo: Photo, **values: object) -> str:
    fields = {"pk": photo.pk, "sha256": photo.sha256, "library": photo.library_id, **values}
    return "\t".join(str(value) for value in fields.values()) + "\n"


def test_every_acknowledged_photo_has_to_be_there(library: Library, tmp_path: Path) -> None:
    kept, changed, moved, gone, deleted = finished(library, 5)
    other = Library.objects.create(name="another")
    lines = [
        line(kept),
        line(kept),
        line(changed, sha256="ab" * 32),
        line(moved, library=other.pk),
        line(gone),
        line(deleted, note="deleted"),
        line(kept, pk=uuid.UUID(int=7)),
    ]
    acknowledged = tmp_path / "acknowledged"
    acknowledged.write_text("".join(lines))
    for photo in (gone, deleted):
        key, keys = photo.storage_key, list(photo.renditions.values_list("storage_key", flat=True))
        photo.delete()
        storage.delete_objects(alias=storage.ORIGINALS, keys=[key])
        storage.delete_objects(alias=storage.RENDITIONS, keys=keys)

    said = proving.prove("--acknowledged", acknowledged)

    assert (said.status, said.counts, said.body["acknowledged"]) == (1, {**proving.NOTHING, "lost": 4}, 7)
    assert said.offences == {
        ("photo_changed", str(changed.pk)),
        ("photo_changed", str(moved.pk)),
        ("photo_missing", str(uuid.UUID(int=7))),
        ("photo_missing", lines[4].split("\t")[0]),
    }
    acknowledged.write_text(lines[0] + lines[5])
    assert proving.prove("--acknowledged", acknowledged).counts == proving.NOTHING
    said = proving.prove("--acknowledged", acknowledged, "--library", other.name)
    assert (said.counts, said.body["acknowledged"]) == (proving.NOTHING, 0)


def test_the_last_line_of_a_photo_decides(library: Library, tmp_path: Path) -> None:
    kept, purged, trashed, restored = finished(library, 4)
    acknowledged = tmp_path / "acknowledged"
    log = [line(one) for one in (kept, purged, trashed, restored)]
    log += [line(one, note="deleted") for one in (purged, trashed, restored)]
    acknowledged.write_text("".join([*log, line(restored)]))
    Photo.objects.filter(pk=trashed.pk).update(trashed_at=Now())

    said = proving.prove("--acknowledged", acknowledged)
    assert (said.status, said.counts, said.body["acknowledged"]) == (1, {**proving.NOTHING, "leaked": 1}, 8)
    assert said.offences == {("deleted_photo_there", str(purged.pk))}
    assert said.named("detail") == ["its row is there, and not in the trash"]

    key, keys = purged.storage_key, list(purged.renditions.values_list("storage_key", flat=True))
    name = str(purged.pk)
    purged.delete()
    storage.delete_objects(alias=storage.ORIGINALS, keys=[key])
    storage.delete_objects(alias=storage.RENDITIONS, keys=keys)
    assert proving.prove("--acknowledged", acknowledged).counts == proving.NOTHING
    # said again after it was deleted, as of one that came out of the trash
    acknowledged.write_text("".join([*log, log[1]]))
    said = proving.prove("--acknowledged", acknowledged)
    assert said.offences == {("photo_missing", name), ("deleted_photo_there", str(restored.pk))}


@pytest.mark.parametrize(
    "text",
    ["no line", "a\tb\tc", f"{uuid.UUID(int=1)}\tabcd\t{uuid.UUID(int=2)}", f"{uuid.UUID(int=1)}\t{'ab' * 32}\tx"],
)
def test_a_file_that_cannot_be_read_proves_nothing(library: Library, tmp_path: Path, text: str) -> None:
    acknowledged = tmp_path / "acknowledged"
    acknowledged.write_text(f"\n{text}\n")
    with pytest.raises(CommandError, match=r"line 2: not `photo id<TAB>sha256<TAB>library id`") as refused:
        proving.prove("--acknowledged", acknowledged)
    assert refused.value.returncode == 2
    with pytest.raises(CommandError, match="No such file"):
        proving.prove("--acknowledged", tmp_path / "nowhere")
