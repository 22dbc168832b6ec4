"""What probes and operators are told, with every dependency well, gone, or silent."""

import re
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import factories
import pytest
from django.core.cache import cache
from django.db import connections
from django.db.models.functions import Now
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

from config.health import checks
from processing import presence, sweeps
from processing.models import ModelSelection, RunState, StageRun, Sweep, WorkerPresence
from processing.models.ledger import Lane
from processing.stages import registry

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("photo_store")]

QUEUES = ["embeddings", "faces", "ingest", "maintenance", "people"]


@pytest.fixture(autouse=True)
def fresh_checks() -> Iterator[None]:
    """Findings of one test are not told in another; nor is a sweep remembered."""
    cache.clear()
    checks.shared_checks.cache_clear()
    yield
    checks.shared_checks.cache_clear()


@pytest.fixture
def insider(settings: Settings) -> Client:
    """A client with the internal token."""
    return Client(headers={"X-Internal-Token": settings.INTERNAL_TOKEN})


@pytest.fixture
def database_port() -> Iterator[dict[str, object]]:
    """The settings of new connections to the database; its port is put back at the end."""
    database = connections.settings["default"]
    port = database["PORT"]
    yield database
    database["PORT"] = port


@pytest.fixture
def all_is_well() -> None:
    """A worker of every queue that knows every planned version, and a sweep a moment ago."""
    write_worker()
    sweeps.note_sweep()


def write_worker(*, queues: list[str] = QUEUES, versions: dict[str, list[str]] | None = None) -> None:
    planned = {stage.name: stage.planned_versions() for stage in registry.all_stages()}
    facts = presence.WorkerFacts(
        queues=queues,
        versions=planned if versions is None else versions,
        processes=2,
        device="cpu",
        metrics_port=9180,
        memory_bytes=5_000_000,
    )
    presence.write(name="w@here", facts=facts)


def make_run(stage: str, **values: object) -> StageRun:
    photo = factories.make_photo(factories.make_library())
    version = registry.get(stage).base_version
    pending = {"state": RunState.PENDING, "queued_at": Now(), "version": version}
    return StageRun.objects.create(photo=photo, stage=stage, **{**pending, **values})


def test_live_asks_nobody(
    client: Client, django_assert_num_queries: DjangoAssertNumQueries, settings: Settings
) -> None:
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"
    with django_assert_num_queries(0):
        response = client.get("/live")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})
    assert response["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/live", "/ready", "/health", "/health/db", "/health/ai", "/metrics"])
def test_only_reading_is_allowed(client: Client, path: str) -> None:
    assert client.post(path).status_code == 405


def test_ready_when_everything_answers(client: Client, insider: Client) -> None:
    response = client.get("/ready")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})
    components = insider.get("/ready").json()["components"]
    assert {name: found["status"] for name, found in components.items()} == {
        "database": "ok",
        "storage": "ok",
    }


def test_not_ready_without_the_database(insider: Client, database_port: dict[str, object], closed_port: int) -> None:
    database_port["PORT"] = closed_port
    response = insider.get("/ready")
    assert (response.status_code, response.json()["status"]) == (503, "failing")
    components = response.json()["components"]
    assert [name for name, found in components.items() if found["status"] != "ok"] == ["database"]
    (reason,) = components["database"]["reasons"]
    assert reason.startswith("OperationalError: connection to server at")


def test_ready_without_redis_for_uploads_go_on(insider: Client, settings: Settings, closed_port: int) -> None:
    settings.CELERY_BROKER_URL = f"redis://127.0.0.1:{closed_port}/0"
    response = insider.get("/ready")
    assert response.status_code == 200
    assert sorted(response.json()["components"]) == ["database", "storage"]
    assert insider.get("/health").json()["components"]["redis"]["status"] == "failing"


def test_not_ready_without_a_store(insider: Client, client: Client, photo_store: Path) -> None:
    photo_store.mkdir(exist_ok=True)
    (photo_store / "renditions").write_bytes(b"no folder")
    response = insider.get("/ready")
    assert response.status_code == 503
    storage = response.json()["components"]["storage"]
    assert storage["originals"]["reachable"] is True
    assert storage["renditions"] == {"reachable": False}
    assert [reason.partition(":")[0] for reason in storage["reasons"]] == ["renditions"]
    assert client.get("/ready").json() == {"status": "failing"}


@pytest.mark.parametrize("path", ["/ready", "/health", "/health/db"])
def test_a_silent_database_holds_nobody_up(
    insider: Client, database_port: dict[str, object], silent_port: int, path: str
) -> None:
    database_port["PORT"] = silent_port
    started = time.monotonic()
    response = insider.get(path)
    assert time.monotonic() - started < checks.CHECK_SECONDS + 1
    assert response.status_code == 503
    assert "timeout expired" in response.json()["components"]["database"]["reasons"][0]


def test_a_silent_redis_holds_nobody_up(insider: Client, settings: Settings, silent_port: int) -> None:
    settings.CELERY_BROKER_URL = f"redis://127.0.0.1:{silent_port}/0"
    started = time.monotonic()
    response = insider.get("/health")
    assert time.monotonic() - started < checks.CHECK_SECONDS + 1
    assert response.status_code == 503
    assert response.json()["components"]["redis"]["reasons"] == ["TimeoutError: Timeout reading from socket"]


