"""Dead letters: what waits for a person, and what happens when one comes."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import factories
import photo_samples
import pytest
from concurrency import in_a_thread, wait_until_blocked
from django.core.files.base import ContentFile
from django.db import transaction
from django.db.models.functions import Now
from uuid_utils.compat import uuid7

from accounts.models import Library
from accounts.problems import InvalidValueError, NotFoundError
from photos import storage
from photos.models import Photo
from processing import overview, reconciler
from processing.models import LibraryRun, RunState, StageRun
from processing.models.ledger import Lane
from processing.pipeline.advancing import advance
from processing.pipeline.planning import plan
from processing.services import dead_letters, face_analysis, grouping
from processing.stages import registry
from processing.states import with_state

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("photo_store")]

MakeRun = Callable[..., StageRun]
DEAD = {"state": RunState.DEAD, "finished_at": Now(), "error_code": "damaged", "error_detail": "why", "attempt": 3}


def replace_original(photo: Photo, data: bytes) -> None:
    storage.write_object(alias="originals", key=photo.storage_key, file=ContentFile(data))
    Photo.objects.filter(pk=photo.pk).update(sha256=hashlib.sha256(data).hexdigest(), byte_size=len(data))


def test_a_retried_run_takes_its_children_with_it(face_library: Library, photo_store: Path) -> None:
    photo = photo_samples.take_in(face_library, photo_samples.portrait())
    with storage.open_object(alias="originals", key=photo.storage_key) as file:
        whole = file.read()
    # a file that came with half of its pixels, as its row says too
    replace_original(photo, whole[: len(whole) // 2])
    photo_samples.run_everything()
    assert photo_samples.states(photo) == {
        "exif": "done",
        "place": "skipped",
        "renditions": "dead",
        "face_detection": "waiting",
        "face_embedding": "waiting",
    }
    assert overview.overview().is_settled
    replace_original(photo, whole)

    assert dead_letters.retry(runs=StageRun.objects.all()) == 1

    run = photo_samples.run_of(photo, "renditions")
    assert (run.state, run.attempt, run.error_code, run.error_detail, run.finished_at) == ("pending", 0, "", "", None)
    assert (run.exception, run.frame, run.traceback, run.fingerprint) == ("", "", "", "")
    assert not overview.overview().is_settled
    photo_samples.run_everything()
    assert photo_samples.states(photo) == {
        "exif": "done",
        "place": "skipped",
        "renditions": "done",
        "face_detection": "done",
        "face_embedding": "done",
    }
    assert dead_letters.retry(runs=StageRun.objects.all()) == 0


def test_only_dead_ones_of_those_that_were_chosen_start_over(make_run: MakeRun, broker: object) -> None:
    chosen = make_run(**DEAD)
    other = make_run(**DEAD)
    detection = make_run(stage="face_detection", **DEAD)
    pending, done = make_run(attempt=2), make_run(state=RunState.DONE, finished_at=Now())
    before = {run.pk: StageRun.objects.values().get(pk=run.pk) for run in (other, pending, done)}

    picked = [run.pk for run in (chosen, detection, pending, done)]
    assert dead_letters.retry(runs=StageRun.objects.filter(pk__in=picked)) == 2

    assert {pk: StageRun.objects.values().get(pk=pk) for pk in before} == before
    for run in (chosen, detection):
        run.refresh_from_db()
        assert (run.state, run.attempt) == ("pending", 0)
    assert (broker.llen("ingest"), broker.llen("faces")) == (1, 1)


def make_library_run(library: Library, state: str, **values: object) -> LibraryRun:
    wanted = DEAD if state == RunState.DEAD else {"state": state, "queued_at": Now()}
    return LibraryRun.objects.create(library=library, **{"kind": "people", "version": "v", **wanted, **values})


def test_dead_library_runs_start_over_one_of_a_library(library: Library, broker: object) -> None:
    other, busy = factories.make_library(), factories.make_library()
    older, newest = (make_library_run(library, RunState.DEAD) for _ in range(2))
    alone = make_library_run(other, RunState.DEAD)
    blocked = make_library_run(busy, RunState.DEAD)
    open_run = make_library_run(busy, RunState.PENDING)

    every = LibraryRun.objects.values_list("pk", flat=True)
    assert dead_letters.retry_library_runs(run_ids=every) == 2

    states = dict(LibraryRun.objects.values_list("pk", "state"))
    assert states == {
        older.pk: "dead",
        newest.pk: "pending",
        alone.pk: "pending",
        blocked.pk: "dead",
        open_run.pk: "pending",
    }
    newest.refresh_from_db()
    assert (newest.attempt, newest.error_code, newest.finished_at) == (0, "", None)
    assert broker.llen("people") == 1
    assert dead_letters.retry_library_runs(run_ids=every) == 0


def columns_of(run: StageRun | LibraryRun) -> dict[str, object]:
    return type(run).objects.values().get(pk=run.pk)


def test_what_waits_for_a_discarded_run_is_skipped_and_comes_back_with_it(face_library: Library) -> None:
    photo = photo_samples.take_in(face_library, photo_samples.portrait())
    with storage.open_object(alias="originals", key=photo.storage_key) as file:
        whole = file.read()
    replace_original(photo, whole[: len(whole) // 2])
    photo_samples.run_everything()
    before = columns_of(photo_samples.run_of(photo, "renditions"))
    assert (before["error_code"], bool(before["traceback"]), len(before["fingerprint"])) == ("damaged", True, 16)
    operator = factories.make_user()

    count = dead_letters.discard(runs=StageRun.objects.filter(photo=photo), by=operator, reason="  The owner agrees. ")

    assert count == 1
    discarded = photo_samples.run_of(photo, "renditions")
    assert (discarded.state, discarded.skip_reason) == ("skipped", "discarded")
    assert (discarded.discarded_by, discarded.discard_reason) == (operator, "The owner agrees.")
    assert discarded.finished_at > before["finished_at"]
    changed = {"state", "skip_reason", "discarded_by_id", "discard_reason", "finished_at"}
    assert {name for name, value in columns_of(discarded).items() if value != before[name]} == changed
    below = photo.stage_runs.filter(stage__startswith="face_").values_list("stage", "state", "skip_reason")
    assert set(below) == {
        ("face_detection", "skipped", "input_discarded"),
        ("face_embedding", "skipped", "input_discarded"),
    }
    assert with_state(Photo.objects.all()).get(pk=photo.pk).state == "ready"
    assert overview.overview().is_settled
    reconciler.reconcile()
    assert photo_samples.states(photo) == dict.fromkeys(
        ("place", "renditions", "face_detection", "face_embedding"), "skipped"
    ) | {"exif": "done"}

    # a retry of the dead leaves it alone
    assert dead_letters.retry(runs=StageRun.objects.all()) == 0
    replace_original(photo, whole)
    assert dead_letters.restore(runs=StageRun.objects.all()) == 1

    restored = photo_samples.run_of(photo, "renditions")
    assert (restored.state, restored.attempt, restored.skip_reason, restored.finished_at) == ("pending", 0, "", None)
    assert (restored.discarded_by, restored.discard_reason) == (None, "")
    assert (restored.error_code, restored.exception, restored.frame, restored.traceback) == ("", "", "", "")
    assert restored.fingerprint == ""
    assert photo_samples.states(photo) == {
        "exif": "done",
        "place": "skipped",
        "renditions": "pending",
        "face_detection": "waiting",
        "face_embedding": "waiting",
    }
    photo_samples.run_everything()
    assert photo_samples.states(photo) == {
        "exif": "done",
        "place": "skipped",
        "renditions": "done",
        "face_detection": "done",
        "face_embedding": "done",
    }


@pytest.mark.parametrize("reason", ["", " \n ", "x" * 401])
def test_a_discard_without_a_proper_reason_changes_nothing(make_run: MakeRun, library: Library, reason: str) -> None:
    run, library_run = make_run(**DEAD), make_library_run(library, RunState.DEAD)
    before = columns_of(run), columns_of(library_run)

    for refused in (
        lambda: dead_letters.discard(runs=StageRun.objects.all(), by=None, reason=reason),
        lambda: dead_letters.discard_library_runs(run_ids=[library_run.pk], by=None, reason=reason),
    ):
        with pytest.raises(InvalidValueError) as raised:
            refused()
        assert (raised.value.code, raised.value.extra["errors"][0]["field"]) == ("invalid", "reason")

    assert (columns_of(run), columns_of(library_run)) == before


def test_only_the_dead_are_discarded(make_run: MakeRun) -> None:
    dead = make_run(**DEAD)
    others = [make_run(), make_run(state=RunState.DONE, finished_at=Now()), make_run(state=RunState.WAITING)]
    before = [columns_of(run) for run in others]

    assert dead_letters.discard(runs=StageRun.objects.all(), by=None, reason="why") == 1

    assert [columns_of(run) for run in others] == before
    assert columns_of(dead)["skip_reason"] == "discarded"
    assert dead_letters.discard(runs=StageRun.objects.all(), by=None, reason="again") == 0
    assert columns_of(dead)["discard_reason"] == "why"


def test_what_another_model_may_still_feed_goes_on_waiting(make_run: MakeRun, make_photo: Callable[..., Photo]) -> None:
    photo = make_photo()
    first = make_run(photo=photo, stage="face_detection", version="1.a.mtcnn.x", **DEAD)
    second = make_run(photo=photo, stage="face_detection", version="1.a.other.x", **DEAD)
    child = make_run(photo=photo, stage="face_embedding", state=RunState.WAITING, queued_at=None)

    dead_letters.discard(runs=StageRun.objects.filter(pk=first.pk), by=None, reason="why")
    assert columns_of(child)["state"] == "waiting"

    dead_letters.discard(runs=StageRun.objects.filter(pk=second.pk), by=None, reason="why")
    assert (columns_of(child)["state"], columns_of(child)["skip_reason"]) == ("skipped", "input_discarded")

    assert dead_letters.restore(runs=StageRun.objects.filter(pk=first.pk)) == 1
    assert columns_of(child)["state"] == "waiting"


def test_face_work_planned_below_a_discarded_run_is_skipped_too(make_run: MakeRun, face_library: Library) -> None:
    photo = factories.make_photo(face_library)
    plan([photo.pk], lane=Lane.UPLOAD)
    StageRun.objects.filter(stage="renditions").update(**DEAD)
    dead_letters.discard(runs=StageRun.objects.all(), by=None, reason="why")
    # as if they had been planned by a transaction that the discard could not see
    StageRun.objects.filter(stage__startswith="face_").update(state=RunState.WAITING, skip_reason="", finished_at=None)

    assert reconciler.plan_forgotten() == 1

    runs = StageRun.objects.filter(stage__startswith="face_")
    assert set(runs.values_list("stage", "state", "skip_reason")) == {
        ("face_detection", "skipped", "input_discarded"),
        ("face_embedding", "skipped", "input_discarded"),
    }
    runs.delete()
    assert plan([photo.pk], lane=Lane.BACKFILL) == 2
    assert set(runs.values_list("state", "skip_reason")) == {("skipped", "input_discarded")}


def test_no_faces_are_looked_for_where_consent_went_after_the_discard(face_library: Library) -> None:
    photo = factories.make_photo(face_library)
    plan([photo.pk], lane=Lane.UPLOAD)
    StageRun.objects.filter(stage="renditions").update(**DEAD)
    dead_letters.discard(runs=StageRun.objects.all(), by=None, reason="why")

    face_analysis.switch_face_analysis(library=face_library, enabled=False, by=None)
    assert dead_letters.restore(runs=StageRun.objects.all()) == 1
    advance(photo_id=photo.pk, stage="renditions")

    assert photo_samples.states(photo) == {
        "exif": "pending",
        "place": "waiting",
        "renditions": "pending",
        "face_detection": "skipped",
        "face_embedding": "skipped",
    }
    reasons = photo.stage_runs.filter(stage__startswith="face_").values_list("skip_reason", flat=True)
    assert set(reasons) == {"face_analysis_off"}


def test_library_runs_are_discarded_and_come_back(library: Library, broker: object) -> None:
    run = make_library_run(library, RunState.DEAD)
    erasure = make_library_run(library, RunState.DEAD, kind="erase_faces")
    operator = factories.make_user()
    every = [run.pk, erasure.pk]

    assert dead_letters.discard_library_runs(run_ids=every, by=operator, reason="given up") == 1

    run.refresh_from_db()
    assert (run.state, run.skip_reason, run.discarded_by, run.discard_reason) == (
        "skipped", "discarded", operator, "given up",
    )  # fmt: skip
    assert (run.error_code, run.error_detail) == ("damaged", "why")
    # what is owed to be erased is not given up
    assert columns_of(erasure)["state"] == "dead"
    with pytest.raises(dead_letters.ErasureIsOwedError):
        dead_letters.discard_one(run_id=erasure.pk, by=operator, reason="given up")
    assert columns_of(erasure)["state"] == "dead"

    other = make_library_run(library, RunState.PENDING)
    assert dead_letters.restore_library_runs(run_ids=every) == 0
    with pytest.raises(dead_letters.WorkIsOpenError):
        dead_letters.retry_one(run_id=run.pk)
    other.delete()
    assert dead_letters.restore_library_runs(run_ids=every) == 1
    run.refresh_from_db()
    assert (run.state, run.discarded_by, run.discard_reason, run.error_code) == ("pending", None, "", "")
    assert broker.llen("people") == 1


def test_a_dead_run_of_another_kind_is_no_hindrance(library: Library) -> None:
    people, planning = (make_library_run(library, RunState.DEAD, kind=kind) for kind in ("people", "plan"))
    make_library_run(library, RunState.PENDING, kind="plan")

    assert dead_letters.retry_library_runs(run_ids=[people.pk, planning.pk]) == 1

    assert (columns_of(people)["state"], columns_of(planning)["state"]) == ("pending", "dead")


def test_a_discarded_grouping_is_not_asked_for_again_by_itself(face_library: Library) -> None:
    photo_samples.take_in(face_library, photo_samples.portrait())
    for stage in registry.all_stages():
        photo_samples.run(stage.name)
    LibraryRun.objects.all().delete()
    assert grouping.request_where_due() == 1
    LibraryRun.objects.update(**DEAD)
    run = LibraryRun.objects.get()
    assert grouping.request_where_due() == 0

    dead_letters.discard_library_runs(run_ids=[run.pk], by=None, reason="why")

    assert grouping.request_where_due() == 0
    assert LibraryRun.objects.count() == 1


def test_one_run_is_retried_restored_or_refused(make_run: MakeRun) -> None:
    run = make_run(**DEAD)

    assert dead_letters.discard_one(run_id=run.pk, by=None, reason="why").skip_reason == "discarded"
    with pytest.raises(dead_letters.NotADeadLetterError) as raised:
        dead_letters.discard_one(run_id=run.pk, by=None, reason="again")
    assert raised.value.extra == {"state": "skipped"}
    assert columns_of(run)["discard_reason"] == "why"

    assert dead_letters.retry_one(run_id=run.pk).state == "pending"
    before = columns_of(run)
    for refused in (
        lambda: dead_letters.retry_one(run_id=run.pk),
        lambda: dead_letters.discard_one(run_id=run.pk, by=None, reason="why"),
    ):
        with pytest.raises(dead_letters.NotADeadLetterError) as raised:
            refused()
        assert raised.value.extra == {"state": "pending"}
    assert columns_of(run) == before
    with pytest.raises(NotFoundError):
        dead_letters.retry_one(run_id=uuid7())


def test_many_are_taken_in_batches(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, broker: object) -> None:
    monkeypatch.setattr(dead_letters, "RUNS_PER_TRANSACTION", 2)
    for _ in range(5):
        make_run(**DEAD)

    assert dead_letters.discard(runs=StageRun.objects.all(), by=None, reason="why") == 5
    assert dead_letters.restore(runs=StageRun.objects.all()) == 5

    assert set(StageRun.objects.values_list("state", flat=True)) == {"pending"}
    assert broker.llen("ingest") == 3


def test_of_a_retry_and_a_discard_at_once_one_happens(make_run: MakeRun) -> None:
    run = make_run(**DEAD)
    chosen = StageRun.objects.filter(pk=run.pk)
    with transaction.atomic():
        assert dead_letters.discard(runs=chosen, by=None, reason="first") == 1
        retried, again = in_a_thread(dead_letters.retry, runs=chosen), in_a_thread(dead_letters.retry, runs=chosen)
        wait_until_blocked()
    assert (retried.result(10), again.result(10)) == (0, 0)
    assert (columns_of(run)["skip_reason"], columns_of(run)["discard_reason"]) == ("discarded", "first")

    dead_letters.restore(runs=chosen)
    chosen.update(**DEAD)
    with transaction.atomic():
        assert dead_letters.retry(runs=chosen) == 1
        discarded = in_a_thread(dead_letters.discard, runs=chosen, by=None, reason="late")
        wait_until_blocked()
    assert discarded.result(10) == 0
    assert (columns_of(run)["state"], columns_of(run)["discard_reason"]) == ("pending", "")


def test_many_hands_at_once_leave_every_run_in_one_state(make_run: MakeRun) -> None:
    runs = [make_run(**DEAD) for _ in range(40)]
    everything = StageRun.objects.all()
    hands = [
        in_a_thread(dead_letters.retry, runs=everything),
        in_a_thread(dead_letters.discard, runs=everything, by=None, reason="why"),
        in_a_thread(dead_letters.retry, runs=everything),
        in_a_thread(dead_letters.discard, runs=everything, by=None, reason="why"),
    ]
    assert sum(hand.result(20) for hand in hands) == len(runs)
    assert set(StageRun.objects.values_list("state", flat=True)) <= {"pending", "skipped"}


def test_a_run_is_retried_while_its_photo_is_deleted(make_run: MakeRun) -> None:
    run = make_run(**DEAD)
    with transaction.atomic():
        Photo.objects.filter(pk=run.photo_id).delete()
        retried = in_a_thread(dead_letters.retry, runs=StageRun.objects.filter(pk=run.pk))
        wait_until_blocked()
    assert retried.result(10) == 0
    assert not StageRun.objects.exists()

    run = make_run(**DEAD)
    with transaction.atomic():
        assert dead_letters.retry(runs=StageRun.objects.filter(pk=run.pk)) == 1
        deleted = in_a_thread(Photo.objects.filter(pk=run.photo_id).delete)
        wait_until_blocked()
    assert deleted.result(10)[1]["photos.Photo"] == 1
    assert not StageRun.objects.exists()


def test_a_library_run_asked_for_while_a_dead_one_is_retried_is_one(library: Library) -> None:
    dead = make_library_run(library, RunState.DEAD)
    with transaction.atomic():
        make_library_run(library, RunState.PENDING)
        # it does not see the new one, and meets it at the constraint
        retried = in_a_thread(dead_letters.retry_library_runs, run_ids=[dead.pk])
        wait_until_blocked()
    assert retried.result(10) == 0
    assert sorted(LibraryRun.objects.values_list("state", flat=True)) == ["dead", "pending"]


def test_face_work_is_not_restored_while_consent_goes(make_run: MakeRun, face_library: Library) -> None:
    photo = factories.make_photo(face_library)
    run = make_run(photo=photo, stage="face_detection", **DEAD)
    dead_letters.discard(runs=StageRun.objects.all(), by=None, reason="why")
    with transaction.atomic():
        face_analysis.switch_face_analysis(library=face_library, enabled=False, by=None)
        restored = in_a_thread(dead_letters.restore, runs=StageRun.objects.all())
        wait_until_blocked()
    assert restored.result(10) == 0
    assert (columns_of(run)["state"], columns_of(run)["skip_reason"]) == ("skipped", "face_analysis_off")
    assert dead_letters.restore(runs=StageRun.objects.all()) == 0
