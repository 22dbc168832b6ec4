"""Who guesses passwords is locked out for a while, and learns nothing from it."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, ClassVar

import factories
import pytest
from axes.models import AccessAttempt
from django.contrib import admin as django_admin
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.core.management import call_command
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone
from pytest_django import Settings
from rest_framework.test import APIClient
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken
from second_factors import enrol

from accounts import lockout
from accounts.models import AuditEvent, User
from accounts.problems import NotPermittedError
from accounts.services import passwords, users

pytestmark = pytest.mark.django_db

TOKEN = "/api/v1/auth/token"
LOGIN = "/admin/login/"
HERE, THERE = "192.0.2.1", "192.0.2.2"


@pytest.fixture
def user() -> User:
    return factories.make_user(email="ada@example.org", is_staff=True)


def ask(email: str, password: str = "a wrong password", address: str = HERE, **headers: str) -> HttpResponse:
    return APIClient().post(TOKEN, {"email": email, "password": password}, REMOTE_ADDR=address, **headers)


def statuses(email: str, count: int, **values: str) -> list[int]:
    return [ask(email, **values).status_code for _ in range(count)]


def log_in(email: str, password: str = "a wrong password", address: str = HERE) -> HttpResponse:
    return Client().post(LOGIN, {"username": email, "password": password, "next": "/admin/"}, REMOTE_ADDR=address)


def test_five_wrong_passwords_lock_an_account_for_that_address(user: User) -> None:
    assert statuses(user.email, 5) == [401, 401, 401, 401, 429]

    refused = ask(user.email, factories.PASSWORD)

    assert (refused.status_code, refused["Content-Type"]) == (429, "application/problem+json")
    assert (refused.json()["code"], refused["Retry-After"]) == ("login_locked", "900")
    assert OutstandingToken.objects.count() == 0
    # another address is not meant, nor another account
    assert ask(user.email, factories.PASSWORD, THERE).status_code == 200
    other = factories.make_user()
    assert ask(other.email, factories.PASSWORD).status_code == 200


def test_a_superuser_lets_somebody_in_on_their_page(user: User) -> None:
    boss = factories.make_user(is_staff=True, is_superuser=True)
    client = Client()
    client.force_login(boss)
    address = f"/admin/accounts/user/{user.pk}"
    assert statuses(user.email, 4) == [401] * 4
    assert f"{address}/unlock/" not in client.get(f"{address}/change/").content.decode()
    assert statuses(user.email, 1) == [429]
    assert f"{address}/unlock/" in client.get(f"{address}/change/").content.decode()
    assert client.get(f"{address}/unlock/").status_code == 200
    assert ask(user.email, factories.PASSWORD).status_code == 429
    client.post(f"{address}/unlock/", {"_form_submitted": "True"})
    assert ask(user.email, factories.PASSWORD).status_code == 200
    events = AuditEvent.objects.filter(action="login.unlocked").values_list("actor_id", "subject_id")
    assert list(events) == [(boss.pk, str(user.pk))]
    assert f"{address}/unlock/" not in client.get(f"{address}/change/").content.decode()


def test_a_lock_of_all_addresses_together_is_seen_too(user: User, settings: Settings) -> None:
    settings.LOCKOUT_ACCOUNT_FAILURES = 3
    for number in range(3):
        assert not lockout.is_locked(user=user)
        ask(user.email, address=f"192.0.2.{number}")
    assert lockout.is_locked(user=user)
    AccessAttempt.objects.update(attempt_time=timezone.now() - timedelta(seconds=901))
    assert not lockout.is_locked(user=user)


def test_a_lock_of_several_browsers_of_one_address_is_seen_too(user: User) -> None:
    for number in range(4):
        assert ask(user.email, HTTP_USER_AGENT=f"browser {number}").status_code == 401
    assert not lockout.is_locked(user=user)
    assert ask(user.email, HTTP_USER_AGENT="another").status_code == 429
    assert AccessAttempt.objects.count() == 5
    assert lockout.is_locked(user=user)


def test_what_is_counted_tells_no_code(user: User) -> None:
    Client().post(LOGIN, {"username": user.email, "password": "a wrong password", "code": "recovery-42", "next": "/"})
    attempt = AccessAttempt.objects.get()
    assert "code" in attempt.post_data
    assert "recovery-42" not in attempt.post_data
    assert "a wrong password" not in attempt.post_data


def test_superusers_alone_unlock(user: User) -> None:
    assert statuses(user.email, 5)[-1] == 429
    admin = factories.make_member(factories.make_library(), "admin")
    with pytest.raises(NotPermittedError):
        users.unlock(user=user, actor=admin)
    assert lockout.is_locked(user=user)


def test_a_new_password_by_mail_lets_its_owner_in(user: User) -> None:
    assert statuses(user.email, 5)[-1] == 429
    token = f"{user.pk.hex}.{passwords._reset_tokens.make_token(user)}"
    passwords.confirm_reset(token=token, password="another long passphrase")
    assert ask(user.email, "another long passphrase").status_code == 200


def test_the_lock_holds_for_every_way_of_logging_in_however_the_address_is_typed(user: User) -> None:
    assert statuses("Ada@Example.ORG", 3) == [401] * 3
    assert [log_in(email).status_code for email in ("ADA@example.org", " ada@example.org ")] == [200, 429]
    assert ask(user.email, factories.PASSWORD).status_code == 429
    page = log_in(user.email, factories.PASSWORD)
    assert (page.status_code, page["Retry-After"], page["Content-Type"]) == (429, "900", "text/html; charset=utf-8")
    assert "too many wrong passwords" in page.content.decode()
    assert "15 minutes" in page.content.decode()
    assert "sessionid" not in page.cookies
    assert User.objects.get(pk=user.pk).last_login is None
    assert log_in(user.email, factories.PASSWORD, THERE).status_code == 302


def test_the_lock_ends_by_itself_and_is_not_prolonged_by_knocking(user: User) -> None:
    statuses(user.email, 5)
    last = AccessAttempt.objects.get().attempt_time
    assert statuses(user.email, 3) == [429] * 3
    attempt = AccessAttempt.objects.get()
    assert (attempt.attempt_time, attempt.failures_since_start) == (last, 5)
    AccessAttempt.objects.update(attempt_time=timezone.now() - timedelta(seconds=890))
    assert ask(user.email, factories.PASSWORD).status_code == 429
    AccessAttempt.objects.update(attempt_time=timezone.now() - timedelta(seconds=901))
    assert ask(user.email, factories.PASSWORD).status_code == 200


def test_the_right_password_forgives_the_wrong_ones_of_that_address_alone(user: User) -> None:
    for way in (ask, log_in):
        AccessAttempt.objects.all().delete()
        statuses(user.email, 4)
        statuses(user.email, 4, address=THERE)
        assert way(user.email, factories.PASSWORD).status_code in {200, 302}
        assert statuses(user.email, 4) == [401] * 4
        assert ask(user.email, address=THERE).status_code == 429


def test_wrong_passwords_are_forgiven_by_a_login_that_is_complete(user: User) -> None:
    _, codes = enrol(user)
    for way, name in ((ask, "email"), (log_in, "username")):
        AccessAttempt.objects.all().delete()
        statuses(user.email, 2)
        # the password alone is no login, whoever has it
        assert way(user.email, factories.PASSWORD).status_code in {200, 401}
        assert AccessAttempt.objects.get().failures_since_start == 2
        client, path = (APIClient(), TOKEN) if way is ask else (Client(), LOGIN)
        body = {name: user.email, "password": factories.PASSWORD, "code": codes.pop()}
        body |= {} if way is ask else {"next": "/admin/"}
        assert client.post(path, body, REMOTE_ADDR=HERE).status_code in {200, 302}
        assert AccessAttempt.objects.count() == 0


def test_staff_who_must_set_up_a_second_factor_are_forgiven_where_they_do(user: User, settings: Settings) -> None:
    settings.STAFF_SECOND_FACTOR = True
    statuses(user.email, 2)
    assert ask(user.email, factories.PASSWORD).json()["code"] == "second_factor_enrolment_required"
    assert AccessAttempt.objects.get().failures_since_start == 2
    assert log_in(user.email, factories.PASSWORD).status_code == 302
    assert AccessAttempt.objects.count() == 0


def test_many_addresses_together_are_slowed_too(user: User, settings: Settings) -> None:
    settings.LOCKOUT_ACCOUNT_FAILURES = 12
    botnet = [ask(user.email, address=f"198.51.100.{number}").status_code for number in range(14)]
    assert botnet == [401] * 11 + [429] * 3
    # from nowhere, until it is over
    assert ask(user.email, factories.PASSWORD, THERE).status_code == 429
    assert log_in(user.email, factories.PASSWORD, THERE).status_code == 429
    assert ask(factories.make_user().email, factories.PASSWORD, THERE).status_code == 200
    # an operator lets them in
    call_command("axes_reset_username", user.email)
    assert ask(user.email, factories.PASSWORD, THERE).status_code == 200


def test_another_user_agent_or_ipv6_address_is_no_way_around(user: User) -> None:
    agents = [ask(user.email, HTTP_USER_AGENT=f"agent {number}").status_code for number in range(6)]
    assert agents == [401] * 4 + [429] * 2
    addresses = [ask(user.email, address=f"2001:db8::{number:x}").status_code for number in range(1, 7)]
    assert addresses == [401] * 4 + [429] * 2


def test_the_trail_tells_of_the_lock_once(user: User) -> None:
    statuses(user.email, 8)
    statuses("nobody@example.org", 8, address=THERE)
    locked = AuditEvent.objects.filter(action="login.locked").order_by("id")
    assert [(one.actor_id, one.subject_type, one.subject_id, one.address) for one in locked] == [
        (None, "user", str(user.pk), HERE),
        (None, "", "", THERE),
    ]
    assert "nobody" not in str([one.details for one in locked])


def test_what_is_counted_tells_no_password(user: User) -> None:
    log_in(user.email, "hunter2 and more")
    ask(user.email, "hunter2 and more")
    assert AccessAttempt.objects.count() == 1
    row = AccessAttempt.objects.values().get()
    assert row["username"] == "ada@example.org"
    assert "hunter2" not in str(row)


def test_no_log_line_tells_who_it_was(user: User, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    statuses(user.email, 6)
    log_in(user.email)
    assert "login failure" in caplog.text
    for told in (user.email, HERE, "a wrong password"):
        assert told not in caplog.text


@pytest.mark.parametrize("name", ["a b", "ß" * 254, "x" * 300 + "@example.org"])
def test_names_that_nobody_has_are_counted_too(name: str) -> None:
    assert [log_in(name).status_code for _ in range(2)] == [200, 200]
    assert statuses(name, 4) == [401, 401, 429, 429]


def test_django_axes_has_no_pages_of_its_own() -> None:
    assert AccessAttempt not in django_admin.site._registry
    assert not [model for model in django_admin.site._registry if model._meta.app_label == "axes"]


# nobody learns which accounts there are


class CountingHasher(Argon2PasswordHasher):
    """The real one, which says how often it has worked."""

    done: ClassVar[list[str]] = []

    def encode(self, password: str, salt: str) -> str:
        self.done.append("encode")
        return super().encode(password, salt)

    def verify(self, password: str, encoded: str) -> bool:
        self.done.append("verify")
        return super().verify(password, encoded)


@pytest.fixture
def hashed(settings: Settings) -> Iterator[list[str]]:
    settings.PASSWORD_HASHERS = [f"{__name__}.CountingHasher"]
    CountingHasher.done.clear()
    return CountingHasher.done


def test_an_unknown_account_is_answered_and_locked_as_a_known_one(hashed: list[str]) -> None:
    factories.make_user(email="ada@example.org", is_staff=True)
    factories.make_user(email="gone@example.org", is_staff=True, is_active=False)
    unusable = factories.make_user(email="none@example.org", is_staff=True)
    unusable.set_unusable_password()
    unusable.save()
    told: dict[str, list[Any]] = {}
    for name in ("ada", "gone", "none", "nobody"):
        answers = []
        for number in range(7):
            hashed.clear()
            answer = ask(f"{name}@example.org")
            # as slow: the one good hash is worked out, and none at all when locked
            assert len(hashed) == (1 if number < 5 else 0), (name, number, hashed)
            answers.append((answer.status_code, answer.content, answer.get("Retry-After")))
        page = log_in(f"{name}@example.org").content.decode()
        told[name] = [answers, page]
        hashed.clear()
        log_in(f"{name}@example.org", address=THERE)
        assert len(hashed) == 1, name
    assert [answer[0] for answer in told["ada"][0]] == [401] * 4 + [429] * 3
    assert told["ada"] == told["gone"] == told["none"] == told["nobody"]
