"""A real nginx in front of the web server and of the process of events: one address for both."""

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import event_streams
import factories
import nginx_server
import pytest
import requests
from browser import browser
from django.conf import settings
from event_streams import QUICK, EventsProcess, Stream, bearer, numbers, tell, wait_for_number
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from accounts.models import Library, User


@pytest.fixture
def member(transactional_db: None) -> tuple[Library, User]:
    library = factories.make_library()
    return library, factories.make_member(library, "visitor")


@pytest.fixture
def process(process_environment: dict[str, str], tmp_path: Path) -> Iterator[EventsProcess]:
    limits = {"EVENTS_LISTENERS_PER_USER": "2", "TRUSTED_PROXIES": "127.0.0.1", "EVENTS_LISTENERS_PER_ADDRESS": "3"}
    with event_streams.running(process_environment | QUICK | limits, tmp_path) as running:
        yield running


@pytest.fixture
def nginx(
    program: Callable[[str], str],
    live_server: LiveServer,
    process: EventsProcess,
    settings: Settings,
    tmp_path: Path,
) -> Iterator[str]:
    # as in production: the stream is where the API is
    settings.EVENTS_PORT = 0
    snippet = (nginx_server.SNIPPETS / "darkroom-events.conf").read_text()
    assert snippet.count("http://127.0.0.1:8001;") == 1
    server = snippet.replace("http://127.0.0.1:8001", process.url)
    with nginx_server.running(program("nginx"), tmp_path, server=server, upstream=live_server.url) as address:
        yield address


def test_what_a_browser_does(nginx: str, member: tuple[Library, User], tmp_path: Path) -> None:
    library, user = member
    answer = requests.post(f"{nginx}/api/v1/events/tickets", headers=bearer(user), timeout=10)
    assert answer.status_code == 201, answer.text
    ticket, url = answer.json()["ticket"], answer.json()["url"]
    assert url == f"{nginx}/api/v1/events?ticket={ticket}"
    stream = Stream(url).wait_until_open()
    assert stream.response.headers["Server"].startswith("nginx")
    begun = time.monotonic()
    for number in range(3):
        tell(library, number)
        # at once, and not when a buffer is full
        wait_for_number(stream, number)
    assert time.monotonic() - begun < 5
    stream.wait_for(lambda one: one.comments >= 3)
    stream.close()
    back = Stream(f"{nginx}/api/v1/events", headers={**bearer(user), "Last-Event-ID": str(stream.heard[0].id)})
    wait_for_number(back, 2)
    assert numbers(back) == [1, 2]
    back.close()
    deadline = time.monotonic() + 10
    while "/api/v1/events?***" not in (written := (tmp_path / "access.log").read_text()):
        assert time.monotonic() < deadline, written
        time.sleep(0.1)
    assert ticket not in written
    assert '"POST /api/v1/events/tickets HTTP/1.1" 201' in written


def test_who_has_gone_behind_nginx_has_gone(nginx: str, member: tuple[Library, User]) -> None:
    headers = bearer(member[1])

    def listen(address: str) -> Stream:
        return Stream(f"{nginx}/api/v1/events", headers={**headers, "X-Forwarded-For": address})

    streams = [listen("192.0.2.1").wait_until_open() for _ in range(2)]
    assert listen("192.0.2.1").response.json()["code"] == "too_many_listeners"
    streams[0].close()
    deadline = time.monotonic() + 10
    while (again := listen("192.0.2.1")).response.status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    for stream in (streams[1], again):
        stream.close()


def test_who_is_refused_reads_why(nginx: str) -> None:
    answer = requests.get(f"{nginx}/api/v1/events", timeout=10)
    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_the_example_of_the_guide_listens_in_a_browser_and_comes_back(
    nginx: str,
    process: EventsProcess,
    process_environment: dict[str, str],
    program: Callable[[str], str],
    member: tuple[Library, User],
    tmp_path: Path,
) -> None:
    library, user = member
    guide = (Path(settings.BASE_DIR) / "docs" / "events.md").read_text()
    [example] = re.findall(r"```js\n(.*?)```", guide, re.DOTALL)
    token = bearer(user)["Authorization"].removeprefix("Bearer ")
    profile, another = tmp_path / "profile", tmp_path / "another"
    profile.mkdir()
    another.mkdir()
    with browser(program("chromium"), profile) as window:
        window.open(f"{nginx}/live")
        window.evaluate(
            f"{example}; window.heard = []; window.anew = 0;"
            f"listen({{ token: async () => '{token}', kinds: ['library.changed'],"
            " told: (event) => heard.push(event.number), readAnew: () => { anew += 1; } }); true"
        )
        window.wait_for("anew === 1")
        tell(library, 1, 2)
        window.wait_for("heard.length === 2")

        process.process.terminate()
        process.process.wait(10)
        tell(library, 3)
        port = int(process.url.rpartition(":")[2])
        with event_streams.running(process_environment | QUICK, another, port=port):
            tell(library, 4)
            window.wait_for("heard.length === 4")
            assert window.evaluate("[heard, anew]") == [[1, 2, 3, 4], 1]
