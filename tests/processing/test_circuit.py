"""The circuit: what pauses a stage by itself, what lets it go on, and what it leaves alone."""

from collections.abc import Callable
from datetime import timedelta

import pytest
import redis
from concurrency import in_a_thread, wait_until_blocked
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from pytest_django import Settings

from processing import circuit, ledger, reconciler
from processing.ledger import pauses
from processing.models import RunState, StagePause, StageRun
from processing.stages import registry

pytestmark = pytest.mark.django_db(transaction=True)

MakeRun = Callable[..., StageRun]
GONE = "storage_unavailable"


def ago(seconds: float) -> object:
    return Now() - timedelta(seconds=seconds)


def handed_back(make_run: MakeRun, *seconds_ago: float, code: str = GONE, **values: object) -> list[StageRun]:
    """Make runs that came back with an error, so many seconds ago each."""
    return [make_run(error_code=code, queued_at=ago(one), **values) for one in seconds_ago]


def consider(code: str = GONE) -> bool:
    return circuit.consider(ledger=StageRun, work="exif", code=code)


def open_circuit(*, probes: int = 0, due_in: float = 0) -> None:
    StagePause.objects.create(
        work="exif", paused_at=ago(20), error_code=GONE, probe_at=ago(-due_in), probes=probes, reason="by itself"
    )


def waits() -> list[tuple[int, int]]:
    """The tries of each circuit, and the seconds until its next one, to the nearest 5: looking takes its time too."""
    rows = StagePause.objects.annotate(wait=F("probe_at") - Now()).values_list("probes", "wait")
    return [(probes, 5 * round(wait.total_seconds() / 5)) for probes, wait in rows]


def test_a_stage_whose_recent_runs_all_fail_for_one_reason_is_paused(make_run: MakeRun) -> None:
    handed_back(make_run, 30, 20, 10, 1)
    assert not consider()
    handed_back(make_run, 0)
    assert consider()
    pause = StagePause.objects.get()
    assert (pause.work, pause.error_code, pause.probes, pause.paused_by) == ("exif", GONE, 0, None)
    assert pause.reason == "Paused by itself: its runs fail with storage_unavailable."
    assert waits() == [(0, 10)]
    assert not consider()
    assert StagePause.objects.count() == 1


@pytest.mark.parametrize(
    "other",
    [
        {"state": RunState.DONE, "finished_at": ago(15)},
        {"state": RunState.DEAD, "finished_at": ago(15), "error_code": "damaged"},
        {"error_code": "unexpected_error", "queued_at": ago(15)},
        {"error_code": "wrong_bytes", "queued_at": ago(15)},
    ],
)
def test_one_run_that_got_through_keeps_it_going(make_run: MakeRun, other: dict[str, object]) -> None:
    handed_back(make_run, 30, 20, 10, 1, 0)
    make_run(**{"queued_at": None, **other} if "state" in other else other)
    assert not consider()
    assert StagePause.objects.count() == 0


@pytest.mark.parametrize(
    "other",
    [
        {"state": RunState.DONE, "finished_at": ago(31)},
        {"state": RunState.DONE, "finished_at": ago(15), "stage": "renditions"},
        {"state": RunState.SKIPPED, "skip_reason": "superseded", "finished_at": ago(15)},
        {"error_code": "database_unavailable", "queued_at": ago(15)},
        {"error_code": "unexpected_error", "queued_at": ago(31)},
        {"queued_at": ago(15)},
    ],
)
def test_what_says_nothing_of_the_reason_keeps_nothing_going(make_run: MakeRun, other: dict[str, object]) -> None:
    handed_back(make_run, 30, 20, 10, 1, 0)
    make_run(**{"queued_at": None, **other} if "state" in other else other)
    assert consider()


def test_a_hiccup_is_no_outage(make_run: MakeRun, settings: Settings) -> None:
    handed_back(make_run, *[0.2] * 50)
    assert not consider()
    handed_back(make_run, 70, 70, 70, 70, 70)
    assert not consider()
    settings.CIRCUIT_SECONDS = 0
    assert consider()


@pytest.mark.parametrize("code", ["database_unavailable", "broker_unavailable", "wrong_bytes", "unexpected_error"])
def test_other_reasons_pause_nothing_and_ask_nothing(
    make_run: MakeRun, code: str, django_assert_num_queries: Callable[..., object]
) -> None:
    handed_back(make_run, 30, 20, 10, 1, 0, code=code)
    with django_assert_num_queries(0):
        assert not consider(code)
    circuit.review()
    assert StagePause.objects.count() == 0


