"""Invitations by mail: who may make them, what they are worth, and that each is used once."""

import hashlib
from datetime import timedelta
from typing import Any

import factories
import pytest
from concurrency import in_a_thread
from django.core import mail
from django.db import transaction
from django.utils import timezone
from invitation_requests import (
    ACCEPT,
    GUEST,
    NEW,
    TOKEN,
    accept,
    address,
    assert_nobody_joined,
    invite,
    mailed_token,
    trail,
)
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts.models import ApiKey, AuditEvent, Invitation, Library, Membership, Role, User
from accounts.problems import ConflictError, NotFoundError, NotPermittedError
from accounts.services import invitations

pytestmark = pytest.mark.django_db


@pytest.fixture
def library() -> Library:
    return factories.make_library(name="Archive")


@pytest.fixture
def admin(library: Library) -> User:
    return factories.make_member(library, "admin")


# making them:


def test_a_mail_invites_a_visitor(library: Library, admin: User, settings: Settings) -> None:
    settings.PUBLIC_URL = "https://photos.example.org"
    response = invite(admin, library, email="Guest@Example.org")
    assert response.status_code == 201
    invitation = Invitation.objects.get()
    assert response.json() == {
        "invitation": {
            "id": str(invitation.pk),
            "email": GUEST,
            "role": "visitor",
            "invited_by": admin.email,
            "created_at": invitation.created_at.isoformat().replace("+00:00", "Z"),
            "expires_at": invitation.expires_at.isoformat().replace("+00:00", "Z"),
        },
        "mail_sent": True,
    }
    assert timedelta(days=6.99) < invitation.expires_at - invitation.created_at < timedelta(days=7.01)
    assert [(one.to, one.subject) for one in mail.outbox] == [([GUEST], "An invitation to a photo library")]
    token = mailed_token()
    # behind a #, which no browser sends: not in a proxy's log
    assert f"https://photos.example.org/invitation#{token}\n" in mail.outbox[0].body
    assert f'{admin.email} invites you to the photo library "Archive"' in mail.outbox[0].body
    # the mail alone has it
    assert invitation.token_sha256 == hashlib.sha256(token.encode()).hexdigest()
    assert token not in response.content.decode()
    assert trail(library) == [("user.invited", admin.pk, {"role": "visitor", "replaced": False})]
    assert_nobody_joined(library, members=1)


def test_the_token_of_the_mail_is_accepted(library: Library, admin: User) -> None:
    invite(admin, library, role="editor")
    response = accept(mailed_token())
    assert (response.status_code, response.json()) == (200, {"library": str(library.pk), "role": "editor"})
    guest = User.objects.get(email=GUEST)
    assert (guest.name, guest.check_password(NEW), guest.is_staff, guest.is_superuser) == ("Guest", True, False, False)
    assert Membership.objects.get(user=guest).role.name == "editor"
    assert Invitation.objects.get().accepted_at is not None
    details = {"role": "editor", "new_account": True, "was_member": False}
    assert trail(library)[1:] == [("user.joined", guest.pk, details)]


def test_a_second_invitation_replaces_the_first(library: Library, admin: User) -> None:
    invite(admin, library, role="editor")
    first = mailed_token()
    assert invite(admin, library).status_code == 201
    assert accept(first).json()["code"] == "invitation_not_valid"
    assert_nobody_joined(library, members=1)
    assert accept(mailed_token()).json()["role"] == "visitor"
    assert trail(library)[1][2] == {"role": "visitor", "replaced": True}


@pytest.mark.django_db(transaction=True)
def test_two_invitations_of_one_address_at_once_leave_one_that_is_open(library: Library) -> None:
    admin = factories.make_member(library, "admin")
    Role.objects.get_or_create(name="visitor", defaults={"permissions": ["photos.view"], "is_built_in": True})
    racing = [in_a_thread(invitations.invite, actor=admin, library=library, email=GUEST) for _ in range(4)]
    assert {one.result(30).mail_sent for one in racing} == {True}
    assert Invitation.objects.count() == 4
    assert Invitation.objects.open().count() == 1


