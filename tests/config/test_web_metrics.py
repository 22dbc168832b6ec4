"""What /metrics says of the web processes and of the ledger, and to whom."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import factories
import pytest
import requests
from django.conf import settings
from django.core.cache import cache
from django.db import connections
from django.db.models.functions import Now
from django.test import Client

from config.health import views
from processing import presence, sweeps
from processing.models import LibraryRun, RunState, StageRun
from processing.models.ledger import Lane

TOKEN = {"X-Internal-Token": settings.INTERNAL_TOKEN}


@pytest.fixture
def insider() -> Iterator[Client]:
    """A client with the internal token; the ledger is read anew."""
    views._ledger_registry.cache_clear()
    cache.clear()
    yield Client(headers=TOKEN)
    views._ledger_registry.cache_clear()


def gauges(client: Client) -> dict[str, float]:
    """The ledger's gauges by name and labels."""
    response = client.get("/metrics")
    assert response.status_code == 200
    lines = [line.rpartition(" ") for line in response.text.splitlines() if line.startswith("darkroom_")]
    return {name: float(value) for name, _, value in lines}


@pytest.mark.django_db
def test_strangers_are_refused() -> None:
    user = Client()
    user.force_login(factories.make_user())
    for client in (Client(), user, Client(headers={"X-Internal-Token": "nonsense"})):
        response = client.get("/metrics")
        assert (response.status_code, response.json()["code"]) == (403, "not_permitted")
        assert "darkroom" not in response.text


@pytest.mark.django_db
def test_staff_and_prometheus_are_served() -> None:
    staff = Client()
    staff.force_login(factories.make_user(is_staff=True))
    for client in (staff, Client(headers={"Authorization": f"Bearer {settings.INTERNAL_TOKEN}"})):
        response = client.get("/metrics")
        assert response.status_code == 200
        assert response["Content-Type"].startswith("text/plain; version=")
        assert "# TYPE django_http_requests_total_by_method_total counter" in response.text
        assert "# TYPE darkroom_upload_seconds histogram" in response.text
        assert "# TYPE darkroom_storage_seconds histogram" in response.text


@pytest.mark.django_db
def test_the_ledger_is_counted(insider: Client) -> None:
    library = factories.make_library()
    photos = [factories.make_photo(library) for _ in range(3)]
    pending = {"state": RunState.PENDING, "queued_at": Now(), "version": "1"}
    StageRun.objects.create(photo=photos[0], stage="exif", **pending)
    StageRun.objects.create(
        photo=photos[1], stage="exif", **{**pending, "queued_at": "2026-01-01T00:00Z"}, lane=Lane.IMPORT
    )
    StageRun.objects.create(photo=photos[2], stage="exif", state=RunState.DONE, version="1", finished_at=Now())
    StageRun.objects.create(photo=photos[0], stage="face_detection", state=RunState.WAITING, version="1")
    dead = {"state": RunState.DEAD, "error_code": "damaged", "finished_at": Now(), "version": "1"}
    StageRun.objects.create(photo=photos[1], stage="renditions", **dead)
    LibraryRun.objects.create(library=library, kind="people", **pending)
    facts = presence.WorkerFacts(
        ["faces", "embeddings"], {}, processes=3, device="cpu", metrics_port=None, memory_bytes=1
    )
    presence.write(name="w@here", facts=facts)
    sweeps.note_sweep()

    found = gauges(insider)

    runs = {name: value for name, value in found.items() if name.startswith("darkroom_unfinished_runs") and value}
    assert runs == {
        'darkroom_unfinished_runs{stage="exif",state="pending"}': 2,
        'darkroom_unfinished_runs{stage="face_detection",state="waiting"}': 1,
        'darkroom_unfinished_runs{stage="renditions",state="dead"}': 1,
        'darkroom_unfinished_runs{stage="people",state="pending"}': 1,
    }
    assert found['darkroom_unfinished_runs{stage="face_embedding",state="running"}'] == 0
    waiting = {name: value for name, value in found.items() if name.startswith("darkroom_queue_pending_runs")}
    assert waiting == {
        'darkroom_queue_pending_runs{queue="ingest"}': 2,
        'darkroom_queue_pending_runs{queue="faces"}': 0,
        'darkroom_queue_pending_runs{queue="embeddings"}': 0,
        'darkroom_queue_pending_runs{queue="people"}': 1,
        'darkroom_queue_pending_runs{queue="maintenance"}': 0,
    }
    assert found['darkroom_oldest_pending_seconds{stage="exif"}'] > 86400
    assert 0 <= found['darkroom_oldest_pending_seconds{stage="people"}'] < 60
    assert found['darkroom_oldest_pending_seconds{stage="renditions"}'] == 0
    assert found['darkroom_workers{queue="faces"}'] == 1
    assert found['darkroom_queue_processes{queue="embeddings"}'] == 3
    assert found['darkroom_workers{queue="ingest"}'] == 0
    assert 0 <= found['darkroom_worker_silent_seconds{worker="w@here"}'] < 60
    assert 0 <= found["darkroom_sweep_seconds_ago"] < 60
    assert found["darkroom_ledger_up"] == 1


