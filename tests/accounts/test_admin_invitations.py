"""Invitations in the admin: seen, made and taken back by those who manage members, and mailed after the commit."""

from datetime import timedelta
from typing import Any

import factories
import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext, override_settings
from django.utils import timezone

from accounts.models import AuditEvent, Invitation, Library, Membership, Role, User
from accounts.roles import BUILT_IN_ROLES
from accounts.services.libraries import add_member

# what follows a commit follows real ones alone
mailing = pytest.mark.django_db(transaction=True)
pytestmark = pytest.mark.django_db

LIST = "/admin/accounts/invitation/"
ADD = f"{LIST}add/"
SUBMITTED = {"_form_submitted": "True"}
GUEST = "guest@example.org"


@pytest.fixture
def library() -> Library:
    return factories.make_library(name="Archive")


def staff(library: Library, role: str, *permissions: str) -> User:
    """Make somebody with a role in a library and these permissions of the admin; all of an invitation without any."""
    user = factories.make_member(library, role)
    User.objects.filter(pk=user.pk).update(is_staff=True)
    wanted = permissions or ("view_invitation", "add_invitation", "change_invitation", "delete_invitation")
    user.user_permissions.set(Permission.objects.filter(codename__in=wanted))
    return User.objects.get(pk=user.pk)


