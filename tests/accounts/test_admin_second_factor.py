"""The second factor in the admin: at its login, on its own page, and where staff must have one."""

import base64
import re
from http import HTTPStatus
from typing import Any

import factories
import pytest
from allauth.mfa.models import Authenticator
from django.contrib import admin as django_admin
from django.test import Client
from pytest_django import Settings
from rest_framework.test import APIClient
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken
from second_factors import code_of, enrol, wrong_code

from accounts.api.throttles import LoginThrottle
from accounts.models import AuditAction, AuditEvent, TokenFamily, User

pytestmark = pytest.mark.django_db

LOGIN = "/admin/login/"
PAGE = "/admin/second-factor/"
USERS = "/admin/accounts/user/"


def log_in(client: Client, user: User, **more: str) -> Any:
    return client.post(LOGIN, {"username": user.email, "password": factories.PASSWORD, "next": "/admin/", **more})


def is_logged_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


def test_the_login_asks_for_the_code(client: Client) -> None:
    user = factories.make_user(is_staff=True)
    secret, _ = enrol(user)
    assert 'autocomplete="one-time-code"' in client.get(LOGIN).content.decode()

    response = log_in(client, user)
    assert "This account has a second factor" in response.content.decode()
    assert not is_logged_in(client)
    response = log_in(client, user, code=wrong_code(secret))
    assert "This code is wrong" in response.content.decode()
    assert not is_logged_in(client)
    assert AuditEvent.objects.get(action=AuditAction.LOGIN_FAILED).details == {"way": "session"}
    code = code_of(secret)
    assert log_in(client, user, code=code)["Location"] == "/admin/"
    assert client.get("/admin/").status_code == HTTPStatus.OK

    # it worked once
    assert "This code is wrong" in log_in(Client(), user, code=code).content.decode()


def test_somebody_who_is_no_staff_uses_up_no_code(client: Client) -> None:
    user = factories.make_user()
    secret, _ = enrol(user)
    code = code_of(secret)

    assert log_in(client, user, code=code).status_code == HTTPStatus.OK

    assert not is_logged_in(client)
    body = {"email": user.email, "password": factories.PASSWORD, "code": code}
    assert APIClient().post("/api/v1/auth/token", body).status_code == HTTPStatus.OK


def test_staff_set_one_up_on_a_page(client: Client) -> None:
    user = factories.make_user(is_staff=True)
    log_in(client, user)
    other = Client()
    log_in(other, user)

    assert "Set up a second factor" in client.get(PAGE).content.decode()
    wrong = client.post(PAGE, {"action": "begin", "password": "wrong"})
    assert "This is not your password." in wrong.content.decode()
    begun = client.post(PAGE, {"action": "begin", "password": factories.PASSWORD})
    page = begun.content.decode()
    assert "no-store" in begun["Cache-Control"]
    drawn = re.search(r'src="data:image/svg\+xml;base64,([^"]+)"', page)
    assert drawn is not None
    assert b"<svg" in base64.b64decode(drawn[1])
    secret = begun.context["secret"]
    assert secret in page
    enrolment = begun.context["confirm_form"].initial["enrolment"]

    mistaken = client.post(PAGE, {"action": "confirm", "enrolment": enrolment, "code": wrong_code(secret)})
    assert "This code is wrong" in mistaken.content.decode()
    assert Authenticator.objects.count() == 0
    done = client.post(PAGE, {"action": "confirm", "enrolment": enrolment, "code": code_of(secret, step=-1)})

    codes = done.context["recovery_codes"]
    assert len(codes) == 10
    assert all(code in done.content.decode() for code in codes)
    # this session goes on, the other one has ended
    assert client.get(PAGE).status_code == HTTPStatus.OK
    assert other.get(PAGE).status_code == HTTPStatus.FOUND
    assert "10 recovery codes are unused" in client.get(PAGE).content.decode()
    again = client.post(PAGE, {"action": "recovery_codes", "password": factories.PASSWORD, "code": code_of(secret)})
    assert not set(again.context["recovery_codes"]) & set(codes)
    body = {"action": "disable", "password": factories.PASSWORD}
    assert client.post(PAGE, body | {"code": codes[0]}).status_code == HTTPStatus.OK
    assert Authenticator.objects.count() == 2
    assert client.post(PAGE, body | {"code": code_of(secret, step=1)})["Location"] == PAGE
    assert Authenticator.objects.count() == 0
    assert client.get("/admin/").status_code == HTTPStatus.OK


def test_the_page_begins_no_login_of_the_api(client: Client) -> None:
    client.force_login(factories.make_user(is_staff=True))
    begun = client.post(PAGE, {"action": "begin", "password": factories.PASSWORD})
    enrolment = begun.context["confirm_form"].initial["enrolment"]
    client.post(PAGE, {"action": "confirm", "enrolment": enrolment, "code": code_of(begun.context["secret"])})
    assert Authenticator.objects.count() == 2
    assert (TokenFamily.objects.count(), OutstandingToken.objects.count()) == (0, 0)


