"""What a plain `celery -A config worker -Q ...` becomes: its pool, its processes, its name."""

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psutil
import pytest
from celery import Celery
from pytest_django import Settings

from config.celery import app, processes_for, served_queues

REPOSITORY = Path(__file__).resolve().parents[2]
CELERY = [sys.executable, "-m", "celery", "-A", "config"]
# a broker database of its own: these workers must not take other tests' messages
BROKER_DATABASE = 9


@pytest.mark.parametrize(
    ("options", "queues"),
    [
        ({"queues": ["ingest"]}, {"ingest"}),
        ({"queues": ["faces", "embeddings"]}, {"faces", "embeddings"}),
        ({"queues": None}, {"ingest", "faces", "embeddings", "people", "maintenance"}),
        ({"queues": None, "exclude_queues": ["faces", "embeddings"]}, {"ingest", "people", "maintenance"}),
    ],
)
def test_the_queues_served_come_from_the_command_line(options: dict, queues: set[str]) -> None:
    assert served_queues(options) == queues


def test_a_mistyped_queue_ends_the_worker() -> None:
    with pytest.raises(SystemExit, match="There is no queue facess: name some of ingest, faces, "):
        served_queues({"queues": ["ingest", "facess"]})


@pytest.mark.parametrize(
    ("queues", "processes"),
    [
        ({"ingest"}, 5),
        ({"faces"}, 2),
        ({"faces", "embeddings"}, 2),
        ({"people", "maintenance"}, 3),
        ({"ingest", "faces", "embeddings", "people", "maintenance"}, 10),
    ],
)
def test_the_settings_give_the_processes_of_a_queue(settings: Settings, queues: set[str], processes: int) -> None:
    settings.INGEST_WORKERS, settings.FACES_WORKERS, settings.PEOPLE_WORKERS = 5, 2, 3

    assert processes_for(frozenset(queues)) == processes


@pytest.fixture
def environment(settings: Settings) -> dict[str, str]:
    address = urlsplit(settings.CELERY_BROKER_URL)
    own = urlunsplit((address.scheme, address.netloc, f"/{BROKER_DATABASE}", "", ""))
    given = {"REDIS_URL": own, "FACES_WORKERS": "1", "PYTHONWARNINGS": "default"}
    return os.environ | {"DJANGO_SETTINGS_MODULE": "config.settings.test"} | given


@contextlib.contextmanager
def worker(environment: dict[str, str], *arguments: str) -> Iterator[tuple[psutil.Process, str, Celery]]:
    """Run a worker until the block ends; gives its process, its node name and an app that can ask it."""
    log = Path(environment["VAR_DIR"]) / "worker.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [*CELERY, "worker", *arguments], cwd=REPOSITORY, env=environment, stdout=output, stderr=output
        )
    asking = Celery(broker=environment["REDIS_URL"])
    try:
        deadline = time.monotonic() + 60
        while not (answers := asking.control.ping(timeout=0.5)):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline
        (answer,) = answers
        yield psutil.Process(process.pid), next(iter(answer)), asking
    finally:
        asking.close()
        process.terminate()
        status = process.wait(60)
    assert status == 0, log.read_text()


def pool_children(process: psutil.Process) -> list[list[str]]:
    """The command lines of a worker's pool processes."""
    lines = [child.cmdline() for child in process.children()]
    return [line for line in lines if "semaphore_tracker" not in " ".join(line)]


def test_workers_of_models_spawn_their_processes_and_wait_for_them(environment: dict[str, str]) -> None:
    with worker(environment, "-Q", "faces,embeddings") as (process, name, asking):
        children = pool_children(process)
        conf = asking.control.inspect([name], timeout=5).conf()[name]

        assert re.match(rf"embeddings-faces\.{process.pid}-[0-9a-f]{{4}}@", name)
        assert len(children) == 1
        assert "from billiard.spawn import spawn_main" in " ".join(children[0])
        assert conf["worker_pool_start_method"] == "spawn"
        assert conf["worker_proc_alive_timeout"] == 120


def test_workers_of_pixels_fork_their_processes_and_keep_what_they_were_told(environment: dict[str, str]) -> None:
    with worker(environment, "-Q", "ingest", "-c", "3", "-n", "mine@here") as (process, name, asking):
        conf = asking.control.inspect([name], timeout=5).conf()[name]

        assert name == "mine@here"
        assert pool_children(process) == [process.cmdline()] * 3
        assert "worker_pool_start_method" not in conf  # Celery's default is fork


def test_a_message_outlives_no_limit_twice() -> None:
    """The broker gives a message out again only after every task that could hold it has been stopped."""
    longest = max(task.time_limit or app.conf.task_time_limit for task in app.tasks.values())

    assert app.conf.broker_transport_options["visibility_timeout"] > longest
    assert app.conf.task_acks_late is True
    assert app.conf.worker_prefetch_multiplier == 1
    assert app.conf.result_backend is None
    assert app.conf.accept_content == ["json"]
