"""Members: who may add, change and remove whom, and that a library keeps an admin, whoever comes at once."""

from collections.abc import Callable
from concurrent.futures import Future

import factories
import pytest
from concurrency import in_a_thread, wait_until_blocked
from django.db import transaction

from accounts.models import ApiKey, AuditEvent, Library, Membership, Role, User
from accounts.problems import DomainError, InvalidValueError, NotFoundError, NotPermittedError
from accounts.roles import BUILT_IN_ROLES, BuiltInRole
from accounts.services import erasure, members
from accounts.services.libraries import add_member, create_library

pytestmark = pytest.mark.django_db


@pytest.fixture
def library() -> Library:
    return factories.make_library()


@pytest.fixture
def admin(library: Library) -> User:
    return factories.make_member(library, "admin")


def role(name: str) -> Role:
    return Role.objects.get(name=name)


def roles_in(library: Library) -> dict[str, str]:
    return dict(Membership.objects.filter(library=library).values_list("user__email", "role__name"))


def state() -> list[object]:
    models = (Membership, User, AuditEvent)
    return [list(model.objects.order_by("pk").values()) for model in models]


def manager(library: Library, *more: str) -> User:
    """Make somebody whose role lets them manage members, and does not allow all that an admin's does."""
    given, _ = Role.objects.get_or_create(
        name="manager", defaults={"permissions": [*BUILT_IN_ROLES["editor"], "members.manage", *more]}
    )
    user = factories.make_user()
    Membership.objects.create(library=library, user=user, role=given)
    return user


def events() -> list[tuple[object, ...]]:
    rows = AuditEvent.objects.order_by("pk")
    return [(row.action, row.actor_id, row.subject_id, row.library_id, row.details) for row in rows]


def test_members_come_change_and_go_and_the_trail_tells(library: Library, admin: User) -> None:
    user = factories.make_user()
    members.add(library=library, user=user, role=role("visitor"), by=admin)
    members.change_role(library=library, user_id=user.pk, role=role("editor"), by=admin)
    members.change_role(library=library, user_id=user.pk, role=role("editor"), by=admin)
    assert roles_in(library) == {admin.email: "admin", user.email: "editor"}
    members.remove(library=library, user_id=user.pk, by=admin)
    assert roles_in(library) == {admin.email: "admin"}
    told = (admin.pk, str(user.pk), library.pk)
    assert events() == [
        ("member.added", *told, {"role": "visitor"}),
        ("member.changed", *told, {"role": "editor", "before": "visitor"}),
        ("member.removed", *told, {"role": "editor"}),
    ]


def test_a_member_is_not_added_again(library: Library, admin: User) -> None:
    before = state()
    with pytest.raises(members.AlreadyMemberError):
        members.add(library=library, user=admin, role=role("visitor"), by=admin)
    assert state() == before


def test_who_is_no_member_is_neither_changed_nor_removed(library: Library, admin: User) -> None:
    stranger = factories.make_member(factories.make_library(), "visitor")
    before = state()
    for change in (
        lambda: members.change_role(library=library, user_id=stranger.pk, role=role("editor"), by=admin),
        lambda: members.remove(library=library, user_id=stranger.pk, by=admin),
    ):
        with pytest.raises(NotFoundError):
            change()
    assert state() == before


def test_somebody_is_added_by_the_address_of_the_account(library: Library, admin: User) -> None:
    factories.make_user(email="grace@example.org")
    members.add_by_email(library=library, email="Grace@Example.org", by=admin)
    factories.make_user(email="ada@example.org")
    members.add_by_email(library=library, email="ada@example.org", role=role("editor"), by=None)
    assert roles_in(library) == {admin.email: "admin", "grace@example.org": "visitor", "ada@example.org": "editor"}


def test_who_has_an_account_is_told_to_nobody_else(library: Library, admin: User) -> None:
    stranger = factories.make_member(factories.make_library(), "admin")
    factories.make_user(email="gone@example.org", is_active=False)
    before = state()
    for email in ("gone@example.org", "nobody@example.org"):
        with pytest.raises(InvalidValueError) as refused:
            members.add_by_email(library=library, email=email, by=admin)
        assert [(one["field"], one["code"]) for one in refused.value.extra["errors"]] == [("email", "no_account")]
    for email in (admin.email, "nobody@example.org"):
        with pytest.raises(NotPermittedError):
            members.add_by_email(library=library, email=email, by=stranger)
    assert state() == before


@pytest.mark.parametrize("who", ["visitor", "editor", "stranger", "deactivated"])
def test_who_may_not_manage_members_changes_none(library: Library, admin: User, who: str) -> None:
    if who == "stranger":
        by = factories.make_member(factories.make_library(), "admin")
    elif who == "deactivated":
        by = factories.make_member(library, "admin")
        by.is_active = False
        by.save()
    else:
        by = factories.make_member(library, who)
    refuse_all(library, by, factories.make_member(library, "visitor"), "visitor")


def refuse_all(library: Library, by: User, victim: User, name: str) -> None:
    friend = factories.make_user()
    before = state()
    for change in (
        lambda: members.add(library=library, user=friend, role=role(name), by=by),
        lambda: members.change_role(library=library, user_id=victim.pk, role=role(name), by=by),
        lambda: members.remove(library=library, user_id=victim.pk, by=by),
    ):
        with pytest.raises(NotPermittedError):
            change()
    assert state() == before


