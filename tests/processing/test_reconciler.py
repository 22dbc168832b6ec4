"""The sweep: whatever a lost message or a lost worker left behind moves again, once, and not more often than needed."""

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
import redis
from celery.exceptions import SoftTimeLimitExceeded
from concurrency import in_a_thread, wait_until_blocked
from django.core.cache import cache
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone
from face_samples import MODEL, add_face, vector
from pytest_django import Settings

from accounts.models import Library
from photos.models import Photo
from processing import ledger, presence, publish, reconciler, sweeps
from processing.kinds import registry as kinds
from processing.models import LibraryRun, RunState, StagePause, StageRun, WorkerPresence
from processing.models.ledger import Lane
from processing.pipeline.planning import lock_plan_for_change, plan
from processing.presence import WorkerFacts
from processing.services import face_analysis
from processing.stages import registry

pytestmark = pytest.mark.django_db(transaction=True)

MakeRun = Callable[..., StageRun]
MINUTE = timedelta(minutes=1)


def planned(stage: str) -> str:
    [version] = registry.get(stage).planned_versions()
    return version


def claim(stage: str = "exif", *, limit: int = 1) -> list[ledger.Lease]:
    return ledger.claim(stage=stage, versions=[planned(stage)], limit=limit, task_id="task", worker="worker")


def pending(make_run: MakeRun, stage: str = "exif", **values: object) -> StageRun:
    return make_run(stage=stage, version=planned(stage), **values)


def test_what_waits_too_long_is_rung_for(make_run: MakeRun, broker: redis.Redis) -> None:
    pending(make_run, queued_at=timezone.now() - MINUTE)
    pending(make_run, stage="renditions", not_before=timezone.now() - MINUTE)
    assert reconciler.reconcile()
    assert broker.llen("ingest") == 2  # one of each stage, although they share a queue
    assert broker.llen("faces") == 0


@pytest.mark.parametrize(
    "values",
    [
        {"queued_at": timezone.now() + timedelta(days=1)},
        {"not_before": timezone.now() + timedelta(days=1), "queued_at": timezone.now() - MINUTE},
        {"state": RunState.DONE, "finished_at": Now()},
        {"state": RunState.DEAD, "finished_at": Now(), "error_code": "damaged"},
    ],
)
def test_what_is_not_overdue_is_left_alone(make_run: MakeRun, broker: redis.Redis, values: dict[str, object]) -> None:
    run = pending(make_run, **values)
    before = StageRun.objects.values().get(pk=run.pk)
    assert reconciler.reconcile()
    assert broker.llen("ingest") == 0
    assert StageRun.objects.values().get(pk=run.pk) == before


def test_a_backlog_is_rung_for_in_few_messages(make_run: MakeRun, broker: redis.Redis, settings: Settings) -> None:
    settings.LEDGER_TASK_RUNS, settings.LEDGER_RING_MESSAGES = 2, 3
    for _ in range(5):
        pending(make_run, queued_at=timezone.now() - MINUTE)
    reconciler.reconcile()
    assert broker.llen("ingest") == 3
    # nobody came: no more of them
    reconciler.reconcile()
    assert broker.llen("ingest") == 3


def test_expired_leases_are_returned_and_rung_for_at_once(
    make_run: MakeRun, broker: redis.Redis, library: Library
) -> None:
    lost, held = pending(make_run), pending(make_run)
    used_up = pending(make_run, attempt=2)
    LibraryRun.objects.create(library=library, kind="people", version="v", state=RunState.PENDING, queued_at=Now())
    ledger.claim_library_run(kind="people", versions=["v"], task_id="t", worker="w")
    claim(), claim(), claim()
    StageRun.objects.filter(pk__in=[lost.pk, used_up.pk]).update(lease_until=Now() - MINUTE)
    LibraryRun.objects.update(lease_until=Now() - MINUTE)

    assert reconciler.reconcile()

    states = {run.pk: (run.state, run.attempt, run.error_code) for run in StageRun.objects.all()}
    assert states == {
        lost.pk: ("pending", 1, "lease_expired"),
        held.pk: ("running", 1, ""),
        used_up.pk: ("dead", 3, "lease_expired"),
    }
    assert LibraryRun.objects.values_list("state", "attempt").get() == ("pending", 1)
    assert (broker.llen("ingest"), broker.llen("people")) == (1, 1)


def test_of_two_at_once_one_works(make_run: MakeRun, broker: redis.Redis) -> None:
    pending(make_run, queued_at=timezone.now() - MINUTE)
    with transaction.atomic():
        assert reconciler._lock()
        assert not in_a_thread(reconciler.reconcile).result(10)
        assert broker.llen("ingest") == 0
    assert in_a_thread(reconciler.reconcile).result(10)
    assert broker.llen("ingest") == 1


