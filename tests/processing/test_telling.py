"""What is told of photos, imports and people while it happens: the right events, once, and of nothing that did not."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import face_samples
import factories
import photo_samples
import pytest
from concurrency import PATIENCE_SECONDS, in_a_thread, wait_until_blocked
from django.db import transaction
from pytest_django import Settings

from accounts.models import Library
from photos.models import Event, Face, Photo
from photos.services import trash as photo_trash
from processing import ingest, ledger
from processing.ledger import Holder, Lease, RunError
from processing.models import RunState, StageRun
from processing.pipeline import working
from processing.reconciler import reconcile
from processing.services import dead_letters, face_analysis, folder_import, forgetting, grouping, reprocess, trash
from processing.stages import registry
from processing.telling import tell_run

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("photo_store")]


def told(photo: Photo | None = None) -> list[tuple[str, dict[str, Any]]]:
    """Give what was told, of a photo or of everything, oldest first."""
    events = Event.objects.order_by("pk").filter(**({} if photo is None else {"photo_id": photo.pk}))
    return list(events.values_list("kind", "payload"))


def kinds(photo: Photo | None = None) -> list[str]:
    return [kind for kind, _ in told(photo)]


def forget_events() -> None:
    Event.objects.all().delete()


def step(stage: str, run: str, state: str, done: int, total: int, **more: str) -> dict[str, Any]:
    return {"stage": stage, "run": run, "state": state, "done": done, "total": total, **more}


def test_a_photo_is_told_of_from_its_beginning_to_its_end(face_library: Library) -> None:
    photo = photo_samples.take_through(face_library, photo_samples.portrait())
    assert told(photo) == [
        ("photo.added", {"state": "pending"}),
        ("photo.progress", step("exif", "done", "processing", 2, 5)),
        ("photo.progress", step("renditions", "done", "processing", 3, 5)),
        ("photo.progress", step("face_detection", "done", "processing", 4, 5)),
        ("photo.ready", step("face_embedding", "done", "ready", 5, 5)),
    ]
    assert set(Event.objects.filter(photo_id=photo.pk).values_list("library_id", flat=True)) == {face_library.pk}


def test_a_stage_with_nothing_to_do_is_told_with_the_one_before_it(face_library: Library) -> None:
    photo = photo_samples.take_through(face_library, photo_samples.picture())
    assert photo_samples.states(photo)["face_embedding"] == "skipped"
    assert told(photo)[-2:] == [
        ("photo.progress", step("renditions", "done", "processing", 3, 5)),
        ("photo.ready", step("face_detection", "done", "ready", 5, 5)),
    ]


def test_the_same_bytes_again_are_told_once(library: Library) -> None:
    data = photo_samples.picture()
    photo = photo_samples.take_in(library, data)
    photo_samples.take_in(library, data)
    assert kinds() == ["photo.added"]
    photo_trash.move_to_trash(photo_ids=[photo.pk])
    photo_samples.take_in(library, data)
    assert kinds() == ["photo.added", "photo.trashed", "photo.restored"]


def test_a_stage_that_dies_wants_attention_and_says_why(face_library: Library) -> None:
    photo = photo_samples.take_through(face_library, photo_samples.damaged_picture())
    assert told(photo) == [
        ("photo.added", {"state": "pending"}),
        ("photo.progress", step("exif", "done", "processing", 2, 5)),
        ("photo.attention", step("renditions", "dead", "attention", 2, 5, error="damaged")),
    ]
    forget_events()
    assert dead_letters.retry(runs=StageRun.objects.all()) == 1
    photo_samples.run_everything()
    assert told(photo) == [
        ("photo.progress", {"state": "processing", "done": 2, "total": 5}),
        ("photo.attention", step("renditions", "dead", "attention", 2, 5, error="damaged")),
    ]
    forget_events()
    assert dead_letters.discard(runs=StageRun.objects.all(), by=None, reason="nobody has another") == 1
    assert told(photo) == [("photo.ready", {"state": "ready", "done": 5, "total": 5})]


def test_a_run_that_is_lost_for_good_is_told(make_run: Callable[..., StageRun], settings: Settings) -> None:
    settings.LEDGER_MAX_ATTEMPTS = 1
    run, other = make_run(), make_run()
    lease = claim(run)
    loss = ledger.release_lost(
        ledger=StageRun, holder=Holder("task", "worker"), error=RunError("worker_lost", "It was killed.")
    )
    assert (loss.dead["exif"], lease.run_id) == (1, run.pk)
    assert told() == [("photo.attention", step("exif", "dead", "attention", 0, 1, error="worker_lost"))]
    assert Event.objects.get().photo_id == run.photo_id != other.photo_id


def test_a_run_that_will_be_tried_again_is_no_news(make_run: Callable[..., StageRun]) -> None:
    lease = claim(make_run())
    assert ledger.fail(lease, RunError("damaged", "why"))
    assert ledger.fail(lease, RunError("damaged", "why"), permanent=True) is False
    assert told() == []


def test_of_a_result_that_is_refused_nothing_is_told(face_library: Library) -> None:
    photo = photo_samples.take_in(face_library, photo_samples.picture())
    zombie = claim(photo_samples.run_of(photo, "exif"))
    StageRun.objects.filter(pk=zombie.run_id).update(lease_token=photo.pk)
    working.run_batch(registry.get("exif"), [zombie])
    assert kinds() == ["library.changed", "photo.added"]


def claim(run: StageRun) -> Lease:
    StageRun.objects.exclude(pk=run.pk).filter(stage=run.stage, state=RunState.PENDING).update(version="another")
    [lease] = ledger.claim(stage=run.stage, versions=[run.version], limit=1, task_id="task", worker="worker")
    assert lease.run_id == run.pk
    return lease


def test_of_two_stages_that_end_at_the_same_moment_the_second_one_says_ready(
    make_run: Callable[..., StageRun], make_photo: Callable[..., Photo]
) -> None:
    photo = make_photo()
    leases = [claim(make_run(photo=photo, stage=stage)) for stage in ("exif", "renditions")]
    has_told, may_commit = threading.Event(), threading.Event()

    def end_first() -> None:
        with transaction.atomic():
            end(leases[0])
            has_told.set()
            assert may_commit.wait(PATIENCE_SECONDS)

    def end_second() -> None:
        with transaction.atomic():
            end(leases[1])

    def end(lease: Lease) -> None:
        ledger.mark_done(lease, work_seconds=0)
        tell_run(photo_id=photo.pk, stage=lease.work, run=RunState.DONE)

    first = in_a_thread(end_first)
    assert has_told.wait(PATIENCE_SECONDS)
    second = in_a_thread(end_second)
    wait_until_blocked()
    may_commit.set()
    first.result(PATIENCE_SECONDS)
    second.result(PATIENCE_SECONDS)
    # each alone would take the other for open, and nobody would ever say that the photo is ready
    assert told(photo) == [
        ("photo.progress", step("exif", "done", "processing", 1, 2)),
        ("photo.ready", step("renditions", "done", "ready", 2, 2)),
    ]


def test_what_is_done_anew_is_ready_anew(library: Library) -> None:
    photo = photo_samples.take_through(library, photo_samples.picture())
    assert kinds(photo) == ["photo.added", "photo.progress", "photo.ready"]
    forget_events()
    assert reprocess.run_again(photos=Photo.objects.all(), stage="exif") == 1
    photo_samples.run("exif")
    # one row for one stage, however often a library is gone over
    assert told(photo) == [("photo.ready", step("exif", "done", "ready", 3, 3))]


def test_the_trash_is_told_photo_by_photo(library: Library) -> None:
    other = factories.make_library()
    photos = [*(factories.make_photo(library) for _ in range(3)), factories.make_photo(other)]
    ids = [photo.pk for photo in photos]
    assert photo_trash.move_to_trash(photo_ids=ids) == 4
    assert photo_trash.move_to_trash(photo_ids=ids) == 0
    assert trash.restore(photo_ids=ids[:1]) == trash.restore(photo_ids=ids[3:]) == 1
    assert trash.purge(photo_ids=ids) == 2
    assert set(Event.objects.values_list("kind", "library_id", "photo_id")) == {
        *(("photo.trashed", photo.library_id, photo.pk) for photo in photos),
        *(("photo.restored", photo.library_id, photo.pk) for photo in (photos[0], photos[3])),
        *(("photo.deleted", library.pk, photo.pk) for photo in photos[1:3]),
    }
    assert Event.objects.count() == 8
    assert {str(payload) for _, payload in told()} == {"{}"}


def test_a_photo_in_the_trash_goes_on_in_silence(library: Library) -> None:
    photo = photo_samples.take_in(library, photo_samples.picture())
    photo_trash.move_to_trash(photo_ids=[photo.pk])
    photo_samples.run_everything()
    assert photo_samples.states(photo) == {"exif": "done", "place": "skipped", "renditions": "done"}
    assert kinds(photo) == ["photo.added", "photo.trashed"]


def test_a_photo_that_is_refused_is_not_told(library: Library) -> None:
    with pytest.raises(ingest.RefusedFileError):
        photo_samples.take_in(library, b"no picture")
    Library.objects.filter(pk=library.pk).update(quota_bytes=1)
    with pytest.raises(ingest.RefusedFileError):
        photo_samples.take_in(library, photo_samples.picture())
    assert told() == []


def test_an_import_tells_how_far_it_is_and_that_it_ended(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_import, "TOLD_EVERY_SECONDS", 0.0)
    twice = photo_samples.picture()
    for name, data in {"a.jpg": twice, "b.jpg": twice, "c.jpg": b"none", "d.txt": b"text"}.items():
        (tmp_path / name).write_bytes(data)
    list(folder_import.import_files(paths=folder_import.files_below(tmp_path), library=library))
    found = [(kind, payload) for kind, payload in told() if kind.startswith("import.")]
    [one] = {payload.pop("import") for _, payload in found}
    assert len(one) == 36
    assert [kind for kind, _ in found] == ["import.progress"] * 4 + ["import.finished"]
    assert found[1][1] == {"total": 4, "looked_at": 2, "new": 1, "duplicate": 1, "refused": 0, "passed_over": 0}
    assert found[4][1] == {"total": 4, "looked_at": 4, "new": 1, "duplicate": 1, "refused": 1, "passed_over": 1}


def test_a_grouping_is_told_once_for_its_library(face_library: Library) -> None:
    for _ in range(2):
        face_samples.add_face(face_library, face_samples.vector(1))
    forget_events()
    grouping.request(library_id=face_library.pk, model=face_samples.MODEL)
    assert photo_samples.run_people() == 1
    assert told() == [("people.changed", {"faces_moved": 2})]
    # once more, and nothing has changed
    grouping.request(library_id=face_library.pk, model=face_samples.MODEL)
    assert photo_samples.run_people() == 1
    assert kinds() == ["people.changed"]


def test_the_switch_of_face_analysis_is_told(library: Library, models_in_use: None) -> None:
    for enabled in (True, True, False):
        face_analysis.switch_face_analysis(library=library, enabled=enabled, by=None)
    assert told() == [("library.changed", {"face_analysis": True}), ("library.changed", {"face_analysis": False})]


def test_of_a_library_that_was_erased_no_event_is_left(face_library: Library) -> None:
    kept = factories.make_photo(factories.make_library())
    photo_trash.move_to_trash(photo_ids=[kept.pk])
    photo_samples.take_through(face_library, photo_samples.portrait())
    assert Event.objects.filter(library_id=face_library.pk).exists()
    forgetting.forget_library(library=face_library, by=None)
    photo_samples.run_library_work("forget")
    assert not Library.objects.filter(pk=face_library.pk).exists()
    assert kinds() == ["photo.trashed"]


def test_a_person_who_is_forgotten_is_told_without_a_name(face_library: Library) -> None:
    photo_samples.take_through(face_library, photo_samples.portrait())
    person = factories.make_person(face_library, name="Ada")
    Face.objects.update(person=person)
    forget_events()
    forgetting.forget_person(person=person, by=None)
    photo_samples.run_library_work("forget")
    assert "people.changed" in kinds()
    assert "Ada" not in str(told())
    assert str(person.pk) not in str(told())


def test_the_reconciler_deletes_what_is_old(library: Library, settings: Settings, broker: object) -> None:
    factories.make_photo(library)
    photo_trash.move_to_trash(photo_ids=Photo.objects.values_list("pk", flat=True))
    assert reconcile()
    assert kinds() == ["photo.trashed"]
    settings.EVENTS_KEEP_SECONDS = 0
    assert reconcile()
    assert kinds() == []
