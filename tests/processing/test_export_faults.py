"""Exports that are stopped, raced and cut off: whole files in the end, no byte of another, nothing erased in them."""

from datetime import timedelta
from typing import Any

import export_samples
import factories
import photo_samples
import pytest
from concurrency import in_a_thread, wait_until_blocked
from export_samples import fill, keys, members, request, shown, sweep_all, work
from proving import prove
from pytest_django import Settings

from accounts.models import AuditAction, AuditEvent, ErasureReceipt, Library
from photos import storage
from photos.models import Export, ExportFile, ObjectSweep
from photos.services import object_sweeps as sweep_dates
from processing import ledger
from processing.kinds import exporting
from processing.models import LibraryRun
from processing.services import dead_letters, exports, forgetting, object_sweeps, trash

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True, params=["disk", "s3"])
def store(request: pytest.FixtureRequest) -> Any:
    """Every test, on a disk and in buckets."""
    return request.getfixturevalue({"disk": "photo_store", "s3": "s3_storages"}[request.param])


@pytest.fixture
def library() -> Library:
    return factories.make_library()


def test_what_is_made_is_whole_and_proved(library: Library, settings: Settings) -> None:
    settings.EXPORT_FILE_BYTES = 25_000
    photos = fill(library, 5, byte_size=10_000)
    export = request(library)
    assert work() == 1

    files = list(export.files.order_by("number"))
    assert [file.photo_ids for file in files] == [
        [photos[0].pk, photos[1].pk],
        [photos[2].pk, photos[3].pk],
        [photos[4].pk],
    ]
    found = [members(file) for file in files]
    assert [one[photo.original_filename] for one, photo in zip(found, photos[::2], strict=True)] == [
        photo.sha256 for photo in photos[::2]
    ]
    assert {file.storage_key for file in files} == keys()
    run = LibraryRun.objects.get(kind="export")
    assert (run.state, run.report) == ("done", {"photos": 5, "of": 5, "files": 3})
    assert {code for code, _ in prove("--library", library.name).offences} <= {"run_missing"}


def test_a_file_that_no_row_names_is_seen_and_swept(library: Library) -> None:
    fill(library, 1)
    request(library)
    work()
    [named] = keys()
    storage.write_made(alias=storage.RENDITIONS, key=named.replace("-1-", "-2-"), chunks=[b"left", b"behind"])

    left = named.replace("-1-", "-2-")
    for key in (left, named):
        sweep_dates.request(alias=storage.RENDITIONS, prefix=key, reason=ObjectSweep.Reason.EXPORT)
    assert object_sweeps.sweep().objects_deleted == 1
    assert keys() == {named}