@pytest.mark.django_db
def test_the_ledger_is_read_once_for_scrapes_that_follow_each_other(insider: Client) -> None:
    before = gauges(insider)['darkroom_unfinished_runs{stage="exif",state="pending"}']
    photo = factories.make_photo(factories.make_library())
    StageRun.objects.create(photo=photo, stage="exif", state=RunState.PENDING, queued_at=Now(), version="1")
    assert before == 0
    assert gauges(insider)['darkroom_unfinished_runs{stage="exif",state="pending"}'] == 0
    views._ledger_registry.cache_clear()
    assert gauges(insider)['darkroom_unfinished_runs{stage="exif",state="pending"}'] == 1


@pytest.mark.django_db(transaction=True)
def test_without_a_database_the_rest_is_served(insider: Client, closed_port: int) -> None:
    database = connections.settings["default"]
    port = database["PORT"]
    connections["default"].close()
    database["PORT"] = closed_port
    try:
        response = insider.get("/metrics")
    finally:
        database["PORT"] = port
    assert response.status_code == 200
    assert "darkroom_ledger_up 0.0" in response.text
    assert "darkroom_unfinished_runs" not in response.text
    assert "# TYPE django_http_requests_total_by_method_total counter" in response.text


@pytest.fixture
def server(tmp_path: Path, process_environment: dict[str, str]) -> Iterator[tuple[str, Path]]:
    """The address and the log of a real web server with two processes."""
    log = tmp_path / "web.log"
    command = [sys.executable, "-m", "gunicorn", "-c", "python:config.gunicorn", "config.wsgi", "--workers", "2"]
    environment = process_environment | {"LOG_FORMAT": "json"}
    with log.open("w") as output:
        process = subprocess.Popen(
            [*command, "--bind", "127.0.0.1:0"], cwd=settings.BASE_DIR, env=environment, stdout=output, stderr=output
        )
    try:
        yield address_in(log, process), log
    finally:
        process.terminate()
        assert process.wait(30) == 0, log.read_text()


def address_in(log: Path, process: subprocess.Popen) -> str:
    """Wait for the line that says where the server listens."""
    deadline = time.monotonic() + 60
    while not (found := re.search(r"Listening at: (http://[\d.:]+)", log.read_text())):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)
    return found[1]


def test_the_processes_of_a_server_count_together_and_write_json(server: tuple[str, Path]) -> None:
    url, log = server
    processes: set[int] = set()
    asked = 0
    while len(processes) < 2:
        assert asked < 200
        asked += 1
        # a connection each, which either of them may take
        answer = requests.get(f"{url}/health", headers=TOKEN, timeout=30).json()
        processes.add(answer["components"]["process"]["pid"])

    text = requests.get(f"{url}/metrics", headers=TOKEN, timeout=30).text

    responses = 'django_http_responses_total_by_status_view_method_total{method="GET",status="200",view="health"}'
    assert f"{responses} {asked}.0" in text
    assert "darkroom_ledger_up" in text
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert {line["logger"] for line in lines} >= {"gunicorn.error"}
