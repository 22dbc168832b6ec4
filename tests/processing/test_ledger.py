"""The ledger's rules: claims, leases, fenced commits, counted attempts."""

import threading
import uuid
from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now
from django.utils import timezone
from prometheus_client import REGISTRY

from accounts.models import Library
from processing import ledger
from processing.failures import describe
from processing.ledger import RunError
from processing.models import LibraryRun, RunState, StagePause, StageRun, WorkerPresence
from processing.models.ledger import Lane

MakeRun = Callable[..., StageRun]
HOUR = timedelta(hours=1)
HOLDER = ledger.Holder(task_id="t", worker="worker")


def claim(limit: int = 1, **values: object) -> list[ledger.Lease]:
    defaults = {"stage": "exif", "versions": ["v1"], "task_id": "task", "worker": "worker"}
    return ledger.claim(limit=limit, **{**defaults, **values})


def test_a_claim_moves_a_run_to_running_and_counts_the_attempt(make_run: MakeRun) -> None:
    run = make_run()
    [lease] = claim(task_id="abc", worker="ingest@host")
    run.refresh_from_db()
    assert (run.state, run.attempt, run.task_id, run.worker) == ("running", 1, "abc", "ingest@host")
    assert (run.lease_token, run.claimed_with) == (lease.token, 1)
    assert (lease.subject_id, lease.version, lease.attempt) == (run.photo_id, "v1", 1)
    # now() of the test's own transaction is when the claim was made
    assert run.lease_until - run.started_at == timedelta(seconds=60)


def test_the_most_urgent_runs_come_first(make_run: MakeRun) -> None:
    backfill = make_run(lane=Lane.BACKFILL, queued_at=timezone.now() - 2 * HOUR)
    late = make_run(lane=Lane.UPLOAD, queued_at=timezone.now())
    early = make_run(lane=Lane.UPLOAD, queued_at=timezone.now() - HOUR)
    imported = make_run(lane=Lane.IMPORT, queued_at=timezone.now() - 3 * HOUR)
    order = [lease.run_id for _ in range(4) for lease in claim()]
    assert order == [early.pk, late.pk, imported.pk, backfill.pk]
    assert claim() == []


def test_what_is_not_due_or_not_known_is_not_claimed(make_run: MakeRun) -> None:
    make_run(not_before=timezone.now() + HOUR)
    make_run(version="v2")
    make_run(stage="renditions")
    make_run(state=RunState.WAITING, queued_at=None)
    assert claim(limit=10) == []
    assert claim(limit=10, versions=[]) == []
    assert set(StageRun.objects.values_list("state", "attempt")) == {("pending", 0), ("waiting", 0)}


def test_a_batch_is_of_one_version(make_run: MakeRun) -> None:
    first = make_run(version="v2", queued_at=timezone.now() - HOUR)
    others = [make_run(), make_run()]
    assert [lease.run_id for lease in claim(limit=3, versions=["v1", "v2"])] == [first.pk]
    assert {lease.run_id for lease in claim(limit=3, versions=["v1", "v2"])} == {run.pk for run in others}


@pytest.mark.django_db(transaction=True)
def test_claimers_at_the_same_moment_get_different_runs(make_run: MakeRun) -> None:
    runs = {make_run().pk for _ in range(12)}
    start, taken = threading.Barrier(4), []

    def take() -> None:
        start.wait()
        try:
            while leases := claim(limit=2):
                taken.extend(lease.run_id for lease in leases)
        finally:
            connection.close()

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 12
    assert set(taken) == runs
    assert set(StageRun.objects.values_list("attempt", flat=True)) == {1}


