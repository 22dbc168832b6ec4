"""A real process of events, and those who listen to it, for tests."""

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import requests
from django.conf import settings
from django.db import transaction

from accounts.models import Library, User
from accounts.services import api_keys, tokens
from photos.models import Event, EventKind
from photos.services import events

PATIENCE_SECONDS = 20
# so that nobody waits for long in a test
QUICK = {"EVENTS_HEARTBEAT_SECONDS": "0.5", "EVENTS_CHECK_SECONDS": "1"}


@dataclass(frozen=True, slots=True)
class Heard:
    """One event as it came in; `id` is None where it had none."""

    kind: str
    id: int | None
    said: dict[str, Any]


class Stream:
    """A listener: reads in a thread of its own until the stream ends, and keeps what it heard."""

    def __init__(self, url: str, *, headers: dict[str, str] | None = None, **params: Any) -> None:
        asked = {"params": params, "stream": True, "timeout": PATIENCE_SECONDS}
        self.response = requests.get(url, headers={"Accept": "text/event-stream", **(headers or {})}, **asked)
        self.heard: list[Heard] = []
        self.comments = 0
        self.last_id: int | None = None
        self.retry: int | None = None
        self.has_begun = threading.Event()
        self.has_ended = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        if self.response.status_code == 200:
            self._thread.start()

    @property
    def kinds(self) -> list[str]:
        """The kinds of what was heard, in that order."""
        return [one.kind for one in list(self.heard)]

    def wait_for(self, condition: Callable[["Stream"], bool], *, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until something is so."""
        deadline = time.monotonic() + seconds
        while not condition(self):
            assert time.monotonic() < deadline, str(self.heard)[-2000:]
            time.sleep(0.01)

    def wait_until_open(self) -> "Stream":
        """Wait until it is told what happens from now on."""
        assert self.response.status_code == 200, self.response.text
        assert self.has_begun.wait(PATIENCE_SECONDS)
        return self

    def close(self) -> None:
        """Go away."""
        self.response.close()

    def _read(self) -> None:
        kind, number, data = "", None, []
        try:
            for raw in self.response.iter_lines(chunk_size=None):
                line = raw.decode()
                name, _, value = line.partition(": ")
                if line.startswith(":"):
                    self.comments += 1
                elif name == "id":
                    number = int(value)
                elif name == "event":
                    kind = value
                elif name == "data":
                    data.append(value)
                elif name == "retry":
                    self.retry = int(value)
                elif not line:
                    self.last_id = self.last_id if number is None else number
                    if kind == "listening":
                        self.has_begun.set()
                    elif data:
                        self.heard.append(Heard(kind, number, json.loads("\n".join(data))))
                    kind, number, data = "", None, []
        except (requests.RequestException, AttributeError, ValueError):
            pass  # gone, at either end
        finally:
            self.has_ended.set()


@dataclass
class EventsProcess:
    """A running process of events."""

    url: str
    process: psutil.Process
    log: Path
    streams: list[Stream] = field(default_factory=list)

    def listen(self, headers: dict[str, str] | None = None, **params: Any) -> Stream:
        """Open a stream, whatever is answered."""
        stream = Stream(f"{self.url}/api/v1/events", headers=headers, **params)
        self.streams.append(stream)
        return stream


@contextmanager
def running(environment: dict[str, str], folder: Path, *, port: int | None = None) -> Iterator[EventsProcess]:
    """Run the process until a block ends, and see that it ends by SIGTERM."""
    port = port or free_port()
    log = folder / "events.log"
    with log.open("a") as output:
        command = [sys.executable, "manage.py", "events", "--port", str(port)]
        started = subprocess.Popen(command, cwd=settings.BASE_DIR, env=environment, stdout=output, stderr=output)
    url = f"http://127.0.0.1:{port}"
    events = EventsProcess(url, psutil.Process(started.pid), log)
    try:
        deadline = time.monotonic() + 60
        while not _answers(url):
            assert started.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield events
    finally:
        started.terminate()
        status = started.wait(PATIENCE_SECONDS)
        for stream in events.streams:
            stream.close()
    assert status in (0, -9), log.read_text()


def bearer(user: User) -> dict[str, str]:
    """Give the header of somebody who is logged in."""
    return {"Authorization": f"Bearer {tokens.begin(user=user).access}"}


def key(owner: User, *scopes: str, library: Library | None = None, **values: Any) -> dict[str, str]:
    """Give the header of a program that acts for somebody."""
    made = api_keys.create(owner=owner, name="key", scopes=scopes, library_id=library and library.pk, **values)
    return {"X-API-Key": made.text}


def tell(library: Library, *numbers: object, kind: str = EventKind.LIBRARY_CHANGED) -> None:
    """Have something happen in a library, in one transaction; each is known again by its number."""
    with transaction.atomic():
        told = (Event(kind=kind, library_id=library.pk, payload={"number": number}) for number in numbers)
        events.record(events=told)


def numbers(stream: Stream) -> list[Any]:
    """Give the numbers of what was heard, in that order."""
    return [one.said["number"] for one in list(stream.heard) if "number" in one.said]


def wait_for_number(stream: Stream, number: object) -> None:
    """Wait until something is heard."""
    stream.wait_for(lambda one: number in numbers(one))


def free_port() -> int:
    """Give a port of 127.0.0.1 that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/live", timeout=PATIENCE_SECONDS).status_code == 200
    except requests.ConnectionError:
        return False