def test_a_sweep_is_noted(broker: redis.Redis) -> None:
    cache.clear()
    assert sweeps.seconds_since_last() is None
    reconciler.reconcile()
    assert 0 <= sweeps.seconds_since_last() < 10


def test_without_a_broker_everything_but_the_messages_is_done(
    make_run: MakeRun, settings: Settings, closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CELERY_BROKER_URL = f"redis://127.0.0.1:{closed_port}/0"
    monkeypatch.setattr(publish, "_publisher", publish._Publisher())
    run = pending(make_run)
    claim()
    StageRun.objects.update(lease_until=Now() - MINUTE)
    assert reconciler.reconcile()
    run.refresh_from_db()
    assert run.state == "pending"


def test_a_grouping_that_nobody_asked_for_is_asked_for(face_library: Library, broker: redis.Redis) -> None:
    add_face(face_library, vector(1))
    reconciler.reconcile()
    run = LibraryRun.objects.get()
    assert (run.library, run.kind, run.state, MODEL in run.version) == (face_library, "people", "pending", True)
    assert broker.llen("people") == 1


def test_versions_that_nobody_knows_are_planned_anew(make_run: MakeRun, broker: redis.Redis) -> None:
    run = make_run(stage="exif", version="0.gone", lane=Lane.IMPORT)
    reconciler.reconcile()
    run.refresh_from_db()
    assert (run.state, run.skip_reason) == ("skipped", "superseded")
    new = run.photo.stage_runs.exclude(pk=run.pk)
    assert set(new.values_list("stage", "version", "state", "lane")) == {
        ("exif", planned("exif"), "pending", Lane.IMPORT),
        ("place", planned("place"), "waiting", Lane.IMPORT),
        ("renditions", planned("renditions"), "pending", Lane.IMPORT),
    }
    assert broker.llen("ingest") == 2


def test_versions_that_a_live_worker_knows_wait_for_it(make_run: MakeRun) -> None:
    run = make_run(stage="exif", version="9.newer")
    worker = WorkerPresence.objects.create(
        name="new@host", queues=["ingest"], versions={"exif": ["9.newer"]}, started_at=Now(), seen_at=Now()
    )
    reconciler.reconcile()
    run.refresh_from_db()
    assert (run.state, run.photo.stage_runs.count()) == ("pending", 1)

    WorkerPresence.objects.filter(pk=worker.pk).update(seen_at=Now() - MINUTE)
    reconciler.reconcile()
    run.refresh_from_db()
    assert (run.state, run.skip_reason) == ("skipped", "superseded")


@pytest.mark.parametrize(("made", "is_planned_anew"), [("before", True), ("after", False), ("long ago", True)])
def test_versions_that_a_newer_release_planned_wait_for_its_workers(
    make_run: MakeRun, broker: redis.Redis, made: str, is_planned_anew: bool
) -> None:
    run = make_run(version="9.newer")
    started, created = {
        "before": (5 * MINUTE, 6 * MINUTE),
        "after": (5 * MINUTE, 4 * MINUTE),
        "long ago": (70 * MINUTE, 65 * MINUTE),
    }[made]
    presence.write(name="old@here", facts=WorkerFacts(["maintenance"], {}, 1, "", None, 1))
    WorkerPresence.objects.update(started_at=Now() - started)
    StageRun.objects.update(created_at=Now() - created)
    reconciler.reconcile(worker="old@here")
    run.refresh_from_db()
    assert (run.state, run.skip_reason) == (("skipped", "superseded") if is_planned_anew else ("pending", ""))
    assert StageRun.objects.filter(stage="exif").count() == (2 if is_planned_anew else 1)


def test_a_stage_that_this_release_does_not_know_is_left_to_others(make_run: MakeRun, broker: redis.Redis) -> None:
    run = make_run(stage="captions", version="1.new", queued_at=timezone.now() - MINUTE)
    pending(make_run, queued_at=timezone.now() - MINUTE)
    assert reconciler.reconcile()
    run.refresh_from_db()
    assert run.state == "pending"
    assert broker.llen("ingest") == 1


def test_without_a_model_open_face_work_ends(make_run: MakeRun, library: Library) -> None:
    run = make_run(stage="face_detection", version="1.abc.mtcnn.def")
    reconciler.reconcile()
    run.refresh_from_db()
    assert (run.state, run.skip_reason) == ("skipped", "superseded")


def test_a_run_that_waits_although_its_input_is_there_moves(
    make_photo: Callable[..., Photo], face_library: Library, broker: redis.Redis
) -> None:
    forgotten, waiting = make_photo(), make_photo()
    plan([forgotten.pk, waiting.pk], lane=Lane.IMPORT)
    forgotten.stage_runs.filter(stage="renditions").update(state=RunState.DONE, finished_at=Now())
    broker.flushdb()
    reconciler.reconcile()
    found = StageRun.objects.filter(stage="face_detection").values_list("photo", "state", "lane")
    assert set(found) == {(forgotten.pk, "pending", Lane.IMPORT), (waiting.pk, "waiting", Lane.IMPORT)}
    assert broker.llen("faces") == 1


def test_a_sweep_and_a_switch_at_once_do_not_deadlock(make_run: MakeRun, face_library: Library) -> None:
    stale = make_run(stage="exif", version="0.gone")
    held = make_run(stage="face_detection", version=planned("face_detection"))
    claim("face_detection")
    StageRun.objects.filter(pk=held.pk).update(lease_until=Now() - MINUTE)
    with transaction.atomic():
        lock_plan_for_change()
        sweep = in_a_thread(reconciler.reconcile)
        wait_until_blocked()
        # waits for the runs that the sweep would have locked by now
        face_analysis.switch_face_analysis(library=face_library, enabled=False, by=None)
    assert sweep.result(10)
    stale.refresh_from_db()
    held.refresh_from_db()
    assert stale.skip_reason == "superseded"
    assert held.skip_reason in {"face_analysis_off", "superseded"}


def test_a_retry_is_rung_for_when_its_time_has_come(make_run: MakeRun, broker: redis.Redis, library: Library) -> None:
    due, later = Now() - timedelta(seconds=1), Now() + MINUTE
    for not_before in (due, later, None):
        pending(make_run, not_before=not_before)
    pending(make_run, "renditions", not_before=due)
    StagePause.objects.create(work="renditions")
    LibraryRun.objects.create(library=library, kind="people", version="v1", queued_at=Now(), not_before=due)
    # nobody would claim of the paused stage
    assert reconciler.tend() == {"exif": 1, "people": 1}
    assert (broker.llen("ingest"), broker.llen("people")) == (1, 1)
    # and as many lie there as are needed
    reconciler.tend()
    assert (broker.llen("ingest"), broker.llen("people")) == (1, 1)


def test_an_expired_lease_is_returned_between_sweeps(make_run: MakeRun, broker: redis.Redis) -> None:
    run = pending(make_run)
    claim()
    assert reconciler.tend() == {}
    StageRun.objects.update(lease_until=Now() - MINUTE)
    assert reconciler.tend() == {"exif": 1}
    run.refresh_from_db()
    assert (run.state, run.attempt, run.error_code) == ("pending", 1, "lease_expired")
    assert broker.llen("ingest") == 1


def test_what_was_lost_is_rung_for_although_other_messages_lie_there(make_run: MakeRun, broker: redis.Redis) -> None:
    presence.write(name="one@here", facts=WorkerFacts(["ingest"], {}, 1, "", None, 1))
    pending(make_run)
    claim()
    StageRun.objects.update(lease_until=Now() - MINUTE)
    publish.ring(task="renditions", queue="ingest")
    reconciler.reconcile()
    lying = [json.loads(one)["headers"]["task"] for one in reversed(broker.lrange("ingest", 0, -1))]
    # the canary of this sweep comes last: it is not taken for a hint
    assert lying == ["renditions", "exif", "canary"]


@pytest.mark.parametrize("part", ["plan_forgotten", "replan_unknown_versions", "a kind"])
def test_a_part_that_fails_keeps_nothing_else_from_moving(
    make_run: MakeRun,
    face_library: Library,
    broker: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    part: str,
) -> None:
    def fail(*_: object, **__: object) -> int:
        raise KeyError("a model of tomorrow")

    add_face(face_library, vector(1))
    cache.clear()
    expired, stale = pending(make_run), make_run(stage="renditions", version="0.gone")
    claim()
    StageRun.objects.filter(pk=expired.pk).update(lease_until=Now() - MINUTE)
    if part == "a kind":
        monkeypatch.setattr(kinds.get("plan"), "request_where_due", fail)
    else:
        monkeypatch.setattr(reconciler, part, fail)

    assert reconciler.reconcile()

    expired.refresh_from_db()
    stale.refresh_from_db()
    assert expired.state == "pending"
    assert stale.state == ("pending" if part == "replan_unknown_versions" else "skipped")
    assert LibraryRun.objects.values_list("kind", "state").get() == ("people", "pending")
    assert broker.llen("ingest") > 0
    assert sweeps.seconds_since_last() is not None
    assert "a part of the sweep failed: 'a model of tomorrow'" in caplog.text


def test_a_sweep_whose_time_is_over_ends(face_library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    def time_is_over() -> int:
        raise SoftTimeLimitExceeded

    monkeypatch.setattr(reconciler, "plan_forgotten", time_is_over)
    add_face(face_library, vector(1))
    with pytest.raises(SoftTimeLimitExceeded):
        reconciler.reconcile()
    assert not LibraryRun.objects.exists()