def test_a_commit_without_the_lease_is_refused(make_run: MakeRun) -> None:
    run = make_run()
    [stale] = claim()
    StageRun.objects.filter(pk=run.pk).update(lease_until=Now() - HOUR)
    assert ledger.expire_leases(ledger=StageRun) == ledger.Loss(
        returned=Counter(exif=1), photo_ids=frozenset({run.photo_id})
    )
    [fresh] = claim()
    with pytest.raises(ledger.LeaseLostError):
        ledger.mark_done(stale, work_seconds=1)
    run.refresh_from_db()
    assert (run.state, run.lease_token, run.attempt) == ("running", fresh.token, 2)
    assert not ledger.renew(stale)
    assert not ledger.fail(stale, RunError("late", ""))
    assert not ledger.hand_back(stale, RunError("late", ""))
    ledger.mark_done(fresh, work_seconds=0.5, inputs={"renditions": "v7"})
    run.refresh_from_db()
    assert (run.state, run.lease_token, run.work_seconds, run.inputs) == ("done", None, 0.5, {"renditions": "v7"})
    assert run.finished_at is not None


def test_an_error_is_tried_again_later_and_then_dead(make_run: MakeRun) -> None:
    run = make_run()
    for attempt in (1, 2):
        StageRun.objects.update(not_before=None)
        [lease] = claim()
        assert ledger.fail(lease, RunError("unexpected_error", f"attempt {attempt}"))
        run.refresh_from_db()
        assert (run.state, run.attempt, run.error_detail) == ("pending", attempt, f"attempt {attempt}")
        wait = (run.not_before - run.queued_at).total_seconds() / (5 * 2 ** (attempt - 1))
        assert 0.75 <= wait <= 1.25
    StageRun.objects.update(not_before=None)
    [lease] = claim()
    assert ledger.fail(lease, RunError("unexpected_error", "attempt 3"))
    run.refresh_from_db()
    assert (run.state, run.attempt, run.error_code) == ("dead", 3, "unexpected_error")


def test_a_permanent_error_is_dead_at_once(make_run: MakeRun) -> None:
    run = make_run()
    [lease] = claim()
    assert ledger.fail(lease, RunError("damaged", "truncated"), permanent=True)
    run.refresh_from_db()
    assert (run.state, run.attempt, run.error_code, run.error_detail) == ("dead", 1, "damaged", "truncated")


def test_infrastructure_burns_no_attempt(make_run: MakeRun) -> None:
    run = make_run()
    for _ in range(5):
        [lease] = claim()
        assert ledger.hand_back(lease, RunError("storage_unavailable", "503"))
        run.refresh_from_db()
        assert (run.state, run.attempt, run.error_code) == ("pending", 0, "storage_unavailable")


def test_a_run_lost_alone_counts_and_dies_of_its_third_loss(make_run: MakeRun) -> None:
    run = make_run()
    losses = []
    for _ in range(3):
        claim(task_id="t")
        losses.append(ledger.release_lost(ledger=StageRun, holder=HOLDER, error=RunError("worker_lost", "signal 9")))
    run.refresh_from_db()
    assert (run.state, run.attempt, run.error_code) == ("dead", 3, "worker_lost")
    assert [loss.dead for loss in losses] == [{}, {}, {"exif": 1}]
    assert [loss.returned for loss in losses] == [{"exif": 1}, {"exif": 1}, {}]


def test_runs_lost_together_do_not_count_and_come_alone_next(make_run: MakeRun) -> None:
    runs = [make_run() for _ in range(3)]
    bystander = make_run(queued_at=timezone.now() + HOUR)
    assert len(claim(limit=3, task_id="t")) == 3
    loss = ledger.release_lost(ledger=StageRun, holder=HOLDER, error=RunError("worker_lost", "signal 9"))
    assert loss == ledger.Loss(returned=Counter(exif=3), photo_ids=frozenset(run.photo_id for run in runs))
    lost = StageRun.objects.filter(pk__in=[run.pk for run in runs])
    assert set(lost.values_list("state", "attempt", "claim_alone")) == {("pending", 0, True)}
    assert {len(claim(limit=3)) for _ in range(3)} == {1}
    assert set(lost.values_list("state", "attempt", "claimed_with")) == {("running", 1, 1)}
    assert [lease.run_id for lease in claim(limit=3)] == [bystander.pk]


