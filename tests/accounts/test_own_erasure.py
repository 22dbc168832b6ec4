"""Somebody erases their own account: with all that shows that it is they, and with no guessing."""

from typing import Any

import factories
import pytest
from concurrency import in_a_thread
from rest_framework.test import APIClient
from second_factors import code_of, enrol, wrong_code

from accounts.api.throttles import RateLimit
from accounts.models import AuditEvent, ErasureReceipt, User
from accounts.services import second_factor

pytestmark = pytest.mark.django_db

ME = "/api/v1/auth/me"
RATES = {"token": "3/min", "anonymous": "20/min", "user": "20/min"}


@pytest.fixture
def few_attempts(monkeypatch: pytest.MonkeyPatch, fresh_windows: None) -> None:
    monkeypatch.setattr(RateLimit, "THROTTLE_RATES", RATES)


def erase(client: APIClient, **body: str) -> Any:
    return client.delete(ME, body)


def answer(response: Any) -> tuple[int, str]:
    return response.status_code, response.json().get("code", "")


def failures() -> list[tuple[str, str]]:
    rows = AuditEvent.objects.filter(action__in=["login.failed", "second_factor.failed"]).order_by("id")
    return [(event.action, event.details["way"]) for event in rows]


def is_there(user: User) -> bool:
    return User.objects.filter(pk=user.pk).exists() and not ErasureReceipt.objects.exists()


def without_password(user: User) -> User:
    user.set_unusable_password()
    user.save()
    return user


@pytest.mark.django_db(transaction=True)
def test_a_wrong_password_is_told_of_though_the_request_is_refused() -> None:
    user = factories.make_user()
    refused = erase(factories.client_of(user), password="wrong")
    assert (answer(refused), refused.json()["errors"][0]["field"]) == ((400, "invalid"), "password")
    assert in_a_thread(failures).result(10) == [("login.failed", "erasure")]
    assert is_there(user)


def test_nobody_guesses_the_password_with_a_stolen_token(few_attempts: None) -> None:
    user = factories.make_user()
    client = factories.client_of(user)
    assert [erase(client, password="wrong").status_code for _ in range(3)] == [400, 400, 400]
    refused = erase(client, password=factories.PASSWORD)
    assert answer(refused) == (429, "throttled")
    assert refused["RateLimit-Policy"] == '"token";q=3;w=60'
    assert is_there(user)
    # they are attempts to log in, and what is no guess is counted as ever
    assert APIClient().post("/api/v1/auth/token", {"email": "x", "password": "x"}).status_code == 429
    assert client.get(ME)["RateLimit-Policy"] == '"user";q=20;w=60'


def test_a_password_without_end_is_not_hashed() -> None:
    user = factories.make_user()
    refused = erase(factories.client_of(user), password="x" * 1025)
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (400, "max_length")
    assert failures() == []
    assert is_there(user)


def test_an_account_with_a_second_factor_goes_by_its_code() -> None:
    user = factories.make_user()
    secret, _ = enrol(user)
    client = factories.client_of(user)
    password = factories.PASSWORD

    assert answer(erase(client, password=password)) == (400, "second_factor_required")
    assert failures() == []
    assert answer(erase(client, password=password, code=wrong_code(secret))) == (400, "second_factor_wrong")
    assert answer(erase(client, password="wrong", code=code_of(secret))) == (400, "invalid")
    assert failures() == [("second_factor.failed", "erasure"), ("login.failed", "erasure")]
    assert is_there(user)

    assert erase(client, password=password, code=code_of(secret)).status_code == 200
    assert not User.objects.filter(pk=user.pk).exists()


def test_guessing_codes_ends_as_at_a_login() -> None:
    user = factories.make_user()
    secret, _ = enrol(user)
    client = factories.client_of(user)
    for _ in range(5):
        wrong = erase(client, password=factories.PASSWORD, code=wrong_code(secret))
        assert answer(wrong) == (400, "second_factor_wrong")
    refused = erase(client, password=factories.PASSWORD, code=code_of(secret))
    assert answer(refused) == (429, "second_factor_locked")
    assert is_there(user)


def test_an_account_without_a_password_goes_without_one() -> None:
    user = without_password(factories.make_user())
    assert erase(factories.client_of(user), password="").status_code == 200
    assert not User.objects.filter(pk=user.pk).exists()


def test_an_account_without_a_password_goes_by_the_code_if_it_has_one() -> None:
    user = factories.make_user()
    secret, _ = enrol(user)
    client = factories.client_of(without_password(user))
    assert answer(erase(client, password="")) == (400, "second_factor_required")
    assert is_there(user)
    assert second_factor.state(user=user).enabled
    assert erase(client, password="", code=code_of(secret)).status_code == 200
    assert not User.objects.filter(pk=user.pk).exists()
