"""What a command says while no database and no Redis runs, and which commands need neither."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import call_command
from pytest_django import Settings

from config import embedded

REPOSITORY = Path(__file__).resolve().parents[2]
NO_DATABASE = "No database is running: start one with `make run`, or set DATABASE_URL"
NO_REDIS = "No Redis is running: start one with `make run`, or set REDIS_URL"


def run(var_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program of Darkroom's as on a machine where nothing was started yet."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in {"DATABASE_URL", "REDIS_URL", "DARKROOM_TEST_DIR", "DJANGO_SETTINGS_MODULE"}
    }
    environment |= {"VAR_DIR": str(var_dir), "DARKROOM_ENV_FILE": ""}
    return subprocess.run(
        [sys.executable, *arguments], cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
    )


def test_a_command_that_needs_the_database_says_so_in_one_line(tmp_path: Path) -> None:
    finished = run(tmp_path, "manage.py", "showmigrations")

    assert finished.returncode == 1
    assert finished.stderr.strip() == NO_DATABASE


@pytest.mark.parametrize("program", [("worker", "-Q", "people,maintenance"), ("beat",)])
def test_a_worker_and_beat_say_what_is_missing_and_end(tmp_path: Path, program: tuple[str, ...]) -> None:
    finished = run(tmp_path, "-m", "celery", "-A", "config", *program)

    assert finished.returncode == 1
    assert finished.stderr.strip().splitlines()[-2:] == [NO_DATABASE, NO_REDIS]
    assert "Traceback" not in finished.stderr


def test_checks_need_no_database(tmp_path: Path) -> None:
    finished = run(tmp_path, "manage.py", "check")

    assert finished.returncode == 0, finished.stderr


def test_the_services_command_starts_shows_and_stops(tmp_path: Path, settings: Settings) -> None:
    settings.VAR_DIR = tmp_path
    settings.EMBEDDED_SERVICES = [embedded.POSTGRES, embedded.REDIS]

    def lines(action: str) -> list[str]:
        said = io.StringIO()
        call_command("services", action, stdout=said)
        return said.getvalue().splitlines()

    try:
        assert lines("status") == ["PostgreSQL: not running", "Redis: not running"]
        assert lines("start") == ["PostgreSQL: started", "Redis: started"]
        assert lines("start") == ["PostgreSQL: was running already", "Redis: was running already"]
        assert lines("status") == [
            "PostgreSQL: running",
            "Redis: running",
            f"Data: {embedded.data_folder(tmp_path)}",
        ]
        # a second terminal attaches by itself
        asked = run(
            tmp_path, "manage.py", "shell", "-v0", "-c",
            "from django.db import connection as c; c.ensure_connection(); print(c.settings_dict['NAME'])",
        )  # fmt: skip
        assert asked.stdout.strip() == "darkroom", asked.stderr
        assert lines("stop") == ["PostgreSQL: stopped", "Redis: stopped"]
        assert lines("stop") == ["PostgreSQL: was not running", "Redis: was not running"]
    finally:
        embedded.remove(tmp_path)


def test_services_that_were_given_are_not_started(tmp_path: Path, settings: Settings) -> None:
    settings.VAR_DIR = tmp_path
    settings.EMBEDDED_SERVICES = []
    said = io.StringIO()

    call_command("services", "start", stdout=said)

    assert said.getvalue().splitlines() == [
        "PostgreSQL: not embedded, an address was given",
        "Redis: not embedded, an address was given",
    ]
    assert list(tmp_path.iterdir()) == []
