"""An installation's own roles: made, changed and deleted by who runs it; the built-in ones stay as they are."""

from typing import Any

import factories
import pytest
from concurrency import in_a_thread, wait_until_blocked
from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.models import AuditEvent, Invitation, Membership, Role, User
from accounts.problems import DomainError, InvalidValueError, NotFoundError, NotPermittedError
from accounts.roles import BuiltInRole, Permission
from accounts.services import invitations, members, roles

pytestmark = pytest.mark.django_db


@pytest.fixture
def chief() -> User:
    return factories.make_user(is_superuser=True)


@pytest.fixture
def curator(chief: User) -> Role:
    return roles.create_role(name="curator", permissions=["photos.trash", "photos.view"], by=chief)


def state() -> list[dict[str, Any]]:
    return [*Role.objects.order_by("pk").values(), *AuditEvent.objects.order_by("pk").values()]


def test_a_role_is_made_with_its_permissions_in_order(curator: Role, chief: User) -> None:
    assert Role.objects.filter(pk=curator.pk).values_list("name", "permissions", "is_built_in").get() == (
        "curator",
        ["photos.view", "photos.trash"],
        False,
    )
    event = AuditEvent.objects.get()
    assert (event.action, event.actor_id, event.subject_id) == ("role.created", chief.pk, str(curator.pk))
    assert event.details == {"permissions": ["photos.view", "photos.trash"]}


def test_a_change_holds_at_once_and_is_noted(curator: Role, chief: User) -> None:
    library, user = factories.make_library(), factories.make_user()
    Membership.objects.create(library=library, user=user, role=curator)
    roles.change_role(role_id=curator.pk, name="keeper", permissions=["photos.view", "photos.edit"], by=chief)
    own = type(library).objects.with_own_role(user).get()
    assert (own.own_role, own.own_permissions) == ("keeper", ["photos.view", "photos.edit"])
    event = AuditEvent.objects.order_by("-pk").first()
    assert (event.action, event.details) == (
        "role.changed",
        {
            "permissions": ["photos.view", "photos.edit"],
            "permissions_before": ["photos.view", "photos.trash"],
            "is_renamed": True,
        },
    )


def test_the_same_again_is_no_change(curator: Role, chief: User) -> None:
    before = state()
    roles.change_role(role_id=curator.pk, name="curator", permissions=["photos.trash", "photos.view"], by=chief)
    assert state() == before


def test_a_role_is_deleted_when_nobody_holds_it(curator: Role, chief: User) -> None:
    member = Membership.objects.create(library=factories.make_library(), user=factories.make_user(), role=curator)
    before = state()
    with pytest.raises(roles.RoleInUseError) as refused:
        roles.delete_role(role_id=curator.pk, by=chief)
    assert (refused.value.code, refused.value.extra, state()) == (
        "role_in_use",
        {"members": 1, "invitations": 0},
        before,
    )
    member.delete()
    roles.delete_role(role_id=curator.pk, by=chief)
    assert not Role.objects.filter(pk=curator.pk).exists()
    assert AuditEvent.objects.order_by("-pk").first().action == "role.deleted"
    with pytest.raises(NotFoundError):
        roles.delete_role(role_id=curator.pk, by=chief)


def test_a_role_that_somebody_is_invited_into_stays(curator: Role, chief: User) -> None:
    library = factories.make_library()
    invitation = factories.make_invitation(library)
    Invitation.objects.update(role=curator)
    before = state()
    with pytest.raises(roles.RoleInUseError) as refused:
        roles.delete_role(role_id=curator.pk, by=chief)
    assert (refused.value.extra, state()) == ({"members": 0, "invitations": 1}, before)
    assert "take those invitations back" in refused.value.detail
    assert Invitation.objects.unanswered().get() == invitation
    invitations.revoke(actor=chief, invitation=invitation)
    roles.delete_role(role_id=curator.pk, by=chief)
    assert not Role.objects.filter(pk=curator.pk).exists()


@pytest.mark.parametrize("name", BuiltInRole.values)
def test_built_in_roles_stay_as_they_are(chief: User, name: str) -> None:
    role = Role.objects.get(name=name)
    before = state()
    # what a caller claims of the row changes nothing
    role.is_built_in = False
    for change in (
        lambda: roles.change_role(role_id=role.pk, name="mine", permissions=Permission.values, by=chief),
        lambda: roles.change_role(role_id=role.pk, name=name, permissions=[], by=None),
        lambda: roles.delete_role(role_id=role.pk, by=chief),
    ):
        with pytest.raises(roles.BuiltInRoleError):
            change()
    assert state() == before


@pytest.mark.parametrize(
    ("name", "permissions", "error"),
    [
        ("Admin", ["photos.view"], InvalidValueError),
        (" editor ", [], InvalidValueError),
        ("curator", [], ValidationError),
        ("", ["photos.view"], ValidationError),
        ("other", ["photos.everything"], ValidationError),
    ],
)
def test_what_is_no_role_is_refused(
    curator: Role, chief: User, name: str, permissions: list[str], error: type[Exception]
) -> None:
    before = state()
    with pytest.raises(error):
        roles.create_role(name=name, permissions=permissions, by=chief)
    assert state() == before


def test_roles_are_for_whoever_runs_the_installation(curator: Role) -> None:
    admin = factories.make_member(factories.make_library(), "admin")
    admin.is_staff = True
    before = state()
    refused: list[DomainError] = []
    for change in (
        lambda: roles.create_role(name="mine", permissions=Permission.values, by=admin),
        lambda: roles.change_role(role_id=curator.pk, name="curator", permissions=Permission.values, by=admin),
        lambda: roles.delete_role(role_id=curator.pk, by=admin),
    ):
        with pytest.raises(NotPermittedError) as error:
            change()
        refused.append(error.value)
    assert (len(refused), state()) == (3, before)


@pytest.mark.django_db(transaction=True)
def test_a_role_that_is_given_at_this_moment_is_not_deleted() -> None:
    given = Role.objects.create(name="curator", permissions=["photos.view"])
    library, user = factories.make_library(), factories.make_user()
    with transaction.atomic():
        members.add(library=library, user=user, role=given, by=None)
        other = in_a_thread(roles.delete_role, role_id=given.pk, by=None)
        wait_until_blocked()
    with pytest.raises(roles.RoleInUseError):
        other.result(20)
    assert Membership.objects.get(user=user).role == given


@pytest.mark.django_db(transaction=True)
def test_a_role_that_goes_at_this_moment_is_not_given() -> None:
    given = Role.objects.create(name="curator", permissions=["photos.view"])
    library, user = factories.make_library(), factories.make_user()
    with transaction.atomic():
        roles.delete_role(role_id=given.pk, by=None)
        other = in_a_thread(members.add, library=library, user=user, role=given, by=None)
        wait_until_blocked()
    with pytest.raises(NotFoundError):
        other.result(20)
    assert not Membership.objects.filter(user=user).exists()
