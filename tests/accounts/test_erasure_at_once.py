"""Erasing an account while others use it, or theirs: nobody waits in a ring, and nobody for what is not theirs."""

from collections.abc import Callable
from typing import Any

import factories
import pytest
from concurrency import in_a_thread, wait_until_blocked
from django.contrib.sessions.models import Session
from django.db import transaction
from django.test import Client
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import RefreshToken

from accounts.models import ErasureReceipt, Membership, User
from accounts.problems import ConflictError
from accounts.services import erasure, invitations, tokens

pytestmark = pytest.mark.django_db(transaction=True)

ME = "/api/v1/auth/me"


@pytest.fixture
def user() -> User:
    return factories.make_user(email="ada@example.org")


def test_a_token_that_is_being_changed(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever changes it holds the family, and refers to the account at the end."""
    first = tokens.begin(user=user)
    blacklist = RefreshToken.blacklist
    erasing = []

    def erase_meanwhile(token: RefreshToken) -> object:
        if not erasing:
            erasing.append(in_a_thread(erasure.forget_user, user=user, by=None))
            wait_until_blocked()
        return blacklist(token)

    monkeypatch.setattr(RefreshToken, "blacklist", erase_meanwhile)

    pair = tokens.rotate(refresh=first.refresh)

    assert erasing[0].result(10).counts["tokens"] == 2
    assert not User.objects.filter(pk=user.pk).exists()
    assert APIClient().get(ME, HTTP_AUTHORIZATION=f"Bearer {pair.access}").status_code == 401


def test_an_invitation_that_is_being_accepted(user: User) -> None:
    library = factories.make_library()
    factories.make_invitation(library, token="x", email=user.email)
    with transaction.atomic():
        invitations.accept(token="x", user=user)
        erasing = in_a_thread(erasure.forget_user, user=user, by=None)
        wait_until_blocked()

    # the account is a member of a library now that was not locked: neither is undone, and it may be tried again
    assert isinstance(erasing.exception(10), ConflictError)
    assert Membership.objects.get().user == user
    assert ErasureReceipt.objects.count() == 0
    assert erasure.forget_user(user=user, by=None).counts["memberships"] == 1


def test_an_invitation_of_theirs_that_somebody_else_accepts(user: User) -> None:
    library = factories.make_library()
    User.objects.filter(pk=user.pk).update(is_superuser=True)
    factories.make_user(is_superuser=True)
    factories.make_invitation(library, token="x", invited_by=user, email="guest@example.org")
    guest = factories.make_user(email="guest@example.org")
    with transaction.atomic():
        invitations.accept(token="x", user=guest)
        erasing = in_a_thread(erasure.forget_user, user=user, by=None)
        wait_until_blocked()
    assert erasing.result(10).counts["users"] == 1
    assert Membership.objects.get().user == guest


def test_superusers_log_in_meanwhile(user: User) -> None:
    superuser = factories.make_user(is_superuser=True)
    with transaction.atomic():
        erasure.forget_user(user=user, by=None)
        pair = in_a_thread(tokens.begin, user=superuser).result(10)
    assert APIClient().get(ME, HTTP_AUTHORIZATION=f"Bearer {pair.access}").status_code == 200


def test_nobody_waits_while_all_sessions_are_read(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    superuser = factories.make_user(is_superuser=True)
    Client().force_login(user)
    decoded = Session.get_decoded

    def decode_and_rename(session: Session) -> Any:
        everybody = User.objects.filter(pk__in=[user.pk, superuser.pk])
        assert in_a_thread(everybody.update, name="Ada").result(10) == 2
        return decoded(session)

    monkeypatch.setattr(Session, "get_decoded", decode_and_rename)
    assert erasure.forget_user(user=user, by=None).counts["sessions"] == 1
    assert Session.objects.count() == 0


def test_a_session_that_begins_meanwhile_opens_nothing(
    user: User, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: Callable[[User], list[str]] = erasure._sessions_of

    def log_in_after(one: User) -> list[str]:
        keys = found(one)
        client.force_login(user)
        assert client.get(ME).status_code == 200
        return keys

    monkeypatch.setattr(erasure, "_sessions_of", log_in_after)
    erasure.forget_user(user=user, by=None)
    assert Session.objects.count() == 1
    assert client.get(ME).status_code == 401
