"""The password of a share: asked for first, kept by a cookie for this link alone, and not to be guessed."""

from http.cookies import Morsel

import factories
import pytest
from django.core import signing
from django.test import Client
from pytest_django import Settings
from shared_links import make_shown_photo, share, status

from accounts.models import Library, User
from gallery.models import Share
from gallery.services import shares
from gallery.sharing import attempts, unlocking

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("photo_store")]

PASSWORD = "open sesame"


@pytest.fixture
def library() -> Library:
    return factories.make_library()


@pytest.fixture
def sharer(library: Library) -> User:
    return factories.make_member(library, "editor")


@pytest.fixture
def shared(library: Library, sharer: User) -> tuple[Share, str]:
    return share(sharer, make_shown_photo(library), title="Summer", password=PASSWORD, allow_originals=True)


def unlocked(link: str, **named: str) -> Client:
    client = Client(**named)
    assert client.post(link, {"password": PASSWORD}).status_code == 303
    return client


def sees(client: Client, link: str) -> list[int]:
    return [status(client, link + rest) for rest in ("/1/preview", "/1/original")]


def test_nothing_is_shown_or_said_before_the_password(shared: tuple[Share, str]) -> None:
    made, link = shared
    client = Client()
    page = client.get(link)
    assert page.status_code == 200
    assert b'type="password" required maxlength="128"' in page.content
    assert b"Summer" not in page.content
    assert b"/1" not in page.content
    assert sees(client, link) == [404, 404]
    onward = client.get(f"{link}/1")
    assert (onward.status_code, onward["Location"]) == (302, link)
    made.refresh_from_db()
    assert made.view_count == 0


def test_the_password_opens_it_for_an_hour_in_this_browser_below_this_link(shared: tuple[Share, str]) -> None:
    made, link = shared
    client = Client()

    response = client.post(link, {"password": PASSWORD})

    assert (response.status_code, response["Location"]) == (303, link)
    cookie: Morsel = response.cookies["darkroom_share"]
    assert (cookie["path"], cookie["max-age"], cookie["samesite"]) == (link, 3600, "Lax")
    assert cookie["httponly"] is True
    assert list(response.cookies) == ["darkroom_share"]
    assert b"Summer" in client.get(link).content
    assert sees(client, link) == [200, 200]
    assert sees(Client(), link) == [404, 404]
    made.refresh_from_db()
    assert made.view_count == 1


def test_the_cookie_is_secure_where_the_link_is(shared: tuple[Share, str], settings: Settings) -> None:
    _, link = shared
    assert Client().post(link, {"password": PASSWORD}).cookies["darkroom_share"]["secure"] == ""
    assert Client().post(link, {"password": PASSWORD}, secure=True).cookies["darkroom_share"]["secure"] is True
    settings.SESSION_COOKIE_SECURE = True
    assert Client().post(link, {"password": PASSWORD}).cookies["darkroom_share"]["secure"] is True


@pytest.mark.parametrize("given", ["", "open sesam", "OPEN SESAME", " open sesame", "x" * 10_000, "\x00"])
def test_another_password_opens_nothing(shared: tuple[Share, str], given: str) -> None:
    _, link = shared
    client = Client()
    response = client.post(link, {"password": given})
    assert (response.status_code, response.cookies) == (403, {})
    assert b"That is not the password." in response.content
    assert sees(client, link) == [404, 404]


def test_a_browser_that_says_no_origin_may_give_the_password(shared: tuple[Share, str]) -> None:
    """Under `Referrer-Policy: no-referrer` browsers post with `Origin: null`."""
    client = Client(enforce_csrf_checks=True)
    response = client.post(shared[1], {"password": PASSWORD}, headers={"Origin": "null"}, secure=True)
    assert response.status_code == 303