@pytest.mark.parametrize(("role", "status"), [("visitor", 201), ("editor", 403), ("admin", 403), ("curator", 403)])
def test_nobody_gives_what_they_have_not(library: Library, role: str, status: int) -> None:
    """Whoever manages members, and may do nothing else but look."""
    own = ["photos.view", "people.view", "members.manage"]
    Role.objects.create(name="curator", permissions=["photos.view", "photos.trash"])
    membership = Membership.objects.create(
        library=library, user=factories.make_user(), role=Role.objects.create(name="host", permissions=own)
    )
    response = invite(membership.user, library, role=role)
    assert response.status_code == status
    assert Invitation.objects.count() == len(mail.outbox) == (status == 201)
    if status == 403:
        missing = {"editor": "originals.download", "admin": "audit.view", "curator": "photos.trash"}[role]
        assert (response.json()["code"], response.json()["permission"]) == ("permission_denied", missing)
        assert trail(library) == []


def test_a_key_gives_no_more_than_its_scopes(library: Library, admin: User) -> None:
    scopes = ["members.manage", "photos.view", "people.view"]
    admin.acting_key = ApiKey.objects.create(
        owner=admin, name="k", prefix="k", secret_sha256="0" * 64, scopes=scopes, library=library
    )
    with pytest.raises(NotPermittedError):
        invitations.invite(actor=admin, library=library, email=GUEST, role="editor")
    assert Invitation.objects.count() == 0
    invitations.invite(actor=admin, library=library, email=GUEST)
    assert AuditEvent.objects.get().key_id == admin.acting_key.pk
    # what a key has invited to is asked of its owner
    assert accept(mailed_token()).status_code == 200


def test_a_role_that_there_is_not(library: Library, admin: User) -> None:
    response = invite(admin, library, role="king")
    assert (response.status_code, [error["field"] for error in response.json()["errors"]]) == (400, ["role"])
    assert Invitation.objects.count() == 0


@pytest.mark.parametrize(
    "email", ["", "no address", "a@b@c.org", "x" * 250 + "@example.org", "a@example.org\nBcc: b@c.org"]
)
def test_an_address_that_there_is_not(library: Library, admin: User, email: str) -> None:
    response = invite(admin, library, email=email)
    assert (response.status_code, {error["field"] for error in response.json()["errors"]}) == (400, {"email"})
    assert (Invitation.objects.count(), len(mail.outbox)) == (0, 0)


def test_a_member_is_not_invited(library: Library, admin: User) -> None:
    member = factories.make_member(library, "visitor")
    response = invite(admin, library, email=member.email.upper(), role="admin")
    assert (response.status_code, response.json()["code"]) == (409, "already_member")
    assert (Invitation.objects.count(), len(mail.outbox)) == (0, 0)


def test_whether_an_address_has_an_account_is_not_said(library: Library, admin: User) -> None:
    known = factories.make_user()
    answers = [invite(admin, library, email=email).json() for email in (known.email, GUEST)]
    assert [set(one["invitation"]) for one in answers] == [set(answers[0]["invitation"])] * 2
    assert [one["mail_sent"] for one in answers] == [True, True]


def test_what_is_gone_is_neither_invited_to_nor_taken_back(library: Library, admin: User) -> None:
    invitation = factories.make_invitation(library)
    gone = factories.make_library()
    Library.objects.filter(pk=gone.pk).delete()
    Invitation.objects.all().delete()
    for change in (
        lambda: invitations.invite(actor=admin, library=gone, email=GUEST),
        lambda: invitations.revoke(actor=admin, invitation=invitation),
    ):
        with pytest.raises(NotFoundError):
            change()
    assert (Invitation.objects.count(), mail.outbox, AuditEvent.objects.count()) == (0, [], 0)


def test_a_name_of_several_lines_stays_in_its_line(admin: User) -> None:
    library = factories.make_library(name="Archive\n\nPay here: https://evil.example.org")
    invitations.invite(actor=factories.make_user(is_superuser=True), library=library, email=GUEST)
    assert '"Archive Pay here: https://evil.example.org"' in mail.outbox[0].body


@pytest.mark.django_db(transaction=True)
def test_within_a_transaction_the_mail_follows_the_commit(library: Library, admin: User) -> None:
    heard: list[invitations.SentInvitation] = []
    given = {"actor": admin, "library": library, "role": "visitor", "tell": heard.append}
    Role.objects.get_or_create(name="visitor", defaults={"permissions": ["photos.view"], "is_built_in": True})
    with transaction.atomic():
        made = invitations.invite_on_commit(email="Guest@Example.org", **given)
        assert (heard, mail.outbox) == ([], [])
    assert [(one.invitation, one.mail_sent) for one in heard] == [(made, True)]
    assert [one.to for one in mail.outbox] == [[GUEST]]
    assert accept(mailed_token()).status_code == 200
    before = trail(library)
    with transaction.atomic():
        invitations.invite_on_commit(email="other@example.org", **given)
        with pytest.raises(ConflictError):
            invitations.invite_on_commit(email=GUEST, **given)
        transaction.set_rollback(True)
    assert (Invitation.objects.count(), len(heard), len(mail.outbox), trail(library)) == (1, 1, 1, before)


