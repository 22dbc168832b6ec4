import threading
from datetime import timedelta

import pytest
from billiard import Process
from django.db import connection, connections
from django.db.models import F
from django.db.models.functions import Now

from processing import presence
from processing.models import WorkerPresence
from processing.presence import Presence, WorkerFacts

FACTS = WorkerFacts(
    queues=["ingest"],
    versions={"exif": ["1.a"]},
    processes=2,
    device="",
    metrics_port=9180,
    memory_bytes=1000,
)


def age(name: str) -> timedelta:
    return WorkerPresence.objects.annotate(age=Now() - F("seen_at")).get(name=name).age


@pytest.mark.django_db
def test_a_row_says_what_a_worker_is_and_when_it_was_seen() -> None:
    presence.write(name="one@here", facts=FACTS)

    row = WorkerPresence.objects.alive().get()
    assert (row.name, row.queues, row.versions) == ("one@here", ["ingest"], {"exif": ["1.a"]})
    assert (row.processes, row.device, row.metrics_port, row.memory_bytes) == (2, "", 9180, 1000)
    assert row.started_at == row.seen_at


@pytest.mark.django_db
def test_a_second_beat_changes_the_row_and_keeps_its_start() -> None:
    presence.write(name="one@here", facts=FACTS)
    started = WorkerPresence.objects.get().started_at
    WorkerPresence.objects.update(seen_at=Now() - timedelta(minutes=5))
    assert WorkerPresence.objects.alive().count() == 0

    changed = WorkerFacts(["faces"], {}, processes=1, device="cpu", metrics_port=None, memory_bytes=2000)
    presence.write(name="one@here", facts=changed)

    row = WorkerPresence.objects.alive().get()
    assert (row.started_at, row.queues, row.memory_bytes) == (started, ["faces"], 2000)
    assert age("one@here") < timedelta(seconds=5)


@pytest.mark.django_db
def test_workers_long_gone_are_forgotten_and_others_are_not() -> None:
    for name, silence in (("gone@here", timedelta(hours=25)), ("silent@here", timedelta(hours=23))):
        presence.write(name=name, facts=FACTS)
        WorkerPresence.objects.filter(name=name).update(seen_at=Now() - silence)

    presence.write(name="one@here", facts=FACTS)

    assert sorted(WorkerPresence.objects.values_list("name", flat=True)) == ["one@here", "silent@here"]


def test_this_host_knows_the_versions_of_the_stages_it_serves() -> None:
    versions = presence.known_versions({"ingest", "people"})
    assert sorted(versions) == ["exif", "renditions"]
    assert all(len(of_stage) == 1 for of_stage in versions.values())


class Beats:
    """Facts that count how often they were asked for, and wake whoever waits for the next time."""

    def __init__(self) -> None:
        self.count = 0
        self._more = threading.Condition()

    def __call__(self) -> WorkerFacts:
        with self._more:
            self.count += 1
            self._more.notify_all()
        return FACTS

    def wait_for(self, count: int) -> None:
        with self._more:
            assert self._more.wait_for(lambda: self.count >= count, timeout=20)


@pytest.mark.django_db(transaction=True)
def test_a_worker_says_it_again_and_again_until_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "BEAT_SECONDS", 0.05)
    beats = Beats()
    one = Presence(name="one@here", facts=beats)

    one.begin()
    beats.wait_for(3)
    assert WorkerPresence.objects.alive().get().name == "one@here"
    one.end()

    assert WorkerPresence.objects.count() == 0
    assert not any(thread.name == "presence" for thread in threading.enumerate())


@pytest.mark.django_db(transaction=True)
def test_an_outage_of_the_database_is_said_once_and_survived(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, closed_port: int
) -> None:
    monkeypatch.setattr(presence, "BEAT_SECONDS", 0.05)
    beats = Beats()
    one = Presence(name="one@here", facts=beats)
    caplog.set_level("INFO", logger="processing.presence")
    port = connections.settings["default"]["PORT"]

    connections.settings["default"]["PORT"] = closed_port
    try:
        one.begin()
        beats.wait_for(4)
    finally:
        connections.settings["default"]["PORT"] = port
    beats.wait_for(beats.count + 3)
    assert WorkerPresence.objects.alive().get().name == "one@here"
    one.end()

    said = [record.getMessage().partition(": ")[0] for record in caplog.records]
    assert said == ["worker one@here cannot say that it is there", "worker one@here says again that it is there"]


@pytest.mark.django_db(transaction=True)
def test_a_child_is_not_forked_while_a_beat_holds_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """The beat waits, connected, for somebody to fork; the fork has to wait for the end of the beat."""
    monkeypatch.setattr(presence, "BEAT_SECONDS", 60)
    is_connected, held = threading.Event(), threading.Event()
    ended: list[str] = []

    def slow_facts() -> WorkerFacts:
        connection.ensure_connection()
        is_connected.set()
        held.wait(1)
        ended.append("beat")
        return FACTS

    one = Presence(name="one@here", facts=slow_facts)
    one.begin()
    assert is_connected.wait(20)
    child = Process(target=lambda: None)
    child.start()
    ended.append("fork")
    child.join(20)
    one.end()

    assert ended == ["beat", "fork"]
    assert child.exitcode == 0
