"""Users and roles in the admin."""

from http import HTTPStatus

import factories
import pytest
from django.contrib import admin as django_admin
from django.contrib.auth.models import Group, Permission
from django.test import Client
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken

from accounts.models import AuditEvent, Membership, Role, User

pytestmark = pytest.mark.django_db

USERS = "/admin/accounts/user/"
ROLES = "/admin/accounts/role/"


@pytest.fixture
def admin(client: Client) -> Client:
    client.force_login(factories.make_user(is_staff=True, is_superuser=True))
    return client


def test_staff_log_in_with_their_address_in_any_case(client: Client) -> None:
    factories.make_user(email="ada@example.org", is_staff=True)
    form = {"username": "Ada@Example.org", "password": factories.PASSWORD, "next": "/admin/"}
    assert client.get("/admin/login/").status_code == HTTPStatus.OK
    response = client.post("/admin/login/", form)
    assert (response.status_code, response["Location"]) == (HTTPStatus.FOUND, "/admin/")
    assert client.get("/admin/").status_code == HTTPStatus.OK


def test_a_user_is_made_with_an_address(admin: Client) -> None:
    assert admin.get(f"{USERS}add/").status_code == HTTPStatus.OK
    form = {
        "email": "Grace@Example.org",
        "name": "Grace",
        "usable_password": "true",
        "password1": "a long passphrase",
        "password2": "a long passphrase",
    }
    response = admin.post(f"{USERS}add/", form)
    user = User.objects.get(email="grace@example.org")
    assert (response.status_code, response["Location"]) == (HTTPStatus.FOUND, f"{USERS}{user.pk}/change/")
    assert user.check_password("a long passphrase")
    assert (user.name, user.is_staff, user.is_superuser) == ("Grace", False, False)


def test_a_weak_password_makes_no_user(admin: Client) -> None:
    form = {"email": "weak@example.org", "usable_password": "true", "password1": "1234", "password2": "1234"}
    assert admin.post(f"{USERS}add/", form).status_code == HTTPStatus.OK
    assert not User.objects.filter(email="weak@example.org").exists()


def test_a_taken_address_makes_no_second_user(admin: Client) -> None:
    factories.make_user(email="ada@example.org")
    password = "a long passphrase"
    form = {"email": "ADA@example.org", "usable_password": "true", "password1": password, "password2": password}
    assert admin.post(f"{USERS}add/", form).status_code == HTTPStatus.OK
    assert User.objects.filter(email__iexact="ada@example.org").count() == 1


def test_users_are_listed_searched_and_changed(admin: Client) -> None:
    library = factories.make_library(name="Archive")
    user = factories.make_member(library, "editor")
    assert list(admin.get(f"{USERS}?q={user.email}").context["cl"].result_list) == [user]
    page = admin.get(f"{USERS}{user.pk}/change/")
    assert "Archive" in page.content.decode()
    membership = Membership.objects.get(user=user)
    form = {
        "email": user.email,
        "name": "Renamed",
        "is_active": "on",
        "memberships-TOTAL_FORMS": 1,
        "memberships-INITIAL_FORMS": 1,
        "memberships-0-id": membership.pk,
        "memberships-0-user": user.pk,
        "memberships-0-library": library.pk,
        "memberships-0-role": membership.role_id,
    }
    assert admin.post(f"{USERS}{user.pk}/change/", form).status_code == HTTPStatus.FOUND
    user.refresh_from_db()
    assert user.name == "Renamed"
    assert user.check_password(factories.PASSWORD)


def test_what_is_changed_of_an_account_is_in_the_trail(admin_client: Client, admin_user: User) -> None:
    user = factories.make_user()
    group = Group.objects.create(name="curators")
    rows = {"memberships-TOTAL_FORMS": 0, "memberships-INITIAL_FORMS": 0}
    form = {"email": user.email, "name": user.name, "is_superuser": "on", "is_staff": "on", "groups": group.pk, **rows}
    assert admin_client.post(f"{USERS}{user.pk}/change/", form).status_code == HTTPStatus.FOUND
    event = AuditEvent.objects.get(action="user.changed")
    assert (event.actor_id, event.subject_id) == (admin_user.pk, str(user.pk))
    assert event.details == {"changed": ["groups", "is_staff", "is_superuser"], "is_staff": True, "is_superuser": True}
    user.refresh_from_db()
    assert (user.is_superuser, list(user.groups.all())) == (True, [group])


def test_nobody_stops_running_the_installation_by_themselves(admin_client: Client, admin_user: User) -> None:
    factories.make_user(is_superuser=True)
    rows = {"memberships-TOTAL_FORMS": 0, "memberships-INITIAL_FORMS": 0}
    form = {"email": admin_user.email, "name": "x", "is_staff": "on", **rows}
    page = admin_client.post(f"{USERS}{admin_user.pk}/change/", form, follow=True).content.decode()
    assert "another superuser does" in page
    admin_user.refresh_from_db()
    assert (admin_user.is_superuser, admin_user.name) == (True, "")
    assert not AuditEvent.objects.filter(action="user.changed").exists()


