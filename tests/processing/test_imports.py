"""Imports as work: what they take in, what they say of it, and that they go on wherever they were cut off."""

import os
from pathlib import Path

import factories
import photo_samples
import pytest
import redis
from concurrency import in_a_thread
from import_samples import Held, counted, fill, rows, run, shown, start, states, tree, watch_reading, work
from proving import NOTHING, prove

from accounts.models import AuditEvent, Library
from accounts.problems import InvalidValueError
from photos.models import Photo
from processing.models import Import, ImportedFile, LibraryRun, StageRun
from processing.models.ledger import Lane
from processing.services import forgetting, imports, trash

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("photo_store")]


@pytest.fixture
def root(import_source: Path) -> Path:
    """An empty folder that is a source."""
    return import_source


@pytest.fixture
def filled(filled_source: Path) -> Path:
    """The folder with everything in it that lies about in such folders."""
    return filled_source


def test_a_folder_is_taken_in_and_every_file_accounted_for(filled: Path, library: Library) -> None:
    by = factories.make_user(is_superuser=True)
    before = tree(filled)
    made = start(library, by=by)
    assert (made.state, made.phase, made.requested_by) == ("running", "counting", by)
    [queued] = library.runs.all()
    assert (queued.kind, queued.subject, queued.state, queued.lane) == ("import", str(made.pk), "pending", Lane.IMPORT)
    assert Photo.objects.count() == 0

    assert work() == 1

    done = shown(made)
    assert (done.shown_state, done.phase, done.total_files, done.error_code) == ("finished", "done", 6, "")
    assert counted(done) == {
        "files": 6, "added": 3, "duplicates": 1, "refused": 2, "passed_over": 3,
        "refused_unsupported_format": 1, "refused_empty_file": 1,
    }  # fmt: skip
    assert done.total_bytes == done.counts["bytes"] == sum((filled / name).stat().st_size for name in states(library))
    assert states(library) == {
        "a.png": "added",
        "b/broken.jpg": "unsupported_format",
        "b/copy.jpeg": "added",
        "b/deep/noextension": "added",
        "b/empty.jpg": "empty_file",
        "z.jpg": "duplicate",
    }
    photos = {row.path: row.photo for row in ImportedFile.objects.select_related("photo")}
    assert photos["z.jpg"] == photos["b/copy.jpeg"]
    photo = photos["b/deep/noextension"]
    assert (photo.original_filename, photo.uploader, photo.storage_alias) == ("noextension", by, "originals")
    assert set(StageRun.objects.values_list("lane", "state")) == {(Lane.IMPORT, "pending"), (Lane.IMPORT, "waiting")}
    queued.refresh_from_db()
    assert (queued.state, queued.report["added"], queued.report["refused"]) == ("done", 3, 2)
    assert done.files_per_second > 0
    assert done.seconds_left is None
    assert tree(filled) == before
    assert list(AuditEvent.objects.values_list("action", "subject_id", "actor_id")) == [
        ("import.started", str(made.pk), by.pk)
    ]


def test_workers_are_rung_for_what_is_new(root: Path, library: Library, broker: redis.Redis) -> None:
    fill(root, 40)
    start(library)
    assert broker.llen("maintenance") == 1
    work()
    # two messages for every 32
    assert broker.llen("ingest") == 4