@pytest.mark.usefixtures("all_is_well")
def test_health_when_all_is_well(insider: Client, photo_store: Path) -> None:
    response = insider.get("/health")

    said = response.json()
    assert response.status_code == 200
    assert {name: found["reasons"] for name, found in said["components"].items()} == {
        name: [] for name in ("database", "redis", "storage", "workers", "pipeline", "models", "process")
    }
    assert said["status"] == "ok"
    database = said["components"]["database"]
    assert database["version"].startswith("18.")
    assert 1 <= database["connections"]["of_this_database"] <= database["connections"]["in_use"]
    assert database["connections"]["in_use"] < database["connections"]["max"]
    redis = said["components"]["redis"]
    assert redis["memory"]["used_bytes"] > 100_000
    assert sorted(redis["messages"]) == QUEUES
    storage = said["components"]["storage"]
    assert storage["originals"]["kind"] == "disk"
    assert storage["originals"]["location"] == str(photo_store / "originals")
    assert 0 < storage["originals"]["free_bytes"] < storage["originals"]["total_bytes"]
    workers = said["components"]["workers"]
    assert workers["queues"] == {queue: {"workers": 1, "processes": 2} for queue in QUEUES}
    (worker,) = workers["workers"]
    assert (worker["name"], worker["device"], worker["memory_bytes"]) == ("w@here", "cpu", 5_000_000)
    assert said["components"]["pipeline"]["dead"] == 0
    assert said["components"]["pipeline"]["last_sweep_seconds_ago"] < 30
    process = said["components"]["process"]
    assert process["memory_bytes"] > 20_000_000
    assert 3 <= process["open_files"]["in_use"] < process["open_files"]["max"]


def test_health_without_workers_and_sweeps_needs_a_look(insider: Client) -> None:
    make_run("exif", queued_at=Now() - timedelta(minutes=40))
    make_run("exif", queued_at=Now() - timedelta(minutes=90), lane=Lane.BACKFILL)
    make_run("exif", state=RunState.DEAD, error_code="damaged", finished_at=Now(), queued_at=None)

    response = insider.get("/health")

    components = response.json()["components"]
    assert (response.status_code, response.json()["status"]) == (200, "degraded")
    assert sorted(components["workers"]["reasons"]) == [f"no worker serves the queue {queue}" for queue in QUEUES]
    pipeline = components["pipeline"]
    assert pipeline["reasons"] == [
        "exif waits: no_worker",
        "exif of an upload has been pending for 40 minutes",
        "no sweep of the reconciler is known: is beat running, and a worker of `maintenance`?",
    ]
    assert (pipeline["dead"], pipeline["obstacles"]) == (1, {"exif": "no_worker"})
    assert 5400 <= pipeline["oldest_pending_seconds"].pop("exif") < 5430
    assert set(pipeline["oldest_pending_seconds"].values()) == {None}


@pytest.mark.usefixtures("all_is_well")
def test_a_sweep_long_ago_needs_a_look(insider: Client, settings: Settings) -> None:
    Sweep.objects.update(ended_at=Now() - timedelta(seconds=4 * settings.LEDGER_SWEEP_SECONDS + 1))
    pipeline = insider.get("/health").json()["components"]["pipeline"]
    assert pipeline["status"] == "degraded"
    assert re.fullmatch(r"the reconciler has not swept for 12\d s: is beat running\?", pipeline["reasons"][0])


def test_models_that_no_worker_has_are_named(insider: Client) -> None:
    for model, task, in_use in (
        ("mtcnn", "face_detection", True),
        ("dlib-resnet-v1", "face_embedding", True),
        ("facenet-vggface2", "face_embedding", False),
    ):
        ModelSelection.objects.create(model=model, task=task, in_use=in_use, weights_hash=model[0] * 64)
    version = registry.get("face_embedding").version_with("dlib-resnet-v1", "d" * 64)
    write_worker(queues=["embeddings"], versions={"face_embedding": [version]})

    response = insider.get("/health/ai")

    assert (response.status_code, response.json()["status"]) == (200, "degraded")
    models = response.json()["components"]["models"]
    found = {one["name"]: (one["selected"], one["in_use"], one["workers"], one["reason"]) for one in models["models"]}
    # of the others nobody has said anything
    others = [found.pop(name) for name in [*found] if name.startswith(("clip", "mobileclip", "facenet-casia"))]
    assert others == [(False, False, [], "")] * len(others)
    assert found == {
        "mtcnn": (True, True, [], "no_worker"),
        "dlib-resnet-v1": (True, True, ["w@here"], ""),
        "facenet-vggface2": (True, False, [], "model_not_installed"),
    }
    assert models["reasons"] == [
        "mtcnn is selected, and nobody serves its queue: no_worker",
        "facenet-vggface2 is selected, and no live worker has it: model_not_installed",
    ]


def test_a_worker_that_went_silent_is_not_there(insider: Client) -> None:
    write_worker()
    WorkerPresence.objects.update(seen_at=Now() - timedelta(seconds=50))
    assert insider.get("/health").json()["components"]["workers"]["workers"] == []


def test_health_of_the_database_alone(insider: Client, client: Client) -> None:
    assert list(insider.get("/health/db").json()["components"]) == ["database"]
    assert client.get("/health/db").json() == {"status": "ok"}


@pytest.mark.usefixtures("all_is_well")
def test_the_api_says_the_same(insider: Client, client: Client) -> None:
    said = insider.get("/api/v1/health")
    assert (said.status_code, said["Content-Type"]) == (200, "application/json")
    assert said["Cache-Control"] == "no-store"
    assert list(said.json()["components"]) == list(insider.get("/health").json()["components"])
    assert client.get("/api/v1/health").json() == {"status": "ok"}


def test_the_api_fails_with_the_database(client: Client, database_port: dict[str, object], closed_port: int) -> None:
    database_port["PORT"] = closed_port
    response = client.get("/api/v1/health")
    assert (response.status_code, response.json()) == (503, {"status": "failing"})
