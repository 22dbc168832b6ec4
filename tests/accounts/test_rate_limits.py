"""How often somebody may ask: by key, by person and by address, in the real Redis and without it."""

import re
import threading
import time
from io import BytesIO
from ipaddress import ip_network
from typing import Any

import factories
import pytest
from django.conf import settings as configured
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpResponse
from pytest_django import Settings
from redis import Redis
from rest_framework.test import APIClient

from accounts import windows
from accounts.api.throttles import RateLimit
from accounts.models import Library, User
from accounts.rate_limits import parse
from accounts.services import api_keys
from config.settings.api import rate
from photos.models import Photo

pytestmark = pytest.mark.django_db

LIBRARIES = "/api/v1/libraries"
RATES = {"token": "4/min", "anonymous": "2/min", "user": "3/min", "key": "3/min", "upload": "5/min", "media": "6/min"}


@pytest.fixture(autouse=True)
def few_requests(monkeypatch: pytest.MonkeyPatch, fresh_windows: None) -> None:
    monkeypatch.setattr(RateLimit, "THROTTLE_RATES", RATES)


@pytest.fixture
def library() -> Library:
    return factories.make_library()


@pytest.fixture
def user(library: Library) -> User:
    return factories.make_member(library, "admin")


def key_of(user: User) -> APIClient:
    client = APIClient()
    made = api_keys.create(owner=user, name="camera", scopes=["photos.view", "photos.upload"])
    client.credentials(HTTP_X_API_KEY=made.text)
    return client


def statuses(client: APIClient, count: int, path: str = LIBRARIES, **headers: str) -> list[int]:
    return [client.get(path, **headers).status_code for _ in range(count)]


def limits(answer: HttpResponse) -> tuple[str, str]:
    """The two fields, with the seconds that are left as `t`, which are checked."""
    policy, state = answer["RateLimit-Policy"], answer["RateLimit"]
    seconds = int(state.rpartition("=")[2])
    assert 50 <= seconds <= 60
    return policy, re.sub(r"t=\d+$", "t", state)


def upload(client: APIClient, library: Library) -> HttpResponse:
    body = {"library": library.pk, "file": BytesIO(factories.image_bytes("PNG"))}
    return client.post("/api/v1/photos", body, format="multipart")


def test_a_person_is_told_where_he_stands_and_then_to_wait(user: User) -> None:
    client = factories.client_of(user)
    assert [limits(client.get(LIBRARIES)) for _ in range(3)] == [
        ('"user";q=3;w=60', f'"user";r={left};t') for left in (2, 1, 0)
    ]

    refused = client.get(LIBRARIES)

    assert (refused.status_code, refused["Content-Type"]) == (429, "application/problem+json")
    assert refused.json()["code"] == "throttled"
    assert limits(refused) == ('"user";q=3;w=60', '"user";r=0;t')
    assert refused["Retry-After"] == refused["RateLimit"].rpartition("=")[2]


def test_a_second_factor_is_read_as_all_else_and_guessed_as_at_a_login(user: User) -> None:
    client, state = factories.client_of(user), "/api/v1/auth/second-factor"
    assert [limits(client.get(state)) for _ in range(3)] == [
        ('"user";q=3;w=60', f'"user";r={left};t') for left in (2, 1, 0)
    ]
    assert client.get(state).status_code == 429
    guesses = [client.post(state, {"password": "wrong"}) for _ in range(5)]
    assert [answer.status_code for answer in guesses] == [400] * 4 + [429]
    assert limits(guesses[0]) == ('"token";q=4;w=60', '"token";r=3;t')


def test_persons_keys_and_addresses_are_counted_apart(user: User) -> None:
    person, first, second = factories.client_of(user), key_of(user), key_of(user)
    assert statuses(person, 4) == [200, 200, 200, 429]
    assert statuses(first, 4) == [200, 200, 200, 429]
    assert limits(second.get(LIBRARIES)) == ('"key";q=3;w=60', '"key";r=2;t')
    assert statuses(factories.client_of(factories.make_user()), 1) == [200]
    # a person's own requests from another address are the same person's
    assert statuses(person, 1, REMOTE_ADDR="192.0.2.9") == [429]
    assert statuses(APIClient(), 3) == [401, 401, 429]
    assert statuses(APIClient(), 1, REMOTE_ADDR="192.0.2.9") == [401]


