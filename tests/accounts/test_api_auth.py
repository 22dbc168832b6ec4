"""Logging in, staying logged in, and what ends it."""

import json
from typing import Any

import factories
import pytest
from pytest_django import Settings
from rest_framework.test import APIClient
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken

from accounts.models import User

pytestmark = pytest.mark.django_db

TOKEN = "/api/v1/auth/token"
REFRESH = "/api/v1/auth/token/refresh"
ME = "/api/v1/auth/me"


def log_in(user: User) -> dict[str, str]:
    response = APIClient().post(TOKEN, {"email": user.email, "password": factories.PASSWORD})
    assert response.status_code == 200
    return response.json()


def get_me(access: str) -> Any:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {access}")
    return client.get(ME)


def test_a_password_gives_a_pair_that_works() -> None:
    user = factories.make_user(email="ada@example.org", name="Ada")

    pair = log_in(user)

    assert set(pair) == {"access", "refresh"}
    response = get_me(pair["access"])
    assert response.status_code == 200
    assert response.json() == {
        "id": str(user.pk),
        "email": "ada@example.org",
        "name": "Ada",
        "is_staff": False,
        "is_superuser": False,
        "date_joined": user.date_joined.isoformat().replace("+00:00", "Z"),
        "quota_bytes": None,
        "used_bytes": 0,
    }


def test_the_case_of_the_address_does_not_matter() -> None:
    factories.make_user(email="ada@example.org")

    response = APIClient().post(TOKEN, {"email": "Ada@Example.ORG", "password": factories.PASSWORD})

    assert response.status_code == 200


def test_wrong_credentials_do_not_tell_which_is_wrong() -> None:
    user = factories.make_user()

    answers = [
        APIClient().post(TOKEN, {"email": email, "password": "a wrong password"}).json()
        for email in (user.email, "nobody@example.org")
    ]

    assert answers[0] == answers[1]
    assert answers[0]["status"] == 401
    assert answers[0]["code"] == "no_active_account"
    assert OutstandingToken.objects.count() == 0


def test_missing_credentials_are_named() -> None:
    response = APIClient().post(TOKEN, {})

    assert response.status_code == 400
    assert response.json()["code"] == "invalid"
    assert response.json()["errors"] == [
        {"field": "email", "code": "required", "detail": "This field is required."},
        {"field": "password", "code": "required", "detail": "This field is required."},
    ]


@pytest.mark.parametrize("email", ["a\x00b@example.org", ["x"], {"a": 1}])
def test_an_address_that_cannot_be_is_a_400(email: object) -> None:
    response = APIClient().post(TOKEN, {"email": email, "password": "x"})

    assert response.status_code == 400
    assert [error["field"] for error in response.json()["errors"]] == ["email"]


def test_without_credentials_there_is_a_challenge() -> None:
    response = APIClient().get(ME)

    assert response.status_code == 401
    assert response["WWW-Authenticate"] == 'Bearer realm="api"'
    assert response["Content-Type"] == "application/problem+json"
    assert response.json() == {
        "type": "about:blank",
        "title": "Unauthorized",
        "status": 401,
        "detail": "Authentication credentials were not provided.",
        "code": "not_authenticated",
    }


def test_a_token_that_is_none_is_refused() -> None:
    response = get_me("nonsense")

    assert response.status_code == 401
    assert response.json()["code"] == "token_not_valid"


def test_a_refresh_token_is_no_access_token() -> None:
    response = get_me(log_in(factories.make_user())["refresh"])

    assert response.status_code == 401
    assert response.json()["code"] == "token_not_valid"


def test_a_refresh_token_works_once() -> None:
    first = log_in(factories.make_user())

    second = APIClient().post(REFRESH, {"refresh": first["refresh"]})
    assert get_me(second.json()["access"]).status_code == 200
    again = APIClient().post(REFRESH, {"refresh": first["refresh"]})

    assert second.status_code == 200
    assert set(second.json()) == {"access", "refresh"}
    assert second.json()["refresh"] != first["refresh"]
    assert again.status_code == 401
    assert again.json()["code"] == "token_not_valid"
    assert again["WWW-Authenticate"] == 'Bearer realm="api"'


def test_a_changed_password_ends_every_token() -> None:
    user = factories.make_user()
    pair = log_in(user)
    user.set_password("another long password")
    user.save()

    access = get_me(pair["access"])
    refresh = APIClient().post(REFRESH, {"refresh": pair["refresh"]})

    assert (access.status_code, access.json()["code"]) == (401, "password_changed")
    assert (refresh.status_code, refresh.json()["code"]) == (401, "password_changed")
    assert BlacklistedToken.objects.count() == 0


def test_a_deactivated_account_is_out() -> None:
    user = factories.make_user()
    pair = log_in(user)
    session = APIClient()
    session.force_login(user)
    assert session.get(ME).status_code == 200
    User.objects.filter(pk=user.pk).update(is_active=False)

    access = get_me(pair["access"])
    refresh = APIClient().post(REFRESH, {"refresh": pair["refresh"]})
    login = APIClient().post(TOKEN, {"email": user.email, "password": factories.PASSWORD})

    assert (access.status_code, access.json()["code"]) == (401, "user_inactive")
    assert (refresh.status_code, refresh.json()["code"]) == (401, "user_inactive")
    assert (login.status_code, login.json()["code"]) == (401, "no_active_account")
    assert session.get(ME).status_code == 401


def test_the_refresh_token_of_a_deleted_account_is_a_401() -> None:
    user = factories.make_user()
    pair = log_in(user)
    user.delete()

    response = APIClient().post(REFRESH, {"refresh": pair["refresh"]})

    assert (response.status_code, response.json()["code"]) == (401, "token_not_valid")


def test_nesting_without_end_is_a_bad_request() -> None:
    answer = APIClient().post("/api/v1/auth/token", "[" * 100_000, content_type="application/json")
    assert answer.status_code == 400
    assert answer.json()["code"] == "parse_error"


def test_a_body_larger_than_any_that_is_wanted_is_not_read(settings: Settings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    body = json.dumps({"email": "ada@example.org", "password": "x" * 100})
    response = APIClient().post("/api/v1/auth/token", body, content_type="application/json")
    assert (response.status_code, response.json()["code"]) == (413, "request_too_large")
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = len(body)
    assert APIClient().post("/api/v1/auth/token", body, content_type="application/json").status_code == 401


@pytest.mark.parametrize("text", ["\\ud800", "\\uDFFF x", "\\ud800\\ud800"])
def test_half_a_character_is_a_bad_request(text: str) -> None:
    client = APIClient()
    client.force_authenticate(factories.make_user())
    for body in (f'{{"scopes": ["{text}"], "name": "k"}}', f'{{"{text}": 1}}'):
        response = client.post("/api/v1/keys", body, content_type="application/json")
        assert (response.status_code, response.json()["code"]) == (400, "parse_error")
    whole = '{"scopes": ["\\ud83d\\ude00"], "name": "k"}'
    response = client.post("/api/v1/keys", whole, content_type="application/json")
    assert (response.status_code, response.json()["code"]) == (400, "invalid")


def test_an_address_of_no_provider_is_not_there() -> None:
    for provider in ("%00", "a%00b", "none"):
        assert APIClient().get(f"/api/v1/auth/social/{provider}/callback").status_code == 404
