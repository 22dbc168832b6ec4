"""Logging in: what is kept of it, for the API and the admin's form alike."""

from typing import Any

import factories
import pytest
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import AuditEvent, TokenFamily, User

pytestmark = pytest.mark.django_db

TOKEN = "/api/v1/auth/token"
FORM = "/admin/login/"
WRONG = "a wrong passphrase"


@pytest.fixture
def user() -> User:
    return factories.make_user(email="ada@example.org", is_staff=True)


def by_api(email: str, password: str) -> bool:
    response = APIClient().post(TOKEN, {"email": email, "password": password}, REMOTE_ADDR="192.0.2.7")
    assert response.status_code in {200, 401}
    return response.status_code == 200


def by_form(email: str, password: str) -> bool:
    form = {"username": email, "password": password, "next": "/admin/"}
    response = Client().post(FORM, form, REMOTE_ADDR="192.0.2.7")
    assert response.status_code in {200, 302}
    return response.status_code == 302


WAYS = pytest.mark.parametrize(("log_in", "way"), [(by_api, "token"), (by_form, "session")])


def event() -> AuditEvent:
    """Give the only event that there is."""
    return AuditEvent.objects.get()


@WAYS
def test_a_login_is_kept(user: User, log_in: Any, way: str) -> None:
    begin = timezone.now()
    assert log_in("Ada@example.org", factories.PASSWORD)
    user.refresh_from_db()
    assert begin <= user.last_login <= timezone.now()
    assert (event().action, event().actor_id, event().details) == ("login.succeeded", user.pk, {"way": way})
    assert event().address == "192.0.2.7"
    assert TokenFamily.objects.count() == (1 if way == "token" else 0)


@WAYS
def test_a_failure_is_kept_with_the_account_that_was_tried(user: User, log_in: Any, way: str) -> None:
    assert not log_in("ADA@example.org", WRONG)
    user.refresh_from_db()
    assert user.last_login is None
    assert (event().action, event().actor_id, event().subject_id) == ("login.failed", None, str(user.pk))
    assert (event().details, event().address) == ({"way": way}, "192.0.2.7")
    assert TokenFamily.objects.count() == 0


@WAYS
def test_of_an_account_that_is_not_there_nothing_is_kept_but_that_it_failed(log_in: Any, way: str) -> None:
    """What was typed may be a password in the wrong field."""
    assert not log_in("my secret passphrase", WRONG)
    assert (event().action, event().actor_id, event().subject_type, event().subject_id) == (
        "login.failed",
        None,
        "",
        "",
    )
    assert event().details == {"way": way}


@WAYS
def test_a_closed_account_fails(user: User, log_in: Any, way: str) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert not log_in(user.email, factories.PASSWORD)
    assert (event().action, event().subject_id) == ("login.failed", str(user.pk))


def test_leaving_the_admin_is_kept(user: User) -> None:
    client = Client()
    client.force_login(user)
    client.post("/admin/logout/")
    assert [(one.action, one.actor_id, one.details) for one in AuditEvent.objects.order_by("id")] == [
        ("login.succeeded", user.pk, {"way": "session"}),
        ("token.revoked", user.pk, {"way": "session"}),
    ]


def test_leaving_without_having_come_is_no_event(client: Client) -> None:
    client.post("/admin/logout/")
    assert AuditEvent.objects.count() == 0


def test_a_login_that_cannot_be_told_of_gives_no_tokens(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_values: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(AuditEvent.objects, "create", fail)
    with pytest.raises(RuntimeError):
        by_api(user.email, factories.PASSWORD)
    user.refresh_from_db()
    assert user.last_login is None
    assert TokenFamily.objects.count() == 0


def test_blanks_at_the_ends_of_a_password_belong_to_it() -> None:
    user = User.objects.create_user("eve@example.org", "  a long passphrase ")
    assert not by_api(user.email, "a long passphrase")
    assert by_api(user.email, "  a long passphrase ")


@pytest.mark.parametrize("name", ["Ada Lovelace", "", "x" * 150])
def test_people_name_themselves(user: User, name: str) -> None:
    response = factories.client_of(user).patch("/api/v1/auth/me", {"name": name})
    assert (response.status_code, response.json()["name"]) == (200, name)
    user.refresh_from_db()
    assert user.name == name


@pytest.mark.parametrize("body", [{"name": "x" * 151}, {"name": None}, {"name": "a\x00b"}, {"name": ["x"]}])
def test_a_name_that_cannot_be_changes_nothing(user: User, body: dict[str, Any]) -> None:
    response = factories.client_of(user).patch("/api/v1/auth/me", body)
    assert (response.status_code, [error["field"] for error in response.json()["errors"]]) == (400, ["name"])
    user.refresh_from_db()
    assert user.name == ""


def test_a_change_that_says_nothing_changes_nothing(user: User) -> None:
    User.objects.filter(pk=user.pk).update(name="Eve")
    response = factories.client_of(user).patch("/api/v1/auth/me", {})
    assert (response.status_code, response.json()["name"]) == (200, "Eve")
    user.refresh_from_db()
    assert user.name == "Eve"


def test_nothing_but_the_name_is_changed(user: User) -> None:
    name, body = user.name, {"name": "Ada", "email": "eve@example.org", "is_superuser": True, "is_staff": False}
    client = factories.client_of(user)

    assert client.patch("/api/v1/auth/me", body).status_code == 400
    user.refresh_from_db()
    assert (user.name, user.email, user.is_superuser, user.is_staff) == (name, "ada@example.org", False, True)
    assert client.patch("/api/v1/auth/me", {"name": "Ada"}).status_code == 200
    user.refresh_from_db()
    assert (user.name, user.email, user.is_superuser, user.is_staff) == ("Ada", "ada@example.org", False, True)