def test_what_is_refused_before_its_view_is_counted_too(user: User, settings: Settings) -> None:
    settings.TRUSTED_PROXIES = [ip_network("127.0.0.1")]

    def ask(path: str, address: str, **headers: str) -> list[tuple[int, str]]:
        client = APIClient()
        answers = [client.get(path, HTTP_X_FORWARDED_FOR=address, **headers) for _ in range(3)]
        return [(answer.status_code, limits(answer)[1]) for answer in answers]

    wanted = ['"anonymous";r=1;t', '"anonymous";r=0;t', '"anonymous";r=0;t']
    assert ask(LIBRARIES, "192.0.2.1", HTTP_X_API_KEY="guess") == list(zip([401, 401, 429], wanted, strict=True))
    assert ask(LIBRARIES, "192.0.2.2", HTTP_AUTHORIZATION="Bearer x") == list(zip([401, 401, 429], wanted, strict=True))
    assert ask("/api/v1/nothing", "192.0.2.3") == list(zip([404, 404, 429], wanted, strict=True))
    assert ask("/api/schema", "192.0.2.4")[:2] == list(zip([200, 200], wanted[:2], strict=True))
    # a permission that is missing: whoever it is, is known
    forbidden = [factories.client_of(user).get("/api/v1/admin/dlq") for _ in range(4)]
    assert [answer.status_code for answer in forbidden] == [403, 403, 403, 429]
    assert forbidden[3].json()["code"] == "throttled"
    assert [limits(answer)[0] for answer in forbidden] == ['"user";q=3;w=60'] * 4


def test_an_ipv6_network_is_one_client() -> None:
    def ask(address: str) -> int:
        return APIClient().get(LIBRARIES, REMOTE_ADDR=address).status_code

    assert [ask(f"2001:db8:0:1::{number:x}") for number in range(1, 4)] == [401, 401, 429]
    assert ask("2001:db8:0:2::1") == 401
    # as a socket of both families calls an IPv4 address
    assert [ask("::ffff:192.0.2.1"), ask("192.0.2.1"), ask("::ffff:192.0.2.1")] == [401, 401, 429]
    assert ask("192.0.2.2") == 401


def test_uploads_and_pictures_have_rates_of_their_own(user: User, library: Library, photo_store: object) -> None:
    client = factories.client_of(user)
    assert statuses(client, 4) == [200, 200, 200, 429]

    first = upload(client, library)

    assert (first.status_code, limits(first)) == (201, ('"upload";q=5;w=60', '"upload";r=4;t'))
    assert [upload(client, library).status_code for _ in range(5)] == [201, 201, 201, 201, 429]
    assert Photo.objects.count() == 5
    factories.make_rendition(photo := factories.make_photo(library), "preview", data=b"picture")
    picture = client.get(f"/api/v1/photos/{photo.pk}/renditions/preview")
    assert (picture.status_code, limits(picture)) == (200, ('"media";q=6;w=60', '"media";r=5;t'))
    assert b"".join(picture.streaming_content) == b"picture"
    # everything else of the same address is not uploading
    assert client.get("/api/v1/photos").status_code == 429


def test_probes_and_pages_are_not_counted() -> None:
    for path in ("/api/v1/health", "/live", "/admin/login/"):
        for _ in range(4):
            answer = APIClient().get(path)
            assert answer.status_code in {200, 503}
            assert "RateLimit" not in answer


def test_logging_in_to_the_admin_has_the_rate_of_logging_in() -> None:
    """One address tries one password on many accounts, which locks none of them."""

    def post(number: int, **headers: str) -> HttpResponse:
        form = {"username": f"user{number}@example.org", "password": "a wrong password"}
        return APIClient().post("/admin/login/", form, format="multipart", **headers)

    assert [post(number).status_code for number in range(3)] == [200, 200, 200]
    body = {"email": "user3@example.org", "password": "a wrong password"}
    assert APIClient().post("/api/v1/auth/token", body).status_code == 401
    refused = post(4)
    assert (refused.status_code, refused["Content-Type"]) == (429, "text/html; charset=utf-8")
    assert 50 <= int(refused["Retry-After"]) <= 60
    assert "too many attempts" in refused.content.decode()
    assert "1 minute at most" in refused.content.decode()
    assert APIClient().get("/admin/login/").status_code == 200
    assert post(5, REMOTE_ADDR="192.0.2.7").status_code == 200


def test_where_there_is_no_rate_nothing_is_counted(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RateLimit, "THROTTLE_RATES", dict.fromkeys(RATES))
    answers = [factories.client_of(user).get(LIBRARIES), APIClient().get(LIBRARIES)]
    assert [answer.status_code for answer in answers] == [200, 401]
    assert not any("RateLimit" in answer for answer in answers)
    assert redis().keys("rate:*") == []


@pytest.mark.parametrize(
    ("written", "read"), [("20/min", (20, 60)), ("5/s", (5, 1)), (" 1000/Hour ", (1000, 3600)), ("9/d", (9, 86400))]
)
def test_rates_are_read(written: str, read: tuple[int, int]) -> None:
    assert parse(written) == read


