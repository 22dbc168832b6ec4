"""How a listener is let in: by the middleware and limits of the whole API, in this process and without a server."""

import asyncio
import secrets
from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

import factories
import pytest
from django.core import signals
from django.db import close_old_connections
from django.http.response import HttpResponseBase
from event_streams import bearer
from pytest_django import Settings

from accounts import windows
from accounts.api.throttles import RateLimit
from accounts.models import User
from config.event_stream import checks
from config.event_stream.hub import Hub
from config.event_stream.requests import Answerer
from config.event_stream.views import Opening

pytestmark = pytest.mark.django_db


@pytest.fixture
def answer() -> Iterator[Answerer]:
    # a request's end closes no connection of a test, as with Django's own client
    ends = (signals.request_started, signals.request_finished)
    for signal in ends:
        signal.disconnect(close_old_connections)
    yield Answerer(Hub())
    for signal in ends:
        signal.connect(close_old_connections)


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """Rates of the test's own, and nothing counted yet."""
    rates: dict[str, str] = {}
    monkeypatch.setattr(RateLimit, "THROTTLE_RATES", rates)
    windows.forget()
    yield rates
    windows.forget()


def ask(answer: Answerer, *, client: str = "203.0.113.7", query: str = "", **headers: str) -> HttpResponseBase:
    named = {"host": "testserver", **{name.replace("_", "-").lower(): value for name, value in headers.items()}}
    scope: dict[str, Any] = {
        "type": "http",
        "method": "GET",
        "path": "/api/v1/events",
        "query_string": query.encode(),
        "scheme": "http",
        "client": (client, 40000),
        "server": ("127.0.0.1", 8001),
        "headers": [(name.encode(), value.encode()) for name, value in named.items()],
    }
    return answer(scope)


@pytest.fixture
def user() -> User:
    return factories.make_member(factories.make_library(), "visitor")


def test_opening_a_stream_is_a_request_as_any_other(answer: Answerer, user: User, limits: dict[str, str]) -> None:
    limits["user"] = "2/min"
    headers = bearer(user)
    first, second, third = (ask(answer, **headers) for _ in range(3))
    assert isinstance(first, Opening)
    assert first["RateLimit-Policy"] == '"user";q=2;w=60'
    assert first["RateLimit"].startswith('"user";r=1;t=')
    assert isinstance(second, Opening)
    assert (third.status_code, third["Content-Type"]) == (429, "application/problem+json")
    assert b'"code":"throttled"' in third.content
    assert 0 < int(third["Retry-After"]) <= 60
    # no seat was taken for it
    assert answer._hub.seats._total == 2


def test_guesses_at_tickets_are_counted_by_address(answer: Answerer, limits: dict[str, str]) -> None:
    limits["anonymous"] = "2/min"
    # networks that nobody has counted a minute ago
    one, another = (f"2001:db8:{secrets.token_hex(2)}:{number}::1" for number in (1, 2))
    codes = [ask(answer, client=one, query="ticket=guess").status_code for _ in range(4)]
    assert codes == [401, 401, 429, 429]
    assert ask(answer, client=another, query="ticket=guess").status_code == 401


def test_the_address_is_that_behind_the_proxy(answer: Answerer, user: User, settings: Settings) -> None:
    settings.EVENTS_LISTENERS_PER_ADDRESS = 1
    settings.TRUSTED_PROXIES = [ip_network("127.0.0.1")]
    asked = {"client": "127.0.0.1", **bearer(user)}
    assert isinstance(ask(answer, X_Forwarded_For="203.0.113.7", **asked), Opening)
    assert isinstance(ask(answer, X_Forwarded_For="203.0.113.8", **asked), Opening)
    assert ask(answer, X_Forwarded_For="203.0.113.8", **asked).status_code == 429
    # whoever is no proxy of ours says what they like, and is believed nothing
    assert isinstance(ask(answer, client="203.0.113.9", X_Forwarded_For="203.0.113.10", **bearer(user)), Opening)
    assert ask(answer, client="203.0.113.9", X_Forwarded_For="203.0.113.11", **bearer(user)).status_code == 429


def test_it_is_answered_with_what_protects_every_answer(answer: Answerer, user: User, settings: Settings) -> None:
    stream = ask(answer, Accept_Encoding="gzip", Accept="text/event-stream", **bearer(user))
    assert stream["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in stream["Content-Security-Policy"]
    # what is packed comes when a block is full
    assert "Content-Encoding" not in stream
    settings.SECURE_SSL_REDIRECT = True
    secure = Answerer(Hub())
    redirect = ask(secure, **bearer(user))
    assert (redirect.status_code, redirect["Location"]) == (301, "https://testserver/api/v1/events")


def test_a_seat_that_was_given_back_is_given_back_once(answer: Answerer, user: User) -> None:
    opening = ask(answer, **bearer(user))
    assert isinstance(opening, Opening)
    opening.listener.leave()
    opening.listener.leave()
    assert (answer._hub.seats._total, +answer._hub.seats._taken) == (0, {})


def test_whoever_cannot_be_checked_may_not_stay(
    answer: Answerer, user: User, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.EVENTS_CHECK_SECONDS = 0
    monkeypatch.setattr(checks, "LOOKED_EVERY_SECONDS", 0.01)
    hub = answer._hub
    listener = ask(answer, **bearer(user)).listener
    listener.checked_at -= 60

    async def broken(_work: object) -> None:
        raise ZeroDivisionError

    async def story() -> None:
        hub.everybody.add(listener)
        checking = asyncio.create_task(checks.keep_checking(hub, broken))
        await asyncio.sleep(0.2)
        # and it goes on checking others
        assert not checking.done()
        checking.cancel()

    asyncio.run(story())
    assert listener.ended == "closing"


def test_nobody_is_let_in_at_the_end(answer: Answerer, user: User) -> None:
    answer._hub.close()
    refused = ask(answer, **bearer(user))
    assert (refused.status_code, b'"code":"events_full"' in refused.content) == (503, True)
