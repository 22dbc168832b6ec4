"""Who is told more than one word."""

from collections.abc import Iterator

import factories
import pytest
from django.db import connections
from django.test import Client
from pytest_django import Settings

from accounts.models import User
from accounts.services import tokens
from config.health import checks

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("photo_store")]

PATHS = ["/ready", "/health", "/health/db", "/health/ai", "/api/v1/health"]


@pytest.fixture(autouse=True)
def fresh_checks() -> Iterator[None]:
    checks.shared_checks.cache_clear()
    yield
    checks.shared_checks.cache_clear()


def with_session(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def with_token(user: User) -> Client:
    return Client(headers={"Authorization": f"Bearer {tokens.begin(user=user).access}"})


@pytest.mark.parametrize("path", PATHS)
def test_staff_see_detail(path: str) -> None:
    staff = factories.make_user(is_staff=True)
    for client in (with_session(staff), with_token(staff)):
        assert set(client.get(path).json()) == {"status", "components"}


@pytest.mark.parametrize("path", PATHS)
def test_staff_who_have_to_set_up_a_second_factor_first_see_the_status_alone(path: str, settings: Settings) -> None:
    settings.STAFF_SECOND_FACTOR = True
    assert set(with_session(factories.make_user(is_staff=True)).get(path).json()) == {"status"}


@pytest.mark.parametrize("path", PATHS)
def test_strangers_and_users_see_the_status_alone(path: str, settings: Settings) -> None:
    user = factories.make_user()
    gone = factories.make_user(is_staff=True)
    clients = [
        Client(),
        with_session(user),
        with_token(user),
        with_token(gone),
        Client(headers={"Authorization": "Bearer nonsense"}),
        Client(headers={"Authorization": f"Bearer {settings.INTERNAL_TOKEN[:-1]}"}),
    ]
    gone.is_active = False
    gone.save()
    for client in clients:
        assert set(client.get(path).json()) == {"status"}


@pytest.mark.parametrize("path", PATHS)
def test_the_internal_token_needs_no_database(path: str, settings: Settings, closed_port: int) -> None:
    client = Client(headers={"Authorization": f"Bearer {settings.INTERNAL_TOKEN}"})
    database = connections.settings["default"]
    port = database["PORT"]
    connections["default"].close()
    database["PORT"] = closed_port
    try:
        said = client.get(path).json()
    finally:
        database["PORT"] = port
    assert said["status"] == "failing"
    assert set(said) == {"status", "components"}


def test_without_a_database_a_session_shows_nothing(closed_port: int) -> None:
    client = with_session(factories.make_user(is_staff=True))
    database = connections.settings["default"]
    port = database["PORT"]
    connections["default"].close()
    database["PORT"] = closed_port
    try:
        response = client.get("/health")
    finally:
        database["PORT"] = port
    assert (response.status_code, response.json()) == (503, {"status": "failing"})
