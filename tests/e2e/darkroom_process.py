"""A whole Darkroom: `manage.py run` in a process of its own, with its own database, Redis, server and workers."""

import os
import re
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg2
from django.conf import settings

from config import embedded

START_TIMEOUT_SECONDS = 600
STOP_TIMEOUT_SECONDS = 90
PASSWORD = "a long enough password"


@dataclass
class Installation:
    """A running Darkroom, its address, its output so far and its database."""

    process: subprocess.Popen[str]
    url: str
    events_url: str
    var_dir: Path
    output: Path

    @property
    def printed(self) -> str:
        """What `manage.py run` has printed."""
        return self.output.read_text()

    def query(self, sql: str, *values: object) -> list[tuple]:
        """Ask its database, not its log."""
        connection = psycopg2.connect(embedded.running(self.var_dir).database_url)
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(sql, values)
                return cursor.fetchall()
        finally:
            connection.close()

    def descendants(self) -> list[psutil.Process]:
        """Every process that it started, the servers too."""
        return psutil.Process(self.process.pid).children(recursive=True)


def start(*, var_dir: Path, photos: Path | None) -> Installation:
    """Start it and wait until it serves."""
    with socket.create_server(("127.0.0.1", 0)) as free, socket.create_server(("127.0.0.1", 0)) as another:
        port, events_port = free.getsockname()[1], another.getsockname()[1]
    # services, settings and folders of the tests are not for it: it brings its own
    inherited = {
        name: value for name, value in os.environ.items() if not re.match("DATABASE_|REDIS_|DARKROOM_|DJANGO_", name)
    }
    environment = inherited | {
        "VAR_DIR": str(var_dir),
        "MODELS_DIR": str(settings.MODELS_DIR),
        "PORT": str(port),
        "EVENTS_PORT": str(events_port),
        "PHOTOS": str(photos or ""),
        "DARKROOM_ADMIN_EMAIL": "Admin@Example.com",
        "DARKROOM_ADMIN_PASSWORD": PASSWORD,
        "DARKROOM_ENV_FILE": "",
    }
    output = var_dir.parent / "output"
    with output.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "run"],
            cwd=settings.BASE_DIR,
            env=environment,
            stdout=file,
            stderr=file,
            text=True,
        )
    url, events_url = (f"http://127.0.0.1:{one}" for one in (port, events_port))
    installation = Installation(process, url, events_url, var_dir, output)
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while "Serving." not in installation.printed:
        assert process.poll() is None, installation.printed
        assert time.monotonic() < deadline, installation.printed
        time.sleep(0.5)
    return installation