# looking at them and taking them back:


def test_those_that_were_not_answered_are_listed(library: Library, admin: User) -> None:
    rows = [
        factories.make_invitation(library),
        factories.make_invitation(library, expires_at=timezone.now() + timedelta(seconds=1)),
    ]
    factories.make_invitation(library, accepted_at=timezone.now())
    factories.make_invitation(library, revoked_at=timezone.now())
    factories.make_invitation(factories.make_library())
    response = factories.client_of(admin).get(address(library))
    assert response.status_code == 200
    assert [row["id"] for row in response.json()["results"]] == [str(row.pk) for row in reversed(rows)]


def test_a_list_costs_the_same_for_many(library: Library, admin: User, django_assert_num_queries: Any) -> None:
    client = factories.client_of(admin)
    for count in (1, 5):
        for _ in range(count):
            factories.make_invitation(library)
        with django_assert_num_queries(4):
            assert client.get(address(library)).status_code == 200


def test_one_that_is_taken_back_is_worth_nothing(library: Library, admin: User) -> None:
    invitation = factories.make_invitation(library, token=TOKEN, email=GUEST)
    client = factories.client_of(admin)
    for _ in range(2):
        assert client.delete(f"/api/v1/invitations/{invitation.pk}").status_code == 204
    assert accept().json()["code"] == "invitation_not_valid"
    assert_nobody_joined(library, members=1)
    assert trail(library) == [("invitation.revoked", admin.pk, {})]


def test_nobody_takes_back_or_replaces_what_they_could_not_give(library: Library, admin: User) -> None:
    registrar = factories.make_user()
    role = Role.objects.create(name="registrar", permissions=["photos.view", "members.manage"])
    Membership.objects.create(library=library, user=registrar, role=role)
    assert invite(admin, library, role="admin").status_code == 201
    invitation = Invitation.objects.get()
    client = factories.client_of(registrar)
    assert client.delete(f"/api/v1/invitations/{invitation.pk}").status_code == 403
    assert invite(registrar, library, role="visitor").status_code == 403
    assert [one.pk for one in Invitation.objects.open()] == [invitation.pk]


def test_of_several_those_that_are_open_are_taken_back_or_none(library: Library, admin: User) -> None:
    open_one = factories.make_invitation(library)
    past = timezone.now() - timedelta(days=2)
    others = [
        factories.make_invitation(library, accepted_at=timezone.now()),
        factories.make_invitation(library, created_at=past - timedelta(days=7), expires_at=past),
    ]
    foreign = factories.make_invitation(factories.make_library())
    ids = [one.pk for one in (open_one, *others)]
    with pytest.raises(NotPermittedError):
        invitations.revoke_open(actor=admin, ids=[*ids, foreign.pk])
    assert (Invitation.objects.open().count(), trail(library)) == (2, [])
    assert [invitations.revoke_open(actor=admin, ids=ids) for _ in range(2)] == [1, 0]
    assert list(Invitation.objects.filter(revoked_at__isnull=False)) == [open_one]
    assert trail(library) == [("invitation.revoked", admin.pk, {})]


def test_one_that_was_accepted_is_not_taken_back(library: Library, admin: User) -> None:
    invitation = factories.make_invitation(library, token=TOKEN, email=GUEST)
    assert accept().status_code == 200
    response = factories.client_of(admin).delete(f"/api/v1/invitations/{invitation.pk}")
    assert (response.status_code, response.json()["code"]) == (409, "conflict")
    invitation.refresh_from_db()
    assert invitation.revoked_at is None


def test_a_refused_invitation_leaves_nothing(library: Library) -> None:
    for role in ("visitor", "editor"):
        member = factories.make_member(library, role)
        assert invite(member, library).status_code == 403
    invitation = factories.make_invitation(library)
    stranger = factories.client_of(factories.make_member(factories.make_library(), "admin"))
    assert stranger.post(address(library), {"email": GUEST}).status_code == 404
    assert stranger.delete(f"/api/v1/invitations/{invitation.pk}").status_code == 404
    assert (Invitation.objects.open().get(), mail.outbox, trail(library)) == (invitation, [], [])


# accepting them:


