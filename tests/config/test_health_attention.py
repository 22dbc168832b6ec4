"""What health says of a Redis that is full, of queues that are deaf, and of stages that are paused."""

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
import redis
from django.conf import settings as project_settings
from django.core.cache import cache
from django.db.models.functions import Now
from django.test import Client
from pytest_django import Settings

from config.health import checks, views
from photos.models import ObjectSweep
from processing import presence, sweeps
from processing.models import Canary, StagePause
from processing.stages import registry

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("photo_store")]


@pytest.fixture(autouse=True)
def fresh_checks() -> Iterator[None]:
    """Findings and metrics of one test are not told in another."""
    cache.clear()
    checks.shared_checks.cache_clear()
    views._ledger_registry.cache_clear()
    yield
    checks.shared_checks.cache_clear()
    views._ledger_registry.cache_clear()


@pytest.fixture
def insider(settings: Settings) -> Client:
    """A client with the internal token."""
    return Client(headers={"X-Internal-Token": settings.INTERNAL_TOKEN})


@pytest.fixture(autouse=True)
def workers() -> None:
    """A worker of every queue, an hour old, and a sweep a moment ago."""
    facts = presence.WorkerFacts(
        queues=list(project_settings.QUEUES),
        versions={stage.name: stage.planned_versions() for stage in registry.all_stages()},
        processes=2,
        device="cpu",
        metrics_port=None,
        memory_bytes=1,
    )
    presence.write(name="w@here", facts=facts)
    presence.WorkerPresence.objects.update(started_at=ago(3600))
    sweeps.note_sweep()


@pytest.fixture
def full_redis() -> Iterator[redis.Redis]:
    """The real Redis, with less memory than it uses, and nothing that it may forget."""
    client = redis.Redis.from_url(project_settings.CELERY_BROKER_URL)
    assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    client.config_set("maxmemory", "100kb")
    yield client
    client.config_set("maxmemory", "0")
    client.close()


def ago(seconds: float) -> object:
    return Now() - timedelta(seconds=seconds)


def gauges(client: Client, name: str) -> dict[str, float]:
    """The samples of one gauge by their labels."""
    found = re.findall(rf"^{name}(?:\{{(.*)\}})? (\S+)$", client.get("/metrics").text, re.MULTILINE)
    return {labels: float(value) for labels, value in found}


def test_a_redis_with_room_takes_messages(insider: Client) -> None:
    found = insider.get("/health").json()["components"]["redis"]
    assert (found["status"], found["takes_messages"], found["reasons"]) == ("ok", True, [])
    assert gauges(insider, "darkroom_broker_writable") == {"": 1}


def test_a_redis_that_is_full_answers_and_is_said_to_be_full(full_redis: redis.Redis, insider: Client) -> None:
    response = insider.get("/health")
    found = response.json()["components"]["redis"]
    # it serves: uploads go on
    assert (response.status_code, found["status"], found["takes_messages"]) == (200, "degraded", False)
    assert found["reasons"] == [
        "Redis answers and takes no messages: it is full (maxmemory, noeviction). Uploads go on; work waits"
    ]
    assert gauges(insider, "darkroom_broker_writable") == {"": 0}
    assert insider.get("/ready").status_code == 200

    full_redis.config_set("maxmemory", "0")
    checks.shared_checks.cache_clear()
    views._ledger_registry.cache_clear()
    assert insider.get("/health").json()["components"]["redis"]["status"] == "ok"
    assert gauges(insider, "darkroom_broker_writable") == {"": 1}


def test_a_redis_that_is_gone_takes_no_messages(insider: Client, settings: Settings, closed_port: int) -> None:
    settings.CELERY_BROKER_URL = f"redis://127.0.0.1:{closed_port}/0"
    assert gauges(insider, "darkroom_broker_writable") == {"": 0}


def test_a_queue_that_is_deaf_is_said(insider: Client) -> None:
    Canary.objects.create(queue="ingest", rung_at=ago(362))
    Canary.objects.create(queue="faces", rung_at=ago(100))
    Canary.objects.create(queue="people", rung_at=ago(900), moved_at=ago(899))
    response = insider.get("/health")
    pipeline = response.json()["components"]["pipeline"]
    assert (response.status_code, pipeline["status"]) == (200, "degraded")
    assert pipeline["reasons"] == [
        "the workers of the queue ingest are there and take no messages: one sent 6 minutes ago was not answered"
    ]
    assert {queue: round(seconds, -1) for queue, seconds in pipeline["canary_seconds"].items()} == {
        "ingest": 360,
        "faces": 100,
        "people": 0,
    }
    assert gauges(insider, "darkroom_queue_deaf") == {'queue="ingest"': 1, 'queue="faces"': 0, 'queue="people"': 0}
    ages = gauges(insider, "darkroom_canary_seconds")
    assert {queue: round(age, -1) for queue, age in ages.items()} == {
        'queue="ingest"': 360,
        'queue="faces"': 100,
        'queue="people"': 0,
    }


def test_what_is_paused_is_said(insider: Client) -> None:
    StagePause.objects.create(work="exif", paused_at=ago(600), reason="the disk is being changed")
    StagePause.objects.create(work="people", paused_at=ago(300))
    circuit = {"error_code": "storage_unavailable", "probe_at": ago(-40), "probes": 2, "reason": "by itself"}
    StagePause.objects.create(work="renditions", paused_at=ago(240), **circuit)
    pipeline = insider.get("/health").json()["components"]["pipeline"]
    assert pipeline["status"] == "degraded"
    *by_hand, by_itself = pipeline["reasons"]
    assert by_hand == [
        "exif was paused 10 minutes ago: the disk is being changed",
        "people was paused 5 minutes ago",
    ]
    expected = r"renditions paused itself 4 minutes ago: storage_unavailable; it tries again in (40|3\d) s"
    assert re.fullmatch(expected, by_itself)
    said = pipeline["paused"]["renditions"]
    assert (said["error_code"], said["tries"], round(said["tries_in_seconds"], -1)) == ("storage_unavailable", 2, 40)
    assert pipeline["paused"]["exif"]["tries_in_seconds"] is None
    paused = gauges(insider, "darkroom_paused_seconds")
    assert {labels: round(age, -1) for labels, age in paused.items()} == {
        'by="person",stage="exif"': 600,
        'by="person",stage="people"': 300,
        'by="circuit",stage="renditions"': 240,
    }


def test_sweeps_of_objects_that_are_due_are_counted(insider: Client) -> None:
    assert gauges(insider, "darkroom_due_object_sweeps") == {"": 0}
    assert gauges(insider, "darkroom_oldest_object_sweep_seconds") == {"": 0}
    for number, due in enumerate((700, 20, -60)):
        ObjectSweep.objects.create(
            alias="renditions", prefix=f"{number}/", reason="purged", due_at=ago(due), final_at=ago(-3600)
        )
    views._ledger_registry.cache_clear()
    assert gauges(insider, "darkroom_due_object_sweeps") == {"": 2}
    assert round(gauges(insider, "darkroom_oldest_object_sweep_seconds")[""], -1) == 700
    # one that is put off again and again is due in a moment, always: two hours are the longest that one may last
    ObjectSweep.objects.all().delete()
    ObjectSweep.objects.create(
        alias="renditions", prefix="a/", reason="purged", created_at=ago(3 * 3600), due_at=ago(-9), final_at=ago(-9)
    )
    views._ledger_registry.cache_clear()
    assert gauges(insider, "darkroom_due_object_sweeps") == {"": 0}
    assert round(gauges(insider, "darkroom_oldest_object_sweep_seconds")[""], -1) == 3600
