"""Hints: they go out after the commit, and a broker that is down is in nobody's way."""

import socket
import time
import uuid

import pytest
import redis
from django.db import transaction

from processing import publish


@pytest.fixture
def publisher() -> publish._Publisher:
    """A publisher of its own, whose breaker no other test has tripped."""
    return publish._Publisher()


def test_a_hint_lies_in_the_queue_of_its_task(broker: redis.Redis) -> None:
    ids = [uuid.uuid4() for _ in range(publish.PHOTOS_PER_MESSAGE + 1)]
    assert publish.ring(task="exif", queue="ingest", ids=ids) == 2
    assert broker.llen("ingest") == 2
    assert broker.llen("faces") == 0


def test_a_hint_goes_out_after_the_commit(broker: redis.Redis, transactional_db: None) -> None:
    with transaction.atomic():
        publish.ring_on_commit(task="exif", queue="ingest", ids=[uuid.uuid4()])
        assert broker.llen("ingest") == 0
    assert broker.llen("ingest") == 1
    with transaction.atomic():
        publish.ring_on_commit(task="exif", queue="ingest", ids=[uuid.uuid4()])
        transaction.set_rollback(True)
    assert broker.llen("ingest") == 1


def test_overdue_work_does_not_pile_hints_up(broker: redis.Redis) -> None:
    assert publish.ring_sparingly(task="exif", queue="ingest", messages=3) == 3
    assert publish.ring_sparingly(task="exif", queue="ingest", messages=5) == 2
    assert publish.ring_sparingly(task="exif", queue="ingest", messages=5) == 0
    assert broker.llen("ingest") == 5


def test_a_broker_that_refuses_costs_no_time(
    publisher: publish._Publisher, settings: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"
    started = time.monotonic()
    assert not publisher.send(task="exif", queue="ingest", kwargs={})
    assert time.monotonic() - started < 1
    monkeypatch.setattr(publisher, "_connect", lambda: pytest.fail("it was asked again at once"))
    assert not publisher.send(task="exif", queue="ingest", kwargs={})


def test_a_broker_that_does_not_answer_costs_little(
    publisher: publish._Publisher, settings: pytest.FixtureRequest
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        settings.CELERY_BROKER_URL = f"redis://127.0.0.1:{deaf.getsockname()[1]}/0"
        started = time.monotonic()
        assert not publisher.send(task="exif", queue="ingest", kwargs={})
        assert time.monotonic() - started < 2
