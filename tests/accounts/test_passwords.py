"""Passwords that are changed, and set anew by mail."""

import re
import time
from datetime import datetime, timedelta
from typing import Any

import factories
import pytest
from concurrency import in_a_thread, wait_until
from django.core import mail
from django.test import Client
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts.api.throttles import LoginThrottle
from accounts.models import ApiKey, AuditEvent, TokenFamily, User
from accounts.problems import ConflictError, NotFoundError, NotPermittedError
from accounts.services import erasure, passwords, tokens, users

pytestmark = pytest.mark.django_db

CHANGE = "/api/v1/auth/password/change"
RESET = "/api/v1/auth/password/reset"
CONFIRM = "/api/v1/auth/password/reset/confirm"
ME = "/api/v1/auth/me"
NEW = "another long passphrase"
SWAP = {"old_password": factories.PASSWORD, "new_password": NEW}


@pytest.fixture
def user() -> User:
    return factories.make_user(email="ada@example.org", name="Ada", is_staff=True)


def get_me(access: str) -> int:
    return APIClient().get(ME, HTTP_AUTHORIZATION=f"Bearer {access}").status_code


def session_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def password_of(user: User) -> str:
    user.refresh_from_db()
    known = [password for password in (factories.PASSWORD, NEW) if user.check_password(password)]
    assert len(known) == 1
    return known[0]


def trail() -> list[tuple[str, Any]]:
    rows = AuditEvent.objects.exclude(action="login.succeeded").order_by("id")
    return [(event.action, event.details.get("way")) for event in rows]


def ask(email: str) -> Any:
    return APIClient().post(RESET, {"email": email})


def confirm(token: str, password: str = NEW) -> Any:
    return APIClient().post(CONFIRM, {"token": token, "password": password})


def mailed_token(count: int = 1) -> str:
    """Wait for so many mails; give the token of the last one."""
    wait_until(lambda: len(mail.outbox) >= count, "no mail was sent")
    return re.search(r"#(\S+)", mail.outbox[count - 1].body)[1]


def test_a_change_ends_everything_but_gives_a_new_pair(user: User) -> None:
    pairs = [tokens.begin(user=user) for _ in range(2)]
    session = session_of(user)
    assert session.get("/admin/").status_code == 200
    response = APIClient().post(CHANGE, SWAP, HTTP_AUTHORIZATION=f"Bearer {pairs[0].access}")
    assert response.status_code == 200
    assert password_of(user) == NEW
    assert [get_me(pair.access) for pair in pairs] == [401, 401]
    for pair in pairs:
        assert APIClient().post("/api/v1/auth/token/refresh", {"refresh": pair.refresh}).status_code == 401
    assert session.get("/admin/").status_code == 302
    assert get_me(response.json()["access"]) == 200
    again = APIClient().post("/api/v1/auth/token/refresh", {"refresh": response.json()["refresh"]})
    assert again.status_code == 200
    assert TokenFamily.objects.unrevoked().count() == 1
    assert trail() == [("password.changed", "change")]
    assert AuditEvent.objects.get(action="password.changed").actor_id == user.pk


def test_the_session_that_asks_goes_on_and_the_others_end(user: User) -> None:
    asking, other = session_of(user), session_of(user)
    response = asking.post(CHANGE, SWAP, content_type="application/json")
    assert response.status_code == 200
    assert asking.get("/admin/").status_code == 200
    assert other.get("/admin/").status_code == 302
    assert get_me(response.json()["access"]) == 200


def test_the_wrong_old_password_changes_nothing_and_is_told_of(user: User) -> None:
    pair = tokens.begin(user=user)
    body = {"old_password": "a wrong passphrase", "new_password": NEW}
    response = APIClient().post(CHANGE, body, HTTP_AUTHORIZATION=f"Bearer {pair.access}")
    assert response.status_code == 400
    assert [(error["field"], error["code"]) for error in response.json()["errors"]] == [("old_password", "invalid")]
    assert password_of(user) == factories.PASSWORD
    assert get_me(pair.access) == 200
    assert trail() == [("login.failed", "password_change")]


