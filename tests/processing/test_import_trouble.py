"""What goes wrong while a source is read: files that cannot be, sources that are gone, work that dies."""

import errno
import os
from pathlib import Path

import factories
import photo_samples
import pytest
from import_samples import before_reading, counted, fill, refuse_to_open, run, shown, start, states, watch_reading, work
from pytest_django import Settings

from accounts.models import Library
from photos.models import Photo
from photos.services import quotas
from processing.importing import taking
from processing.models import ImportedFile, LibraryRun
from processing.services import dead_letters, imports

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("photo_store")]


@pytest.fixture
def root(import_source: Path) -> Path:
    """An empty folder that is a source."""
    return import_source


def test_a_quota_that_is_used_up_pauses_it(root: Path, library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taking, "QUOTA_PATIENCE", 3)
    fill(root, 8)
    size = (root / "000.jpg").stat().st_size
    Library.objects.filter(pk=library.pk).update(quota_bytes=2 * size + 100)
    made = run(library)
    assert (made.shown_state, made.pause_code) == ("paused", quotas.CODE)
    assert counted(made) == {"files": 5, "added": 2, "refused": 3, "refused_quota_exceeded": 3}
    Library.objects.filter(pk=library.pk).update(quota_bytes=None)
    imports.resume(import_id=made.pk, by=factories.make_user(is_superuser=True))
    work()
    done = shown(made)
    assert (done.shown_state, done.pause_code) == ("finished", "")
    assert counted(done) == {"files": 8, "added": 5, "refused": 3, "refused_quota_exceeded": 3}
    # the next one takes what was refused for it
    assert counted(run(library)) == {"files": 8, "added": 3, "unchanged": 5}


def test_a_file_that_cannot_be_read_is_refused_and_tried_again_by_the_next_one(root: Path, library: Library) -> None:
    fill(root, 3)
    with pytest.MonkeyPatch.context() as patch:
        refuse_to_open(patch, b"001.jpg", errno.EACCES)
        done = run(library)
    assert counted(done) == {"files": 3, "added": 2, "refused": 1, "refused_unreadable": 1}
    assert ImportedFile.objects.get(path="001.jpg").detail == "Permission denied"
    assert counted(run(library)) == {"files": 3, "added": 1, "unchanged": 2}


def test_a_known_file_that_cannot_be_read_now_stays_known(root: Path, library: Library) -> None:
    fill(root, 1)
    run(library)
    photo = Photo.objects.get()
    with pytest.MonkeyPatch.context() as patch:
        refuse_to_open(patch, b"000.jpg", errno.EIO)
        assert counted(run(library, verify=True)) == {"files": 1, "refused": 1, "refused_unreadable": 1}
    assert ImportedFile.objects.get().photo == photo
    assert counted(run(library)) == {"files": 1, "unchanged": 1}


def test_a_folder_that_cannot_be_looked_into_makes_nothing_missing(root: Path, library: Library) -> None:
    (root / "closed").mkdir()
    fill(root / "closed", 2)
    fill(root, 1)
    run(library)
    with pytest.MonkeyPatch.context() as patch:
        refuse_to_open(patch, b"closed", errno.EACCES)
        again = run(library)
    assert counted(again) == {"files": 1, "unchanged": 1, "refused": 1, "refused_unreadable": 1}
    assert states(library)["closed/"] == "unreadable"
    assert counted(run(library)) == {"files": 3, "unchanged": 3}
    assert "closed/" not in states(library)


def test_a_file_that_vanishes_between_listing_and_reading_is_said(root: Path, library: Library) -> None:
    fill(root, 3)
    with pytest.MonkeyPatch.context() as patch:
        before_reading(patch, "001.jpg", (root / "001.jpg").unlink)
        done = run(library)
    assert counted(done) == {"files": 3, "added": 2, "refused": 1, "refused_vanished": 1}
    # it never was taken in, so it is not missing
    assert counted(run(library)) == {"files": 2, "unchanged": 2}
    assert "001.jpg" not in states(library)


def test_a_file_that_becomes_a_link_between_listing_and_reading_is_not_followed(root: Path, library: Library) -> None:
    fill(root, 2)
    secret = root.parent / "secret.jpg"
    secret.write_bytes(photo_samples.picture())

    def replace() -> None:
        (root / "001.jpg").unlink()
        (root / "001.jpg").symlink_to(secret)

    with pytest.MonkeyPatch.context() as patch:
        before_reading(patch, "001.jpg", replace)
        done = run(library)
    assert counted(done) == {"files": 2, "added": 1, "refused": 1, "refused_vanished": 1}
    assert Photo.objects.count() == 1


