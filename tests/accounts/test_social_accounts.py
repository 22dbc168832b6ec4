"""One's own accounts elsewhere: listed, and taken away without shutting anybody out."""

import threading
from typing import Any

import factories
import pytest
from allauth.socialaccount.models import SocialAccount
from concurrency import in_a_thread
from django.contrib.auth.models import Permission as AdminPermission
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings
from rest_framework.test import APIClient

from accounts.models import AuditAction, AuditEvent, TokenFamily, User
from accounts.problems import ConflictError, NotFoundError, NotPermittedError
from accounts.services import api_keys, passwords, social_accounts
from accounts.services.social_accounts import LastWayInError

pytestmark = pytest.mark.django_db

ACCOUNTS = "/api/v1/auth/social/accounts"
ME = "/api/v1/auth/me"
GOOGLE, OFFICE = "https://accounts.google.com", "https://login.example.org"


@pytest.fixture(autouse=True)
def set_up(settings: Settings) -> None:
    """Google, and an issuer of the installation's own."""
    app = {"client_id": "darkroom", "secret": "secret of the client"}
    issuer = app | {"provider_id": "oidc", "name": "The office", "settings": {"server_url": OFFICE}}
    settings.SOCIALACCOUNT_PROVIDERS = {"google": {"APPS": [app]}, "openid_connect": {"APPS": [issuer]}}


def link(user: User, provider: str = GOOGLE, uid: str = "somebody") -> SocialAccount:
    return SocialAccount.objects.create(user=user, provider=provider, uid=f"{uid} {user.pk}")


def without_password() -> User:
    user = factories.make_user()
    user.set_unusable_password()
    user.save()
    return user


def unlink(client: Any, account: SocialAccount) -> tuple[int, str]:
    response = client.delete(f"{ACCOUNTS}/{account.pk}")
    return response.status_code, response.json()["code"] if response.content else ""


def events() -> list[AuditEvent]:
    return list(AuditEvent.objects.filter(action=AuditAction.SOCIAL_UNLINKED))


def generation(user: User) -> int:
    return User.objects.get(pk=user.pk).token_generation


