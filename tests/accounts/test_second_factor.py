"""The second factor at the login by API, and what sets it up and takes it away."""

import threading
import time
from typing import Any

import factories
import pytest
from allauth.mfa.models import Authenticator
from concurrency import in_a_thread, wait_until_blocked
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.urls import reverse
from pytest_django import Settings
from redis.exceptions import RedisError
from rest_framework.test import APIClient
from second_factors import change_row, code_of, enrol, wrong_code

from accounts.models import AuditAction, AuditEvent, TokenFamily, User
from accounts.problems import ConflictError, NotPermittedError
from accounts.services import passwords, second_factor, tokens, users

pytestmark = pytest.mark.django_db

TOKEN = "/api/v1/auth/token"
STATE = "/api/v1/auth/second-factor"
CONFIRM = f"{STATE}/confirm"
DISABLE = f"{STATE}/disable"
RECOVERY = f"{STATE}/recovery-codes"
ME = "/api/v1/auth/me"


def log_in(user: User, **more: str) -> Any:
    return APIClient().post(TOKEN, {"email": user.email, "password": factories.PASSWORD, **more})


def answer(response: Any) -> tuple[int, str]:
    return response.status_code, response.json().get("code", "")


def actions() -> list[str]:
    return list(AuditEvent.objects.order_by("id").values_list("action", flat=True))


def bearer(access: str) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {access}")
    return client


def test_without_a_second_factor_a_code_is_not_asked_for() -> None:
    user = factories.make_user()

    assert log_in(user).status_code == 200
    assert log_in(user, code="123456").status_code == 200


def test_a_second_factor_is_set_up_by_password_and_code() -> None:
    user = factories.make_user(email="ada@example.org")
    other = log_in(user).json()
    client = factories.client_of(user)

    assert client.get(STATE).json() == {
        "enabled": False,
        "required": False,
        "enabled_at": None,
        "recovery_codes_left": 0,
    }
    begun = client.post(STATE, {"password": factories.PASSWORD}).json()
    assert begun["uri"] == f"otpauth://totp/ada%40example.org?secret={begun['secret']}&issuer=Darkroom"
    assert Authenticator.objects.count() == 0
    assert log_in(user).status_code == 200

    code = code_of(begun["secret"])
    response = client.post(CONFIRM, {"enrolment": begun["enrolment"], "code": code})

    assert response.status_code == 200
    assert len(set(response.json()["recovery_codes"])) == 10
    # all that there was before has ended, and the new pair works
    assert bearer(other["access"]).get(ME).json()["code"] == "token_revoked"
    assert APIClient().post("/api/v1/auth/token/refresh", {"refresh": other["refresh"]}).status_code == 401
    assert client.get(ME).status_code == 401
    state = bearer(response.json()["pair"]["access"]).get(STATE).json()
    assert (state["enabled"], state["recovery_codes_left"]) == (True, 10)
    # the code that set it up logs nobody in
    assert answer(log_in(user, code=code)) == (401, "second_factor_wrong")
    assert answer(log_in(user)) == (401, "second_factor_required")
    assert log_in(user, code=code_of(begun["secret"], step=1)).status_code == 200
    assert AuditAction.SECOND_FACTOR_ENABLED in actions()


def test_before_the_code_there_is_neither_token_nor_login() -> None:
    user = factories.make_user()
    enrol(user)
    families = TokenFamily.objects.count()

    response = log_in(user)

    assert answer(response) == (401, "second_factor_required")
    assert "sessionid" not in response.cookies
    assert TokenFamily.objects.count() == families
    user.refresh_from_db()
    assert user.last_login is None
    assert AuditAction.LOGIN_SUCCEEDED not in actions()
    # a missing code is the first step of a login, no failure of it
    assert AuditAction.LOGIN_FAILED not in actions()


def test_a_wrong_password_says_nothing_of_a_second_factor() -> None:
    user = factories.make_user()
    secret, _ = enrol(user)

    response = APIClient().post(TOKEN, {"email": user.email, "password": "wrong", "code": code_of(secret)})

    assert answer(response) == (401, "no_active_account")
    # and uses up no code
    assert log_in(user, code=code_of(secret)).status_code == 200