def test_a_second_import_reads_nothing_and_adds_nothing(
    filled: Path, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(library)
    before = rows()
    fetched = watch_reading(monkeypatch)
    second = run(library)
    assert second.pk != first.pk
    # what was refused for its bytes is not read again either
    assert fetched == []
    assert counted(second) == {
        "files": 6, "unchanged": 4, "refused": 2, "passed_over": 3,
        "refused_unsupported_format": 1, "refused_empty_file": 1,
    }  # fmt: skip
    assert rows()["Photo"] == before["Photo"]
    assert rows()["StageRun"] == before["StageRun"]
    assert set(ImportedFile.objects.values_list("scan", flat=True)) == {second.pk}


def test_reading_again_finds_what_is_new_changed_and_missing(
    filled: Path, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(library)
    photos = {row.path: row.photo_id for row in ImportedFile.objects.all()}
    (filled / "new.jpg").write_bytes(photo_samples.picture())
    (filled / "a.png").write_bytes(photo_samples.picture(image_format="PNG"))
    (filled / "b/deep/noextension").unlink()
    (filled / "b/broken.jpg").unlink()
    # touched, and no other bytes
    os.utime(filled / "z.jpg", (1, 1))
    fetched = watch_reading(monkeypatch)

    again = imports.rescan(import_id=first.pk, by=factories.make_user(is_superuser=True))
    assert work() == 1

    assert fetched == ["a.png", "new.jpg", "z.jpg"]
    assert states(library) == {
        "a.png": "changed",
        "b/copy.jpeg": "unchanged",
        "b/deep/noextension": "missing",
        "b/empty.jpg": "empty_file",
        "new.jpg": "added",
        "z.jpg": "unchanged",
    }
    assert counted(shown(again)) == {
        "files": 5, "added": 1, "changed": 1, "missing": 1, "unchanged": 2, "refused": 1, "refused_empty_file": 1,
        "passed_over": 3,
    }  # fmt: skip
    changed = ImportedFile.objects.get(path="a.png")
    assert changed.previous_photo_id == photos["a.png"] != changed.photo_id
    # nothing is deleted for it
    assert Photo.objects.filter(pk__in=photos.values(), trashed_at=None).count() == 3
    assert Photo.objects.count() == 5
    assert counted(run(library))["missing"] == 1


def test_a_file_that_comes_back_is_not_missing_any_more(root: Path, library: Library) -> None:
    fill(root, 2)
    run(library)
    (root / "001.jpg").rename(root.parent / "away")
    assert counted(run(library)) == {"files": 1, "unchanged": 1, "missing": 1}
    (root.parent / "away").rename(root / "001.jpg")
    assert counted(run(library)) == {"files": 2, "unchanged": 2}
    assert states(library) == {"000.jpg": "unchanged", "001.jpg": "unchanged"}


def test_with_verify_files_are_read_that_look_as_they_did(root: Path, library: Library) -> None:
    fill(root, 2)
    run(library)
    path = root / "000.jpg"
    before, other = path.stat(), photo_samples.picture()
    data = other.ljust(before.st_size, b"\0")[: before.st_size]
    assert len(data) == before.st_size
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert counted(run(library)) == {"files": 2, "unchanged": 2}
    assert counted(run(library, verify=True)) == {"files": 2, "unchanged": 1, "changed": 1}


def test_a_photo_that_was_deleted_for_good_stays_deleted(root: Path, library: Library) -> None:
    fill(root, 2)
    run(library)
    gone = Photo.objects.get(original_filename="000.jpg")
    by = factories.make_member(library, "admin")
    trash.purge(photo_ids=[gone.pk], also_present=True, by=by)
    assert ImportedFile.objects.get(path="000.jpg").photo is None
    assert counted(run(library)) == {"files": 2, "unchanged": 2}
    assert Photo.objects.count() == 1


def test_a_dry_run_counts_and_takes_nothing(filled: Path, library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched = watch_reading(monkeypatch)
    done = run(library, dry_run=True)
    assert (done.shown_state, done.total_files, counted(done), fetched) == ("finished", 6, {}, [])
    assert done.total_bytes == sum(
        (filled / name).stat().st_size
        for name in ("z.jpg", "a.png", "b/copy.jpeg", "b/deep/noextension", "b/broken.jpg")
    )
    assert (Photo.objects.count(), ImportedFile.objects.count()) == (0, 0)


def test_one_folder_or_one_file_below_is_imported(filled: Path, library: Library) -> None:
    assert counted(run(library, path="b/deep")) == {"files": 1, "added": 1}
    assert counted(run(library, path="a.png")) == {"files": 1, "added": 1}
    assert counted(run(library, path="b/")) == {
        "files": 4, "added": 1, "unchanged": 1, "refused": 2, "passed_over": 2,
        "refused_unsupported_format": 1, "refused_empty_file": 1,
    }  # fmt: skip
    # what lies elsewhere is not missing
    assert ImportedFile.objects.filter(state="missing").count() == 0


@pytest.mark.parametrize(
    ("source", "path", "code"),
    [
        ("elsewhere", "", "source_not_allowed"),
        ("camera", "..", "source_not_allowed"),
        ("camera", "b/../../x", "source_not_allowed"),
        ("camera", "/", "source_not_allowed"),
        ("camera", "/etc", "source_not_allowed"),
        ("camera", "%2e%2e", "source_not_allowed"),
        ("camera", "out", "invalid"),
        ("camera", "out/camera", "invalid"),
        ("camera", "nowhere", "invalid"),
    ],
)
def test_no_place_outside_of_a_source_is_imported(
    filled: Path, library: Library, source: str, path: str, code: str
) -> None:
    (filled / "out").symlink_to(filled.parent)
    with pytest.raises(InvalidValueError) as refused:
        start(library, source=source, path=path)
    assert refused.value.code == code
    assert (Import.objects.count(), LibraryRun.objects.count(), AuditEvent.objects.count()) == (0, 0, 0)


def test_a_place_is_imported_once_at_a_time(root: Path, library: Library) -> None:
    fill(root, 1)
    made = start(library)
    with pytest.raises(imports.ImportIsOpenError) as refused:
        start(library)
    assert refused.value.extra == {"import": str(made.pk)}
    assert (Import.objects.count(), LibraryRun.objects.count()) == (1, 1)
    # another library's is another import
    start(factories.make_library())
    assert work() == 2
    assert start(library).pk != made.pk


def test_a_library_that_is_being_erased_is_not_filled_and_takes_all_of_it_along(
    root: Path, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(root, 6)
    held = Held(monkeypatch, path="003.jpg")
    start(library)
    working = in_a_thread(work)
    assert held.is_waiting.wait(30)
    forgetting.forget_library(library=library, by=None)
    held.go_on.set()
    working.result(30)
    assert Photo.objects.count() == 3
    assert Import.objects.get().state == "cancelled"
    assert Import.objects.visible_to(factories.make_user(is_superuser=True)).count() == 0
    assert photo_samples.run_library_work("forget") == 1
    assert not Library.objects.filter(pk=library.pk).exists()
    assert (Photo.objects.count(), Import.objects.count(), ImportedFile.objects.count()) == (0, 0, 0)
    assert len(tree(root)) == 6


def test_an_account_that_is_deleted_leaves_its_imports_to_nobody(root: Path, library: Library) -> None:
    fill(root, 2)
    by = factories.make_user(is_superuser=True)
    made = start(library, by=by)
    by.delete()
    assert work() == 1
    done = shown(made)
    assert (done.requested_by, counted(done)) == (None, {"files": 2, "added": 2})
    assert set(Photo.objects.values_list("uploader", flat=True)) == {None}


def test_a_proof_finds_nothing_wrong_afterwards(filled: Path, library: Library) -> None:
    run(library)
    photo_samples.run_everything()
    assert (prove().counts, prove("--library", library.name).status) == (NOTHING, 0)