@pytest.mark.parametrize("password", ["short", "1234567890123", "password123", "ada@example.org", "x" * 1025])
def test_a_password_that_is_not_good_enough_changes_nothing(user: User, password: str) -> None:
    client = factories.client_of(user)
    response = client.post(CHANGE, {**SWAP, "new_password": password})
    assert response.status_code == 400
    assert {error["field"] for error in response.json()["errors"]} == {"new_password"}
    assert password_of(user) == factories.PASSWORD
    assert client.get(ME).status_code == 200
    assert trail() == []


def test_a_key_changes_neither_password_nor_name(user: User) -> None:
    user.acting_key = ApiKey(owner=user, name="k", prefix="k", secret_sha256="0" * 64, scopes=["photos.view"])
    with pytest.raises(NotPermittedError):
        passwords.change(user=user, old_password=factories.PASSWORD, new_password=NEW)
    with pytest.raises(NotPermittedError):
        users.rename(user=user, name="Eve")
    assert password_of(user) == factories.PASSWORD
    assert User.objects.get(pk=user.pk).name == "Ada"


def test_an_account_that_was_erased_at_that_moment_is_not_found(user: User) -> None:
    other = User.objects.get(pk=user.pk)
    erasure.forget_user(user=other, by=None)
    with pytest.raises(NotFoundError):
        passwords.change(user=user, old_password=factories.PASSWORD, new_password=NEW)
    with pytest.raises(NotFoundError):
        passwords.assign(user=user, password=NEW)
    with pytest.raises(NotFoundError):
        users.rename(user=user, name="Eve")
    assert User.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_of_two_changes_at_once_one_is_made(user: User) -> None:
    candidates = ("first long passphrase", "second long passphrase")
    # both have seen the old password before either is changed
    seen = [User.objects.get(pk=user.pk) for _ in candidates]
    racing = [
        in_a_thread(passwords.change, user=one, old_password=factories.PASSWORD, new_password=new)
        for one, new in zip(seen, candidates, strict=True)
    ]
    errors = [one.exception(30) for one in racing]
    assert [type(error) for error in errors if error] == [ConflictError]
    user.refresh_from_db()
    won = errors.index(None)
    assert user.check_password(candidates[won])
    assert get_me(racing[won].result().pair.access) == 200
    assert TokenFamily.objects.count() == 1


def test_the_admins_own_page_ends_sessions_and_tokens_too(user: User) -> None:
    pair = tokens.begin(user=user)
    asking, other = session_of(user), session_of(user)
    form = {"old_password": factories.PASSWORD, "new_password1": NEW, "new_password2": NEW}
    assert asking.post("/admin/password_change/", form).status_code == 302
    assert password_of(user) == NEW
    assert asking.get("/admin/").status_code == 200
    assert other.get("/admin/").status_code == 302
    assert get_me(pair.access) == 401
    assert APIClient().post("/api/v1/auth/token/refresh", {"refresh": pair.refresh}).status_code == 401


def test_a_password_that_a_superuser_sets_ends_them_too(user: User, admin_client: Client) -> None:
    pair, session = tokens.begin(user=user), session_of(user)
    form = {"usable_password": "true", "password1": NEW, "password2": NEW}
    assert admin_client.post(f"/admin/accounts/user/{user.pk}/password/", form).status_code == 302
    assert password_of(user) == NEW
    assert session.get("/admin/").status_code == 302
    assert get_me(pair.access) == 401
    assert ("password.changed", "assigned") in trail()
    assert AuditEvent.objects.get(action="password.changed").subject_id == str(user.pk)