def test_a_code_works_once_and_none_before_it() -> None:
    user = factories.make_user()
    secret, _ = enrol(user)
    code = code_of(secret)

    assert log_in(user, code=code).status_code == 200
    assert answer(log_in(user, code=code)) == (401, "second_factor_wrong")
    assert answer(log_in(user, code=code_of(secret, step=-1))) == (401, "second_factor_wrong")


def test_a_code_works_once_without_redis(settings: Settings, closed_port: int) -> None:
    user = factories.make_user()
    secret, _ = enrol(user)
    redis = settings.CACHES["default"] | {"LOCATION": f"redis://127.0.0.1:{closed_port}/0"}
    settings.CACHES = {"default": redis}
    with pytest.raises(RedisError):
        cache.get("anything")
    code = code_of(secret)

    assert log_in(user, code=code).status_code == 200
    assert answer(log_in(user, code=code)) == (401, "second_factor_wrong")


@pytest.mark.parametrize("step", [-2, 2])
def test_a_code_of_another_time_is_wrong(step: int) -> None:
    user = factories.make_user()
    secret, _ = enrol(user)
    # the clock may pass into the next step between the two lines
    far = step * 2

    assert answer(log_in(user, code=code_of(secret, step=far))) == (401, "second_factor_wrong")


def test_a_recovery_code_works_once() -> None:
    user = factories.make_user()
    _, codes = enrol(user)

    assert log_in(user, code=codes[3]).status_code == 200
    assert answer(log_in(user, code=codes[3])) == (401, "second_factor_wrong")
    assert log_in(user, code=codes[4]).status_code == 200
    assert second_factor.state(user=user).recovery_codes_left == 8


def test_a_wrong_code_counts_as_a_failed_login() -> None:
    user = factories.make_user()
    secret, _ = enrol(user)

    assert answer(log_in(user, code=wrong_code(secret))) == (401, "second_factor_wrong")

    failed = AuditEvent.objects.get(action=AuditAction.LOGIN_FAILED)
    assert (failed.subject_id, failed.actor_id, failed.details) == (str(user.pk), None, {"way": "token"})
    assert AuditEvent.objects.get(action=AuditAction.SECOND_FACTOR_FAILED).details == {"way": "login"}


def test_guessing_ends_after_five_wrong_codes(settings: Settings) -> None:
    settings.AXES_FAILURE_LIMIT = 100  # what locks out who guesses passwords counts these too, and lasts longer
    user = factories.make_user()
    secret, codes = enrol(user)
    for _ in range(5):
        assert answer(log_in(user, code=wrong_code(secret))) == (401, "second_factor_wrong")

    response = log_in(user, code=code_of(secret))

    assert answer(response) == (429, "second_factor_locked")
    assert 290 <= int(response["Retry-After"]) <= 300
    assert answer(log_in(user, code=codes[0])) == (429, "second_factor_locked")
    # another user is not held up, and five minutes later it goes on
    assert log_in(factories.make_user()).status_code == 200
    change_row(user, failures=[time.time() - 301] * 5)
    assert log_in(user, code=code_of(secret)).status_code == 200