def test_who_manages_members_is_none_of_them(client: Client) -> None:
    """A role with `members.manage` alone would be the library's admin by way of the admin's password."""
    library = factories.make_library()
    boss = factories.make_member(library, "admin")
    role = Role.objects.create(name="registrar", permissions=["photos.view", "members.manage"])
    staff = factories.make_user(is_staff=True)
    Membership.objects.create(library=library, user=staff, role=role)
    staff.user_permissions.set(Permission.objects.filter(content_type__app_label__in=["accounts", "auth"]))
    client.force_login(staff)
    assert client.get(f"{USERS}{boss.pk}/change/").status_code == HTTPStatus.OK
    before = User.objects.filter(pk__in=[boss.pk, staff.pk]).order_by("pk").values()
    before, groups = list(before), Group.objects.count()
    for one in (boss, staff):
        form = {"email": "taken@example.org", "name": "x", "is_superuser": "on"}
        assert client.post(f"{USERS}{one.pk}/change/", form).status_code == HTTPStatus.FORBIDDEN
        swap = {"usable_password": "true", "password1": "a new passphrase", "password2": "a new passphrase"}
        # one's own is changed where the old one is asked for
        refused = HTTPStatus.FORBIDDEN if one == boss else HTTPStatus.FOUND
        assert client.post(f"{USERS}{one.pk}/password/", swap).status_code == refused
    made = {"email": "new@example.org", "usable_password": "true", **{f"password{n}": "a passphrase" for n in (1, 2)}}
    assert client.post(f"{USERS}add/", made).status_code == HTTPStatus.FORBIDDEN
    assert client.post("/admin/auth/group/add/", {"name": "mine"}).status_code == HTTPStatus.FORBIDDEN
    assert list(User.objects.filter(pk__in=[boss.pk, staff.pk]).order_by("pk").values()) == before
    assert (User.objects.filter(email="new@example.org").count(), Group.objects.count()) == (0, groups)


def test_a_password_is_set_anew(admin: Client) -> None:
    user = factories.make_user()
    page = f"{USERS}{user.pk}/password/"
    assert admin.get(page).status_code == HTTPStatus.OK
    form = {"usable_password": "true", "password1": "another passphrase", "password2": "another passphrase"}
    assert admin.post(page, form).status_code == HTTPStatus.FOUND
    user.refresh_from_db()
    assert user.check_password("another passphrase")


def test_built_in_roles_are_read_only(admin: Client) -> None:
    role = Role.objects.get(name="visitor")
    page = admin.get(f"{ROLES}{role.pk}/change/")
    assert "see photos, their metadata and renditions" in page.content.decode()
    changed = admin.post(f"{ROLES}{role.pk}/change/", {"name": "visitor", "permissions": ["originals.download"]})
    assert changed.status_code == HTTPStatus.FORBIDDEN
    assert admin.post(f"{ROLES}{role.pk}/delete/", {"post": "yes"}).status_code == HTTPStatus.FORBIDDEN
    role.refresh_from_db()
    assert role.permissions == ["photos.view", "people.view"]


def test_built_in_roles_survive_deleting_many(admin: Client) -> None:
    marked = {"action": "delete_selected", "_selected_action": list(Role.objects.values_list("pk", flat=True))}
    admin.post(ROLES, {**marked, "post": "yes"})
    assert set(Role.objects.values_list("name", flat=True)) == {"admin", "editor", "visitor"}


def test_an_installation_makes_roles_of_its_own(admin: Client) -> None:
    form = {"name": "curator", "permissions": ["photos.view", "photos.trash"]}
    assert admin.post(f"{ROLES}add/", form).status_code == HTTPStatus.FOUND
    role = Role.objects.get(name="curator")
    assert (role.permissions, role.is_built_in) == (["photos.view", "photos.trash"], False)
    page = f"{ROLES}{role.pk}/change/"
    assert admin.post(page, {"name": "curator", "permissions": ["photos.everything"]}).status_code == HTTPStatus.OK
    assert admin.post(page, {"name": "keeper", "permissions": ["photos.view"]}).status_code == HTTPStatus.FOUND
    role.refresh_from_db()
    assert (role.name, role.permissions) == ("keeper", ["photos.view"])
    assert admin.get(ROLES).context["cl"].result_count == 4
    assert admin.post(f"{ROLES}{role.pk}/delete/", {"post": "yes"}).status_code == HTTPStatus.FOUND
    assert not Role.objects.filter(pk=role.pk).exists()


def test_a_role_that_somebody_holds_is_not_deleted(admin: Client) -> None:
    role = Role.objects.create(name="curator", permissions=["photos.view"])
    Membership.objects.create(library=factories.make_library(), user=factories.make_user(), role=role)
    admin.post(f"{ROLES}{role.pk}/delete/", {"post": "yes"})
    assert Role.objects.filter(pk=role.pk).exists()


def test_refresh_tokens_have_no_page() -> None:
    assert not django_admin.site.is_registered(OutstandingToken)