@pytest.mark.parametrize("written", ["20", "0/min", "20/year", "-1/min", "many", "20/5min"])
def test_a_rate_that_is_none_stops_the_start(written: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RATE_LIMIT_USER", written)
    with pytest.raises(ImproperlyConfigured, match="RATE_LIMIT_USER"):
        rate("RATE_LIMIT_USER", "1/min")


def test_an_empty_rate_is_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RATE_LIMIT_USER", "")
    assert rate("RATE_LIMIT_USER", "1/min") is None


# the windows


def redis() -> Redis:
    return Redis.from_url(configured.CACHES["default"]["LOCATION"], decode_responses=True)


def test_a_window_ends_and_another_begins() -> None:
    counted = [windows.count("here", seconds=0.5) for _ in range(2)]
    assert [window.count for window in counted] == [1, 2]
    assert 0 < counted[1].seconds_left <= counted[0].seconds_left <= 0.5
    assert redis().keys("here") == ["here"]
    time.sleep(0.6)
    assert windows.count("here", seconds=0.5).count == 1


def test_a_window_without_an_end_is_given_one() -> None:
    redis().set("here", 7)
    assert windows.count("here", seconds=60).count == 8
    assert 50 < redis().ttl("here") <= 60


def test_all_threads_and_processes_count_together() -> None:
    counts: list[int] = []

    def many() -> None:
        counts.extend(windows.count("here", seconds=60).count for _ in range(50))

    threads = [threading.Thread(target=many) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(counts) == list(range(1, 401))
    windows.forget()  # as another process would
    assert windows.count("here", seconds=60).count == 401


# without Redis


def point_at(settings: Settings, port: int) -> None:
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": f"redis://127.0.0.1:{port}/1"}}


def test_without_redis_limits_hold_in_each_process_and_uploads_go_on(
    user: User, library: Library, photo_store: object, settings: Settings, closed_port: int
) -> None:
    point_at(settings, closed_port)
    client = factories.client_of(user)
    assert statuses(client, 4) == [200, 200, 200, 429]
    refused = client.get(LIBRARIES)
    assert limits(refused) == ('"user";q=3;w=60', '"user";r=0;t')
    assert 50 <= int(refused["Retry-After"]) <= 60
    assert upload(client, library).status_code == 201
    assert Photo.objects.count() == 1


def test_a_redis_that_hangs_costs_one_request_a_moment(
    user: User, settings: Settings, silent_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    point_at(settings, silent_port)
    settings.REQUEST_BROKER_SECONDS = 0.2
    monkeypatch.setattr(RateLimit, "THROTTLE_RATES", {"user": "1000/min"})
    monkeypatch.setattr(windows, "CIRCUIT_SECONDS", 60)
    waited = []
    for _ in range(20):
        began = time.perf_counter()
        windows.count("here", seconds=60)
        waited.append(time.perf_counter() - began)
    assert 0.2 <= waited[0] < 2
    assert max(waited[1:]) < 0.1
    assert statuses(factories.client_of(user), 3) == [200, 200, 200]


def test_the_circuit_closes_when_redis_is_back(
    settings: Settings, closed_port: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(windows, "CIRCUIT_SECONDS", 0.3)
    there = windows._shared._address or settings.CACHES["default"]["LOCATION"]
    point_at(settings, closed_port)
    assert [windows.count("here", seconds=60).count for _ in range(2)] == [1, 2]
    assert len(caplog.records) == 1
    # the same client, and a server that answers again
    monkeypatch.setattr(windows._shared, "_scripts", windows._scripts(there))
    assert windows.count("here", seconds=60).count == 3
    time.sleep(0.35)
    assert windows.count("here", seconds=60).count == 1
    assert redis_at(there).get("here") == "1"


def redis_at(address: str) -> Redis:
    return Redis.from_url(address, decode_responses=True)


def test_a_full_redis_is_no_redis(user: User) -> None:
    client = redis()
    limit = client.config_get("maxmemory")["maxmemory"]
    client.config_set("maxmemory", 1)
    try:
        assert statuses(factories.client_of(user), 4) == [200, 200, 200, 429]
    finally:
        client.config_set("maxmemory", limit)


def test_a_process_remembers_a_bounded_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "MEMORY_ENTRIES", 100)
    memory: Any = windows._Memory()
    for number in range(300):
        memory.count("kept", seconds=60)
        memory.count(f"address {number}", seconds=60)
    assert len(memory._windows) == 100
    # whoever goes on asking is not forgotten
    assert memory.count("kept", seconds=60).count == 301
    ended: Any = windows._Memory()
    for number in range(100):
        ended.count(f"address {number}", seconds=0.001)
    time.sleep(0.01)
    ended.count("another", seconds=60)
    assert len(ended._windows) == 1