def test_one_code_at_the_same_moment_lets_one_in(transactional_db: None) -> None:
    user = factories.make_user()
    secret, _ = enrol(user)
    code = code_of(secret)
    barrier = threading.Barrier(4)
    outcomes = []

    def attempt() -> None:
        barrier.wait()
        try:
            second_factor.check(user=user, code=code, request=None)
            outcomes.append("in")
        except second_factor.LoginCodeWrongError:
            outcomes.append("out")
        finally:
            connection.close()

    threads = [threading.Thread(target=attempt) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == ["in", "out", "out", "out"]


def test_secrets_are_encrypted_at_rest(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    user = factories.make_user()
    settings.SECRET_KEY = "the first key of this installation, long enough"
    secret, codes = enrol(user)
    for row in Authenticator.objects.filter(user=user):
        kept = str(row.data)
        assert secret not in kept
        assert not any(code in kept for code in codes)

    # a key of its own later, and SECRET_KEY replaced: former ones go on decrypting
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "a new key, as long as the first one was"
    settings.SECOND_FACTOR_KEY = "a key of its own for second factors, long"
    assert log_in(user, code=code_of(secret)).status_code == 200
    # without any of them nobody comes in, and it is said to be the server's fault, to who is logged in as well
    settings.SECRET_KEY_FALLBACKS = []
    assert answer(log_in(user, code=code_of(secret, step=1))) == (503, "second_factor_unreadable")
    body = {"password": factories.PASSWORD, "code": code_of(secret, step=1)}
    assert answer(factories.client_of(user).post(DISABLE, body)) == (503, "second_factor_unreadable")
    assert "SECOND_FACTOR_KEY or SECRET_KEY was replaced" in caplog.text
    assert user.has_second_factor
    assert second_factor.state(user=user).recovery_codes_left == 10


@pytest.mark.parametrize("path", [STATE, CONFIRM, DISABLE, RECOVERY])
def test_nothing_opens_without_a_login(path: str) -> None:
    body = {"password": factories.PASSWORD, "code": "123456", "enrolment": "x"}
    assert APIClient().post(path, body).status_code == 401


def test_an_enrolment_needs_the_password_and_is_its_owners(settings: Settings) -> None:
    user, other = factories.make_user(), factories.make_user()
    client = factories.client_of(user)
    refused = client.post(STATE, {"password": "wrong"})
    assert (answer(refused), refused.json()["errors"][0]["field"]) == ((400, "invalid"), "password")
    assert AuditEvent.objects.get(action=AuditAction.LOGIN_FAILED).details == {"way": "second_factor"}
    begun = client.post(STATE, {"password": factories.PASSWORD}).json()
    body = {"enrolment": begun["enrolment"], "code": code_of(begun["secret"])}

    assert answer(factories.client_of(other).post(CONFIRM, body)) == (400, "enrolment_not_valid")
    assert answer(client.post(CONFIRM, body | {"enrolment": "nonsense"})) == (400, "enrolment_not_valid")
    assert answer(client.post(CONFIRM, body | {"code": wrong_code(begun["secret"])})) == (400, "second_factor_wrong")
    settings.SECOND_FACTOR_ENROLMENT_SECONDS = -1
    assert answer(client.post(CONFIRM, body)) == (400, "enrolment_not_valid")
    assert Authenticator.objects.count() == 0


def test_an_enrolment_ends_with_the_logins_before_it() -> None:
    user = factories.make_user()
    begun = second_factor.begin(user=user, password=factories.PASSWORD)
    passwords.change(user=user, old_password=factories.PASSWORD, new_password="another long passphrase")
    user.refresh_from_db()

    with pytest.raises(second_factor.EnrolmentNotValidError):
        second_factor.confirm(user=user, enrolment=begun.enrolment, code=code_of(begun.secret))


def test_a_second_one_is_refused() -> None:
    user = factories.make_user()
    begun = second_factor.begin(user=user, password=factories.PASSWORD)
    enrol(user)

    assert answer(factories.client_of(user).post(STATE, {"password": factories.PASSWORD})) == (409, "conflict")
    with pytest.raises(second_factor.EnrolmentNotValidError):
        second_factor.confirm(user=user, enrolment=begun.enrolment, code=code_of(begun.secret))


def test_it_is_taken_away_by_password_and_code() -> None:
    user = factories.make_user()
    secret, _ = enrol(user)
    client = factories.client_of(user)
    body = {"password": factories.PASSWORD, "code": code_of(secret)}

    assert answer(client.post(DISABLE, body | {"password": "wrong"})) == (400, "invalid")
    assert answer(client.post(DISABLE, body | {"code": wrong_code(secret)})) == (400, "second_factor_wrong")
    assert Authenticator.objects.filter(user=user).count() == 2
    assert client.post(DISABLE, body).status_code == 204

    assert Authenticator.objects.count() == 0
    assert client.get(ME).status_code == 401
    assert log_in(user).status_code == 200
    assert answer(factories.client_of(User.objects.get(pk=user.pk)).post(DISABLE, body)) == (409, "conflict")


def test_new_recovery_codes_replace_the_old_ones() -> None:
    user = factories.make_user()
    secret, old = enrol(user)
    response = factories.client_of(user).post(RECOVERY, {"password": factories.PASSWORD, "code": code_of(secret)})

    assert response.status_code == 200
    new = response.json()["recovery_codes"]
    assert len(new) == 10
    assert not set(new) & set(old)
    assert answer(log_in(user, code=old[0])) == (401, "second_factor_wrong")
    assert log_in(user, code=new[0]).status_code == 200


def test_a_login_that_overlaps_with_the_enrolment_is_worth_nothing() -> None:
    """Whoever has the password alone, and began to log in before there was a second factor, comes too late."""
    user = factories.make_user()
    before = User.objects.get(pk=user.pk)
    second_factor.check(user=before, code="", request=None)
    enrol(user)

    pair = tokens.begin(user=before)

    assert bearer(pair.access).get(ME).status_code == 401


def test_staff_who_must_have_one_get_no_tokens(settings: Settings) -> None:
    staff = factories.make_user(is_staff=True)
    before = tokens.begin(user=staff)
    begun_before = bearer(before.access)
    assert begun_before.get(ME).status_code == 200
    settings.STAFF_SECOND_FACTOR = True

    assert answer(log_in(staff)) == (401, "second_factor_enrolment_required")
    assert answer(begun_before.get(ME)) == (401, "second_factor_enrolment_required")
    refreshed = APIClient().post("/api/v1/auth/token/refresh", {"refresh": before.refresh})
    assert answer(refreshed) == (401, "second_factor_enrolment_required")
    assert log_in(factories.make_user()).status_code == 200
    superuser = factories.make_user(is_superuser=True)
    assert answer(log_in(superuser)) == (401, "second_factor_enrolment_required")

    secret, _ = enrol(staff)
    assert log_in(staff, code=code_of(secret)).status_code == 200


def test_superusers_reset_that_of_others() -> None:
    user, superuser = factories.make_user(), factories.make_user(is_superuser=True)
    enrol(user)
    client = factories.client_of(user)
    with pytest.raises(NotPermittedError):
        second_factor.reset(user=user, actor=factories.make_user(is_staff=True))
    assert user.has_second_factor

    second_factor.reset(user=user, actor=superuser)

    assert client.get(ME).status_code == 401
    assert log_in(user).status_code == 200
    event = AuditEvent.objects.get(action=AuditAction.SECOND_FACTOR_DISABLED)
    assert (event.actor_id, event.subject_id, event.details) == (superuser.pk, str(user.pk), {"way": "superuser"})
    enrol(superuser)
    with pytest.raises(ConflictError):
        second_factor.reset(user=superuser, actor=superuser)


@pytest.mark.django_db(transaction=True)
def test_a_superuser_who_is_being_deactivated_resets_nothing() -> None:
    user = factories.make_user()
    one, other = (factories.make_user(is_superuser=True) for _ in range(2))
    enrol(user)
    with transaction.atomic():
        users.deactivate(user=one, actor=other)
        resetting = in_a_thread(second_factor.reset, user=user, actor=one)
        wait_until_blocked()
    assert isinstance(resetting.exception(10), NotPermittedError)
    assert user.has_second_factor


def test_a_command_resets_that_of_the_last_superuser(capsys: pytest.CaptureFixture[str]) -> None:
    superuser = factories.make_user(email="root@example.org", is_superuser=True)
    enrol(superuser)

    call_command("second_factor", "reset", "Root@example.org")

    assert capsys.readouterr().out == (
        "root@example.org logs in with the password alone now. Its sessions and tokens have ended.\n"
    )
    assert not superuser.has_second_factor
    assert AuditEvent.objects.get(action=AuditAction.SECOND_FACTOR_DISABLED).details == {"way": "command"}
    with pytest.raises(CommandError, match="has no second factor"):
        call_command("second_factor", "reset", "root@example.org")
    with pytest.raises(CommandError, match="No account has the address"):
        call_command("second_factor", "reset", "nobody@example.org")


def test_the_admin_knows_the_page() -> None:
    assert reverse("admin:second_factor") == "/admin/second-factor/"
