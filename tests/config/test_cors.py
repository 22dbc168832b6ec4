"""Pages of others: those that are allowed call the API from a real browser, and all others are kept out by it."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import factories
import pytest
from browser import browser
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from config.settings.cors import cors, parsed_origins
from photos.models import Person

APP = "https://app.example.org"
PREFLIGHT = {"Origin": APP, "Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "if-match"}


@pytest.fixture
def allowed(settings: Settings) -> None:
    allow(settings, APP)


def allow(settings: Settings, origin: str) -> None:
    for name, value in cors([origin]).items():
        setattr(settings, name, value)


@pytest.mark.django_db
@pytest.mark.usefixtures("allowed")
def test_a_page_that_is_allowed_is_told_what_it_may_send_and_read(client: Client) -> None:
    preflight = client.options("/api/v1/people/x", headers=PREFLIGHT)
    refused = client.get("/api/v1/people", headers={"Origin": APP})

    assert preflight.status_code == 200
    assert preflight["Access-Control-Allow-Origin"] == APP
    assert "PATCH" in preflight["Access-Control-Allow-Methods"].split(", ")
    sent = preflight["Access-Control-Allow-Headers"].split(", ")
    assert {
        "authorization", "content-type", "x-api-key", "idempotency-key", "if-match", "if-none-match", "last-event-id",
        "tus-resumable", "upload-offset", "upload-length", "upload-metadata", "upload-checksum",
    } <= {*sent}  # fmt: skip
    assert refused.status_code == 401
    assert refused["Access-Control-Allow-Origin"] == APP
    assert {"ETag", "Location", "Retry-After", "RateLimit", "Idempotent-Replayed", "Sunset", "Upload-Offset"} <= {
        *refused["Access-Control-Expose-Headers"].split(", ")
    }
    assert "origin" in refused["Vary"].lower()
    for answer in (preflight, refused):
        assert "Access-Control-Allow-Credentials" not in answer


@pytest.mark.django_db
@pytest.mark.usefixtures("allowed")
def test_all_others_are_told_nothing(client: Client) -> None:
    stranger = client.options("/api/v1/people", headers=PREFLIGHT | {"Origin": "https://app.example.org.evil.example"})
    page = client.get("/admin/login/", headers={"Origin": APP})
    shared = client.get("/s/x", headers={"Origin": APP})

    for answer in (stranger, page, shared):
        assert [name for name in answer.headers if name.lower().startswith("access-control")] == []


@pytest.mark.django_db
def test_without_the_setting_there_is_no_cors(client: Client) -> None:
    preflight = client.options("/api/v1/people", headers=PREFLIGHT)
    answer = client.get("/api/v1/people", headers={"Origin": APP})

    assert [one.status_code for one in (preflight, answer)] == [401, 401]
    for one in (preflight, answer):
        assert [name for name in one.headers if name.lower().startswith("access-control")] == []
        assert "origin" not in one.get("Vary", "").lower()


@pytest.mark.parametrize(
    "origin",
    [
        "*",
        "app.example.org",
        "https://app.example.org/",
        "https://app.example.org/path",
        "https://app.example.org?x",
        "https://App.example.org",
        "https://app.example.org:443",
        "https://*.example.org",
        "https://user@app.example.org",
        "https://app.example.org:port",
        "ftp://app.example.org",
        "null",
        "https://",
    ],
)
def test_what_is_no_origin_stops_the_start(origin: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"ALLOWED_ORIGINS: .* is no origin") as refused:
        parsed_origins([APP, origin])
    assert repr(origin) in str(refused.value)


def test_origins_are_as_browsers_write_them() -> None:
    origins = [APP, "http://localhost:5173", "http://[::1]:8080", "https://[::1]"]

    assert parsed_origins(origins) == origins


# through a browser


@pytest.fixture
def other_origin() -> Iterator[str]:
    """A page of somebody else's, on a port of its own."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>app</title><link rel=icon href=data:,>")

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.django_db(transaction=True)
def test_a_real_browser_lets_an_allowed_page_work_and_no_other(
    program: Callable[[str], str], tmp_path: Path, settings: Settings, live_server: LiveServer, other_origin: str
) -> None:
    library = factories.make_library()
    person = factories.make_person(library, name="Ada")
    client = factories.client_of(factories.make_member(library, "editor"))
    token = client._credentials["HTTP_AUTHORIZATION"]
    script = f"""
        (async () => {{
            const address = '{live_server.url}/api/v1/people/{person.pk}';
            const headers = {{ Authorization: '{token}', 'Content-Type': 'application/json' }};
            try {{
                const read = await fetch(address, {{ headers }});
                const etag = read.headers.get('ETag');
                const changed = await fetch(address, {{
                    method: 'PATCH', headers: {{ ...headers, 'If-Match': etag }}, body: '{{"name": "Grace"}}',
                }});
                const stale = await fetch(address, {{
                    method: 'PATCH', headers: {{ ...headers, 'If-Match': etag }}, body: '{{"name": "Hedy"}}',
                }});
                return [read.status, changed.status, (await changed.json()).name, stale.status];
            }} catch (error) {{
                return String(error);
            }}
        }})()
    """

    with browser(program("chromium"), tmp_path) as window:
        window.open(other_origin)
        without = window.evaluate(script)
        allow(settings, other_origin)
        with_it = window.evaluate(script)

    assert without == "TypeError: Failed to fetch"
    assert with_it == [200, 200, "Grace", 412]
    assert Person.objects.get().name == "Grace"
