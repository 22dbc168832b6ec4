"""A worker that is asked to stop: nothing new, and what it holds goes to others at once."""

import json
import time
from collections.abc import Callable

import pytest
import redis
from concurrency import wait_until
from django.db.models.functions import Now

from accounts.models import Library
from processing import ledger, presence, stopping
from processing.models import LibraryRun, StageRun, WorkerPresence
from processing.presence import Presence, WorkerFacts
from processing.services import draining

MakeRun = Callable[..., StageRun]
FACTS = WorkerFacts(["ingest"], {"exif": ["v1"]}, processes=1, device="", metrics_port=None, memory_bytes=1)


def claim(worker: str, **values: object) -> list[ledger.Lease]:
    return ledger.claim(**{"stage": "exif", "versions": ["v1"], "limit": 1, "task_id": "t", "worker": worker, **values})


def messages(broker: redis.Redis, queue: str) -> list[str]:
    return [json.loads(one)["headers"]["task"] for one in broker.lrange(queue, 0, -1)]


@pytest.mark.django_db
def test_a_worker_that_stops_takes_nothing_new_and_says_since_when(make_run: MakeRun) -> None:
    presence.write(name="one@here", facts=FACTS)
    make_run()
    stopping.take_nothing_new(worker="one@here")
    since = WorkerPresence.objects.get().draining_since
    stopping.take_nothing_new(worker="one@here")
    presence.write(name="one@here", facts=FACTS)
    assert WorkerPresence.objects.get().draining_since == since
    assert claim("one@here") == []
    # somebody starts a worker of the same name again
    presence.write(name="one@here", facts=FACTS, is_new=True)
    assert WorkerPresence.objects.get().draining_since is None
    assert len(claim("one@here")) == 1


@pytest.mark.django_db
def test_what_it_holds_is_pending_again_and_others_are_rung(
    make_run: MakeRun, library: Library, broker: redis.Redis
) -> None:
    for _ in range(3):
        make_run()
    LibraryRun.objects.create(library=library, kind="people", version="v1", queued_at=Now())
    claim("one@here")
    ledger.claim_library_run(kind="people", versions=["v1"], task_id="t", worker="one@here")
    claim("two@here")
    assert stopping.holds_runs(worker="one@here")

    assert stopping.hand_back(worker="one@here", works=["exif", "renditions"]) == {"exif": 1, "people": 1}

    assert not stopping.holds_runs(worker="one@here")
    assert stopping.holds_runs(worker="two@here")
    assert sorted(StageRun.objects.values_list("state", "attempt")) == [("pending", 0), ("pending", 0), ("running", 1)]
    assert list(LibraryRun.objects.values_list("state", "attempt", "error_code")) == [("pending", 0, "")]
    assert messages(broker, "ingest") == ["exif"]
    assert messages(broker, "people") == ["people"]


@pytest.mark.django_db(transaction=True)
def test_the_end_of_a_worker_leaves_no_lease_behind(make_run: MakeRun, broker: redis.Redis) -> None:
    run = make_run()
    one = Presence(name="one@here", facts=lambda: FACTS)
    one.begin()
    claim("one@here")
    one.end()
    run.refresh_from_db()
    assert (run.state, run.attempt) == ("pending", 0)
    assert not WorkerPresence.objects.exists()
    assert messages(broker, "ingest") == ["exif"]


@pytest.mark.django_db(transaction=True)
def test_work_in_hand_has_a_moment_to_be_committed(make_run: MakeRun, broker: redis.Redis) -> None:
    done, slow = make_run(), make_run(stage="renditions")
    one = Presence(name="one@here", facts=lambda: FACTS)
    presence.write(name="one@here", facts=FACTS)
    [in_time] = claim("one@here")
    claim("one@here", stage="renditions")
    one.begin_stopping()
    ledger.mark_done(in_time, work_seconds=1)
    wait_until(lambda: StageRun.objects.get(pk=slow.pk).state == "pending", "it was not handed back")
    done.refresh_from_db()
    assert done.state == "done"
    assert WorkerPresence.objects.get().draining_since is not None


@pytest.mark.django_db(transaction=True)
def test_a_drained_worker_takes_no_messages_and_tells_others_of_what_it_has_read(
    make_run: MakeRun, broker: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "BEAT_SECONDS", 0.02)
    make_run()
    told: list[bool] = []
    one = Presence(name="one@here", facts=lambda: FACTS, consume=told.append)
    one.begin()
    wait_until(WorkerPresence.objects.exists, "it did not say that it is there")
    assert told == []
    draining.begin_worker(name="one@here")
    wait_until(lambda: told == [False] and messages(broker, "ingest") == ["exif"], "nobody was told")
    time.sleep(0.2)
    assert (told, messages(broker, "ingest")) == ([False], ["exif"])
    draining.end_worker(name="one@here")
    wait_until(lambda: told == [False, True], "it takes no messages again")
    # one that is asked to stop ends in its own way
    one.begin_stopping()
    wait_until(lambda: WorkerPresence.objects.get().draining_since is not None, "it does not stop")
    time.sleep(0.2)
    one.end()
    assert told == [False, True]
