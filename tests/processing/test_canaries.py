"""Canaries: rung for by the sweep, moved by a worker, and late where a worker is there and deaf."""

from collections.abc import Callable
from datetime import timedelta

import pytest
import redis
from django.conf import settings as project_settings
from django.db.models.functions import Now
from pytest_django import Settings

from processing import canaries, reconciler, tasks
from processing.models import Canary, RunState, StageRun, WorkerPresence
from processing.services import canaries as service

pytestmark = pytest.mark.django_db(transaction=True)

MakeRun = Callable[..., StageRun]


def ago(seconds: float) -> object:
    return Now() - timedelta(seconds=seconds)


def make_worker(*queues: str, name: str = "w@here", started: float = 3600, seen: float = 0) -> None:
    WorkerPresence.objects.create(name=name, queues=queues, started_at=ago(started), seen_at=ago(seen))


def messages(broker: redis.Redis) -> dict[str, int]:
    counts = {queue: broker.llen(queue) for queue in project_settings.QUEUES}
    return {queue: count for queue, count in counts.items() if count}


def make_canary(queue: str = "ingest", *, rung: float, moved: float | None = None) -> None:
    Canary.objects.create(queue=queue, rung_at=ago(rung), moved_at=None if moved is None else ago(moved))


def test_every_queue_with_a_live_worker_is_rung_for_once(broker: redis.Redis) -> None:
    make_worker("ingest", "faces")
    make_worker("people", name="gone@here", seen=60)
    assert service.ring() == ["ingest", "faces"]
    assert messages(broker) == {"ingest": 1, "faces": 1}
    before = list(Canary.objects.order_by("queue").values_list("queue", "rung_at", "moved_at"))
    assert [queue for queue, _, _ in before] == ["faces", "ingest"]
    assert service.ring() == []
    assert messages(broker) == {"ingest": 1, "faces": 1}
    assert list(Canary.objects.order_by("queue").values_list("queue", "rung_at", "moved_at")) == before


def test_a_worker_moves_it_and_the_next_sweep_rings_again(broker: redis.Redis) -> None:
    make_worker("ingest")
    service.ring()
    broker.flushdb()
    tasks.canary.apply(kwargs={"queue": "ingest", "v": 1, "newer": "sender"}, throw=True)
    canary = Canary.objects.get()
    assert canary.moved_at > canary.rung_at
    assert canary.worker != ""
    reconciler.reconcile()
    again = Canary.objects.get()
    assert again.rung_at > canary.moved_at == again.moved_at
    assert messages(broker) == {"ingest": 1}


def test_one_that_nobody_sent_moves_nothing() -> None:
    tasks.canary.apply(kwargs={"queue": "ingest"}, throw=True)
    assert Canary.objects.count() == 0


def test_one_that_was_lost_is_sent_again_and_its_time_stays(broker: redis.Redis) -> None:
    make_worker("ingest")
    make_canary(rung=40)
    assert service.ring() == []
    assert messages(broker) == {}
    Canary.objects.update(rung_at=ago(61))
    before = Canary.objects.values().get()
    assert service.ring() == []
    assert messages(broker) == {"ingest": 1}
    service.ring()
    assert messages(broker) == {"ingest": 1}
    assert Canary.objects.values().get() == before


def statuses() -> list[tuple[str, float, bool]]:
    # to the nearest 10: looking takes its time too
    return [(one.queue, round(one.seconds, -1), one.is_late) for one in canaries.statuses()]


def test_one_that_does_not_move_is_late(settings: Settings) -> None:
    make_worker("ingest", "faces", "people", "embeddings")
    make_canary("ingest", rung=310, moved=400)
    make_canary("faces", rung=280)
    make_canary("people", rung=900, moved=899)
    make_canary("maintenance", rung=900)
    assert statuses() == [("ingest", 310, True), ("faces", 280, False), ("people", 0, False)]
    assert [one.queue for one in canaries.late()] == ["ingest"]
    settings.CANARY_SECONDS = 200
    assert [one.queue for one in canaries.late()] == ["ingest", "faces"]


def test_one_that_was_rung_before_anybody_was_there_is_not_late() -> None:
    make_worker("ingest", started=20)
    make_canary(rung=5000)
    assert statuses() == [("ingest", 20, False)]


@pytest.mark.parametrize(
    ("values", "is_late"),
    [
        ({"state": RunState.DONE, "finished_at": ago(250), "worker": "w@here"}, False),
        ({"state": RunState.RUNNING, "lease_until": ago(-30), "worker": "w@here"}, False),
        ({"state": RunState.DONE, "finished_at": ago(310), "worker": "w@here"}, True),
        ({"state": RunState.RUNNING, "lease_until": ago(1), "worker": "w@here"}, True),
        ({"state": RunState.DONE, "finished_at": ago(250), "worker": "other@there"}, True),
    ],
)
def test_behind_a_backlog_that_moves_it_may_wait(
    make_run: MakeRun, values: dict[str, object], *, is_late: bool
) -> None:
    make_worker("ingest")
    make_canary(rung=400)
    run = make_run(worker=values["worker"], queued_at=None, state=RunState.WAITING)
    lease = {"lease_token": run.pk, "started_at": ago(60)} if values["state"] == RunState.RUNNING else {}
    StageRun.objects.update(**values, **lease)
    assert statuses() == [("ingest", 400, is_late)]


def test_a_worker_that_is_drained_is_not_deaf(broker: redis.Redis) -> None:
    make_worker("ingest")
    make_canary(rung=1000)
    assert [one.is_late for one in canaries.statuses()] == [True]
    WorkerPresence.objects.update(draining_since=Now())
    assert canaries.statuses() == []
    Canary.objects.all().delete()
    assert service.ring() == []
    assert messages(broker) == {}
