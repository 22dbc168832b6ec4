"""Invitations and what happens meanwhile: rights that end, and several who act at once."""

from datetime import timedelta
from typing import Any

import factories
import pytest
from concurrency import in_a_thread, wait_until_blocked
from django.db import IntegrityError, transaction
from django.utils import timezone
from invitation_requests import GUEST, TOKEN, accept, assert_nobody_joined

from accounts.models import AuditEvent, Invitation, Library, Membership, Role, User
from accounts.problems import ConflictError
from accounts.services import invitations, members, new_accounts, roles

pytestmark = pytest.mark.django_db


@pytest.fixture
def library() -> Library:
    return factories.make_library(name="Archive")


@pytest.fixture
def admin(library: Library) -> User:
    return factories.make_member(library, "admin")


def leave(user: User, library: Library) -> None:
    Membership.objects.filter(user=user).delete()


def step_down(user: User, library: Library) -> None:
    Membership.objects.filter(user=user).update(role=Role.objects.get(name="editor"))


def be_closed(user: User, library: Library) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


def grow(user: User, library: Library) -> None:
    """The role that was offered may do more by now than whoever offered it."""
    host = Role.objects.create(name="host", permissions=["photos.view", "people.view", "members.manage"])
    Membership.objects.filter(user=user).update(role=host)


@pytest.mark.parametrize("happens", [leave, step_down, be_closed, grow])
def test_an_invitation_ends_with_the_right_to_make_it(library: Library, admin: User, happens: Any) -> None:
    factories.make_invitation(library, token=TOKEN, email=GUEST, role="editor", invited_by=admin)
    happens(admin, library)
    assert accept().json()["code"] == "invitation_not_valid"
    assert_nobody_joined(library, members=0 if happens is leave else 1)


@pytest.mark.django_db(transaction=True)
def test_who_invited_and_goes_at_this_moment_lets_nobody_in(library: Library) -> None:
    factories.make_member(library, "admin")
    host = factories.make_member(library, "admin")
    factories.make_invitation(library, token=TOKEN, email=GUEST, invited_by=host)
    with transaction.atomic():
        members.remove(library=library, user_id=host.pk, by=None)
        joining = in_a_thread(accept)
        wait_until_blocked()
    assert joining.result(20).json()["code"] == "invitation_not_valid"
    assert_nobody_joined(library, members=1)


@pytest.mark.django_db(transaction=True)
def test_a_role_that_grows_at_this_moment_is_not_joined(library: Library) -> None:
    held = ["photos.view", "members.manage"]
    host = Membership.objects.create(
        library=library, user=factories.make_user(), role=Role.objects.create(name="host", permissions=held)
    )
    given = Role.objects.create(name="curator", permissions=["photos.view"])
    factories.make_invitation(library, token=TOKEN, email=GUEST, invited_by=host.user)
    Invitation.objects.update(role=given)
    with transaction.atomic():
        roles.change_role(role_id=given.pk, name="curator", permissions=["photos.view", "photos.purge"], by=None)
        joining = in_a_thread(accept)
        wait_until_blocked()
    assert joining.result(20).json()["code"] == "invitation_not_valid"
    assert_nobody_joined(library, members=1)


@pytest.mark.django_db(transaction=True)
def test_of_many_that_accept_at_once_one_makes_an_account(library: Library) -> None:
    factories.make_invitation(library, token=TOKEN, email=GUEST)
    racing = [in_a_thread(accept, name=f"Guest {number}") for number in range(6)]
    answers = [one.result(30) for one in racing]
    assert sorted(one.status_code for one in answers) == [200, 400, 400, 400, 400, 400]
    assert {one.json()["code"] for one in answers if one.status_code == 400} == {"invitation_not_valid"}
    won = [one.status_code for one in answers].index(200)
    assert User.objects.get(email=GUEST).name == f"Guest {won}"
    assert Membership.objects.filter(library=library).count() == 1
    assert AuditEvent.objects.filter(action="user.joined").count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_libraries_that_one_address_joins_at_once_one_makes_the_account() -> None:
    libraries = [factories.make_library() for _ in range(2)]
    for number, library in enumerate(libraries):
        factories.make_invitation(library, token=f"{TOKEN} {number}", email=GUEST)
    racing = [in_a_thread(accept, f"{TOKEN} {number}") for number in range(2)]
    answers = [one.result(30) for one in racing]
    assert sorted(one.status_code for one in answers) == [200, 409]
    lost = [one.status_code for one in answers].index(409)
    assert answers[lost].json()["code"] == "account_exists"
    guest = User.objects.get(email=GUEST)
    # it is still good
    assert accept(f"{TOKEN} {lost}", client=factories.client_of(guest)).status_code == 200
    assert guest.memberships.count() == 2


def test_an_account_that_is_made_a_moment_before_is_not_made_again(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.make_invitation(library, token=TOKEN, email=GUEST)
    # between the look for it and its making
    monkeypatch.setattr(new_accounts, "check_new", lambda **_: factories.make_user(email=GUEST))
    response = accept()
    assert (response.status_code, response.json()["code"]) == (409, "account_exists")
    assert Invitation.objects.get().accepted_at is None


@pytest.mark.django_db(transaction=True)
def test_an_invitation_is_either_accepted_or_taken_back(library: Library) -> None:
    invitation = factories.make_invitation(library, token=TOKEN, email=GUEST)
    accepting = in_a_thread(accept)
    revoking = in_a_thread(invitations.revoke, actor=invitation.invited_by, invitation=invitation)
    status, error = accepting.result(30).status_code, revoking.exception(30)
    invitation.refresh_from_db()
    if status == 200:
        assert (type(error), invitation.revoked_at) == (ConflictError, None)
    else:
        assert (status, error, invitation.accepted_at) == (400, None, None)
    assert User.objects.filter(email=GUEST).exists() == (status == 200)


# the database's own word:


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ({"email": "Guest@example.org"}, "invitation_email_is_lower_case"),
        ({"token_sha256": "short"}, "invitation_token_is_hashed"),
        ({"expires_at": timezone.now() - timedelta(days=1)}, "invitation_expires_after_creation"),
        ({"accepted_at": timezone.now(), "revoked_at": timezone.now()}, "invitation_has_one_end"),
        ({"email": GUEST}, "invitation_open_unique"),
    ],
)
def test_what_the_database_does_not_take(library: Library, values: dict[str, Any], constraint: str) -> None:
    factories.make_invitation(library, email=GUEST)
    with pytest.raises(IntegrityError, match=constraint):
        factories.make_invitation(library, **values)