def test_a_file_that_is_too_large_is_not_read(
    root: Path, library: Library, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(root, 1)
    settings.UPLOAD_MAX_BYTES = 10
    fetched = watch_reading(monkeypatch)
    assert counted(run(library)) == {"files": 1, "refused": 1, "refused_too_large": 1}
    assert fetched == []
    settings.UPLOAD_MAX_BYTES = 10_000
    assert counted(run(library)) == {"files": 1, "added": 1}


def test_names_that_are_hostile_are_taken_in(root: Path, library: Library) -> None:
    names = [b"new\nline.jpg", b"caf\xe9.jpg", b"100%.jpg", b"\xe2\x80\xae.jpg", b"x" * 251 + b".jpg", b"'; --.jpg"]
    for name in names:
        Path(os.fsdecode(os.fsencode(root) + b"/" + name)).write_bytes(photo_samples.picture())
    assert counted(run(library)) == {"files": len(names), "added": len(names)}
    assert counted(run(library)) == {"files": len(names), "unchanged": len(names)}
    assert {"new%0Aline.jpg", "caf%E9.jpg", "100%25.jpg"} <= set(states(library))
    assert "newline.jpg" in set(Photo.objects.values_list("original_filename", flat=True))


def test_an_empty_folder_is_imported_and_an_unmounted_one_is_not(root: Path, library: Library) -> None:
    assert counted(run(library)) == {}
    fill(root, 2)
    run(library)
    for path in root.iterdir():
        path.unlink()
    made = start(library)
    assert work() == 1
    [waiting] = library.runs.filter(subject=str(made.pk))
    assert (waiting.state, waiting.error_code, waiting.attempt) == ("pending", "storage_unavailable", 0)
    assert ImportedFile.objects.filter(state="missing").count() == 0
    # mounted again
    fill(root, 1)
    LibraryRun.objects.update(not_before=None)
    assert work() == 1
    assert counted(shown(made)) == {"files": 1, "changed": 1, "missing": 1}


def test_an_import_whose_work_has_died_is_failed_and_may_be_resumed(
    root: Path, library: Library, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(root, 2)
    settings.LEDGER_MAX_ATTEMPTS = 1
    made = start(library)
    with monkeypatch.context() as patch:
        before_reading(patch, "001.jpg", lambda: 1 / 0)
        assert work() == 1
    failed = shown(made)
    assert (failed.shown_state, failed.state, failed.error_code) == ("failed", "running", "unexpected_error")
    assert failed.error_detail == "ZeroDivisionError: division by zero"
    assert counted(failed) == {"files": 1, "added": 1}
    with pytest.raises(imports.ImportIsOpenError):
        start(library)

    imports.resume(import_id=made.pk, by=factories.make_user(is_superuser=True))
    assert [run.state for run in library.runs.order_by("pk")] == ["skipped", "pending"]
    assert work() == 1
    assert (shown(made).shown_state, counted(shown(made))) == ("finished", {"files": 2, "added": 2})


def test_a_dead_letter_of_an_import_may_be_retried_or_given_up(
    root: Path, library: Library, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(root, 1)
    settings.LEDGER_MAX_ATTEMPTS = 1
    made = start(library)
    by = factories.make_user(is_superuser=True)
    with monkeypatch.context() as patch:
        before_reading(patch, "000.jpg", lambda: 1 / 0)
        work()
    dead = library.runs.get()
    dead_letters.retry_one(run_id=dead.pk, by=by)
    assert shown(made).shown_state == "running"
    with monkeypatch.context() as patch:
        before_reading(patch, "000.jpg", lambda: 1 / 0)
        work()
    dead_letters.discard_one(run_id=dead.pk, by=by, reason="why")
    assert shown(made).shown_state == "failed"
    imports.cancel(import_id=made.pk, by=by)
    assert shown(made).shown_state == "cancelled"


def test_a_source_that_is_not_open_any_more_is_not_read(root: Path, library: Library, settings: Settings) -> None:
    fill(root, 1)
    made = start(library)
    settings.STORAGES = {name: one for name, one in settings.STORAGES.items() if name != "source:camera"}
    assert work() == 1
    run_row = library.runs.get()
    assert (run_row.state, run_row.error_code) == ("pending", "storage_unavailable")
    assert "IMPORT_SOURCES names no 'camera'" in run_row.error_detail
    assert (shown(made).shown_state, Photo.objects.count()) == ("running", 0)