def test_an_error_is_kept_with_its_story_until_the_run_succeeds(make_run: MakeRun) -> None:
    run = make_run()
    [lease] = claim()
    try:
        ledger.claim(stage="exif", versions=3, limit=1, task_id="", worker="")
    except TypeError as error:
        described = describe(error)
    assert ledger.fail(lease, described)
    run.refresh_from_db()
    assert (run.error_code, run.exception) == ("unexpected_error", "TypeError")
    assert run.frame == "processing/ledger/claiming.py:claim"
    assert run.traceback.startswith("Traceback (most recent call last):")
    assert run.traceback.endswith(f"{run.error_detail}\n")
    StageRun.objects.update(not_before=None)
    [lease] = claim()
    ledger.mark_done(lease, work_seconds=1)
    run.refresh_from_db()
    assert [run.error_code, run.error_detail, run.exception, run.frame, run.traceback, run.fingerprint] == [""] * 6


def test_equal_failures_have_one_fingerprint_whatever_their_detail_says(make_run: MakeRun) -> None:
    runs = [make_run() for _ in range(4)]
    errors = [
        RunError("damaged", "cut at byte 17", "DamagedImageError", "processing/engines/imaging/decoding.py:open_image"),
        RunError("damaged", "cut at byte 99", "DamagedImageError", "processing/engines/imaging/decoding.py:open_image"),
        RunError("damaged", "cut at byte 17", "DamagedImageError", "processing/engines/imaging/decoding.py:shrink"),
        RunError("timed_out", "cut at byte 17", "DamagedImageError", "processing/engines/imaging/decoding.py:shrink"),
    ]
    for error in errors:
        [lease] = claim()
        ledger.fail(lease, error, permanent=True)
    first, second, third, fourth = (StageRun.objects.get(pk=run.pk).fingerprint for run in runs)
    assert first == second
    assert len({first, third, fourth}) == 3
    assert {len(one) for one in (first, third, fourth)} == {16}


def test_nothing_is_claimed_of_a_paused_stage(make_run: MakeRun, library: Library) -> None:
    make_run()
    renditions = make_run(stage="renditions")
    LibraryRun.objects.create(library=library, kind="people", version="v1", queued_at=Now())
    StagePause.objects.create(work="exif", reason="looking into it")
    StagePause.objects.create(work="people", reason="looking into it")
    people = {"kind": "people", "versions": ["v1"], "task_id": "t", "worker": "w"}
    assert claim() == []
    assert ledger.claim_library_run(**people) is None
    assert [lease.run_id for lease in claim(stage="renditions")] == [renditions.pk]
    StagePause.objects.all().delete()
    assert len(claim()) == 1
    assert ledger.claim_library_run(**people) is not None


def test_a_draining_worker_claims_nothing_and_others_do(make_run: MakeRun) -> None:
    make_run()
    times = {"started_at": Now(), "seen_at": Now()}
    WorkerPresence.objects.create(name="worker", draining_since=Now(), **times)
    WorkerPresence.objects.create(name="other", **times)
    assert claim() == []
    assert len(claim(worker="other")) == 1


def test_a_stopping_worker_hands_back_what_it_holds_and_nothing_else(make_run: MakeRun) -> None:
    run, other = make_run(), make_run(stage="renditions")
    [lease] = claim(worker="stopping")
    claim(stage="renditions", worker="other")
    assert ledger.release_worker(ledger=StageRun, worker="stopping") == Counter(exif=1)
    run.refresh_from_db()
    other.refresh_from_db()
    assert (run.state, run.attempt, run.not_before, run.error_code) == ("pending", 0, None, "")
    assert (other.state, other.attempt) == ("running", 1)
    with pytest.raises(ledger.LeaseLostError):
        ledger.mark_done(lease, work_seconds=1)


