"""Imports as work: what they take in, what they say of it, and that they go on wherever they were cut off."""

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import factories
import photo_samples
import pytest
import redis
from celery.exceptions import SoftTimeLimitExceeded
from concurrency import in_a_thread
from import_samples import counted, run, shown, start, states, tree, work
from proving import NOTHING, prove
from pytest_django import Settings

from accounts.models import AuditEvent, Library
from accounts.problems import InvalidValueError, NotFoundError
from photos.models import Photo
from photos.services import quotas
from photos.storage import SourceFolder
from processing.importing import scan, taking
from processing.models import Import, ImportedFile, LibraryRun, RunState, StageRun
from processing.models.ledger import Lane
from processing.services import dead_letters, forgetting, imports, trash

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("photo_store")]


@pytest.fixture
def root(import_source: Path) -> Path:
    """An empty folder that is a source."""
    return import_source


@pytest.fixture
def filled(root: Path) -> Path:
    """The folder with everything in it that lies about in such folders."""
    (root / "b" / "deep").mkdir(parents=True)
    (root / ".thumbnails").mkdir()
    twice = photo_samples.picture()
    for name, data in {
        "z.jpg": twice,
        "a.png": photo_samples.picture(image_format="PNG"),
        "b/copy.jpeg": twice,
        "b/deep/noextension": photo_samples.picture(),
        "b/broken.jpg": b"no picture",
        "b/empty.jpg": b"",
        "b/notes.txt": b"a text",
        "b/clip.mp4": b"a film",
        ".hidden.jpg": photo_samples.picture(),
        ".thumbnails/t.jpg": photo_samples.picture(),
    }.items():
        (root / name).write_bytes(data)
    (root / "link.jpg").symlink_to(root / "z.jpg")
    return root


def fill(root: Path, count: int) -> None:
    for number in range(count):
        (root / f"{number:03}.jpg").write_bytes(photo_samples.picture())


def rows() -> dict[str, list[dict[str, Any]]]:
    models = (Photo, StageRun, ImportedFile)
    return {model.__name__: list(model.objects.order_by("pk").values()) for model in models}


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two files to a step."""
    monkeypatch.setattr(scan, "READ_PER_STEP", 2)


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
    assert set(StageRun.objects.values_list("lane", "state")) == {(Lane.IMPORT, "pending")}
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


def watch_reading(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give the paths of the files that are read, as they are."""
    fetch, paths = SourceFolder.fetch, []

    def note(self: SourceFolder, path: str, into: BinaryIO, *, limit: int) -> Any:
        paths.append(path)
        return fetch(self, path, into, limit=limit)

    monkeypatch.setattr(SourceFolder, "fetch", note)
    return paths


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


# cut off


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
    assert StageRun.objects.values("photo", "stage").distinct().count() == StageRun.objects.count() == 6


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


class Held:
    """Makes an import wait before it reads a file, until it is told to go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, path: str) -> None:
        self.is_waiting, self.go_on = threading.Event(), threading.Event()
        fetch = SourceFolder.fetch

        def slow(source: SourceFolder, wanted: str, into: BinaryIO, *, limit: int) -> Any:
            if wanted == path:
                self.is_waiting.set()
                assert self.go_on.wait(60), "nobody said to go on"
            return fetch(source, wanted, into, limit=limit)

        monkeypatch.setattr(SourceFolder, "fetch", slow)


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


# paused, resumed, cancelled


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


# trouble


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


def refuse_to_open(monkeypatch: pytest.MonkeyPatch, name: bytes, number: int) -> None:
    """Make the system refuse to open a file: the tests may run as root, whom nothing is refused."""
    opened = os.open

    def refusing(path: Any, *arguments: Any, **named: Any) -> int:
        if path == name:
            raise OSError(number, os.strerror(number), path)
        return opened(path, *arguments, **named)

    monkeypatch.setattr(os, "open", refusing)


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


def before_reading(monkeypatch: pytest.MonkeyPatch, path: str, do: Callable[[], object]) -> None:
    """Do something right before a file is read."""
    fetch = SourceFolder.fetch

    def prepared(self: SourceFolder, wanted: str, into: BinaryIO, *, limit: int) -> Any:
        if wanted == path:
            do()
        return fetch(self, wanted, into, limit=limit)

    monkeypatch.setattr(SourceFolder, "fetch", prepared)


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


# erased


def test_a_library_that_is_being_erased_is_not_filled_and_takes_all_of_it_along(
    root: Path, library: Library, small_steps: None, monkeypatch: pytest.MonkeyPatch
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
