"""Who is told what by the stream of events: a real process, a real database, and clients that listen."""

import time

import event_streams
import factories
import pytest
import requests
from concurrency import wait_until
from django.conf import settings as django_settings
from django.db import transaction
from event_streams import EventsProcess, bearer, key, numbers, tell, wait_for_number
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer
from rest_framework_simplejwt.tokens import AccessToken

from accounts.models import Library, Membership, User
from accounts.services import credentials, tickets, tokens
from photos.models import Event, EventKind
from photos.services import events

pytestmark = pytest.mark.django_db(transaction=True)


def test_an_event_is_told_as_it_is_kept(process: EventsProcess, library: Library, member: User) -> None:
    photo = factories.make_photo(library)
    stream = process.listen(bearer(member)).wait_until_open()
    assert stream.response.headers["Content-Type"] == "text/event-stream"
    assert stream.response.headers["Cache-Control"] == "no-store"
    assert stream.response.headers["X-Accel-Buffering"] == "no"
    assert 1000 <= stream.retry <= 5000
    with transaction.atomic():
        events.record_photos(kind=EventKind.PHOTO_READY, photos={photo.pk: library.pk}, payload={"done": 4, "ä": "ß\n"})
    stream.wait_for(lambda one: len(one.heard) == 1)
    kept = Event.objects.get()
    assert stream.heard[0] == event_streams.Heard(
        "photo.ready",
        kept.position,
        {
            "kind": "photo.ready",
            "library": str(library.pk),
            "photo": str(photo.pk),
            "at": kept.created_at.isoformat(timespec="milliseconds"),
            "done": 4,
            "ä": "ß\n",
        },
    )


def test_an_event_reaches_all_who_may_see_it_and_nobody_else(process: EventsProcess, library: Library) -> None:
    other = factories.make_library()
    camera = factories.make_user()
    role = factories.Role.objects.create(name="camera", permissions=["photos.upload"])
    Membership.objects.create(library=library, user=camera, role=role)
    admin, superuser = factories.make_member(library, "admin"), factories.make_user(is_superuser=True)
    who = {
        "visitor": bearer(factories.make_member(library, "visitor")),
        "editor": bearer(factories.make_member(library, "editor")),
        "camera": bearer(camera),
        "member of another library": bearer(factories.make_member(other, "admin")),
        "nobody's member": bearer(factories.make_user()),
        "superuser": bearer(superuser),
        "key of the library": key(admin, "photos.view", library=library),
        "key of people": {"Authorization": f"Api-Key {key(admin, 'people.view')['X-API-Key']}"},
        "key of a superuser": key(superuser, "photos.view", "photos.upload"),
        "key of a superuser for another library": key(superuser, "photos.view", "photos.upload", library=other),
    }
    streams = {name: process.listen(headers).wait_until_open() for name, headers in who.items()}
    tell(library, "photos")
    tell(library, "people", kind=EventKind.PEOPLE_CHANGED)
    tell(library, "import", kind=EventKind.IMPORT_FINISHED)
    # told after the others, so whoever has heard it has heard all
    tell(other, "end")
    both = [name for name in who if "superuser" in name or "another" in name]
    for name in both:
        wait_for_number(streams[name], "end")
    for name in set(who) - set(both) - {"nobody's member"}:
        streams[name].wait_for(numbers)
    time.sleep(0.5)
    assert {name: numbers(stream) for name, stream in streams.items()} == {
        "visitor": ["photos", "people"],
        "editor": ["photos", "people", "import"],
        "camera": ["import"],
        "member of another library": ["end"],
        "nobody's member": [],
        "superuser": ["photos", "people", "import", "end"],
        "key of the library": ["photos"],
        "key of people": ["people"],
        "key of a superuser": ["photos", "import", "end"],
        "key of a superuser for another library": ["end"],
    }


def test_a_listener_is_told_what_it_asks_for(process: EventsProcess, library: Library, member: User) -> None:
    second = factories.make_library()
    Membership.objects.create(library=second, user=member, role=factories.Role.objects.get(name="visitor"))
    photos = [factories.make_photo(one) for one in (library, library, second)]
    headers = bearer(member)
    asked = {
        "all": {},
        "a library": {"library": second.pk},
        "two libraries": {"library": [library.pk, second.pk]},
        "a foreign library": {"library": factories.make_library().pk},
        "photos": {"photo": [photos[1].pk, photos[2].pk]},
        "kinds": {"kind": ["photo.trashed", "library.changed"]},
        "a kind of a photo": {"photo": photos[0].pk, "kind": "photo.ready"},
    }
    streams = {name: process.listen(headers, **params).wait_until_open() for name, params in asked.items()}
    for kind in (EventKind.PHOTO_READY, EventKind.PHOTO_TRASHED):
        with transaction.atomic():
            for place, photo in enumerate(photos):
                payload = {"number": f"{kind.label.split()[-1]} {place}"}
                events.record_photos(kind=kind, photos={photo.pk: photo.library_id}, payload=payload)
    tell(second, "library")
    wait_for_number(streams["all"], "library")
    streams["kinds"].wait_for(lambda one: "library" in numbers(one))
    time.sleep(0.3)
    assert {name: numbers(stream) for name, stream in streams.items()} == {
        "all": ["ended 0", "ended 1", "ended 2", "trash 0", "trash 1", "trash 2", "library"],
        "a library": ["ended 2", "trash 2", "library"],
        "two libraries": ["ended 0", "ended 1", "ended 2", "trash 0", "trash 1", "trash 2", "library"],
        "a foreign library": [],
        "photos": ["ended 1", "ended 2", "trash 1", "trash 2"],
        "kinds": ["trash 0", "trash 1", "trash 2", "library"],
        "a kind of a photo": ["ended 0"],
    }