def browser(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def chief() -> User:
    return factories.make_user(is_staff=True, is_superuser=True)


def role(name: str) -> Role:
    """Give a built-in role: made by a migration, and gone after a test whose transactions were real."""
    return Role.objects.get_or_create(name=name, defaults={"permissions": BUILT_IN_ROLES[name], "is_built_in": True})[0]


def form(library: Library, given: Role, address: str = GUEST) -> dict[str, str]:
    return {"library": str(library.pk), "role": str(given.pk), "address": address}


def said(client: Client) -> list[tuple[str, str]]:
    return [(one.level_tag, str(one)) for one in client.get("/admin/").context["messages"]]


def listed(client: Client, query: str = "") -> list[Invitation]:
    response = client.get(LIST + query)
    assert response.status_code == 200
    return list(response.context["cl"].result_list)


def written() -> list[tuple[str, dict[str, Any]]]:
    rows = AuditEvent.objects.exclude(action="login.succeeded").order_by("pk")
    return [(event.action, event.details) for event in rows]


def one_of_each(library: Library) -> dict[str, Invitation]:
    now = timezone.now()
    past = {"created_at": now - timedelta(days=9), "expires_at": now - timedelta(days=2)}
    return {
        "open": factories.make_invitation(library),
        "accepted": factories.make_invitation(library, accepted_at=now),
        "revoked": factories.make_invitation(library, revoked_at=now),
        "run_out": factories.make_invitation(library, **past),
    }


# looking at them:


def test_the_list_tells_of_libraries_whose_members_one_manages(library: Library) -> None:
    own, foreign = factories.make_invitation(library), factories.make_invitation(factories.make_library(name="Other"))
    client = browser(staff(library, "admin"))
    assert listed(client) == [own]
    page = client.get(LIST).content.decode()
    assert (own.email in page, foreign.email in page) == (True, False)
    detail = client.get(f"{LIST}{own.pk}/change/").content.decode()
    assert own.invited_by.email in detail
    assert own.token_sha256 not in detail
    assert client.get(f"{LIST}{foreign.pk}/change/").status_code == 302
    assert {*listed(browser(chief()))} == {own, foreign}


def test_it_takes_the_permission_of_the_admin_and_the_role(library: Library) -> None:
    factories.make_invitation(library)
    assert browser(staff(library, "admin", "view_library")).get(LIST).status_code == 403
    editor = browser(staff(library, "editor"))
    assert listed(editor) == []
    assert [editor.get(ADD).status_code, editor.post(ADD, form(library, role("visitor"))).status_code] == [403, 403]
    looking = browser(staff(library, "admin", "view_invitation"))
    assert len(listed(looking)) == 1
    assert looking.get(ADD).status_code == 403
    assert Invitation.objects.count() == 1
    assert LIST in looking.get("/admin/").content.decode()
    assert LIST not in browser(staff(library, "admin", "view_library")).get("/admin/").content.decode()


def test_each_says_its_state_and_is_found_by_it(library: Library) -> None:
    rows, client = one_of_each(library), browser(chief())
    assert {one.pk: one.state for one in listed(client)} == {row.pk: state for state, row in rows.items()}
    for state, row in rows.items():
        assert listed(client, f"?state={state}") == [row]
        detail = client.get(f"{LIST}{row.pk}/change/").content.decode()
        assert (f"{row.pk}/revoke/" in detail) is (state == "open")
    assert len(listed(client, "?state=nonsense")) == 4
    assert listed(client, f"?q={rows['revoked'].email}") == [rows["revoked"]]
    assert listed(client, "?q=archive") == listed(client)


def test_the_list_costs_the_same_for_many(library: Library) -> None:
    client, counts = browser(chief()), []
    for _ in range(2):
        for _ in range(5):
            factories.make_invitation(library)
        with CaptureQueriesContext(connection) as queries:
            listed(client)
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_nobody_edits_or_deletes_them(library: Library) -> None:
    invitation, client = factories.make_invitation(library), browser(chief())
    body = form(library, invitation.role, "other@example.org")
    assert client.post(f"{LIST}{invitation.pk}/change/", body).status_code == 403
    assert client.post(f"{LIST}{invitation.pk}/delete/", {"post": "yes"}).status_code == 403
    client.post(LIST, {"action": "delete_selected", "_selected_action": [str(invitation.pk)], "post": "yes"})
    assert list(Invitation.objects.values_list("pk", "email")) == [(invitation.pk, invitation.email)]
    assert written() == []


# making them:


@mailing
def test_somebody_is_invited_and_told_so(library: Library) -> None:
    user = staff(library, "admin")
    client = browser(user)
    response = client.post(ADD, form(library, role("editor"), "Guest@Example.org"))
    assert (response.status_code, response["Location"]) == (302, LIST)
    invitation = Invitation.objects.get()
    assert (invitation.email, invitation.role.name, invitation.invited_by) == (GUEST, "editor", user)
    assert [one.to for one in mail.outbox] == [[GUEST]]
    assert said(client) == [("success", "The invitation is on its way to guest@example.org.")]
    assert written() == [
        ("user.invited", {"role": "editor", "replaced": False}),
        ("admin.changed", {"page": "accounts_invitation_add"}),
    ]
    # an erased account leaves no address behind in it
    assert LogEntry.objects.count() == 0


@mailing
def test_a_mail_that_was_not_sent_is_told_of(library: Library, closed_port: int) -> None:
    client, body = browser(staff(library, "admin")), form(library, role("visitor"))
    backend = "django.core.mail.backends.smtp.EmailBackend"
    with override_settings(EMAIL_BACKEND=backend, EMAIL_HOST="127.0.0.1", EMAIL_PORT=closed_port):
        assert client.post(ADD, body).status_code == 302
    [(level, text)] = said(client)
    assert (level, "the mail was not sent: invite once more" in text) == ("warning", True)
    assert (Invitation.objects.open().count(), len(mail.outbox)) == (1, 0)
    # once more, in its place
    response = client.post(ADD, body | {"_addanother": "1"})
    assert (response.status_code, response["Location"]) == (302, ADD)
    assert (Invitation.objects.open().count(), Invitation.objects.count(), len(mail.outbox)) == (1, 2, 1)
    replaced = [details["replaced"] for action, details in written() if action == "user.invited"]
    assert replaced == [False, True]


@mailing
def test_a_member_is_not_invited_and_nothing_is_mailed(library: Library) -> None:
    client, member = browser(staff(library, "admin")), factories.make_member(library, "visitor")
    response = client.post(f"{ADD}?library={library.pk}", form(library, role("visitor"), member.email))
    assert (response.status_code, response["Location"]) == (302, f"{ADD}?library={library.pk}")
    assert said(client) == [("error", f"{member.email} is a member of {library.name} already.")]
    assert (Invitation.objects.count(), len(mail.outbox), written()) == (0, 0, [])


def test_the_form_offers_what_one_may_give(library: Library) -> None:
    given = Role.objects.create(name="host", permissions=["photos.view", "people.view", "members.manage"])
    user = staff(library, "visitor")
    Membership.objects.filter(user=user).update(role=given)
    add_member(library=factories.make_library(), user=user, role="editor")
    factories.make_library()
    shown = browser(user).get(ADD).context["adminform"].form
    assert list(shown.fields["library"].queryset) == [library]
    assert [one.name for one in shown.fields["role"].queryset] == ["visitor", "host"]
    assert shown.get_initial_for_field(shown.fields["role"], "role") == Role.objects.get(name="visitor")
    everything = browser(chief()).get(ADD).context["adminform"].form
    assert everything.fields["library"].queryset.count() == Library.objects.count() == 3
    assert everything.fields["role"].queryset.count() == Role.objects.count()


def test_nobody_invites_elsewhere_or_gives_more(library: Library) -> None:
    given = Role.objects.create(name="host", permissions=["photos.view", "people.view", "members.manage"])
    user = staff(library, "visitor")
    Membership.objects.filter(user=user).update(role=given)
    client, visitor, other = browser(user), role("visitor"), factories.make_library()
    add_member(library=other, user=user, role="editor")
    for body in (form(other, visitor), form(library, role("editor")), form(factories.make_library(), visitor)):
        assert client.post(ADD, body).status_code == 200
    # of two libraries the role is one to give in the other
    add_member(library=other, user=user, role="admin")
    assert client.post(ADD, form(library, role("editor"))).status_code == 302
    assert "allows what you may not do here yourself" in said(client)[0][1]
    assert Invitation.objects.count() == 0
    assert [action for action, _ in written()] == ["member.added", "member.changed"]


@pytest.mark.parametrize("address", ["", "no address", "a@b@c.org", "x" * 250 + "@example.org", "a\0@example.org"])
def test_an_address_that_is_none_is_shown_again(library: Library, address: str) -> None:
    response = browser(chief()).post(ADD, form(library, role("visitor"), address))
    assert (response.status_code, list(response.context["adminform"].form.errors)) == (200, ["address"])
    assert (Invitation.objects.count(), written()) == (0, [])


# taking them back:


def test_one_is_taken_back_after_asking(library: Library) -> None:
    invitation, user = factories.make_invitation(library), staff(library, "admin")
    client, page = browser(user), f"{LIST}{invitation.pk}/revoke/"
    assert "Revoke this invitation?" in client.get(page).content.decode()
    assert Invitation.objects.open().get() == invitation
    assert client.post(page, SUBMITTED)["HX-Refresh"] == "true"
    invitation.refresh_from_db()
    assert invitation.revoked_at is not None
    assert said(client) == [("success", "The invitation is worth nothing any more.")]
    assert [action for action, _ in written()] == ["invitation.revoked", "admin.changed"]


def test_one_that_was_accepted_stays(library: Library) -> None:
    invitation, client = factories.make_invitation(library, accepted_at=timezone.now()), browser(chief())
    assert client.post(f"{LIST}{invitation.pk}/revoke/", SUBMITTED)["HX-Refresh"] == "true"
    assert said(client) == [("error", "This invitation was accepted: remove the member.")]
    invitation.refresh_from_db()
    assert (invitation.revoked_at, written()) == (None, [])


def test_chosen_ones_are_taken_back_that_are_open(library: Library) -> None:
    rows, client = one_of_each(library), browser(staff(library, "admin"))
    second, foreign = factories.make_invitation(library), factories.make_invitation(factories.make_library())
    chosen = [str(row.pk) for row in (*rows.values(), second, foreign)]
    body = {"action": "revoke_chosen", "_selected_action": chosen}
    assert client.post(LIST, body).status_code == 302
    assert said(client) == [("success", "2 invitations are revoked.")]
    revoked = {rows["open"].pk, rows["revoked"].pk, second.pk}
    assert {*Invitation.objects.filter(revoked_at__isnull=False).values_list("pk", flat=True)} == revoked
    before = written()
    assert [action for action, _ in before] == ["invitation.revoked", "invitation.revoked", "admin.changed"]
    client.post(LIST, body)
    assert said(client)[-1] == ("warning", "None of these was open.")
    assert written() == before
    assert client.post(LIST, body | {"_selected_action": ["nonsense"]}).status_code == 400


def test_who_may_not_takes_nothing_back(library: Library) -> None:
    invitation = factories.make_invitation(library)
    for user in (
        staff(library, "admin", "view_invitation"),
        staff(library, "editor"),
        staff(factories.make_library(), "admin"),
    ):
        client = browser(user)
        assert client.post(f"{LIST}{invitation.pk}/revoke/", SUBMITTED).status_code in {403, 404}
        client.post(LIST, {"action": "revoke_chosen", "_selected_action": [str(invitation.pk)]})
    assert Invitation.objects.open().get() == invitation
    assert written() == []
