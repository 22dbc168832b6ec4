"""Runs that come back: whose trouble it was, how long they wait then, and since when a person waits for them."""

import errno
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import photo_samples
import pytest
from django.db.models.functions import Now
from pytest_django import Settings

from accounts.models import Library
from processing import backlog, ledger, overview
from processing.ledger import Holder, RunError
from processing.models import LibraryRun, StageRun, WorkerPresence
from processing.models.ledger import Lane
from processing.pipeline.advancing import reopen
from processing.stages import registry
from processing.stages.exif import ExifStage

pytestmark = pytest.mark.django_db(transaction=True)

MakeRun = Callable[..., StageRun]
GONE = RunError("storage_unavailable", "OSError: [Errno 5]")
HOUR = timedelta(hours=1)


def claim(limit: int = 1, worker: str = "w", task_id: str = "t") -> list[ledger.Lease]:
    """Claim, as if every wait were over."""
    StageRun.objects.update(not_before=None)
    return ledger.claim(stage="exif", versions=["v1"], limit=limit, task_id=task_id, worker=worker)


def finish_another(make_run: MakeRun, *, worker: str = "w") -> None:
    """Let a worker do another run of the same stage."""
    make_run(lane=Lane.UPLOAD, queued_at=datetime(2000, 1, 1, tzinfo=UTC))
    [lease] = claim(worker=worker)
    ledger.mark_done(lease, work_seconds=1)


def come_back(run: StageRun, *, worker: str = "w", error: RunError = GONE) -> float:
    """Claim a run and hand it back; gives the seconds that it waits."""
    [lease] = claim(worker=worker)
    assert lease.run_id == run.pk
    assert ledger.hand_back(lease, error, after_seconds=10)
    run.refresh_from_db()
    return (run.not_before - run.queued_at).total_seconds() if run.not_before else 0


