"""How often one address may try to log in: counted in the real Redis, for all web servers together."""

import time
from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

import factories
import pytest
from django.http import HttpResponse
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts import rate_limits
from accounts.api.throttles import LoginThrottle
from accounts.models import User

pytestmark = pytest.mark.django_db

TOKEN = "/api/v1/auth/token"


@pytest.fixture(autouse=True)
def few_attempts(monkeypatch: pytest.MonkeyPatch, fresh_windows: None) -> Iterator[None]:
    monkeypatch.setattr(LoginThrottle, "THROTTLE_RATES", {"token": "3/min"})
    yield
    rate_limits.parse.cache_clear()


@pytest.fixture
def user() -> User:
    return factories.make_user()


def attempt(user: User, password: str = "a wrong password", **headers: str) -> HttpResponse:
    return APIClient().post(TOKEN, {"email": user.email, "password": password}, **headers)


def statuses(user: User, count: int, **headers: str) -> list[int]:
    return [attempt(user, **headers).status_code for _ in range(count)]


def test_too_many_attempts_are_refused_and_told_when_to_come_back(user: User) -> None:
    assert statuses(user, 3) == [401, 401, 401]
    refused = attempt(user, factories.PASSWORD)
    assert (refused.status_code, refused["Content-Type"]) == (429, "application/problem+json")
    problem = refused.json()
    assert (problem["code"], problem["status"], problem["title"]) == ("throttled", 429, "Too Many Requests")
    assert 50 <= int(refused["Retry-After"]) <= 60
    user.refresh_from_db()
    assert user.outstandingtoken_set.count() == 0
    # another address is not meant
    assert attempt(user, factories.PASSWORD, REMOTE_ADDR="192.0.2.7").status_code == 200


def test_after_the_period_one_may_try_again(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LoginThrottle, "THROTTLE_RATES", {"token": "3/s"})
    monkeypatch.setattr(rate_limits, "_SECONDS", {"s": 2})
    rate_limits.parse.cache_clear()
    assert statuses(user, 4) == [401, 401, 401, 429]
    time.sleep(2.1)
    assert attempt(user, factories.PASSWORD).status_code == 200


def test_a_rate_that_was_lowered_says_when_to_come_back_too(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    assert statuses(user, 3) == [401, 401, 401]
    monkeypatch.setattr(LoginThrottle, "THROTTLE_RATES", {"token": "1/min"})
    refused = attempt(user)
    assert refused.status_code == 429
    assert 50 <= int(refused["Retry-After"]) <= 60


def test_who_stays_logged_in_is_not_counted(user: User) -> None:
    pair = attempt(user, factories.PASSWORD).json()
    for _ in range(5):
        response = APIClient().post(f"{TOKEN}/refresh", {"refresh": pair["refresh"]})
        assert response.status_code == 200
        pair = response.json()


def test_without_proxies_nobody_gives_himself_an_address(user: User) -> None:
    assert [attempt(user, HTTP_X_FORWARDED_FOR=f"192.0.2.{n}").status_code for n in range(4)] == [401, 401, 401, 429]


def test_behind_a_proxy_the_address_is_the_one_that_it_adds(user: User, settings: Settings) -> None:
    settings.TRUSTED_PROXIES = [ip_network("127.0.0.0/8")]
    forged = [attempt(user, HTTP_X_FORWARDED_FOR=f"198.51.100.{n}, 192.0.2.1").status_code for n in range(4)]
    assert forged == [401, 401, 401, 429]
    assert attempt(user, factories.PASSWORD, HTTP_X_FORWARDED_FOR="192.0.2.2").status_code == 200


def test_without_redis_each_process_counts_for_itself(
    user: User, settings: Settings, closed_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    away: dict[str, Any] = {**settings.CACHES["default"], "LOCATION": f"redis://127.0.0.1:{closed_port}/1"}
    settings.CACHES = {"default": away}
    assert attempt(user, factories.PASSWORD).status_code == 200
    assert statuses(user, 3) == [401, 401, 429]
    # said once, and not for each attempt
    said = [record.message.partition(":")[0] for record in caplog.records if record.name == "accounts.windows"]
    assert said == ["each process counts requests for itself for 5 s"]