@pytest.mark.usefixtures("fresh_windows")
def test_who_guesses_on_the_page_is_told_how_long_to_wait(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LoginThrottle, "THROTTLE_RATES", {"token": "2/hour"})
    user = factories.make_user(is_staff=True)
    client.force_login(user)
    guess = {"path": PAGE, "data": {"action": "begin", "password": "wrong"}, "REMOTE_ADDR": "203.0.113.77"}
    for _ in range(2):
        assert "This is not your password." in client.post(**guess).content.decode()
    refused = client.post(**guess | {"data": {"action": "begin", "password": factories.PASSWORD}}).content.decode()
    told = re.search(r"These were too many attempts: try again in (\d+) s\.", refused)
    assert told is not None
    assert 60 < int(told[1]) <= 3600
    assert "otpauth" not in refused


def test_no_page_of_it_has_a_script_or_a_style_of_its_own(client: Client) -> None:
    user = factories.make_user(is_staff=True)
    client.force_login(user)
    page = client.post(PAGE, {"action": "begin", "password": factories.PASSWORD}).content.decode()
    own = page[page.index("dr-narrow") : page.index("Begin anew")]

    assert "<script" not in own
    assert "style" not in own
    assert " on" not in re.sub(r">[^<]*<", "><", own)


def test_staff_who_must_have_one_can_only_set_it_up(client: Client, settings: Settings) -> None:
    settings.STAFF_SECOND_FACTOR = True
    user = factories.make_user(is_staff=True, is_superuser=True)
    assert log_in(client, user)["Location"] == "/admin/"

    for path in ("/admin/", USERS, f"{USERS}{user.pk}/change/", "/admin/password_change/", "/admin/nothing/"):
        response = client.get(path)
        assert (response.status_code, response["Location"]) == (HTTPStatus.FOUND, PAGE)
    form = {"email": "x@example.org", "usable_password": "false", "password1": "", "password2": ""}
    assert client.post(f"{USERS}add/", form)["Location"] == PAGE
    assert User.objects.count() == 1
    # nor does the session open the API, where it would count elsewhere
    for path in ("auth/me", "photos", "audit", "admin/dlq"):
        assert client.get(f"/api/v1/{path}").status_code == HTTPStatus.UNAUTHORIZED
    by_api = {"path": "/api/v1/auth/second-factor", "data": {"password": factories.PASSWORD}}
    begun_by_api = client.post(**by_api, content_type="application/json")
    assert begun_by_api.status_code == HTTPStatus.UNAUTHORIZED
    page = client.get(PAGE)
    assert "nothing else opens until you have set it up" in page.content.decode()
    (group,) = page.context["sidebar_navigation"]
    assert [entry["link"] for entry in group["items"]] == [PAGE]

    begun = client.post(PAGE, {"action": "begin", "password": factories.PASSWORD})
    enrolment = begun.context["confirm_form"].initial["enrolment"]
    client.post(PAGE, {"action": "confirm", "enrolment": enrolment, "code": code_of(begun.context["secret"])})

    assert client.get("/admin/").status_code == HTTPStatus.OK
    assert client.get("/api/v1/auth/me").status_code == HTTPStatus.OK
    # taken away, it closes all that again
    body = {"action": "disable", "password": factories.PASSWORD, "code": code_of(begun.context["secret"], step=1)}
    assert client.post(PAGE, body).status_code == HTTPStatus.FOUND
    assert client.get("/admin/")["Location"] == PAGE


def test_who_becomes_staff_is_asked_at_once(client: Client, settings: Settings) -> None:
    settings.STAFF_SECOND_FACTOR = True
    user = factories.make_user()
    client.force_login(user)
    assert client.get("/api/v1/auth/me").status_code == HTTPStatus.OK

    User.objects.update(is_staff=True)

    assert client.get("/api/v1/auth/me").status_code == HTTPStatus.UNAUTHORIZED


def test_superusers_reset_that_of_others_in_the_admin(client: Client) -> None:
    superuser, user = factories.make_user(is_staff=True, is_superuser=True), factories.make_user(is_staff=True)
    enrol(user)
    client.force_login(superuser)
    page = client.get(f"{USERS}{user.pk}/change/").content.decode()
    found = re.search(rf'"(/admin/accounts/user/{user.pk}/[^"]*reset[^"]*)"', page)
    assert found is not None
    assert "Deactivate" in page

    assert client.get(found[1]).status_code == HTTPStatus.OK
    assert user.has_second_factor
    response = client.post(found[1], {"_form_submitted": "True"})

    assert (response.status_code, response["HX-Refresh"]) == (HTTPStatus.OK, "true")
    assert not user.has_second_factor
    event = AuditEvent.objects.get(action=AuditAction.SECOND_FACTOR_DISABLED)
    assert (event.actor_id, event.subject_id) == (superuser.pk, str(user.pk))
    # nothing is left to take away
    assert "reset_second_factor" not in client.get(f"{USERS}{user.pk}/change/").content.decode()


def test_staff_reset_nobodys(client: Client) -> None:
    staff, user = factories.make_user(is_staff=True), factories.make_user()
    enrol(user)
    client.force_login(staff)

    response = client.post(f"{USERS}{user.pk}/reset_second_factor/", {"_form_submitted": "True"})

    assert response.status_code == HTTPStatus.FORBIDDEN
    assert user.has_second_factor


def test_rows_of_second_factors_have_no_page() -> None:
    assert not django_admin.site.is_registered(Authenticator)
