"""Accounts that are closed: at once, for everything that was given out, and for ever."""

from typing import Any

import factories
import pytest
from concurrency import in_a_thread, wait_until_blocked
from django.contrib.auth.models import Permission
from django.test import Client
from rest_framework.test import APIClient

from accounts.models import ApiKey, AuditEvent, Role, TokenFamily, User
from accounts.problems import ConflictError, NotFoundError, NotPermittedError
from accounts.services import members, passwords, tokens, users

pytestmark = pytest.mark.django_db

ME = "/api/v1/auth/me"
REFRESH = "/api/v1/auth/token/refresh"
NEW = "another long passphrase"
SUBMITTED = {"_form_submitted": "True"}


@pytest.fixture
def superuser() -> User:
    return factories.make_user(is_staff=True, is_superuser=True)


@pytest.fixture
def user() -> User:
    return factories.make_user(is_staff=True)


class Given:
    """Everything that may have been given out to a user."""

    def __init__(self, user: User) -> None:
        self.user = user
        self.pair = tokens.begin(user=user)
        self.session = Client()
        self.session.force_login(user)
        self.link = f"{user.pk.hex}.{passwords._reset_tokens.make_token(User.objects.get(pk=user.pk))}"
        self.key = ApiKey.objects.create(
            owner=user, name="k", prefix=user.pk.hex[-12:], secret_sha256="0" * 64, scopes=["photos.view"]
        )

    def works(self) -> dict[str, bool]:
        client = APIClient()
        return {
            "access": client.get(ME, HTTP_AUTHORIZATION=f"Bearer {self.pair.access}").status_code == 200,
            "session": self.session.get("/admin/").status_code == 200,
            "key": ApiKey.objects.usable().filter(pk=self.key.pk).exists(),
        }

    def uses_up(self) -> dict[str, bool]:
        client = APIClient()
        body = {"token": self.link, "password": "another long passphrase"}
        return {
            "link": client.post("/api/v1/auth/password/reset/confirm", body).status_code == 204,
            "refresh": client.post(REFRESH, {"refresh": self.pair.refresh}).status_code == 200,
        }


ALL = {"access": True, "session": True, "key": True}
NONE = {"access": False, "session": False, "key": False}
NOTHING = {"link": False, "refresh": False}


def trail() -> list[tuple[str, Any, str, dict[str, Any]]]:
    rows = AuditEvent.objects.filter(action__startswith="user.").order_by("id")
    return [(event.action, event.actor_id, event.subject_id, event.details) for event in rows]


def log_in(user: User) -> int:
    body = {"email": user.email, "password": factories.PASSWORD}
    return APIClient().post("/api/v1/auth/token", body).status_code


def test_a_closed_account_opens_nothing_at_once(user: User, superuser: User) -> None:
    given, bystander = Given(user), Given(factories.make_user(is_staff=True))
    assert given.works() == ALL
    users.deactivate(user=user, actor=superuser)
    assert given.works() == NONE
    assert given.uses_up() == NOTHING
    assert log_in(user) == 401
    assert bystander.works() == ALL
    assert trail() == [("user.deactivated", superuser.pk, str(user.pk), {"logins": 1, "keys": 1})]


def test_reactivating_brings_nothing_back_but_the_account(user: User, superuser: User) -> None:
    library = factories.make_library()
    member = factories.make_member(library, "editor")
    member.is_staff = True
    member.save()
    given = Given(member)
    users.deactivate(user=member, actor=superuser)
    users.reactivate(user=member, actor=superuser)
    # nobody asked in between: what would have been thrown away then is worth no more now
    assert given.works() == NONE
    assert given.uses_up() == NOTHING
    assert log_in(member) == 200
    assert member.memberships.get().role.name == "editor"
    assert [event[0] for event in trail()] == ["user.deactivated", "user.reactivated"]


def test_closing_and_opening_twice_is_told_of_once(user: User, superuser: User) -> None:
    for act in (users.deactivate, users.deactivate, users.reactivate, users.reactivate):
        act(user=user, actor=superuser)
    user.refresh_from_db()
    assert (user.is_active, user.token_generation) == (True, 1)
    assert [event[0] for event in trail()] == ["user.deactivated", "user.reactivated"]