def test_an_export_that_is_deleted_meanwhile_ends(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(library, 3)
    export = request(library)
    monkeypatch.setattr(exporting, "LOOK_SECONDS", 0)
    begun = iter([True])

    def delete_once() -> None:
        if next(begun, False):
            found = Export.objects.filter(pk=export.pk)
            in_a_thread(exports.delete, exports_of=found, by=export.requested_by).result(10)

    export_samples.before_each_chunk(monkeypatch, delete_once)

    assert work() == 1

    run = LibraryRun.objects.get(kind="export")
    assert (run.state, run.skip_reason) == ("skipped", "export_ended")
    assert not Export.objects.exists()
    assert keys() == set()
    assert list(storage.list_incoming(alias=storage.RENDITIONS)) == []


def test_a_worker_that_lost_its_lease_commits_nothing(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(library, 2)
    export = request(library)
    held = export_samples.Held(monkeypatch)
    zombie = in_a_thread(work)
    assert held.is_stored.wait(30)
    ledger.release_worker(ledger=LibraryRun, worker="worker@test")
    held.go_on.set()
    refused = zombie.result(30) - 1

    # it was given the run anew, and made the file once more
    assert refused == 1
    [file] = export.files.all()
    assert len(members(file)) == 3
    assert len(keys()) == 2
    sweep_all()
    assert keys() == {file.storage_key}
    assert shown(export).shown_state == "ready"


def test_a_photo_erased_before_the_commit_is_in_no_export(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = fill(library, 2)
    export = request(library)
    held = export_samples.Held(monkeypatch)
    packing = in_a_thread(work)
    assert held.is_stored.wait(30)
    trash.purge(photo_ids=[photos[0].pk], also_present=True)
    held.go_on.set()
    packing.result(30)

    assert (shown(export).shown_state, shown(export).reason) == ("withdrawn", "photo_erased")
    assert not ExportFile.objects.exists()
    sweep_all()
    assert keys() == set()
    assert not AuditEvent.objects.filter(action=AuditAction.EXPORT_MADE).exists()


def test_a_photo_erased_while_the_export_is_committed_takes_it_along(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = fill(library, 2)
    export = request(library)
    purging = []
    record = exporting.audit.record

    def purge_meanwhile(**values: Any) -> None:
        # the export is locked, and ready when this commits
        purging.append(in_a_thread(trash.purge, photo_ids=[photos[0].pk], also_present=True))
        wait_until_blocked()
        record(**values)

    monkeypatch.setattr(exporting.audit, "record", purge_meanwhile)

    assert work() == 1

    assert purging[0].result(30) == 1
    assert (shown(export).shown_state, shown(export).reason) == ("withdrawn", "photo_erased")
    sweep_all()
    assert keys() == set()


def test_a_library_that_is_erased_takes_its_exports_along(library: Library) -> None:
    fill(library, 2)
    admin = factories.make_member(library, "admin")
    ready = request(library, by=admin)
    work()
    waiting = request(library, by=admin)
    assert len(keys()) == 1

    forgetting.forget_library(library=library, by=admin, name=library.name)

    for _ in range(20):
        LibraryRun.objects.update(not_before=None)
        if not photo_samples.run_library_work("forget"):
            break
    sweep_all()

    assert not Library.objects.filter(pk=library.pk).exists()
    assert not Export.objects.filter(pk__in=[ready.pk, waiting.pk]).exists()
    assert keys() == set()
    assert ErasureReceipt.objects.get(library_id=library.pk).counts["exports"] == 2


def test_a_store_that_does_not_answer_is_waited_for(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(library, 2)
    export = request(library)

    def refuse(**_: object) -> None:
        raise ConnectionError("nobody answers")

    with monkeypatch.context() as patch:
        patch.setattr(storage, "open_whole_object", refuse)
        assert work() == 1
    run = LibraryRun.objects.get(kind="export")
    assert (run.state, run.error_code, run.attempt) == ("pending", "storage_unavailable", 0)
    assert (shown(export).shown_state, shown(export).error_code) == ("running", "storage_unavailable")
    assert keys() == set()

    assert work() == 1

    assert (shown(export).shown_state, Export.objects.get().left_out) == ("ready", {})
    sweep_all()
    assert len(keys()) == 1


def test_work_that_dies_leaves_an_export_that_has_failed(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(library, 1)
    export = request(library)

    def broken(**_: object) -> None:
        raise RuntimeError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr(exporting.storage, "write_made", broken)
        for _ in range(3):
            assert work() == 1
    assert (shown(export).shown_state, shown(export).error_code) == ("failed", "unexpected_error")

    # retried, as any dead letter
    run = LibraryRun.objects.dead().get()
    assert dead_letters.retry_library_runs(run_ids=[run.pk]) == 1
    assert work() == 1
    assert shown(export).shown_state == "ready"


def test_a_file_is_not_committed_that_the_sweep_has_taken_up(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(library, 1)
    export = request(library)
    held = export_samples.Held(monkeypatch)
    packing = in_a_thread(work)
    assert held.is_stored.wait(30)
    ObjectSweep.objects.update(due_at=exporting.Now() - timedelta(seconds=1))
    object_sweeps.sweep()
    assert keys() == set()
    held.go_on.set()
    packing.result(30)
    assert export.files.count() == 0

    assert work() == 1

    [file] = export.files.all()
    assert keys() == {file.storage_key}
