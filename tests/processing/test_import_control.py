"""Imports that are cut off, paused, resumed and cancelled: each goes on, or ends, behind the file in hand."""

import os
from pathlib import Path
from typing import Any

import factories
import photo_samples
import pytest
from celery.exceptions import SoftTimeLimitExceeded
from concurrency import in_a_thread
from import_samples import Held, counted, fill, rows, run, shown, start, watch_reading, work
from pytest_django import Settings

from accounts.models import AuditEvent, Library
from accounts.problems import NotFoundError
from photos.models import Photo
from processing.importing import scan, taking
from processing.models import ImportedFile, LibraryRun, RunState, StageRun
from processing.services import imports

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("photo_store")]


@pytest.fixture
def root(import_source: Path) -> Path:
    """An empty folder that is a source."""
    return import_source


@pytest.fixture
def filled(filled_source: Path) -> Path:
    """The folder with everything in it that lies about in such folders."""
    return filled_source


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two files to a step."""
    monkeypatch.setattr(scan, "READ_PER_STEP", 2)


def die(monkeypatch: pytest.MonkeyPatch, *, at: int, when: str) -> None:
    """Make the process end at a file: before its row is written, or in the middle of the transaction that writes it."""
    save, files = taking._Note._save_row, []

    def dying(self: Any, *arguments: Any) -> None:
        files.append(self)
        if len(files) == at and when == "before":
            raise SoftTimeLimitExceeded
        save(self, *arguments)
        if len(files) == at:
            raise SoftTimeLimitExceeded

    monkeypatch.setattr(taking._Note, "_save_row", dying)


@pytest.mark.parametrize("when", ["before", "within"])
@pytest.mark.parametrize("at", [1, 2, 3, 4, 5])
def test_killed_in_the_middle_of_a_step_it_goes_on_behind_what_it_counted(
    filled: Path, library: Library, at: int, when: str
) -> None:
    made = start(library)
    with pytest.MonkeyPatch.context() as patch:
        die(patch, at=at, when=when)
        with pytest.raises(SoftTimeLimitExceeded):
            work()
    cut = shown(made)
    assert cut.shown_state == "running"
    assert cut.counts["files"] == at - 1 == ImportedFile.objects.count()
    LibraryRun.objects.update(not_before=None)
    assert work() == 1
    done = shown(made)
    assert counted(done) == {
        "files": 6, "added": 3, "duplicates": 1, "refused": 2, "passed_over": 3,
        "refused_unsupported_format": 1, "refused_empty_file": 1,
    }  # fmt: skip
    assert Photo.objects.count() == 3
    assert StageRun.objects.values("photo", "stage").distinct().count() == StageRun.objects.count() == 9


@pytest.mark.parametrize("at", [1, 2, 3, 5, 6])
def test_killed_while_it_reads_again_it_goes_on_behind_what_it_counted(filled: Path, library: Library, at: int) -> None:
    run(library)
    # read again, and found as they were; between them are files that are not
    for name in ("a.png", "b/copy.jpeg", "z.jpg", "b/broken.jpg"):
        os.utime(filled / name, (1, 1))
    (filled / "b/new.jpg").write_bytes(photo_samples.picture())
    (filled / "b/deep/noextension").write_bytes(photo_samples.picture())
    made = start(library)
    with pytest.MonkeyPatch.context() as patch:
        die(patch, at=at, when="within")
        with pytest.raises(SoftTimeLimitExceeded):
            work()
    LibraryRun.objects.update(not_before=None)
    assert work() == 1
    assert counted(shown(made)) == {
        "files": 7, "unchanged": 3, "added": 1, "changed": 1, "refused": 2, "passed_over": 3,
        "refused_unsupported_format": 1, "refused_empty_file": 1,
    }  # fmt: skip


def test_an_attempt_that_is_over_goes_on_where_it_stood(
    root: Path, library: Library, small_steps: None, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(root, 7)
    settings.LEDGER_TASK_SECONDS = 0.001
    fetched = watch_reading(monkeypatch)
    made = start(library)
    turns = 0
    while shown(made).finished_at is None:
        assert turns < 20
        turns += 1
        assert work() == 1
    assert turns > 3
    assert fetched == [f"{number:03}.jpg" for number in range(7)]
    assert counted(shown(made)) == {"files": 7, "added": 7}
    [queued] = library.runs.all()
    assert (queued.state, queued.attempt, queued.report["added"]) == ("done", 1, 7)


def test_a_worker_that_lost_its_lease_takes_nothing_more_in(
    root: Path, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(root, 4)
    held = Held(monkeypatch, path="002.jpg")
    made = start(library)
    zombie = in_a_thread(work)
    assert held.is_waiting.wait(30)
    # as the reconciler does with a lease that ran out
    LibraryRun.objects.update(state=RunState.PENDING, lease_token=None, lease_until=None)
    monkeypatch.undo()
    assert work() == 1
    before = rows()
    assert counted(shown(made)) == {"files": 4, "added": 4}
    held.go_on.set()
    assert zombie.result(30) == 1
    assert rows() == before
    assert counted(shown(made)) == {"files": 4, "added": 4}
    assert library.runs.get().state == "done"


def test_two_workers_at_once_take_each_file_in_once(root: Path, library: Library, photo_store: Path) -> None:
    fill(root, 12)
    other = factories.make_library()
    makings = [start(library), start(other)]
    workers = [in_a_thread(work) for _ in range(2)]
    assert sum(one.result(60) for one in workers) == 2
    for made in makings:
        assert counted(shown(made)) == {"files": 12, "added": 12}
    assert Photo.objects.count() == 24


def test_paused_it_rests_behind_the_file_in_hand_and_goes_on_when_it_is_resumed(
    root: Path, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(root, 4)
    by = factories.make_user(is_superuser=True)
    held = Held(monkeypatch, path="002.jpg")
    made = start(library, by=by)
    working = in_a_thread(work)
    assert held.is_waiting.wait(30)
    assert imports.pause(import_id=made.pk, by=by).shown_state == "paused"
    held.go_on.set()
    assert working.result(30) == 1
    assert counted(shown(made)) == {"files": 2, "added": 2}
    assert Photo.objects.count() == 2
    assert [(run.state, run.skip_reason) for run in library.runs.all()] == [("skipped", "paused")]
    # a second click
    imports.pause(import_id=made.pk, by=by)
    assert work() == 0

    assert imports.resume(import_id=made.pk, by=by).shown_state == "running"
    imports.resume(import_id=made.pk, by=by)
    assert work() == 1
    done = shown(made)
    assert (done.shown_state, counted(done)) == ("finished", {"files": 4, "added": 4})
    told = ["import.started", "import.paused", "import.resumed"]
    assert list(AuditEvent.objects.order_by("pk").values_list("action", flat=True)) == told


def test_resumed_before_the_worker_saw_the_pause_it_goes_on_without_one(
    root: Path, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(root, 4)
    by = factories.make_user(is_superuser=True)
    held = Held(monkeypatch, path="002.jpg")
    made = start(library, by=by)
    working = in_a_thread(work)
    assert held.is_waiting.wait(30)
    imports.pause(import_id=made.pk, by=by)
    imports.resume(import_id=made.pk, by=by)
    held.go_on.set()
    assert working.result(30) == 1
    assert counted(shown(made)) == {"files": 4, "added": 4}
    assert [run.state for run in library.runs.all()] == ["done"]


def test_cancelled_it_ends_and_keeps_what_it_took_in(
    root: Path, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(root, 4)
    by = factories.make_user(is_superuser=True)
    held = Held(monkeypatch, path="002.jpg")
    made = start(library, by=by)
    working = in_a_thread(work)
    assert held.is_waiting.wait(30)
    imports.cancel(import_id=made.pk, by=by)
    held.go_on.set()
    working.result(30)
    ended = shown(made)
    assert (ended.shown_state, counted(ended)) == ("cancelled", {"files": 2, "added": 2})
    assert ended.finished_at is not None
    assert Photo.objects.count() == 2
    imports.cancel(import_id=made.pk, by=by)
    for refused in (imports.pause, imports.resume):
        with pytest.raises(imports.ImportHasEndedError):
            refused(import_id=made.pk, by=by)
    assert (work(), shown(made).shown_state) == (0, "cancelled")
    assert counted(run(library)) == {"files": 4, "added": 2, "unchanged": 2}


def test_one_that_is_cancelled_before_it_begins_reads_nothing(root: Path, library: Library) -> None:
    fill(root, 1)
    by = factories.make_user(is_superuser=True)
    made = start(library, by=by)
    imports.cancel(import_id=made.pk, by=by)
    assert work() == 1
    assert [(run.state, run.skip_reason) for run in library.runs.all()] == [("skipped", "cancelled")]
    assert Photo.objects.count() == 0
    with pytest.raises(imports.ImportHasEndedError):
        imports.resume(import_id=made.pk, by=by)
    assert library.runs.open().count() == 0


def test_a_finished_one_is_not_cancelled(root: Path, library: Library) -> None:
    fill(root, 1)
    done = run(library)
    with pytest.raises(imports.ImportHasEndedError):
        imports.cancel(import_id=done.pk, by=factories.make_user(is_superuser=True))
    assert shown(done).shown_state == "finished"


def test_others_do_not_even_see_it(root: Path, library: Library) -> None:
    fill(root, 1)
    made = start(library)
    admin = factories.make_member(library, "admin")
    for call in (imports.pause, imports.resume, imports.cancel, imports.rescan):
        with pytest.raises(NotFoundError):
            call(import_id=made.pk, by=admin)
    assert shown(made).shown_state == "running"