@pytest.mark.parametrize("act", [users.deactivate, users.reactivate])
def test_superusers_alone_do_it_in_person(user: User, superuser: User, act: Any) -> None:
    was_active = act is users.deactivate
    User.objects.filter(pk=user.pk).update(is_active=was_active)
    admin = factories.make_member(factories.make_library(), "admin")
    admin.is_staff = True
    admin.save()
    closed = factories.make_user(is_superuser=True, is_active=False)
    with_key = User.objects.get(pk=superuser.pk)
    with_key.acting_key = ApiKey(owner=superuser, name="k", prefix="k", secret_sha256="0" * 64, scopes=["photos.view"])
    for actor in (admin, closed, with_key):
        with pytest.raises(NotPermittedError):
            act(user=user, actor=actor)
    user.refresh_from_db()
    assert (user.is_active, user.token_generation, trail()) == (was_active, 0, [])


def test_nobody_closes_their_own_account(superuser: User) -> None:
    with pytest.raises(ConflictError):
        users.deactivate(user=superuser, actor=superuser)
    superuser.refresh_from_db()
    assert (superuser.is_active, trail()) == (True, [])


def test_an_account_that_is_gone(user: User, superuser: User) -> None:
    gone = User.objects.get(pk=user.pk)
    user.delete()
    with pytest.raises(NotFoundError):
        users.deactivate(user=gone, actor=superuser)


@pytest.mark.django_db(transaction=True)
def test_of_two_superusers_who_close_each_other_one_is_left() -> None:
    pair = [factories.make_user(is_superuser=True) for _ in range(2)]
    racing = [in_a_thread(users.deactivate, user=user, actor=actor) for user, actor in (pair, reversed(pair))]
    errors = [one.exception(30) for one in racing]
    assert [type(error) for error in errors if error] == [NotPermittedError]
    assert User.objects.filter(is_superuser=True, is_active=True).count() == 1
    assert len(trail()) == 1


@pytest.mark.django_db(transaction=True)
def test_whoever_refreshes_while_the_account_is_closed_gets_nothing_that_lasts(superuser: User) -> None:
    for _ in range(5):
        user = factories.make_user()
        pair = tokens.begin(user=user)
        refreshing = in_a_thread(tokens.rotate, refresh=pair.refresh)
        closing = in_a_thread(users.deactivate, user=user, actor=superuser)
        assert closing.exception(30) is None
        error = refreshing.exception(30)
        users.reactivate(user=user, actor=superuser)
        if error is None:
            newest = refreshing.result().access
            response = APIClient().get(ME, HTTP_AUTHORIZATION=f"Bearer {newest}")
            assert (response.status_code, response.json()["code"]) == (401, "token_revoked")
        else:
            assert isinstance(error, tokens.RefusedTokenError)


# in the admin:


def page(user: User, what: str = "change") -> str:
    return f"/admin/accounts/user/{user.pk}/{what}/"


@pytest.fixture
def admin(superuser: User) -> Client:
    client = Client()
    client.force_login(superuser)
    return client


def test_a_superuser_closes_and_opens_an_account_on_its_page(admin: Client, superuser: User, user: User) -> None:
    given = Given(user)
    for what, other, is_active in (("deactivate", "reactivate", False), ("reactivate", "deactivate", True)):
        content = admin.get(page(user)).content.decode()
        assert page(user, what) in content
        assert page(user, other) not in content
        # asked first
        asked = admin.get(page(user, what))
        assert asked.status_code == 200
        assert User.objects.get(pk=user.pk).is_active is not is_active
        answer = admin.post(page(user, what), SUBMITTED)
        assert (answer.status_code, answer.headers["HX-Refresh"]) == (200, "true")
        assert User.objects.get(pk=user.pk).is_active is is_active
    assert given.works() == NONE
    assert [event[:3] for event in trail()] == [
        ("user.deactivated", superuser.pk, str(user.pk)),
        ("user.reactivated", superuser.pk, str(user.pk)),
    ]