@pytest.mark.parametrize(
    ("headers", "params", "status", "code"),
    [
        ({}, {}, 401, "not_authenticated"),
        ({"Authorization": "Bearer nonsense"}, {}, 401, "token_not_valid"),
        ({"X-API-Key": "dk_000000000000_" + 64 * "0"}, {}, 401, "api_key_not_valid"),
        ({}, {"ticket": "x"}, 401, "ticket_not_valid"),
        # a credential that lasts is none in an address
        ({}, {"key": "dk_000000000000_" + 64 * "0"}, 401, "not_authenticated"),
        (None, {"kind": "photo.eaten"}, 400, "invalid"),
        (None, {"library": "x"}, 400, "invalid"),
        (None, {"last_event_id": "-1"}, 400, "invalid"),
        (None, {"last_event_id": str(2**63)}, 400, "invalid"),
        ({"Last-Event-ID": "x"}, {}, 400, "invalid"),
        ({"Last-Event-ID": 30 * "9"}, {}, 400, "invalid"),
    ],
)
def test_what_is_refused_is_refused_as_everywhere(
    process: EventsProcess, member: User, headers: dict[str, str] | None, params: dict[str, str], status: int, code: str
) -> None:
    if status == 400:
        headers = {**bearer(member), **(headers or {})}
    answer = process.listen(headers, **params).response
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")
    assert answer.json()["code"] == code
    assert ("WWW-Authenticate" in answer.headers) == (status == 401)


def test_what_it_does_is_counted(process: EventsProcess, library: Library, member: User) -> None:
    url, token = f"{process.url}/metrics", {"Authorization": f"Bearer {django_settings.INTERNAL_TOKEN}"}

    def figure(name: str) -> float:
        lines = requests.get(url, headers=token, timeout=10).text.splitlines()
        [line] = [line for line in lines if line.startswith(name)]
        return float(line.split()[-1])

    refused = requests.get(url, headers=bearer(member), timeout=10)
    assert (refused.status_code, refused.json()["code"]) == (403, "not_permitted")
    before, read = figure("darkroom_event_listeners "), figure("darkroom_events_read_total ")
    stream = process.listen(bearer(member)).wait_until_open()
    assert (figure("darkroom_event_listeners "), figure("darkroom_event_feed_up ")) == (before + 1, 1)
    tell(library, 1, 2)
    wait_for_number(stream, 2)
    assert figure("darkroom_events_read_total ") == read + 2
    stream.close()
    wait_until(lambda: figure("darkroom_event_listeners ") == before, "the stream is still counted")
    assert figure('darkroom_event_streams_ended_total{reason="gone"}') >= 1


def test_the_process_answers_nothing_else(process: EventsProcess, member: User) -> None:
    session = requests.Session()
    session.headers.update(bearer(member))
    url = f"{process.url}/api/v1/events"
    for path in ("/api/v1/photos", "/api/v1/events/tickets", "/admin/", "/"):
        answer = session.get(process.url + path, timeout=10)
        assert answer.status_code == 404, path
    assert session.get(f"{process.url}/api/v1/photos", timeout=10).json()["code"] == "not_found"
    answer = session.post(url, data=b"x" * 100_000, timeout=10)
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert session.options(url, timeout=10).status_code == 200
    head = session.head(url, timeout=10)
    assert (head.status_code, head.headers["Content-Type"], head.content) == (200, "text/event-stream", b"")
    assert requests.get(f"{process.url}/live", timeout=10).json() == {"status": "ok"}
    assert session.get(url, headers={"Host": "evil.example.org"}, timeout=10).status_code == 400
    # bytes that are no text, and a charset that is none
    assert (
        session.get(f"{url}?kind=%ff", headers={"Content-Type": "text/x; charset=zlib"}, timeout=10).status_code == 400
    )


# tickets


def test_a_ticket_opens_one_stream_once(process: EventsProcess, library: Library, member: User) -> None:
    token = AccessToken(tokens.begin(user=member).access)
    ticket = tickets.issue(credential=credentials.shown(user=member, auth=token))
    stream = process.listen(ticket=ticket.text).wait_until_open()
    tell(library, 1)
    wait_for_number(stream, 1)
    again = process.listen(ticket=ticket.text).response
    assert (again.status_code, again.json()["code"]) == (401, "ticket_not_valid")
    # whoever sends one shows that, and nothing beside it
    assert process.listen(bearer(member), ticket=ticket.text).response.status_code == 401


def test_the_web_server_leads_there(
    process: EventsProcess, live_server: LiveServer, settings: Settings, library: Library, member: User
) -> None:
    settings.EVENTS_URL = process.url
    before = events.last_position()
    tell(library, 1)
    # a client that follows redirects as it should: on another port it does not send its token along
    headers = {**bearer(member), "Last-Event-ID": str(before)}
    stream = event_streams.Stream(f"{live_server.url}/api/v1/events", headers=headers, kind="library.changed")
    process.streams.append(stream)
    wait_for_number(stream, 1)
    assert stream.response.url.startswith(process.url)
    assert "Authorization" not in stream.response.request.headers
    assert [answer.status_code for answer in stream.response.history] == [307]


def test_a_ticket_of_who_was_logged_out_opens_nothing(process: EventsProcess, member: User) -> None:
    pair = tokens.begin(user=member)
    ticket = tickets.issue(credential=credentials.shown(user=member, auth=AccessToken(pair.access)))
    tokens.revoke(refresh=pair.refresh)
    assert process.listen(ticket=ticket.text).response.json()["code"] == "ticket_not_valid"