def test_what_opened_it_ends_with_the_password_and_with_the_share(shared: tuple[Share, str], sharer: User) -> None:
    made, link = shared
    client = unlocked(link)
    shares.change_share(share_id=made.pk, by=sharer, changes={"title": "Autumn"})
    assert sees(client, link) == [200, 200]
    shares.change_share(share_id=made.pk, by=sharer, changes={"password": "another one"})
    assert sees(client, link) == [404, 404]
    assert b'type="password"' in client.get(link).content
    # the same words again are another hash
    shares.change_share(share_id=made.pk, by=sharer, changes={"password": PASSWORD})
    assert sees(client, link) == [404, 404]
    client = unlocked(link)
    shares.revoke_shares(share_ids=[made.pk], by=sharer)
    assert (client.get(link).status_code, sees(client, link)) == (404, [404, 404])


def test_a_cookie_opens_its_own_share_and_for_its_time(
    shared: tuple[Share, str], library: Library, sharer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, link = shared
    _, other = share(sharer, make_shown_photo(library), password=PASSWORD)
    value = unlocked(link).cookies["darkroom_share"].value
    client = Client()
    client.cookies["darkroom_share"] = value
    assert sees(client, link) == [200, 200]
    assert status(client, f"{other}/1/preview") == 404
    for forged in (value[:-1] + ("A" if value[-1] != "A" else "B"), "", signing.dumps("mine", salt="other"), "a:b:c"):
        client.cookies["darkroom_share"] = forged
        assert sees(client, link) == [404, 404], forged
    client.cookies["darkroom_share"] = value
    monkeypatch.setattr(unlocking, "UNLOCKED_SECONDS", -1)
    assert sees(client, link) == [404, 404]


def guess(link: str, address: str, password: str = "wrong one") -> int:
    return Client(REMOTE_ADDR=address).post(link, {"password": password}).status_code


def test_an_address_has_ten_attempts_in_ten_minutes(shared: tuple[Share, str]) -> None:
    _, link = shared
    assert [guess(link, "203.0.113.7") for _ in range(12)] == [403] * 10 + [429] * 2
    response = Client(REMOTE_ADDR="203.0.113.7").post(link, {"password": PASSWORD})
    assert (response.status_code, response["Retry-After"], response.cookies) == (429, "600", {})
    assert b"Too many attempts." in response.content
    # whoever is somewhere else, and whoever looks at another share, is not held up
    assert guess(link, "203.0.113.8", PASSWORD) == 303


def test_a_network_of_ipv6_is_one_address(shared: tuple[Share, str]) -> None:
    _, link = shared
    assert [guess(link, f"2001:db8:0:1::{number}") for number in range(1, 12)] == [403] * 10 + [429]
    assert guess(link, "2001:db8:0:2::1") == 403


def test_many_addresses_together_have_two_hundred(shared: tuple[Share, str], monkeypatch: pytest.MonkeyPatch) -> None:
    _, link = shared
    monkeypatch.setattr(attempts, "SHARE_LIMIT", 5)
    assert [guess(link, f"203.0.113.{number}") for number in range(1, 8)] == [403] * 5 + [429] * 2


def test_those_who_know_it_are_as_many_as_they_like(shared: tuple[Share, str]) -> None:
    _, link = shared
    assert [guess(link, "203.0.113.7", PASSWORD) for _ in range(15)] == [303] * 15


def test_an_address_that_has_no_attempt_left_takes_none_of_the_others(
    shared: tuple[Share, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, link = shared
    monkeypatch.setattr(attempts, "SHARE_LIMIT", 12)
    assert [guess(link, "203.0.113.7") for _ in range(50)][-1] == 429
    assert [guess(link, "203.0.113.8") for _ in range(2)] == [403, 403]


def test_attempts_are_counted_without_redis_too(
    shared: tuple[Share, str], settings: Settings, closed_port: int
) -> None:
    _, link = shared
    there = settings.CACHES["default"]
    settings.CACHES = {"default": {**there, "LOCATION": f"redis://127.0.0.1:{closed_port}/1"}}
    assert [guess(link, "203.0.113.7") for _ in range(11)] == [403] * 10 + [429]
    assert guess(link, "203.0.113.8", PASSWORD) == 303


def test_a_password_that_is_not_asked_for_is_no_error(library: Library, sharer: User) -> None:
    _, link = share(sharer, make_shown_photo(library))
    assert Client().post(link, {"password": "whatever"}).status_code == 303