def test_an_account_that_is_there_joins_when_it_is_logged_in(library: Library) -> None:
    guest = factories.make_user(email=GUEST, name="Grace")
    factories.make_invitation(library, token=TOKEN, email=GUEST)
    response = accept()
    assert (response.status_code, response.json()["code"]) == (409, "account_exists")
    guest.refresh_from_db()
    assert (guest.name, guest.check_password(factories.PASSWORD)) == ("Grace", True)
    assert Membership.objects.count() == 0
    response = factories.client_of(guest).post(ACCEPT, {"token": TOKEN})
    assert (response.status_code, response.json()["role"]) == (200, "visitor")
    guest.refresh_from_db()
    assert (guest.name, guest.check_password(factories.PASSWORD)) == ("Grace", True)
    assert Membership.objects.get().user == guest
    details = {"role": "visitor", "new_account": False, "was_member": False}
    assert trail(library) == [("user.joined", guest.pk, details)]


def test_nobody_accepts_for_somebody_else(library: Library) -> None:
    factories.make_invitation(library, token=TOKEN, email=GUEST)
    for other in (factories.make_user(), factories.make_user(is_superuser=True)):
        response = accept(client=factories.client_of(other))
        assert (response.status_code, response.json()["code"]) == (403, "permission_denied")
    assert_nobody_joined(library)
    assert accept().status_code == 200


def test_a_key_accepts_nothing(library: Library) -> None:
    guest = factories.make_user(email=GUEST)
    factories.make_invitation(library, token=TOKEN, email=GUEST)
    guest.acting_key = ApiKey(owner=guest, name="k", prefix="k", secret_sha256="0" * 64, scopes=["photos.view"])
    with pytest.raises(NotPermittedError):
        invitations.accept(token=TOKEN, user=guest)
    assert Membership.objects.count() == 0


def test_a_closed_account_does_not_come_back_by_an_invitation(library: Library) -> None:
    factories.make_user(email=GUEST, is_active=False)
    factories.make_invitation(library, token=TOKEN, email=GUEST)
    answer = accept()
    assert (answer.status_code, answer.json()["code"]) == (409, "user_inactive")
    assert "ask whoever runs this installation" in answer.json()["detail"]
    assert not User.objects.get(email=GUEST).is_active
    assert Membership.objects.count() == 0


def test_whoever_became_a_member_meanwhile_keeps_the_role(library: Library) -> None:
    guest = factories.make_member(library, "admin")
    factories.make_invitation(library, token=TOKEN, email=guest.email)
    response = factories.client_of(guest).post(ACCEPT, {"token": TOKEN})
    assert (response.status_code, response.json()["role"]) == (200, "admin")
    assert Membership.objects.get(user=guest).role.name == "admin"
    assert trail(library)[0][2] == {"role": "admin", "new_account": False, "was_member": True}


def test_an_invitation_is_used_once(library: Library) -> None:
    factories.make_invitation(library, token=TOKEN, email=GUEST)
    assert accept().status_code == 200
    guest = User.objects.get(email=GUEST)
    Membership.objects.all().delete()
    for client in (APIClient(), factories.client_of(guest)):
        response = accept(client=client)
        assert (response.status_code, response.json()["code"]) == (400, "invitation_not_valid")
    assert Membership.objects.count() == 0


@pytest.mark.parametrize("token", ["nonsense", "\u0661", hashlib.sha256(TOKEN.encode()).hexdigest()])
def test_a_token_that_is_none(library: Library, token: str) -> None:
    factories.make_invitation(library, token=TOKEN, email=GUEST)
    response = accept(token)
    assert (response.status_code, response.json()["code"]) == (400, "invitation_not_valid")
    assert_nobody_joined(library)


def test_one_that_has_run_out(library: Library) -> None:
    past = timezone.now() - timedelta(days=2)
    factories.make_invitation(
        library, token=TOKEN, email=GUEST, created_at=past, expires_at=timezone.now() - timedelta(seconds=1)
    )
    assert accept().json()["code"] == "invitation_not_valid"
    assert_nobody_joined(library)


@pytest.mark.parametrize("password", ["", "1234", "password123", GUEST])
def test_a_password_that_is_not_good_enough_leaves_the_invitation(library: Library, password: str) -> None:
    factories.make_invitation(library, token=TOKEN, email=GUEST)
    response = accept(password=password)
    assert (response.status_code, {error["field"] for error in response.json()["errors"]}) == (400, {"password"})
    assert_nobody_joined(library)
    assert accept().status_code == 200
