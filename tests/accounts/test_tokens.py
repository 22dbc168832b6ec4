"""Families of tokens: what ends them, all at once."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import factories
import pytest
from concurrency import in_a_thread, wait_until_blocked
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models.functions import Now
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken
from rest_framework_simplejwt.tokens import RefreshToken

from accounts.models import AuditEvent, TokenFamily, User
from accounts.services import logins, tokens
from accounts.services.tokens import TokenPair

pytestmark = pytest.mark.django_db

REFRESH = "/api/v1/auth/token/refresh"
REVOKE = "/api/v1/auth/token/revoke"
ME = "/api/v1/auth/me"


def refresh(token: str) -> Any:
    return APIClient().post(REFRESH, {"refresh": token})


def revoke(token: str) -> Any:
    return APIClient().post(REVOKE, {"refresh": token})


def get_me(access: str) -> Any:
    return APIClient().get(ME, HTTP_AUTHORIZATION=f"Bearer {access}")


def refused(response: Any) -> str:
    assert response.status_code == 401, response.content
    assert response["WWW-Authenticate"] == 'Bearer realm="api"'
    return response.json()["code"]


def events() -> list[tuple[str, Any, str]]:
    rows = AuditEvent.objects.filter(action__startswith="token.").order_by("id")
    return [(event.action, event.actor_id, event.subject_id) for event in rows]


@pytest.fixture
def user() -> User:
    return factories.make_user()


def test_a_family_goes_on_from_refresh_to_refresh(user: User) -> None:
    first = tokens.begin(user=user)
    second = refresh(first.refresh).json()
    third = refresh(second["refresh"]).json()
    assert get_me(third["access"]).status_code == 200
    family = TokenFamily.objects.get()
    assert (family.user, family.revoked_at) == (user, None)
    assert family.expires_at.timestamp() == RefreshToken(third["refresh"])["exp"]
    assert (OutstandingToken.objects.count(), BlacklistedToken.objects.count()) == (3, 2)
    assert events() == []


def test_a_token_that_is_used_again_ends_its_family_and_no_other(user: User) -> None:
    stolen = tokens.begin(user=user)
    elsewhere = tokens.begin(user=user)
    thief = refresh(stolen.refresh).json()
    assert refused(refresh(stolen.refresh)) == "token_not_valid"
    # neither hand has anything left
    assert refused(refresh(thief["refresh"])) == "token_revoked"
    assert refused(get_me(thief["access"])) == "token_revoked"
    assert refused(get_me(stolen.access)) == "token_revoked"
    assert get_me(elsewhere.access).status_code == 200
    assert refresh(elsewhere.refresh).status_code == 200
    # told of once, however often it is tried, and as nobody's act
    refused(refresh(stolen.refresh))
    assert events() == [("token.reused", None, str(user.pk))]
    ended = TokenFamily.objects.get(revoked_at__isnull=False)
    assert AuditEvent.objects.get(action="token.reused").details == {"family": str(ended.pk)}


@pytest.mark.django_db(transaction=True)
def test_the_end_of_a_family_is_committed_though_the_request_is_refused(user: User) -> None:
    pair = tokens.begin(user=user)
    tokens.rotate(refresh=pair.refresh)
    with pytest.raises(TokenError):
        tokens.rotate(refresh=pair.refresh)

    def seen_by_others() -> tuple[int, int]:
        return TokenFamily.objects.unrevoked().count(), AuditEvent.objects.filter(action="token.reused").count()

    assert in_a_thread(seen_by_others).result(10) == (0, 1)


@pytest.mark.django_db(transaction=True)
def test_the_end_of_a_family_cannot_be_rolled_back_by_whoever_calls(user: User) -> None:
    pair = tokens.begin(user=user)
    with pytest.raises(RuntimeError, match="durable"), transaction.atomic():
        tokens.rotate(refresh=pair.refresh)
    assert BlacklistedToken.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_of_two_that_use_a_token_at_once_one_gets_a_pair_and_both_are_out(
    user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = tokens.begin(user=user)
    blacklist = RefreshToken.blacklist
    others = []

    def begin_another(token: RefreshToken) -> object:
        """Let a second request come while the first is in the midst of its own."""
        if not others:
            others.append(in_a_thread(tokens.rotate, refresh=pair.refresh))
            wait_until_blocked()
        return blacklist(token)

    monkeypatch.setattr(RefreshToken, "blacklist", begin_another)
    first = tokens.rotate(refresh=pair.refresh)
    with pytest.raises(tokens.RefusedTokenError, match="used before"):
        others[0].result(10)
    assert refused(get_me(first.access)) == "token_revoked"
    assert refused(refresh(first.refresh)) == "token_revoked"
    assert events() == [("token.reused", None, str(user.pk))]


@pytest.mark.django_db(transaction=True)
def test_of_many_that_use_a_token_at_once_one_gets_a_pair(user: User) -> None:
    pair = tokens.begin(user=user)
    racing = [in_a_thread(tokens.rotate, refresh=pair.refresh) for _ in range(8)]
    won = [one.result(30) for one in racing if one.exception(30) is None]
    assert [isinstance(one.exception(), tokens.RefusedTokenError) for one in racing].count(True) == 7
    assert len(won) == 1
    assert refused(get_me(won[0].access)) == "token_revoked"
    assert events() == [("token.reused", None, str(user.pk))]


def test_logging_out_ends_the_family_and_may_be_repeated(user: User) -> None:
    first = tokens.begin(user=user)
    elsewhere = tokens.begin(user=user)
    second = tokens.rotate(refresh=first.refresh)
    for _ in range(2):
        response = revoke(second.refresh)
        assert (response.status_code, response.content) == (204, b"")
    assert revoke(first.refresh).status_code == 204
    assert refused(get_me(second.access)) == "token_revoked"
    assert refused(refresh(second.refresh)) == "token_revoked"
    assert get_me(elsewhere.access).status_code == 200
    assert events() == [("token.revoked", user.pk, "")]


def test_a_used_token_logs_out_too(user: User) -> None:
    """Whoever lost the answer to a refresh can still log out; whoever stole it gains nothing by it."""
    first = tokens.begin(user=user)
    second = tokens.rotate(refresh=first.refresh)
    assert revoke(first.refresh).status_code == 204
    assert refused(get_me(second.access)) == "token_revoked"


@pytest.mark.parametrize("given", ["nonsense", ""])
def test_what_is_no_token_logs_nobody_out(user: User, given: str) -> None:
    pair = tokens.begin(user=user)
    assert revoke(given).status_code == (401 if given else 400)
    assert refused(revoke(pair.access)) == "token_not_valid"
    assert get_me(pair.access).status_code == 200


def change_password(user: User) -> None:
    user.set_password("another long passphrase")
    user.save()


def raise_generation(user: User) -> None:
    User.objects.filter(pk=user.pk).update(token_generation=1)


def close(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


@pytest.mark.parametrize(
    ("end", "code"),
    [(change_password, "password_changed"), (raise_generation, "token_revoked"), (close, "user_inactive")],
)
def test_what_ends_a_users_tokens_ends_them_at_the_next_request(
    user: User, end: Callable[[User], None], code: str
) -> None:
    pair = tokens.begin(user=user)
    assert get_me(pair.access).status_code == 200
    end(user)
    assert refused(get_me(pair.access)) == code
    assert refused(refresh(pair.refresh)) == code
    # it was not used up, and nobody is suspected
    assert BlacklistedToken.objects.count() == 0
    assert events() == []


def test_a_pair_that_was_made_for_what_the_user_was_is_worth_nothing(user: User) -> None:
    """A login that began before the account was closed, and ends after it."""
    before = User.objects.get(pk=user.pk)
    raise_generation(user)
    pair = tokens.begin(user=before)
    assert refused(get_me(pair.access)) == "token_revoked"


def test_all_families_of_one_user_end(user: User) -> None:
    pairs = [tokens.begin(user=user) for _ in range(3)]
    other = tokens.begin(user=factories.make_user())
    tokens.revoke(refresh=pairs[0].refresh)
    assert tokens.revoke_all(user=user) == 2
    assert [refused(get_me(pair.access)) for pair in pairs] == ["token_revoked"] * 3
    assert get_me(other.access).status_code == 200


def test_a_deleted_account_has_no_tokens(user: User) -> None:
    pair = tokens.begin(user=user)
    user.delete()
    assert refused(get_me(pair.access)) == "token_not_valid"
    assert refused(refresh(pair.refresh)) == "token_not_valid"
    assert TokenFamily.objects.count() == 0


def test_the_database_keeps_no_token_that_works(user: User) -> None:
    tokens.rotate(refresh=tokens.begin(user=user).refresh)
    kept = list(OutstandingToken.objects.values_list("token", flat=True))
    assert len(kept) == 2
    for token in kept:
        assert refused(refresh(token)) == "token_not_valid"
    assert TokenFamily.objects.unrevoked().count() == 1


def test_a_request_with_a_token_asks_the_database_once_for_its_user(
    user: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    pair = tokens.begin(user=user)
    # the second is for the bytes that the account uses
    with django_assert_num_queries(2):
        assert get_me(pair.access).status_code == 200


def age(pair: TokenPair, *, days: float) -> None:
    """Let the token of a pair, and its family, have run out so many days ago."""
    token = RefreshToken(pair.refresh)
    OutstandingToken.objects.filter(jti=token["jti"]).update(expires_at=Now() - timedelta(days=days))
    TokenFamily.objects.filter(pk=token["family"]).update(expires_at=Now() - timedelta(days=days))


def test_rows_that_ran_out_a_day_ago_are_deleted(user: User) -> None:
    old, recent, current = (tokens.begin(user=user) for _ in range(3))
    age(old, days=1.01)
    age(recent, days=0.99)
    used = tokens.begin(user=user)
    newest = tokens.rotate(refresh=used.refresh)
    OutstandingToken.objects.filter(jti=given(used)["jti"]).update(expires_at=Now() - timedelta(days=2))
    # a token and its family, a token of a family that goes on
    assert tokens.flush_expired() == 3
    assert tokens.flush_expired() == 0
    left = {given(pair)["family"] for pair in (recent, current, newest)}
    assert {str(pk) for pk in TokenFamily.objects.values_list("pk", flat=True)} == left
    assert OutstandingToken.objects.count() == 3
    assert BlacklistedToken.objects.count() == 0
    assert refresh(current.refresh).status_code == 200


def given(pair: TokenPair) -> RefreshToken:
    return RefreshToken(pair.refresh, verify=False)


def test_more_rows_than_are_deleted_at_once(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "FLUSH_AT_ONCE", 2)
    for _ in range(5):
        age(tokens.begin(user=user), days=2)
    assert tokens.flush_expired() == 10
    assert (OutstandingToken.objects.count(), TokenFamily.objects.count()) == (0, 0)


def test_sessions_that_ran_out_are_deleted_with_the_tokens(user: User) -> None:
    age(tokens.begin(user=user), days=2)
    for days in (-1, 1):
        Session.objects.create(session_key=f"of {days}", session_data="", expire_date=timezone.now() + timedelta(days))
    logins.flush_expired()
    assert list(Session.objects.values_list("session_key", flat=True)) == ["of 1"]
    assert TokenFamily.objects.count() == 0


def test_staff_who_are_logged_out_see_no_health_in_detail(client: Client, photo_store: object) -> None:
    staff = factories.make_user(is_staff=True)
    pair = tokens.begin(user=staff)
    headers = {"Authorization": f"Bearer {pair.access}"}
    assert "components" in client.get("/ready", headers=headers).json()
    tokens.revoke(refresh=pair.refresh)
    assert "components" not in client.get("/ready", headers=headers).json()