def test_a_superuser_takes_a_password_away(user: User, admin_client: Client) -> None:
    pair = tokens.begin(user=user)
    form = {"usable_password": "false", "unset-password": "1"}
    assert admin_client.post(f"/admin/accounts/user/{user.pk}/password/", form).status_code == 302
    assert not User.objects.get(pk=user.pk).has_usable_password()
    assert get_me(pair.access) == 401


def test_a_superuser_is_led_to_the_page_that_asks_for_the_old_one(admin_client: Client, admin_user: User) -> None:
    before = User.objects.get(pk=admin_user.pk).password
    form = {"usable_password": "true", "password1": NEW, "password2": NEW}
    answer = admin_client.post(f"/admin/accounts/user/{admin_user.pk}/password/", form)
    assert (answer.status_code, answer["Location"]) == (302, "/admin/password_change/")
    assert User.objects.get(pk=admin_user.pk).password == before


@pytest.mark.usefixtures("fresh_windows")
def test_guesses_at_the_admins_own_page_are_told_of_and_limited(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LoginThrottle.THROTTLE_RATES, "token", "2/min")
    client = session_of(user)
    form = {"old_password": "wrong", "new_password1": NEW, "new_password2": NEW}
    statuses = [client.post("/admin/password_change/", form).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
    assert trail() == [("login.failed", "password_change"), ("login.failed", "password_change")]
    assert password_of(user) == factories.PASSWORD


def test_a_reset_sets_a_new_password_once_and_ends_everything(user: User, settings: Settings) -> None:
    settings.PUBLIC_URL = "https://photos.example.org"
    pair, session = tokens.begin(user=user), session_of(user)
    response = ask("ADA@example.org")
    assert (response.status_code, response.content) == (202, b"")
    token = mailed_token()
    assert (mail.outbox[0].to, mail.outbox[0].subject) == (["ada@example.org"], "A new password for Darkroom")
    # behind a #, which no browser sends: not in a proxy's log
    assert f"https://photos.example.org/password-reset#{token}\n" in mail.outbox[0].body
    assert get_me(pair.access) == 200
    response = confirm(token)
    assert (response.status_code, response.content) == (204, b"")
    assert password_of(user) == NEW
    assert get_me(pair.access) == 401
    assert session.get("/admin/").status_code == 302
    assert TokenFamily.objects.unrevoked().count() == 0
    again = confirm(token, "a third long passphrase")
    assert (again.status_code, again.json()["code"]) == (400, "reset_not_valid")
    assert password_of(user) == NEW
    assert trail() == [("password.changed", "reset")]


def test_nobody_learns_who_has_an_account(user: User) -> None:
    closed = factories.make_user(is_active=False)
    elsewhere = factories.make_user()
    elsewhere.set_unusable_password()
    elsewhere.save()
    addresses = [user.email, closed.email, elsewhere.email, "nobody@example.org"]
    answers = [ask(address) for address in addresses]
    assert {(one.status_code, one.content, one["Content-Length"]) for one in answers} == {(202, b"", "0")}
    mailed_token()
    time.sleep(0.2)
    assert [one.to for one in mail.outbox] == [[user.email]]


@pytest.mark.usefixtures("fresh_windows")
def test_an_address_gets_no_more_than_three_mails_in_an_hour(
    user: User, caplog: pytest.LogCaptureFixture, settings: Settings
) -> None:
    settings.PASSWORD_RESET_MAILS = "3/hour"
    answers = [ask(email) for email in (user.email, user.email.upper(), user.email, user.email)]
    assert [(answer.status_code, answer.content) for answer in answers] == [(202, b"")] * 4
    wait_until(lambda: len(mail.outbox) == 3, "three mails")
    assert "its address had 3 of them" in caplog.text
    assert "ada" not in caplog.text.lower()
    # what a stranger asked for is good for whoever reads it, and nobody else is held up
    other = factories.make_user()
    assert ask(other.email).status_code == 202
    wait_until(lambda: len(mail.outbox) == 4, "one to somebody else")
    assert mail.outbox[3].to == [other.email]
    settings.PASSWORD_RESET_MAILS = None
    ask(user.email)
    wait_until(lambda: len(mail.outbox) == 5, "one without a limit")


def test_a_mail_server_that_hangs_is_not_waited_for(user: User, settings: Settings, silent_port: int) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "127.0.0.1", silent_port, 2
    begin = time.monotonic()
    assert ask(user.email).status_code == 202
    assert time.monotonic() - begin < 1.5


@pytest.mark.parametrize("body", [{}, {"email": "no address"}, {"email": None}, {"email": "a\x00b@example.org"}])
def test_what_is_no_address_is_a_400(body: dict[str, Any]) -> None:
    response = APIClient().post(RESET, body)
    assert response.status_code == 400
    assert {error["field"] for error in response.json()["errors"]} == {"email"}


def log_in(user: User) -> None:
    APIClient().post("/api/v1/auth/token", {"email": user.email, "password": factories.PASSWORD})


def move(user: User) -> None:
    User.objects.filter(pk=user.pk).update(email="lovelace@example.org")


def close(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


def close_and_open(user: User) -> None:
    User.objects.filter(pk=user.pk).update(token_generation=1)


@pytest.mark.parametrize("happens", [log_in, move, close, close_and_open])
def test_what_ends_a_token_that_was_mailed(user: User, happens: Any) -> None:
    ask(user.email)
    token = mailed_token()
    happens(user)
    response = confirm(token)
    assert (response.status_code, response.json()["code"]) == (400, "reset_not_valid")
    assert password_of(user) == factories.PASSWORD


@pytest.mark.parametrize(("minutes", "status"), [(59, 204), (61, 400)])
def test_a_token_runs_out_after_an_hour(user: User, minutes: int, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(user.email)
    token = mailed_token()
    assert "60 minutes" in mail.outbox[0].body
    later = datetime.now() + timedelta(minutes=minutes)  # noqa: DTZ005 - as the generator counts
    monkeypatch.setattr(type(passwords._reset_tokens), "_now", lambda _self: later)
    assert confirm(token).status_code == status


@pytest.mark.parametrize(
    "token", ["nonsense", ".", "00000000000000000000000000000000.x-y", "{pk}.", "{pk}.abc-def", "\u0661"]
)
def test_a_token_that_is_none(user: User, token: str) -> None:
    response = confirm(token.format(pk=user.pk.hex))
    assert (response.status_code, response.json()["code"]) == (400, "reset_not_valid")
    assert password_of(user) == factories.PASSWORD


def test_a_token_of_one_account_opens_no_other(user: User) -> None:
    admin = factories.make_user(is_superuser=True)
    ask(user.email)
    forged = f"{admin.pk.hex}.{mailed_token().partition('.')[2]}"
    assert confirm(forged).status_code == 400
    assert password_of(admin) == factories.PASSWORD


def test_a_weak_password_leaves_the_token(user: User) -> None:
    ask(user.email)
    token = mailed_token()
    response = confirm(token, "1234")
    assert {error["field"] for error in response.json()["errors"]} == {"password"}
    assert password_of(user) == factories.PASSWORD
    assert confirm(token).status_code == 204


@pytest.mark.django_db(transaction=True)
def test_of_two_that_use_a_token_at_once_one_sets_the_password(user: User) -> None:
    passwords.request_reset(email=user.email)
    token = mailed_token()
    racing = [
        in_a_thread(passwords.confirm_reset, token=token, password=password)
        for password in ("first long passphrase", "second long passphrase")
    ]
    errors = [one.exception(30) for one in racing]
    assert [type(error) for error in errors if error] == [passwords.ResetNotValidError]
    user.refresh_from_db()
    assert user.check_password(("first", "second")[errors.index(None)] + " long passphrase")
    assert trail() == [("password.changed", "reset")]