def test_one_sees_ones_own(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    user = factories.make_user()
    first, second = link(user), link(user, OFFICE)
    gone = link(user, "https://former.example.org")
    link(factories.make_user())
    client = factories.client_of(user)

    with django_assert_num_queries(3):
        shown = client.get(ACCOUNTS)

    assert shown.status_code == 200
    said = shown.json()["accounts"]
    assert [(one["id"], one["provider"], one["name"]) for one in said] == [
        (first.pk, GOOGLE, "Google"),
        (second.pk, OFFICE, "The office"),
        (gone.pk, "https://former.example.org", ""),
    ]
    assert said[0].keys() == {"id", "provider", "name", "linked_at"}
    assert said[0]["linked_at"][:10] == f"{first.date_joined:%Y-%m-%d}"


def test_one_is_taken_away_and_all_logins_end() -> None:
    user = factories.make_user()
    account, other = link(user), link(user, OFFICE)
    client, elsewhere = factories.client_of(user), factories.client_of(user)
    key = api_keys.create(owner=user, name="camera", scopes=["photos.view"])

    assert unlink(client, account) == (204, "")

    assert [one.pk for one in social_accounts.linked(user=user)] == [other.pk]
    assert (client.get(ME).status_code, elsewhere.get(ME).status_code) == (401, 401)
    assert not TokenFamily.objects.filter(user=user, revoked_at__isnull=True).exists()
    [event] = events()
    assert (event.actor_id, event.subject_id, event.details) == (user.pk, str(user.pk), {"provider": GOOGLE})
    # keys are no login's
    assert api_keys.authenticate(text=key.text) == user
    # once more changes nothing, and ends nothing
    again = factories.client_of(User.objects.get(pk=user.pk))
    assert unlink(again, account) == (204, "")
    assert again.get(ME).status_code == 200
    assert len(events()) == 1


def test_the_session_that_asks_goes_on_and_others_end() -> None:
    user = factories.make_user()
    account = link(user)
    mine, other = APIClient(), APIClient()
    mine.force_login(user)
    other.force_login(user)

    assert unlink(mine, account) == (204, "")

    assert (mine.get(ME).status_code, other.get(ME).status_code) == (200, 401)


@pytest.mark.parametrize("others", [[], ["https://former.example.org"]])
def test_the_last_way_in_stays(others: list[str]) -> None:
    user = without_password()
    account = link(user)
    for provider in others:  # of a provider that is not set up any more: it lets nobody in
        link(user, provider)
    client, before = factories.client_of(user), generation(user)

    assert unlink(client, account) == (409, "last_way_in")

    assert account in social_accounts.linked(user=user)
    assert (generation(user), events()) == (before, [])
    assert client.get(ME).status_code == 200
    # one that was taken away is no way in either
    other = link(user, OFFICE)
    assert unlink(client, other) == (204, "")
    user.refresh_from_db()
    assert unlink(factories.client_of(user), account) == (409, "last_way_in")
    # a password is
    user = passwords.assign(user=user, password="a long passphrase")
    assert unlink(factories.client_of(user), account) == (204, "")


def test_what_is_not_ones_own_is_not_there() -> None:
    user, other = factories.make_user(), factories.make_user()
    account = link(other)
    client, before = factories.client_of(user), generation(user)
    assert unlink(client, account) == (404, "not_found")
    assert client.delete(f"{ACCOUNTS}/{2**70}").status_code == 404
    assert list(social_accounts.linked(user=other)) == [account]
    assert (generation(user), generation(other), events()) == (before, 0, [])
    with pytest.raises(NotFoundError):
        social_accounts.unlink(user=user, account_id=account.pk + 1)


def test_no_key_takes_one_away() -> None:
    user = factories.make_user()
    account = link(user)
    made = api_keys.create(owner=user, name="camera", scopes=["photos.view"])
    client = APIClient()
    client.credentials(HTTP_X_API_KEY=made.text)
    assert unlink(client, account) == (403, "person_required")
    with pytest.raises(NotPermittedError):
        social_accounts.unlink(user=api_keys.authenticate(text=made.text), account_id=account.pk)
    assert (list(social_accounts.linked(user=user)), events()) == ([account], [])


@pytest.mark.django_db(transaction=True)
def test_of_the_last_two_at_once_one_stays() -> None:
    for _ in range(5):
        user = without_password()
        accounts, start = [link(user), link(user, OFFICE)], threading.Barrier(2)

        def attempt(account: SocialAccount, user: User = user, start: threading.Barrier = start) -> None:
            mine = User.objects.get(pk=user.pk)
            start.wait(20)
            social_accounts.unlink(user=mine, account_id=account.pk)

        errors = [future.exception(60) for future in [in_a_thread(attempt, account) for account in accounts]]

        [error] = [one for one in errors if one is not None]
        assert isinstance(error, ConflictError)
        assert social_accounts.linked(user=user).count() == 1
        # and with a login of later on, too
        last = social_accounts.linked(user=user).get()
        with pytest.raises(LastWayInError):
            social_accounts.unlink(user=User.objects.get(pk=user.pk), account_id=last.pk)


def test_superusers_see_them_on_the_page_of_a_user(client: Client) -> None:
    user = factories.make_user()
    link(user)
    link(user, "https://former.example.org")
    page = f"/admin/accounts/user/{user.pk}/change/"
    client.force_login(factories.make_user(is_staff=True, is_superuser=True))
    text = client.get(page).content.decode()
    assert "Accounts elsewhere" in text
    assert f"Google, {social_accounts.linked(user=user).first().date_joined:%Y-%m-%d}" in text
    assert "https://former.example.org, " in text
    assert f"somebody {user.pk}" not in text
    assert client.get("/admin/accounts/user/add/").status_code == 200
    # staff see whom they manage, and not this
    staff, library = factories.make_user(is_staff=True), factories.make_library()
    staff.user_permissions.set(AdminPermission.objects.filter(content_type__app_label="accounts"))
    for somebody, role in ((staff, "admin"), (user, "visitor")):
        factories.Membership.objects.create(library=library, user=somebody, role=factories.Role.objects.get(name=role))
    client.force_login(staff)
    seen = client.get(page)
    assert (seen.status_code, "Accounts elsewhere" in seen.content.decode()) == (200, False)
