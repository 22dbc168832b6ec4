"""Members, roles and accounts in the admin: by the services, and by their rules."""

import factories
import pytest
from django.contrib.auth.models import Permission as AdminPermission
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.test import Client

from accounts.models import AuditEvent, Invitation, Library, Membership, Role, User
from accounts.roles import BUILT_IN_ROLES

pytestmark = pytest.mark.django_db

LIBRARIES, USERS, ROLES = "/admin/accounts/library/", "/admin/accounts/user/", "/admin/accounts/role/"
AUTOCOMPLETE = "/admin/autocomplete/?app_label={}&model_name={}&field_name={}&term={}"


@pytest.fixture
def library() -> Library:
    return factories.make_library(name="Archive")


@pytest.fixture
def admin(library: Library) -> User:
    return factories.make_member(library, "admin")


def role(name: str) -> Role:
    return Role.objects.get(name=name)


def browser(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def chief() -> Client:
    return browser(factories.make_user(is_staff=True, is_superuser=True))


def staff(library: Library, given: Role) -> User:
    user = factories.make_user(is_staff=True)
    Membership.objects.create(library=library, user=user, role=given)
    user.user_permissions.set(AdminPermission.objects.filter(content_type__app_label="accounts"))
    return user


def rows(library: Library, *entries: tuple[Membership | None, User, str, bool]) -> dict[str, str]:
    """Fill the form of a library: of each member the row that is there, who, the role, and whether it is deleted."""
    there = sum(row is not None for row, *_ in entries)
    form = {"name": library.name, "memberships-TOTAL_FORMS": len(entries), "memberships-INITIAL_FORMS": there}
    form |= {"consent_records-TOTAL_FORMS": 0, "consent_records-INITIAL_FORMS": 0}
    for number, (row, user, name, is_deleted) in enumerate(entries):
        values = {"library": library.pk, "user": user.pk, "role": role(name).pk}
        values |= {"id": row.pk} if row else {}
        values |= {"DELETE": "on"} if is_deleted else {}
        form |= {f"memberships-{number}-{key}": value for key, value in values.items()}
    return {key: str(value) for key, value in form.items()}


def row_of(library: Library, user: User) -> Membership:
    return Membership.objects.get(library=library, user=user)


def state() -> list[object]:
    models = (Membership, User, Role, AuditEvent)
    return [
        list(model.objects.order_by("pk").values(*[f.name for f in model._meta.fields if f.name != "last_login"]))
        for model in models
    ]


def written() -> QuerySet[AuditEvent]:
    """What services have written, beside the events that the admin itself writes."""
    return AuditEvent.objects.exclude(action__in=["login.succeeded", "admin.changed"]).order_by("pk")


def roles_in(library: Library) -> dict[str, str]:
    return dict(Membership.objects.filter(library=library).values_list("user__email", "role__name"))


def said(client: Client) -> list[str]:
    return [str(one) for one in client.get("/admin/").context["messages"]]


def test_members_are_written_by_the_services(library: Library, admin: User) -> None:
    client, friend = chief(), factories.make_user()
    page = f"{LIBRARIES}{library.pk}/change/"
    assert client.post(page, rows(library, (None, friend, "visitor", False))).status_code == 302
    row = row_of(library, friend)
    stranger = factories.make_user()
    # another user in a row that is there is no way to move it
    assert client.post(page, rows(library, (row, stranger, "editor", False))).status_code == 302
    assert roles_in(library) == {admin.email: "admin", friend.email: "editor"}
    assert client.post(page, rows(library, (row, friend, "editor", True))).status_code == 302
    assert roles_in(library) == {admin.email: "admin"}
    told = [(event.action, event.subject_id) for event in written()]
    assert told == [(f"member.{what}", str(friend.pk)) for what in ("added", "changed", "removed")]


@pytest.mark.parametrize("is_deleted", [True, False])
def test_the_last_admin_stays(library: Library, admin: User, is_deleted: bool) -> None:
    client = chief()
    before = state()
    row, page = row_of(library, admin), f"{LIBRARIES}{library.pk}/change/"
    assert client.post(page, rows(library, (row, admin, "visitor", is_deleted))).status_code == 302
    assert said(client) == ["This is the last admin of Archive: give somebody else the role admin there first."]
    assert state() == before
    second = factories.make_user()
    client.post(page, rows(library, (row, admin, "visitor", is_deleted), (None, second, "admin", False)))
    left = {} if is_deleted else {admin.email: "visitor"}
    assert roles_in(library) == {second.email: "admin", **left}


def test_managing_members_makes_no_admins(library: Library, admin: User) -> None:
    given = Role.objects.create(name="manager", permissions=[*BUILT_IN_ROLES["editor"], "members.manage"])
    user, friend = staff(library, given), factories.make_user()
    client, page = browser(user), f"{LIBRARIES}{library.pk}/change/"
    before = state()
    own = row_of(library, user)
    for entries in (
        [(None, friend, "admin", False)],
        [(own, user, "admin", False)],
        [(row_of(library, admin), admin, "visitor", False)],
        [(row_of(library, admin), admin, "admin", True)],
        # the second row undoes the first one
        [(own, user, "visitor", False), (None, friend, "admin", False)],
    ):
        assert client.post(page, rows(library, *entries)).status_code == 302
        assert "what you may not do here yourself" in said(client)[0]
    assert state() == before
    client.post(page, rows(library, (None, friend, "editor", False)))
    assert roles_in(library)[friend.email] == "editor"


def test_members_are_told_to_whom_they_are_told_by_the_api(library: Library, admin: User) -> None:
    editor = Role.objects.create(name="namer", permissions=[*BUILT_IN_ROLES["editor"], "library.edit"])
    page = browser(staff(library, editor)).get(f"{LIBRARIES}{library.pk}/change/").content.decode()
    assert ("Archive" in page, admin.email in page) == (True, False)
    page = browser(staff(library, role("admin"))).get(f"{LIBRARIES}{library.pk}/change/").content.decode()
    assert admin.email in page


def test_the_last_admin_of_a_library_is_not_deleted(library: Library, admin: User) -> None:
    client, visitor = chief(), factories.make_member(library, "visitor")
    before = state()
    message = "This is the last admin of Archive: give somebody else the role admin there first."
    assert client.post(f"{USERS}{admin.pk}/delete/", {"post": "yes"}).status_code == 302
    assert said(client) == [message]
    assert state() == before
    second = factories.make_member(library, "admin")
    client.post(f"{USERS}{admin.pk}/delete/", {"post": "yes"})
    assert roles_in(library) == {visitor.email: "visitor", second.email: "admin"}
    assert [event.action for event in written()] == ["erased"]


def test_roles_are_written_by_the_services() -> None:
    client = chief()
    client.post(f"{ROLES}add/", {"name": "curator", "permissions": ["photos.view"]})
    made = role("curator")
    client.post(f"{ROLES}{made.pk}/change/", {"name": "curator", "permissions": ["photos.edit", "photos.view"]})
    made.refresh_from_db()
    assert made.permissions == ["photos.view", "photos.edit"]
    before = state()
    client.post(f"{ROLES}add/", {"name": "Admin", "permissions": ["photos.view"]})
    assert said(client)[-1:] == ["Admin is the name of a built-in role, or looks like it."]
    assert state() == before
    client.post(ROLES, {"action": "delete_selected", "_selected_action": [made.pk], "post": "yes"})
    told = [(event.action, event.subject_id) for event in written()]
    assert told == [(f"role.{what}", str(made.pk)) for what in ("created", "changed", "deleted")]


@pytest.mark.parametrize("way", ["page", "list"])
def test_a_role_goes_when_nobody_waits_for_it(library: Library, way: str) -> None:
    client, own = chief(), Role.objects.create(name="curator", permissions=["photos.view"])
    factories.make_invitation(library)
    Invitation.objects.update(role=own)
    chosen = {"action": "delete_selected", "_selected_action": [own.pk]} if way == "list" else {}
    address = ROLES if way == "list" else f"{ROLES}{own.pk}/delete/"
    client.post(address, {**chosen, "post": "yes"})
    assert "take those invitations back" in said(client)[-1]
    assert (role("curator"), Invitation.objects.count()) == (own, 1)
    Invitation.objects.update(accepted_at=Now())
    client.post(address, {**chosen, "post": "yes"})
    assert not Role.objects.filter(pk=own.pk).exists()


def test_roles_are_for_whoever_runs_the_installation(library: Library) -> None:
    own = Role.objects.create(name="curator", permissions=["photos.view"])
    client = browser(staff(library, role("admin")))
    before = state()
    form = {"name": "curator", "permissions": ["photos.view", "members.manage"]}
    answers = [
        client.post(f"{ROLES}add/", {**form, "name": "other"}),
        client.post(f"{ROLES}{own.pk}/change/", form),
        client.post(f"{ROLES}{own.pk}/delete/", {"post": "yes"}),
    ]
    client.post(ROLES, {"action": "delete_selected", "_selected_action": [own.pk], "post": "yes"})
    assert ([one.status_code for one in answers], state()) == ([403] * 3, before)
    assert client.get(ROLES).status_code == 200


@pytest.mark.parametrize(
    "field",
    [
        ("accounts", "membership", "user"),
        ("accounts", "membership", "library"),
        ("accounts", "membership", "role"),
        ("photos", "face", "person"),
        ("accounts", "user", "groups"),
    ],
)
def test_a_search_for_nul_finds_nothing(library: Library, field: tuple[str, str, str]) -> None:
    client = chief()
    found = client.get(AUTOCOMPLETE.format(*field, "%00"))
    assert (found.status_code, found.json()) == (200, {"results": [], "pagination": {"more": False}})
    assert client.get(AUTOCOMPLETE.format(*field, "a%00b")).json()["results"] == []
