"""The stream's address on the web server, and the tickets that open a stream."""

from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import factories
import pytest
from django.conf import settings as django_settings
from django.test import Client
from django.utils import timezone
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts.models import User
from accounts.services import api_keys, credentials, tickets, tokens

pytestmark = pytest.mark.django_db

STREAM, TICKETS = "/api/v1/events", "/api/v1/events/tickets"


@pytest.fixture
def user() -> User:
    return factories.make_member(factories.make_library(), "visitor")


def redirected(answer: Any) -> tuple[str, dict[str, list[str]]]:
    """Give where an answer sends its client, without the query; and the query."""
    assert answer.status_code == 307, answer.content
    where = urlsplit(answer["Location"])
    return where._replace(query="").geturl(), parse_qs(where.query)


def owner(ticket: str) -> User | None:
    credential = tickets.take(text=ticket)
    return None if credential is None else credentials.owner_of(credential=credential)


def test_the_web_server_sends_a_listener_where_the_stream_is(user: User) -> None:
    library, kinds = "01900000-0000-7000-8000-000000000000", ["photo.ready", "photo.added"]
    answer = factories.client_of(user).get(STREAM, {"library": library, "kind": kinds}, headers={"Last-Event-ID": "7"})
    where, query = redirected(answer)
    [ticket] = query.pop("ticket")
    assert where == "http://testserver:8001/api/v1/events"
    assert query == {"library": [library], "kind": kinds, "last_event_id": ["7"]}
    assert (answer["Cache-Control"], answer["Referrer-Policy"]) == ("no-store", "no-referrer")
    # whoever follows drops the header that says who it is, as it should: the ticket says so
    assert owner(ticket) == user
    assert owner(ticket) is None


def test_a_ticket_is_changed_for_another_on_the_way(user: User) -> None:
    credential = credentials.shown(user=user, auth=None)
    given = tickets.issue(credential=credential)
    _, query = redirected(APIClient().get(STREAM, {"ticket": given.text}))
    assert query["ticket"] != [given.text]
    assert owner(given.text) is None
    assert tickets.take(text=query["ticket"][0]) == credential


def test_settings_say_where_the_stream_is(user: User, settings: Settings) -> None:
    client = factories.client_of(user)
    settings.EVENTS_URL = "https://events.example.org"
    where, _ = redirected(client.get(STREAM))
    assert where == "https://events.example.org/api/v1/events"
    assert client.post(TICKETS).json()["url"].startswith("https://events.example.org/api/v1/events?ticket=")
    # here, and yet it came to the web server: whoever followed would come back for ever
    for url, port in (("http://testserver", 0), ("", 0)):
        settings.EVENTS_URL, settings.EVENTS_PORT = url, port
        answer = client.get(STREAM)
        assert (answer.status_code, answer.json()["code"]) == (503, "events_elsewhere")
        assert client.post(TICKETS).json()["url"].startswith("http://testserver/api/v1/events?ticket=")


@pytest.mark.parametrize(
    "query", [{"kind": "photo.eaten"}, {"photo": "x"}, {"last_event_id": "x"}, {"library": 101 * ["x"]}]
)
def test_what_cannot_be_listened_to_is_said_at_once(user: User, query: dict[str, Any]) -> None:
    answer = factories.client_of(user).get(STREAM, query)
    assert (answer.status_code, answer.json()["errors"][0]["field"].split(".")[0]) == (400, *query)


@pytest.mark.parametrize("header", ["x", "-1", "1" * 5000, "0" * 20 + "9" * 20, str(2**63)])
def test_an_event_that_there_cannot_be_is_refused(user: User, header: str) -> None:
    answer = factories.client_of(user).get(STREAM, headers={"Last-Event-ID": header})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "Last-Event-ID")


def test_a_ticket_stands_for_what_asked_for_it(user: User) -> None:
    before = timezone.now()
    answer = factories.client_of(user).post(TICKETS)
    said = answer.json()
    assert (answer.status_code, answer["Cache-Control"]) == (201, "no-store")
    assert set(said) == {"ticket", "url", "expires_at"}
    assert said["url"] == f"http://testserver:8001/api/v1/events?ticket={said['ticket']}"
    lifetime = timezone.datetime.fromisoformat(said["expires_at"]) - before
    assert timedelta(seconds=60) <= lifetime < timedelta(seconds=65)
    assert owner(said["ticket"]) == user

    made = api_keys.create(owner=user, name="key", scopes=["photos.view"])
    client = APIClient()
    client.credentials(HTTP_X_API_KEY=made.text)
    assert owner(client.post(TICKETS).json()["ticket"]).acting_key == made.key

    session = Client(enforce_csrf_checks=True)
    session.force_login(user)
    # a page of somebody else's may not ask in the name of who is logged in to the admin
    assert session.post(TICKETS).status_code == 403
    session = Client()
    session.force_login(user)
    assert owner(session.post(TICKETS).json()["ticket"]) == user


def test_a_ticket_opens_nothing_but_a_stream(user: User) -> None:
    ticket = tickets.issue(credential=credentials.shown(user=user, auth=None)).text
    for address in ("/api/v1/photos", TICKETS, "/api/v1/auth/me"):
        answer = APIClient().generic("POST" if address == TICKETS else "GET", f"{address}?ticket={ticket}")
        assert answer.status_code == 401, address
    assert owner(ticket) == user


def test_without_redis_there_are_no_tickets_and_it_is_said(user: User, settings: Settings, closed_port: int) -> None:
    client = factories.client_of(user)
    settings.CACHES = {
        "default": {**django_settings.CACHES["default"], "LOCATION": f"redis://127.0.0.1:{closed_port}/1"}
    }
    for answer in (client.post(TICKETS), client.get(STREAM), APIClient().get(STREAM, {"ticket": "x"})):
        assert (answer.status_code, answer.json()["code"]) == (503, "broker_unavailable")
        assert int(answer["Retry-After"]) > 0


def test_a_ticket_runs_out(user: User, settings: Settings) -> None:
    settings.EVENTS_TICKET_SECONDS = 0
    ticket = tickets.issue(credential=credentials.shown(user=user, auth=None))
    assert tickets.take(text=ticket.text) is None
    assert ticket.text not in repr(ticket)


def test_nothing_that_opens_anything_is_kept(user: User) -> None:
    pair = tokens.begin(user=user)
    answer = APIClient().post(TICKETS, headers={"Authorization": f"Bearer {pair.access}"})
    credential = tickets.take(text=answer.json()["ticket"])
    signature = pair.access.rpartition(".")[2]
    assert (credential.user_id, signature in repr(credential), signature in str(credential.claims)) == (
        user.pk,
        False,
        False,
    )
