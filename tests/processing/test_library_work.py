"""The runs of a library's work: what happens while a grouping runs, and how it ends."""

import threading
import uuid
from dataclasses import replace
from datetime import timedelta

import factories
import photo_samples
import pytest
from celery.exceptions import SoftTimeLimitExceeded
from concurrency import end_connection_of_this_thread, in_a_thread, wait_until, wait_until_blocked
from django.db.models.functions import Now
from face_samples import MODEL, add_face, groups, persons_of, remove, vector
from pytest_django import Settings

from accounts.models import Library
from photos.models import Face, FaceEmbedding, GroupLoss, Person, Photo
from photos.services import groups as group_rows
from processing import ledger
from processing.engines.installation import InstalledModel
from processing.kinds import registry as kinds
from processing.kinds.base import Ended, Held
from processing.models import LibraryRun, RunState
from processing.pipeline import library_work
from processing.services import face_analysis, grouping, reprocess, selection

pytestmark = pytest.mark.django_db(transaction=True)


class Slowly:
    """Makes groupings wait in their middle until they are told to go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun = 0
        self.go_on = False
        perform = grouping.perform

        def slow(library_id: uuid.UUID) -> object:
            made = perform(library_id)
            self.begun += 1
            wait_until(lambda: self.go_on, "nobody said to go on")
            return made

        monkeypatch.setattr(grouping, "perform", slow)


def test_a_face_that_comes_while_a_grouping_runs_is_not_lost(
    face_library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    slowly = Slowly(monkeypatch)
    ones = [add_face(face_library, vector(1, variation)) for variation in range(2)]
    grouping.request(library_id=face_library.pk, model=MODEL)
    working = in_a_thread(photo_samples.run_people)
    wait_until(lambda: slowly.begun == 1, "the grouping has not begun")
    late = add_face(face_library, vector(1, 5))
    # the run that is open has read what there was
    grouping.request(library_id=face_library.pk, model=MODEL)
    assert LibraryRun.objects.count() == 1
    slowly.go_on = True
    assert working.result(30) == 2
    assert len(set(persons_of(*ones, late))) == 1
    assert [run.report["regrouped"] for run in LibraryRun.objects.order_by("id")] == [2, 3]


def test_a_face_that_goes_while_a_grouping_runs_is_not_forgotten(
    face_library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    slowly = Slowly(monkeypatch)
    # two pairs that only the face between them connects
    ends = {number: vector(1) for number in (70, 71)}
    for number, end in ends.items():
        end[number] = 0.5
    pairs = [frozenset(add_face(face_library, end).pk for _ in range(2)) for end in ends.values()]
    bridge = add_face(face_library, vector(1))
    grouping.request(library_id=face_library.pk, model=MODEL)
    working = in_a_thread(photo_samples.run_people)
    wait_until(lambda: slowly.begun == 1, "the grouping has not begun")
    remove(bridge)
    slowly.go_on = True
    assert working.result(30) == 2
    assert not Face.objects.filter(pk=bridge.pk).exists()
    assert GroupLoss.objects.count() == 0
    assert groups(face_library) == set(pairs)
    assert len(set(FaceEmbedding.objects.values_list("component", flat=True))) == 2


def test_a_grouping_that_lost_its_lease_writes_nothing(face_library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    slowly = Slowly(monkeypatch)
    add_face(face_library, vector(1))
    add_face(face_library, vector(1, 1))
    grouping.request(library_id=face_library.pk, model=MODEL)
    zombie = in_a_thread(photo_samples.run_people)
    wait_until(lambda: slowly.begun == 1, "the grouping has not begun")
    face_analysis.switch_face_analysis(library=face_library, enabled=False, by=None)
    slowly.go_on = True
    assert zombie.result(30) == 1
    assert Person.objects.count() == 0
    assert set(FaceEmbedding.objects.values_list("component", flat=True)) == {None}
    found = LibraryRun.objects.values_list("kind", "state", "skip_reason")
    assert set(found) == {("people", "skipped", "face_analysis_off"), ("erase_faces", "pending", "")}


def test_a_grouping_and_an_embedding_that_commit_at_once_do_not_deadlock(
    face_library: Library, photo_store: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = photo_samples.take_through(face_library, photo_samples.portrait())
    FaceEmbedding.objects.update(component=None)
    grouping.request(library_id=face_library.pk, model=MODEL)
    reprocess.run_again(photos=Photo.objects.all(), stage="face_embedding")
    write, embeddings = group_rows.write_grouping, []

    def write_slowly(**values: object) -> int:
        if not embeddings:
            embeddings.append(in_a_thread(photo_samples.run, "face_embedding"))
            wait_until_blocked()
        return write(**values)

    monkeypatch.setattr(group_rows, "write_grouping", write_slowly)
    assert photo_samples.run_people() >= 1
    assert embeddings[0].result(30) == 1
    run = photo_samples.run_of(photo, "face_embedding")
    assert (run.state, run.attempt, run.error_code) == ("done", 1, "")
    assert set(LibraryRun.objects.values_list("attempt", "error_code")) <= {(0, ""), (1, "")}


def test_a_long_grouping_keeps_its_lease(
    face_library: Library, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    slowly = Slowly(monkeypatch)
    settings.LEDGER_LEASE_SECONDS = 0.4
    add_face(face_library, vector(1))
    grouping.request(library_id=face_library.pk, model=MODEL)
    working = in_a_thread(photo_samples.run_people)
    wait_until(lambda: slowly.begun == 1, "the grouping has not begun")
    claimed = LibraryRun.objects.get()
    overdue = claimed.lease_until + timedelta(seconds=0.5)
    wait_until(lambda: LibraryRun.objects.filter(lease_until__gt=overdue).exists(), "the lease was not renewed")
    assert ledger.expire_leases(ledger=LibraryRun) == ledger.Loss()
    slowly.go_on = True
    assert working.result(30) == 1
    assert LibraryRun.objects.get().state == "done"


def fail_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def broken(library_id: uuid.UUID) -> object:
        raise error

    monkeypatch.setattr(grouping, "perform", broken)


def test_a_grouping_that_fails_is_dead_after_three_attempts_and_not_asked_for_again(
    face_library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_face(face_library, vector(1))
    grouping.request(library_id=face_library.pk, model=MODEL)
    with monkeypatch.context() as patch:
        fail_with(patch, ZeroDivisionError("a bug"))
        for attempt in (1, 2, 3):
            LibraryRun.objects.update(not_before=None)
            assert photo_samples.run_people() == 1
            assert LibraryRun.objects.get().attempt == attempt
    run = LibraryRun.objects.get()
    assert (run.state, run.error_code, run.error_detail) == ("dead", "unexpected_error", "ZeroDivisionError: a bug")
    assert grouping.request_where_due() == 0
    # new faces are another question
    add_face(face_library, vector(1, 1))
    grouping.request(library_id=face_library.pk, model=MODEL)
    assert photo_samples.run_people() == 1
    assert list(LibraryRun.objects.order_by("id").values_list("state", flat=True)) == ["dead", "done"]


def test_a_database_that_ends_the_connection_costs_a_grouping_no_attempt(
    face_library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_face(face_library, vector(1))
    grouping.request(library_id=face_library.pk, model=MODEL)
    perform = grouping.perform

    def cut(library_id: uuid.UUID) -> object:
        end_connection_of_this_thread()
        return perform(library_id)

    with monkeypatch.context() as patch:
        patch.setattr(grouping, "perform", cut)
        assert photo_samples.run_people() == 1
    run = LibraryRun.objects.get()
    assert (run.state, run.attempt, run.error_code) == ("pending", 0, "database_unavailable")


def test_a_rule_that_changes_after_the_claim_is_not_written_under_the_old_name(
    face_library: Library, installed_models: dict[str, InstalledModel]
) -> None:
    add_face(face_library, vector(1))
    grouping.request(library_id=face_library.pk, model=MODEL)
    kind = kinds.get("people")
    lease = ledger.claim_library_run(kind="people", versions=kind.known_versions(), task_id="t", worker="w")
    facenet = replace(installed_models[MODEL], name="facenet-vggface2", weights_hash="ab" * 32)
    selection.select_model(installed=facenet, in_use=True)
    assert kind.attempt(Held(lease=lease, until=0)) is Ended.INTERRUPTED
    run = LibraryRun.objects.get(kind="people")
    assert (run.state, run.attempt, run.version) == ("pending", 0, grouping.rule_of(face_library.pk).version)
    assert run.version != lease.version
    assert set(FaceEmbedding.objects.values_list("component", flat=True)) == {None}


def test_a_grouping_whose_lease_is_gone_lets_go_of_nobody(
    face_library: Library, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variation in range(2):
        add_face(face_library, vector(1, variation), confidence=0.96)
    grouping.request_where_due()
    assert photo_samples.run_people() == 1
    rows = FaceEmbedding.objects.order_by("pk").values_list("component", "face__person_id")
    before = list(rows.all())
    assert before[0] == before[1] != (None, None)
    settings.FACE_MIN_CONFIDENCE = 0.97
    assert grouping.request_where_due() == 1
    perform = grouping.perform

    def too_long(library_id: uuid.UUID) -> object:
        made = perform(library_id)
        LibraryRun.objects.filter(state=RunState.RUNNING).update(lease_token=uuid.uuid4())
        return made

    with monkeypatch.context() as patch:
        patch.setattr(grouping, "perform", too_long)
        assert photo_samples.run_people() == 1
    assert list(rows.all()) == before
    assert (GroupLoss.objects.count(), Person.objects.count()) == (0, 1)


def test_a_soft_time_limit_ends_the_task(face_library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    other = factories.make_library()
    for library in (face_library, other):
        add_face(library, vector(1))
        grouping.request(library_id=library.pk, model=MODEL)
    fail_with(monkeypatch, SoftTimeLimitExceeded())
    with pytest.raises(SoftTimeLimitExceeded):
        photo_samples.run_people()
    assert set(LibraryRun.objects.values_list("state", "attempt", "error_code")) == {
        ("pending", 1, "timed_out"),
        ("pending", 0, ""),
    }


def test_the_heartbeat_stops_with_its_block(face_library: Library) -> None:
    LibraryRun.objects.create(library=face_library, kind="people", version="v", state=RunState.PENDING, queued_at=Now())
    lease = ledger.claim_library_run(kind="people", versions=["v"], task_id="t", worker="w")
    with library_work.heartbeat(lease):
        names = _threads()
        assert f"lease-{lease.run_id}" in names
    assert f"lease-{lease.run_id}" not in _threads()


def _threads() -> list[str]:

    return [thread.name for thread in threading.enumerate()]