@pytest.fixture(autouse=True)
def steady_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is spread out cannot be compared."""
    monkeypatch.setattr("random.uniform", lambda _low, _high: 1.0)


def test_an_object_that_is_unreadable_for_good_becomes_a_dead_letter(make_run: MakeRun, settings: Settings) -> None:
    settings.LEDGER_HAND_BACKS = 8
    run = make_run(lane=Lane.BACKFILL)
    waits = [come_back(run)]
    for _ in range(8):
        finish_another(make_run)
        waits.append(come_back(run))
    assert waits == [10, 20, 40, 80, 160, 320, 600, 600, 600]
    assert (run.state, run.attempt, run.hand_backs) == ("pending", 0, 8)
    states = []
    for _ in range(3):
        finish_another(make_run)
        come_back(run)
        states.append((run.state, run.attempt, run.error_code))
    assert states == [("pending", attempt, GONE.code) for attempt in (1, 2)] + [("dead", 3, GONE.code)]


def test_a_store_that_is_down_for_hours_makes_no_run_dead(make_run: MakeRun) -> None:
    finish_another(make_run)
    run = make_run()
    for _ in range(50):
        assert come_back(run) == 10
    assert (run.state, run.attempt, run.hand_backs) == ("pending", 0, 0)


def test_that_goes_for_a_run_which_had_trouble_of_its_own_before(make_run: MakeRun, settings: Settings) -> None:
    settings.LEDGER_HAND_BACKS = 2
    run = make_run(lane=Lane.BACKFILL)
    come_back(run)
    for _ in range(2):
        finish_another(make_run)
        come_back(run)
    assert run.hand_backs == 2
    # nothing else is done from now on
    for _ in range(20):
        assert come_back(run) == 40
    assert (run.state, run.attempt, run.hand_backs) == ("pending", 0, 2)


def test_a_host_without_the_store_counts_nothing_because_another_has_it(make_run: MakeRun) -> None:
    run = make_run(lane=Lane.BACKFILL)
    for _ in range(20):
        finish_another(make_run, worker="good")
        assert come_back(run, worker="bad") == 10
    assert (run.state, run.attempt, run.hand_backs) == ("pending", 0, 0)


def test_another_reason_is_no_second_time(make_run: MakeRun) -> None:
    run = make_run(lane=Lane.BACKFILL)
    for code in ("storage_unavailable", "database_unavailable", "storage_unavailable"):
        finish_another(make_run)
        assert come_back(run, error=RunError(code, "")) == 10
    assert run.hand_backs == 0


def test_success_and_a_new_beginning_forget_what_was(make_run: MakeRun) -> None:
    run = make_run(lane=Lane.BACKFILL)
    for _ in range(2):
        come_back(run)
        finish_another(make_run)
    assert run.first_queued_at is not None
    StageRun.objects.filter(pk=run.pk).update(hand_backs=3)
    reopen(StageRun.objects.filter(pk=run.pk))
    run.refresh_from_db()
    assert (run.hand_backs, run.first_queued_at) == (0, None)
    come_back(run)
    StageRun.objects.filter(pk=run.pk).update(hand_backs=3)
    [lease] = claim()
    ledger.mark_done(lease, work_seconds=1)
    run.refresh_from_db()
    assert (run.state, run.hand_backs, run.first_queued_at) == ("done", 0, None)


def test_a_person_is_told_since_when_it_has_been_pending(make_run: MakeRun, library: Library) -> None:
    run = make_run()
    StageRun.objects.filter(pk=run.pk).update(queued_at=Now() - HOUR)
    first = StageRun.objects.get(pk=run.pk).queued_at

    def ages() -> list[float]:
        of_upkeep = next(one for one in backlog.waiting() if one.name == "exif").longest
        of_people = next(one for one in overview.overview().work if one.name == "exif").oldest_pending_seconds
        return [of_upkeep, of_people]

    for give_back in (
        lambda lease: ledger.hand_back(lease, GONE, after_seconds=10),
        lambda lease: ledger.fail(lease, GONE),
        lambda lease: ledger.release_lost(ledger=StageRun, holder=Holder("t", "w"), error=GONE),
        lambda lease: ledger.release_worker(ledger=StageRun, worker="w"),
        lambda lease: ledger.hand_back_all(ledger=StageRun, holder=Holder("t", "w"), error=GONE),
    ):
        [lease] = claim()
        give_back(lease)
        run.refresh_from_db()
        assert run.state == "pending"
        # what the reconciler and the circuit go by
        assert run.queued_at > first + HOUR / 2
        assert run.first_queued_at == first
        assert ages() == pytest.approx([3600, 3600], abs=60)
    kept = LibraryRun.objects.create(library=library, kind="people", version="v", queued_at=Now() - HOUR)
    lease = ledger.claim_library_run(kind="people", versions=["v"], task_id="t", worker="w")
    ledger.hand_back(lease, GONE)
    kept.refresh_from_db()
    assert next(one for one in backlog.waiting() if one.name == "people").longest == pytest.approx(3600, abs=60)
    assert kept.queued_at > kept.first_queued_at + HOUR / 2


def test_of_what_came_back_in_company_each_comes_alone_next(make_run: MakeRun) -> None:
    holder = Holder("t", "w")
    for _ in range(2):
        make_run(lane=Lane.BACKFILL)
    slow = StageRun.objects.filter(lane=Lane.BACKFILL)
    assert len(claim(limit=2)) == 2
    ledger.hand_back_all(ledger=StageRun, holder=holder, error=GONE, after_seconds=10)
    assert set(slow.values_list("attempt", "hand_backs", "claim_alone")) == {(0, 0, False)}
    finish_another(make_run)
    assert len(claim(limit=2)) == 2
    ledger.hand_back_all(ledger=StageRun, holder=holder, error=GONE, after_seconds=10)
    assert set(slow.values_list("attempt", "hand_backs", "claim_alone")) == {(0, 0, True)}
    finish_another(make_run)
    [lease] = claim(limit=2)
    loss = ledger.hand_back_all(ledger=StageRun, holder=holder, error=GONE, after_seconds=10)
    assert (loss.returned, loss.photo_ids) == ({"exif": 1}, {lease.subject_id})
    assert slow.get(pk=lease.run_id).hand_backs == 1


def test_a_hang_that_is_an_objects_own_becomes_a_dead_letter(make_run: MakeRun, settings: Settings) -> None:
    settings.LEDGER_HAND_BACKS = 1
    run = make_run(lane=Lane.BACKFILL)
    losses = []
    for _ in range(5):
        assert [lease.run_id for lease in claim()] == [run.pk]
        losses.append(ledger.hand_back_all(ledger=StageRun, holder=Holder("t", "w"), error=GONE, after_seconds=10))
        finish_another(make_run)
    run.refresh_from_db()
    assert (run.state, run.attempt, run.error_code) == ("dead", 3, "storage_unavailable")
    assert [(+loss.returned, +loss.dead) for loss in losses] == [({"exif": 1}, {})] * 4 + [({}, {"exif": 1})]


@pytest.mark.usefixtures("photo_store")
def test_one_original_that_gives_an_error_for_ever_is_found_out_among_others(
    library: Library, settings: Settings, monkeypatch: pytest.MonkeyPatch, photo_store: Path
) -> None:
    settings.LEDGER_HAND_BACKS = 2
    bad = photo_samples.take_in(library, photo_samples.picture())

    class Sector(ExifStage):
        """A sector of the disk that cannot be read, below one of the files."""

        def compute(self, loaded: Any, *, version: str) -> list[Any]:
            if loaded[0].photo_id == bad.pk:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return super().compute(loaded, version=version)

    chosen = tuple(Sector() if one.name == "exif" else one for one in registry.all_stages())
    monkeypatch.setattr(registry, "all_stages", lambda: chosen)
    for _ in range(6):
        photo_samples.run("exif")
        assert photo_samples.run_of(bad, "exif").state in {"pending", "dead"}
        photo_samples.take_in(library, photo_samples.picture())
        photo_samples.run("exif")
        StageRun.objects.update(not_before=None)
    run = photo_samples.run_of(bad, "exif")
    assert (run.state, run.error_code) == ("dead", "storage_unavailable")
    assert run.error_detail == "OSError: [Errno 5] Input/output error"
    assert set(StageRun.objects.filter(stage="exif").exclude(pk=run.pk).values_list("state", "attempt")) == {
        ("done", 1)
    }


# leases that nobody gave back:


def expire(**columns: object) -> ledger.Loss:
    StageRun.objects.filter(state="running").update(lease_until=Now() - timedelta(seconds=1), **columns)
    return ledger.expire_leases(ledger=StageRun)


def test_a_lease_that_ran_out_over_a_start_of_the_database_burns_no_attempt(
    make_run: MakeRun, settings: Settings
) -> None:
    settings.LEDGER_HAND_BACKS = 2
    run = make_run()
    before = datetime(2000, 1, 1, tzinfo=UTC)
    for times in (1, 2):
        claim()
        assert expire(started_at=before).returned == {"exif": 1}
        run.refresh_from_db()
        assert (run.state, run.attempt, run.hand_backs, run.claim_alone) == ("pending", 0, times, True)
        assert run.error_code == "lease_expired"
    # one that takes the database with it each time is not forgiven for ever
    for attempt in (1, 2, 3):
        claim()
        expire(started_at=before)
        run.refresh_from_db()
        assert run.attempt == attempt
    assert run.state == "dead"


@pytest.mark.parametrize(
    ("seen_after_end", "started_before", "attempt"),
    [
        # the worker lives and could not say how it ended
        (-5, 60, 0),
        # it was not heard of after the last moment at which it can have worked
        (-15, 60, 1),
        # one of the same name that came after it
        (-5, -30, 1),
    ],
)
def test_a_lease_that_ran_out_although_its_worker_lives_burns_no_attempt(
    make_run: MakeRun, seen_after_end: float, started_before: float, attempt: int
) -> None:
    run = make_run()
    claim()
    StageRun.objects.update(lease_until=Now())
    run.refresh_from_db()
    WorkerPresence.objects.create(
        name="w",
        started_at=run.started_at - timedelta(seconds=started_before),
        seen_at=run.lease_until + timedelta(seconds=seen_after_end),
    )
    assert ledger.expire_leases(ledger=StageRun).returned == {"exif": 1}
    run.refresh_from_db()
    assert (run.state, run.attempt) == ("pending", attempt)


def test_a_loss_returns_what_that_process_held_and_nobody_elses(make_run: MakeRun) -> None:
    mine, others = make_run(), [make_run() for _ in range(2)]
    claim()
    claim()
    claim(worker="other")
    # the message was given out again, to another process of the worker
    StageRun.objects.filter(pk=others[0].pk).update(process_id=1)
    loss = ledger.release_lost(ledger=StageRun, holder=Holder("t", "w"), error=GONE)
    assert (loss.returned, loss.photo_ids) == ({"exif": 1}, {mine.photo_id})
    held = StageRun.objects.filter(pk__in=[run.pk for run in others])
    assert set(held.values_list("state", "attempt", "error_code")) == {("running", 1, "")}
    assert ledger.hand_back_all(ledger=StageRun, holder=Holder("t", "w"), error=GONE) == ledger.Loss()
