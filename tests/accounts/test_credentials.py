"""What somebody has shown is asked again later: it holds until it runs out, is revoked, or its owner is closed out."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import factories
import pytest
from concurrency import in_a_thread
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings
from rest_framework_simplejwt.tokens import AccessToken

from accounts.models import ApiKey, User
from accounts.services import api_keys, credentials, tickets, tokens
from accounts.services.credentials import Credential, CredentialEndedError

pytestmark = pytest.mark.django_db


def by_token(user: User) -> Credential:
    return credentials.shown(user=user, auth=AccessToken(tokens.begin(user=user).access))


def by_key(user: User) -> Credential:
    made = api_keys.create(owner=user, name="key", scopes=["photos.view"])
    acting = api_keys.authenticate(text=made.text)
    return credentials.shown(user=acting, auth=acting.acting_key)


def by_session(user: User) -> Credential:
    return credentials.shown(user=user, auth=None)


WAYS = {"token": by_token, "key": by_key, "session": by_session}


def close(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


def set_password(user: User) -> None:
    user.set_password("quite another one")
    user.save()


def log_out(user: User) -> None:
    tokens.end_logins(locked=user)


def demand_second_factor(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_staff=True)


def revoke(user: User) -> None:
    api_keys.revoke(keys=ApiKey.objects.all(), actor=user)


def let_key_run_out(user: User) -> None:
    ApiKey.objects.update(expires_at=timezone.now())


ENDS: dict[str, tuple[Callable[[User], Any], set[str]]] = {
    "nothing": (lambda user: None, set()),
    "the account is closed": (close, {"token", "key", "session"}),
    "it is gone": (lambda user: user.delete(), {"token", "key", "session"}),
    "another password": (set_password, {"token", "session"}),
    "all logins are ended": (log_out, {"token", "session"}),
    "a second factor is asked for": (demand_second_factor, {"token", "session"}),
    "the key is revoked": (revoke, {"key"}),
    "the key runs out": (let_key_run_out, {"key"}),
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("way", WAYS)
def test_it_holds_until_something_ends_it(way: str, end: str, settings: Settings) -> None:
    settings.STAFF_SECOND_FACTOR = True
    user = factories.make_user()
    credential = WAYS[way](user)
    found = credentials.owner_of(credential=credential)
    assert (found, found.acting_key is not None) == (user, way == "key")
    act, ended = ENDS[end]
    act(user)
    if way in ended:
        with pytest.raises(CredentialEndedError):
            credentials.owner_of(credential=credential)
    else:
        assert credentials.owner_of(credential=credential) == user


@pytest.mark.parametrize("way", ["token", "session"])
def test_it_runs_out_by_itself(way: str, settings: Settings) -> None:
    lifetime = {"ACCESS_TOKEN_LIFETIME": timedelta(seconds=0)}
    settings.SIMPLE_JWT = {**settings.SIMPLE_JWT, **lifetime}
    user = factories.make_user()
    token = AccessToken(tokens.begin(user=user).access)
    token.set_exp(lifetime=timedelta(seconds=0))
    credential = credentials.shown(user=user, auth=token if way == "token" else None)
    with pytest.raises(CredentialEndedError):
        credentials.owner_of(credential=credential)


@pytest.mark.parametrize("way", WAYS)
def test_asking_takes_one_query(way: str, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    credential = WAYS[way](factories.make_user())
    with django_assert_num_queries(1):
        credentials.owner_of(credential=credential)


def test_of_two_who_come_with_a_ticket_at_once_one_is_let_in() -> None:
    credential = by_session(factories.make_user())
    for _ in range(20):
        ticket = tickets.issue(credential=credential).text
        taking = [in_a_thread(tickets.take, text=ticket) for _ in range(4)]
        assert sorted(one.result(10) is None for one in taking) == [False, True, True, True]