def test_its_page_names_the_libraries_that_want_an_admin(admin: Client, user: User) -> None:
    alone, shared, visited = (factories.make_library(name=name) for name in ("Alone", "Shared", "Visited"))
    closed = factories.make_member(alone, "admin")
    users.deactivate(user=closed, actor=factories.make_user(is_superuser=True))
    factories.make_member(shared, "admin")
    for library, role in ((alone, "admin"), (shared, "admin"), (visited, "visitor")):
        members.add(library=library, user=user, role=Role.objects.get(name=role), by=None)
    admin.post(page(user, "deactivate"), SUBMITTED)
    content = admin.get(page(user)).content.decode()
    assert "The account is closed." in content
    assert "Without an active admin now: Alone. Give somebody the role." in content


def test_ones_own_page_offers_neither(admin: Client, superuser: User) -> None:
    content = admin.get(page(superuser)).content.decode()
    assert "/deactivate" not in content
    assert "/reactivate" not in content
    admin.post(page(superuser, "deactivate"), SUBMITTED)
    assert User.objects.get(pk=superuser.pk).is_active


def test_other_staff_may_not(user: User) -> None:
    staff = factories.make_user(is_staff=True)
    staff.user_permissions.set(Permission.objects.filter(content_type__app_label="accounts"))
    target = factories.make_user()
    client = Client()
    client.force_login(staff)
    content = client.get(page(target)).content.decode()
    assert "/deactivate" not in content
    assert client.post(page(target, "deactivate"), SUBMITTED).status_code == 403
    assert User.objects.get(pk=target.pk).is_active
    assert trail() == []


def test_the_form_closes_and_opens_nothing(admin: Client, user: User) -> None:
    """Whether an account is active is no field: it would end no tokens."""
    form = {"email": user.email, "name": "", "memberships-TOTAL_FORMS": 0, "memberships-INITIAL_FORMS": 0}
    assert admin.post(page(user), form).status_code == 302
    assert User.objects.get(pk=user.pk).is_active
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert admin.post(page(user), {**form, "is_active": "on"}).status_code == 302
    assert not User.objects.get(pk=user.pk).is_active


def test_an_account_that_is_not_there(admin: Client) -> None:
    gone = User(email="gone@example.org")
    assert admin.post(page(gone, "deactivate"), SUBMITTED).status_code == 404
    assert trail() == []
    assert TokenFamily.objects.count() == 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("own", [True, False])
def test_a_form_of_the_admin_does_not_open_an_account_that_is_closed_meanwhile(
    superuser: User, user: User, own: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is being closed changes the password again and again; whoever helps saves the form."""
    set_password = User.set_password
    closing = []

    def while_somebody_closes_it(changed: User, password: str | None) -> None:
        if not closing:
            closing.append(in_a_thread(users.deactivate, user=user, actor=superuser))
            wait_until_blocked()
        set_password(changed, password)

    client = Client()
    client.force_login(user if own else superuser)
    monkeypatch.setattr(User, "set_password", while_somebody_closes_it)
    if own:
        address, form = "/admin/password_change/", {"old_password": factories.PASSWORD}
        form |= {"new_password1": NEW, "new_password2": NEW}
    else:
        address, form = page(user, "password"), {"usable_password": "true", "password1": NEW, "password2": NEW}
    assert client.post(address, form).status_code == 302
    assert closing[0].exception(30) is None
    user.refresh_from_db()
    assert (user.is_active, user.check_password(NEW)) == (False, True)
    assert user.token_generation == 2


def test_the_form_writes_what_was_changed_alone(admin: Client, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    save = User.save

    def after_somebody_closed_it(changed: User, *arguments: Any, **options: Any) -> None:
        User.objects.filter(pk=user.pk).update(is_active=False, token_generation=1)
        save(changed, *arguments, **options)

    monkeypatch.setattr(User, "save", after_somebody_closed_it)
    form = {"email": user.email, "name": "Grace", "memberships-TOTAL_FORMS": 0, "memberships-INITIAL_FORMS": 0}
    assert admin.post(page(user), form).status_code == 302
    user = User.objects.get(pk=user.pk)
    assert (user.name, user.is_active, user.token_generation) == ("Grace", False, 1)
