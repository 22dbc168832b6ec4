"""What beat asks for: of messages that have piled up one is enough, and no clock but the database's matters."""

from datetime import timedelta

import pytest
import redis
from django.conf import settings as project_settings
from django.db.models.functions import Now

from processing import sweeps, tasks
from processing.models import Sweep

pytestmark = pytest.mark.django_db(transaction=True)


def began(name: str, *, seconds_ago: float) -> None:
    Sweep.objects.filter(name=name).update(began_at=Now() - timedelta(seconds=seconds_ago))


def test_of_messages_that_have_piled_up_one_is_enough() -> None:
    assert sweeps.begin("tend", every=30)
    noted = Sweep.objects.get().began_at
    assert not sweeps.begin("tend", every=30)
    began("tend", seconds_ago=14)
    noted = Sweep.objects.get().began_at
    assert not sweeps.begin("tend", every=30)
    assert Sweep.objects.get().began_at == noted
    assert sweeps.begin("reconcile", every=30)
    began("tend", seconds_ago=15)
    assert sweeps.begin("tend", every=30)
    # the database's clock was set back
    began("tend", seconds_ago=-3600)
    assert sweeps.begin("tend", every=30)
    assert not sweeps.begin("tend", every=30)


@pytest.mark.parametrize("name", ["reconcile", "tend", "empty_trash", "seal_audit", "sweep_incoming", "flush_logins"])
def test_a_task_of_beat_is_done_once_and_the_rest_of_the_pile_returns(
    name: str, broker: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    monkeypatch.setattr(tasks, "reconcile_once", lambda **_: done.append("reconcile"))
    monkeypatch.setattr(tasks, "tend_once", lambda: done.append("tend"))
    monkeypatch.setattr(tasks.trash, "purge_expired", lambda: done.append("empty_trash"))
    monkeypatch.setattr(tasks.object_sweeps, "sweep_incoming", lambda: done.append("sweep_incoming"))
    monkeypatch.setattr(tasks.audit, "seal_all", lambda: done.append("seal_audit"))
    monkeypatch.setattr(tasks.logins, "flush_expired", lambda: done.append("flush_logins"))
    for _ in range(3):
        getattr(tasks, name).apply(throw=True)
    assert done == [name]
    began(name, seconds_ago=3600)
    getattr(tasks, name).apply(throw=True)
    assert done == [name, name]


def test_no_message_of_beat_is_thrown_away_by_the_clock_of_whoever_reads_it() -> None:
    schedule = project_settings.CELERY_BEAT_SCHEDULE
    tasks_sent = {entry["task"] for entry in schedule.values()}
    assert tasks_sent == {
        "reconcile",
        "tend",
        "empty_trash",
        "seal_audit",
        "sweep_incoming",
        "sweep_uploads",
        "sweep_exports",
        "flush_logins",
    }
    assert all(entry["options"] == {"queue": "maintenance"} for entry in schedule.values())


def test_the_time_since_the_last_sweep_is_the_databases(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sweeps.seconds_since_last() is None
    sweeps.begin(sweeps.RECONCILE, every=30)
    assert sweeps.seconds_since_last() is None
    sweeps.note_sweep()
    assert 0 <= sweeps.seconds_since_last() < 10
    Sweep.objects.update(ended_at=Now() - timedelta(seconds=100))
    monkeypatch.setattr("time.time", lambda: 0.0)
    assert 100 <= sweeps.seconds_since_last() < 110
    # another begins, and has not ended
    began(sweeps.RECONCILE, seconds_ago=60)
    assert sweeps.begin(sweeps.RECONCILE, every=30)
    assert 100 <= sweeps.seconds_since_last() < 110
