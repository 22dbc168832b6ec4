"""Where `make run` listens, and what it says if it cannot."""

import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from django.conf import settings

from config.running.processes import CannotListenError, answers, require_free_port

SHOW = "from config.settings import running; print(running.RUN_HOST)"


def test_a_port_where_nobody_listens_will_do(closed_port: int) -> None:
    with pytest.raises(CannotListenError):
        require_free_port("127.0.0.1", closed_port)
    require_free_port("127.0.0.2", closed_port)


def test_a_port_in_use_is_said_to_be(silent_port: int) -> None:
    with pytest.raises(CannotListenError) as raised:
        require_free_port("127.0.0.1", silent_port)
    assert str(raised.value) == f"Port {silent_port} is in use: stop what listens there, or set PORT."


def test_a_server_answers_once_it_says_something(closed_port: int, silent_port: int) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        said = answers("127.0.0.1", server.server_port)
        server.shutdown()
        thread.join()

    assert said
    assert not answers("127.0.0.1", closed_port)
    assert not answers("127.0.0.1", silent_port, within=0.1)


def test_another_trouble_is_said_as_it_is() -> None:
    # kept for documentation: no host has this address
    with pytest.raises(CannotListenError) as raised:
        require_free_port("192.0.2.1", 8000)
    said = "Nothing can listen on port 8000 of 192.0.2.1: Cannot assign requested address. Set PORT, or DARKROOM_HOST."
    assert str(raised.value) == said
    with pytest.raises(CannotListenError, match="Nothing can listen on port 8000 of ::1: "):
        require_free_port("::1", 8000)


def test_the_name_of_the_machine_that_a_shell_exports_is_not_obeyed() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "DARKROOM_HOST"}

    def host(**more: str) -> str:
        command = [sys.executable, "-c", SHOW]
        folder = Path(settings.BASE_DIR)
        done = subprocess.run(
            command, cwd=folder, env={**environment, **more}, capture_output=True, text=True, check=True, timeout=60
        )
        return done.stdout.strip()

    assert host(HOST="build-7.example.org") == "127.0.0.1"
    assert host(HOST="build-7.example.org", DARKROOM_HOST="0.0.0.0") == "0.0.0.0"
