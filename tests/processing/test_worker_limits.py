"""Strangers' files are decoded by limited processes or not at all."""

import os
import subprocess
import sys
import textwrap

import pytest
from celery.concurrency.prefork import TaskPool
from django.conf import settings

from processing.models import WorkerPresence
from processing.worker_limits import require_limits


@pytest.mark.parametrize("pool", ["prefork", "processes", TaskPool])
def test_processes_may_decode(pool: str | type) -> None:
    require_limits(frozenset({"ingest"}), pool=pool)
    require_limits(frozenset({"ingest", "people", "maintenance"}), pool=pool)


@pytest.mark.parametrize("queues", [{"faces", "embeddings"}, {"people", "maintenance"}])
def test_workers_that_decode_nothing_are_free(queues: set[str]) -> None:
    for pool in ("prefork", "solo", "threads"):
        require_limits(frozenset(queues), pool=pool)


@pytest.mark.parametrize(
    ("queues", "pool", "words"),
    [
        ({"ingest", "faces"}, "prefork", "may not serve ingest and models.*worker -Q ingest`.*worker -X ingest`"),
        ({"ingest", "embeddings", "people"}, "prefork", "may not serve ingest and models"),
        ({"ingest"}, "solo", "with `-P prefork`"),
        ({"ingest", "people"}, "threads", "with `-P prefork`"),
    ],
)
def test_without_limits_nothing_is_decoded(queues: set[str], pool: str, words: str) -> None:
    with pytest.raises(SystemExit, match=words):
        require_limits(frozenset(queues), pool=pool)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("arguments", "words"),
    [((), "One worker may not serve ingest and models"), (("-Q", "ingest", "-P", "solo"), "Only processes can be")],
)
def test_such_a_worker_does_not_start(
    process_environment: dict[str, str], arguments: tuple[str, ...], words: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "celery", "-A", "config", "worker", *arguments],
        cwd=settings.BASE_DIR,
        env=process_environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert words in done.stderr
    assert WorkerPresence.objects.count() == 0


def test_a_process_that_cannot_be_limited_ends() -> None:
    """Celery logs what a receiver of its signal raises, and would give the process work all the same."""
    program = """
        import django
        django.setup()
        from celery import signals
        from config.celery import app
        from processing.engines.imaging import limits

        def refuse(**_):
            raise OSError("the limit cannot be set")

        limits.apply_limits = refuse
        app.conf.darkroom_queues = ["people"]
        signals.worker_process_init.send(sender="w@here")
        print("no limits are needed", flush=True)
        app.conf.darkroom_queues = ["ingest"]
        signals.worker_process_init.send(sender="w@here")
        print("works without limits")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        cwd=settings.BASE_DIR,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "config.settings.test"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("no limits are needed\n", 1), done.stderr
    assert "the limit cannot be set" in done.stderr