def test_nobody_gives_changes_or_takes_what_they_do_not_hold(library: Library, admin: User) -> None:
    by = manager(library)
    refuse_all(library, by, factories.make_member(library, "admin"), "admin")
    before = state()
    with pytest.raises(NotPermittedError) as refused:
        members.change_role(library=library, user_id=by.pk, role=role("admin"), by=by)
    assert refused.value.extra["permission"] == "audit.view"
    with pytest.raises(NotPermittedError):
        members.change_role(library=library, user_id=admin.pk, role=role("visitor"), by=by)
    assert state() == before
    friend = factories.make_user()
    members.add(library=library, user=friend, role=role("editor"), by=by)
    members.change_role(library=library, user_id=friend.pk, role=role("manager"), by=by)
    members.remove(library=library, user_id=friend.pk, by=by)


def test_a_key_manages_members_within_its_scopes_and_does_not_leave(library: Library, admin: User) -> None:
    factories.make_member(library, "admin")
    visitor = factories.make_member(library, "visitor")
    admin.acting_key = ApiKey(owner=admin, name="k", prefix="abc", scopes=["members.manage", "photos.view"])
    before = state()
    for change in (
        lambda: members.change_role(library=library, user_id=visitor.pk, role=role("editor"), by=admin),
        # a visitor sees people, and the key does not
        lambda: members.remove(library=library, user_id=visitor.pk, by=admin),
        lambda: members.remove(library=library, user_id=admin.pk, by=admin),
    ):
        with pytest.raises(NotPermittedError):
            change()
    assert state() == before
    admin.acting_key.scopes = ["members.manage", "photos.view", "people.view"]
    members.remove(library=library, user_id=visitor.pk, by=admin)
    assert AuditEvent.objects.get().key_id == admin.acting_key.pk


@pytest.mark.parametrize("name", ["visitor", "editor", "manager"])
def test_a_member_may_leave(library: Library, admin: User, name: str) -> None:
    user = manager(library) if name == "manager" else factories.make_member(library, name)
    members.remove(library=library, user_id=user.pk, by=user)
    assert roles_in(library) == {admin.email: "admin"}


@pytest.mark.parametrize("by", ["admin", "superuser", "system"])
def test_the_last_admin_stays(library: Library, admin: User, by: str) -> None:
    # a deactivated one helps nobody, and one elsewhere neither
    factories.make_member(factories.make_library(), "admin")
    User.objects.filter(pk=factories.make_member(library, "admin").pk).update(is_active=False)
    manager(library, *set(BUILT_IN_ROLES["admin"]) - set(BUILT_IN_ROLES["editor"]))
    actor = {"admin": admin, "superuser": factories.make_user(is_superuser=True), "system": None}[by]
    before = state()
    for change in (
        lambda: members.change_role(library=library, user_id=admin.pk, role=role("editor"), by=actor),
        lambda: members.remove(library=library, user_id=admin.pk, by=actor),
        lambda: erasure.forget_user(user=admin, by=actor),
        lambda: add_member(library=library, user=admin, role=BuiltInRole.VISITOR),
    ):
        with pytest.raises(members.LastAdminError) as refused:
            change()
        assert refused.value.extra == {"libraries": [str(library.pk)]}
    assert state() == before


def test_a_library_begins_with_its_admin() -> None:
    user = factories.make_user()
    library = create_library(name="Archive", admin=user)
    assert roles_in(library) == {user.email: "admin"}
    add_member(library=library, user=factories.make_user(email="second@example.org"), role=BuiltInRole.ADMIN)
    add_member(library=library, user=user, role=BuiltInRole.VISITOR)
    assert roles_in(library) == {user.email: "visitor", "second@example.org": "admin"}


@pytest.mark.django_db(transaction=True)
def test_who_is_added_at_this_moment_gets_the_role_of_the_system() -> None:
    library, user = factories.make_library(), factories.make_user()
    for name in ("editor", "visitor"):
        Role.objects.get_or_create(name=name, defaults={"permissions": BUILT_IN_ROLES[name], "is_built_in": True})
    with transaction.atomic():
        members.add(library=library, user=user, role=role("visitor"), by=None)
        other = in_a_thread(add_member, library=library, user=user, role=BuiltInRole.EDITOR)
        wait_until_blocked()
    other.result(20)
    assert roles_in(library) == {user.email: "editor"}


WAYS: dict[str, Callable[[Library, User], object]] = {
    "leave": lambda library, user: members.remove(library=library, user_id=user.pk, by=user),
    "demote": lambda library, user: members.change_role(
        library=library, user_id=user.pk, role=role("visitor"), by=user
    ),
    "delete": lambda library, user: erasure.forget_user(user=user, by=None),
}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("way", WAYS)
def test_of_two_admins_who_go_at_once_one_stays(way: str) -> None:
    library = factories.make_library()
    for name in BuiltInRole.values:
        Role.objects.get_or_create(name=name, defaults={"permissions": BUILT_IN_ROLES[name], "is_built_in": True})
    first, second = (factories.make_member(library, "admin") for _ in range(2))
    with transaction.atomic():
        WAYS[way](library, first)
        other: Future[object] = in_a_thread(WAYS[way], library, second)
        wait_until_blocked()
    with pytest.raises(DomainError) as refused:
        other.result(20)
    assert refused.value.code == "last_admin"
    assert roles_in(library)[second.email] == "admin"
