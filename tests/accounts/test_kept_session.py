"""The session that asks for what ends all sessions goes on, for as long as nobody else ends it."""

from collections.abc import Callable
from typing import Any

import factories
import pytest
from django.db.models import F
from django.test import Client
from second_factors import code_of, enrol

from accounts.models import User
from accounts.services import passwords, second_factor

pytestmark = pytest.mark.django_db

API = "/api/v1/auth"
PAGE = "/admin/second-factor/"


@pytest.fixture
def user() -> User:
    return factories.make_user(email="ada@example.org", is_staff=True)


def post(client: Client, path: str, **body: str) -> Any:
    answer = client.post(f"{API}/{path}", body, content_type="application/json")
    assert answer.status_code in {200, 204}, answer.content
    return answer


def change_password(client: Client, user: User) -> None:
    post(client, "password/change", old_password=factories.PASSWORD, new_password="another long passphrase")


def confirm(client: Client, user: User) -> None:
    begun = post(client, "second-factor", password=factories.PASSWORD).json()
    post(client, "second-factor/confirm", enrolment=begun["enrolment"], code=code_of(begun["secret"]))


def disable(client: Client, user: User) -> None:
    secret, _ = enrol(user)
    client.force_login(user)
    post(client, "second-factor/disable", password=factories.PASSWORD, code=code_of(secret))


def confirm_on_the_page(client: Client, user: User) -> None:
    begun = client.post(PAGE, {"action": "begin", "password": factories.PASSWORD}).context
    enrolment = begun["confirm_form"].initial["enrolment"]
    client.post(PAGE, {"action": "confirm", "enrolment": enrolment, "code": code_of(begun["secret"])})
    assert user.has_second_factor


def disable_on_the_page(client: Client, user: User) -> None:
    secret, _ = enrol(user)
    client.force_login(user)
    client.post(PAGE, {"action": "disable", "password": factories.PASSWORD, "code": code_of(secret)})
    assert not user.has_second_factor


WAYS = pytest.mark.parametrize(
    ("ask", "service", "name"),
    [
        (change_password, passwords, "change"),
        (confirm, second_factor, "confirm"),
        (disable, second_factor, "disable"),
        (confirm_on_the_page, second_factor, "confirm"),
        (disable_on_the_page, second_factor, "disable"),
    ],
)


@WAYS
def test_it_goes_on(client: Client, user: User, ask: Callable[..., None], service: Any, name: str) -> None:
    client.force_login(user)
    ask(client, user)
    assert client.get("/admin/").status_code == 200
    assert client.get(f"{API}/me").status_code == 200


@WAYS
def test_it_ends_where_somebody_ends_all_logins_right_after(
    client: Client,
    user: User,
    ask: Callable[..., None],
    service: Any,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As a superuser does who resets the second factor, or sets another password, between commit and answer."""
    real = getattr(service, name)

    def act_and_end_all(**given: Any) -> Any:
        done = real(**given)
        User.objects.filter(pk=user.pk).update(token_generation=F("token_generation") + 1)
        return done

    client.force_login(user)
    monkeypatch.setattr(service, name, act_and_end_all)
    ask(client, user)
    assert client.get("/admin/").status_code == 302
    assert client.get(f"{API}/me").status_code == 401