def test_a_renewed_lease_does_not_expire(make_run: MakeRun) -> None:
    run = make_run()
    [lease] = claim()
    StageRun.objects.update(lease_until=Now() - HOUR)
    assert ledger.renew(lease)
    assert ledger.expire_leases(ledger=StageRun) == ledger.Loss()
    run.refresh_from_db()
    assert run.state == "running"


def test_library_runs_follow_the_same_rules(library: Library) -> None:
    values = {"library": library, "kind": "people", "version": "v1", "state": RunState.PENDING}
    run = LibraryRun.objects.create(**values, queued_at=Now())
    with pytest.raises(IntegrityError, match="library_run_one_open"), transaction.atomic():
        LibraryRun.objects.create(**values, queued_at=Now())
    lease = ledger.claim_library_run(kind="people", versions=["v1"], task_id="t", worker="w")
    assert (lease.run_id, lease.subject_id) == (run.pk, library.pk)
    assert ledger.claim_library_run(kind="people", versions=["v1"], task_id="t", worker="w") is None
    ledger.mark_done(lease, work_seconds=0.1)
    LibraryRun.objects.create(**values, queued_at=Now())
    assert list(LibraryRun.objects.order_by("id").values_list("state", flat=True)) == ["done", "pending"]


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ({"state": "lost"}, "stage_run_state_known"),
        ({"state": "running"}, "stage_run_running_has_lease"),
        ({"lease_token": uuid.uuid4()}, "stage_run_running_has_lease"),
        ({"queued_at": None}, "stage_run_pending_has_time"),
        ({"state": "dead", "finished_at": Now()}, "stage_run_dead_has_error"),
        ({"state": "skipped", "finished_at": Now()}, "stage_run_skipped_has_reason"),
        ({"skip_reason": "no_faces"}, "stage_run_skipped_has_reason"),
        ({"state": "done"}, "stage_run_final_has_end"),
        ({"finished_at": Now()}, "stage_run_final_has_end"),
        (
            {"state": "skipped", "finished_at": Now(), "skip_reason": "discarded"},
            "stage_run_discarded_has_reason",
        ),
    ],
)
def test_the_database_refuses_impossible_states(make_run: MakeRun, change: dict[str, object], constraint: str) -> None:
    run = make_run()
    before = StageRun.objects.values().get(pk=run.pk)
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        StageRun.objects.filter(pk=run.pk).update(**change)
    assert StageRun.objects.values().get(pk=run.pk) == before


def test_one_run_per_photo_stage_and_version(make_run: MakeRun) -> None:
    run = make_run()
    with pytest.raises(IntegrityError, match="stage_run_photo_stage_version_unique"), transaction.atomic():
        make_run(photo=run.photo)
    make_run(photo=run.photo, version="v2")
    assert StageRun.objects.filter(photo=run.photo).count() == 2


def test_losses_and_deaths_are_counted(make_run: MakeRun) -> None:
    def count(name: str, **labels: str) -> float:
        return REGISTRY.get_sample_value(name, labels) or 0.0

    lost, dead = {"stage": "exif", "code": "process_killed"}, {"stage": "exif", "code": "lease_expired"}
    before = (
        count("darkroom_lost_runs_total", **lost),
        count("darkroom_dead_runs_total", **dead),
        count("darkroom_expired_leases_total"),
    )
    make_run()
    claim(task_id="t")
    ledger.release_lost(ledger=StageRun, holder=HOLDER, error=RunError("process_killed", "signal 9"))
    for _ in range(2):
        claim()
        StageRun.objects.update(lease_until=Now() - HOUR)
        ledger.expire_leases(ledger=StageRun)
    assert StageRun.objects.get().state == "dead"
    after = (
        count("darkroom_lost_runs_total", **lost),
        count("darkroom_dead_runs_total", **dead),
        count("darkroom_expired_leases_total"),
    )
    assert tuple(now - then for now, then in zip(after, before, strict=True)) == (1, 1, 2)