def test_a_pause_that_a_person_made_is_left_alone(make_run: MakeRun) -> None:
    handed_back(make_run, 30, 20, 10, 1, 0)
    StagePause.objects.create(work="exif", reason="the disk is being changed")
    before = StagePause.objects.values().get()
    assert not consider()
    assert not circuit.close(work="exif")
    make_run(state=RunState.DONE, finished_at=Now(), queued_at=None)
    circuit.review()
    assert not pauses.take_probe(work="exif")
    assert StagePause.objects.values().get() == before


def test_each_try_waits_twice_as_long_up_to_a_limit() -> None:
    open_circuit()
    expected = [20, 40, 60, 60, 60]
    for number, wait in enumerate(expected, start=1):
        assert pauses.take_probe(work="exif")
        assert waits() == [(number, wait)]
        assert not pauses.take_probe(work="exif")
        StagePause.objects.update(probe_at=Now())


def test_the_first_wait_may_be_the_longest(settings: Settings) -> None:
    settings.CIRCUIT_FIRST_WAIT_SECONDS = settings.CIRCUIT_MAX_WAIT_SECONDS = 30
    open_circuit()
    assert pauses.take_probe(work="exif")
    assert waits() == [(1, 30)]


def test_of_two_who_try_at_once_one_may() -> None:
    open_circuit()
    with transaction.atomic():
        assert pauses.take_probe(work="exif")
        second = in_a_thread(lambda: pauses.take_probe(work="exif"))
        wait_until_blocked()
    assert second.result(10) is False
    assert waits() == [(1, 20)]


def claim(limit: int = 8) -> list[ledger.Lease]:
    return ledger.claim(stage="exif", versions=["v1"], limit=limit, task_id="task", worker="worker")


def test_a_claim_takes_one_run_when_it_is_time(make_run: MakeRun) -> None:
    failed, fresh = handed_back(make_run, 9)[0], make_run(queued_at=ago(1))
    handed_back(make_run, 8, 7)
    open_circuit(due_in=5)
    assert claim() == []
    assert waits() == [(0, 5)]
    StagePause.objects.update(probe_at=Now())

    [probe] = claim()

    # one that has not failed yet tells more than one that may fail for a reason of its own
    assert (probe.run_id, probe.is_probe) == (fresh.pk, True)
    assert waits() == [(1, 20)]
    assert claim() == []
    StagePause.objects.update(probe_at=Now())
    assert [lease.run_id for lease in claim()] == [failed.pk]


def test_a_try_with_nothing_to_claim_is_no_try(make_run: MakeRun) -> None:
    make_run(not_before=ago(-60))
    open_circuit()
    assert claim() == []
    assert waits() == [(0, 0)]


def test_without_a_pause_nothing_is_a_probe(make_run: MakeRun) -> None:
    handed_back(make_run, 9, 8)
    assert [lease.is_probe for lease in claim()] == [False, False]


def test_what_gets_through_lifts_the_pause_and_rings(broker: redis.Redis, settings: Settings) -> None:
    settings.LEDGER_RING_MESSAGES = 3
    open_circuit()
    assert circuit.close(work="exif")
    assert StagePause.objects.count() == 0
    assert broker.llen("ingest") == 3
    assert not circuit.close(work="exif")
    assert broker.llen("ingest") == 3


def test_a_sweep_pauses_lifts_and_rings_once_for_a_try(make_run: MakeRun, broker: redis.Redis) -> None:
    version = registry.get("exif").base_version
    handed_back(make_run, *range(40, 0, -1), version=version)
    reconciler.reconcile()
    assert StagePause.objects.get().error_code == GONE
    assert broker.llen("ingest") == 0

    StagePause.objects.update(probe_at=Now())
    reconciler.reconcile()
    assert broker.llen("ingest") == 1
    broker.flushdb()

    make_run(state=RunState.DONE, finished_at=ago(-1), queued_at=None, version=version)
    reconciler.reconcile()
    assert StagePause.objects.count() == 0
    assert broker.llen("ingest") == 8


def test_a_sweep_rings_for_nothing_that_a_person_has_paused(make_run: MakeRun, broker: redis.Redis) -> None:
    make_run(queued_at=ago(60), version=registry.get("exif").base_version)
    StagePause.objects.create(work="exif")
    reconciler.reconcile()
    assert broker.llen("ingest") == 0
