"""Roles and members by the API."""

import factories
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient
from uuid_utils.compat import uuid7

from accounts.models import AuditEvent, Library, Membership, Role, User
from accounts.roles import BUILT_IN_ROLES, Permission

pytestmark = pytest.mark.django_db


@pytest.fixture
def library() -> Library:
    return factories.make_library()


@pytest.fixture
def admin(library: Library) -> User:
    return factories.make_member(library, "admin")


@pytest.fixture
def client(admin: User) -> APIClient:
    return factories.client_of(admin)


def address(library: Library, user: User | None = None) -> str:
    return f"/api/v1/libraries/{library.pk}/members" + (f"/{user.pk}" if user else "")


def state() -> list[object]:
    return [*Membership.objects.order_by("pk").values(), *AuditEvent.objects.order_by("pk").values()]


def test_roles_are_told_with_their_permissions_in_words() -> None:
    own = Role.objects.create(name="curator", permissions=["photos.trash", "photos.view"])
    found = factories.client_of(factories.make_user()).get("/api/v1/roles").json()["results"]
    assert found[0] == {
        "id": str(own.pk),
        "name": "curator",
        "is_built_in": False,
        "permissions": [
            {"name": "photos.view", "label": "see photos, their metadata and renditions"},
            {"name": "photos.trash", "label": "move photos to the trash and back"},
        ],
    }
    built_in = {one["name"]: [held["name"] for held in one["permissions"]] for one in found if one["is_built_in"]}
    assert built_in == {name: [str(one) for one in held] for name, held in BUILT_IN_ROLES.items()}
    assert all(held["label"] == Permission(held["name"]).label for one in found for held in one["permissions"])


def test_a_member_is_added_changed_and_removed(library: Library, admin: User, client: APIClient) -> None:
    user = factories.make_user(email="grace@example.org", name="Grace")
    added = client.post(address(library), {"email": "Grace@Example.org"})
    membership = Membership.objects.get(user=user)
    expected = {
        "user": str(user.pk),
        "email": "grace@example.org",
        "name": "Grace",
        "is_active": True,
        "role": "visitor",
        "created_at": membership.created_at.isoformat().replace("+00:00", "Z"),
    }
    assert (added.status_code, added.json()) == (201, expected)
    changed = client.patch(address(library, user), {"role": "editor"})
    assert (changed.status_code, changed.json()) == (200, expected | {"role": "editor"})
    listed = client.get(address(library)).json()["results"]
    assert [(one["email"], one["role"]) for one in listed] == [
        ("grace@example.org", "editor"),
        (admin.email, "admin"),
    ]
    assert client.delete(address(library, user)).status_code == 204
    assert client.delete(address(library, user)).status_code == 404
    assert [event.action for event in AuditEvent.objects.order_by("pk")] == [
        "member.added",
        "member.changed",
        "member.removed",
    ]


def test_a_change_that_says_nothing_changes_nothing(library: Library, client: APIClient) -> None:
    user = factories.make_member(library, "editor")
    before = state()

    unchanged = client.patch(address(library, user), {})

    assert (unchanged.status_code, unchanged.json()["role"]) == (200, "editor")
    assert state() == before


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({"email": "nobody@example.org"}, "email", "no_account"),
        ({"email": "gone@example.org"}, "email", "no_account"),
        ({"email": "not an address"}, "email", "invalid"),
        ({}, "email", "required"),
        ({"email": "grace@example.org", "role": "chief"}, "role", "does_not_exist"),
        ({"email": "grace@example.org", "role": "\x00"}, "role", "invalid"),
    ],
)
def test_what_is_no_member_is_refused(
    library: Library, client: APIClient, body: dict[str, object], field: str, code: str
) -> None:
    factories.make_user(email="grace@example.org")
    factories.make_user(email="gone@example.org", is_active=False)
    before = state()
    response = client.post(address(library), body)
    assert response.status_code == 400
    assert [(one["field"], one["code"]) for one in response.json()["errors"]] == [(field, code)]
    assert state() == before


def test_a_conflict_says_what_it_is(library: Library, admin: User, client: APIClient) -> None:
    before = state()
    answers = [
        client.post(address(library), {"email": admin.email}),
        client.patch(address(library, admin), {"role": "editor"}),
        client.delete(address(library, admin)),
    ]
    assert [(one.status_code, one.json()["code"]) for one in answers] == [
        (409, "already_member"),
        (409, "last_admin"),
        (409, "last_admin"),
    ]
    assert answers[1].json()["libraries"] == [str(library.pk)]
    assert state() == before


def test_managing_members_makes_no_admins(library: Library, admin: User) -> None:
    manager = Role.objects.create(name="manager", permissions=[*BUILT_IN_ROLES["editor"], "members.manage"])
    user, friend = factories.make_user(), factories.make_user()
    Membership.objects.create(library=library, user=user, role=manager)
    client, before = factories.client_of(user), state()
    answers = [
        client.post(address(library), {"email": friend.email, "role": "admin"}),
        client.patch(address(library, user), {"role": "admin"}),
        client.delete(address(library, admin)),
    ]
    assert [(one.status_code, one.json()["permission"]) for one in answers] == [(403, "audit.view")] * 3
    assert state() == before
    assert client.post(address(library), {"email": friend.email, "role": "editor"}).status_code == 201


def test_a_member_leaves_and_learns_of_nobody_else(library: Library, admin: User) -> None:
    visitor = factories.make_member(library, "visitor")
    client, before = factories.client_of(visitor), state()
    for other in (admin, factories.make_user(), User(pk=uuid7())):
        assert client.delete(address(library, other)).status_code == 403
        assert client.patch(address(library, other), {"role": "visitor"}).status_code == 403
    assert client.patch(address(library, visitor), {"role": "editor"}).status_code == 403
    assert state() == before
    assert client.delete(address(library, visitor)).status_code == 204
    assert not Membership.objects.filter(user=visitor).exists()
    assert client.delete(address(library, visitor)).status_code == 404


def test_members_of_another_library_are_out_of_reach(library: Library, client: APIClient) -> None:
    other = factories.make_library()
    stranger = factories.make_member(other, "visitor")
    before = state()
    answers = [
        client.get(address(other)),
        client.post(address(other), {"email": stranger.email}),
        client.patch(address(other, stranger), {"role": "editor"}),
        client.delete(address(other, stranger)),
        client.patch(address(library, stranger), {"role": "editor"}),
        client.delete(address(library, stranger)),
    ]
    assert [one.status_code for one in answers] == [404] * 6
    assert state() == before


def test_the_list_costs_as_many_queries_however_long_it_is(library: Library, client: APIClient) -> None:
    counts = []
    for more in (1, 10):
        for _ in range(more):
            factories.make_member(library, "visitor")
        with CaptureQueriesContext(connection) as queries:
            found = client.get(address(library)).json()["results"]
        counts.append((len(found), len(queries)))
    assert counts == [(2, 4), (12, 4)]  # the account, the library, the right, the members
