"""Shares in the admin: looked through and revoked by those who may share in the library."""

from datetime import timedelta
from itertools import chain

import factories
import pytest
from dead_letter_rows import staff
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from shared_links import share

from accounts.models import AuditEvent, Library, Membership, Role, User
from gallery.models import Share, ShareState

pytestmark = pytest.mark.django_db

LIST = "/admin/gallery/share/"


@pytest.fixture
def library() -> Library:
    return factories.make_library(name="Archive", **factories.FACES_OFF)


@pytest.fixture
def made(library: Library) -> Share:
    return share(factories.make_member(library, "editor"), factories.make_photo(library), title="Summer")[0]


def page(made: Share, rest: str = "change/") -> str:
    return f"{LIST}{made.pk}/{rest}"


def test_staff_see_the_shares_of_libraries_where_they_may_share(client: Client, library: Library, made: Share) -> None:
    other = factories.make_library()
    share(factories.make_member(other, "editor"), factories.make_photo(other), title="Foreign")
    user = staff(library, "editor", "view_share")
    client.force_login(user)

    shown = client.get(LIST)

    assert shown.status_code == 200
    assert b"Summer" in shown.content
    assert b"Foreign" not in shown.content
    detail = client.get(page(made)).content.decode()
    assert "Summer" in detail
    assert made.token_sha256 not in detail
    assert f"{made.pk}/revoke/" not in detail  # seeing is not changing
    Membership.objects.filter(user=user).update(role=Role.objects.get(name="visitor"))
    assert b"Summer" not in client.get(LIST).content
    assert client.get(page(made)).status_code == 302


def test_a_share_is_revoked(client: Client, library: Library, made: Share) -> None:
    user = staff(library, "editor", "view_share", "change_share")
    client.force_login(user)
    assert f"{made.pk}/revoke/" in client.get(page(made)).content.decode()
    made.refresh_from_db()
    assert made.revoked_at is None  # by looking at it

    response = client.post(page(made, "revoke/"), {"_form_submitted": "1"}, headers={"HX-Request": "true"})

    assert response["HX-Refresh"] == "true"
    made.refresh_from_db()
    assert made.revoked_at is not None
    event = AuditEvent.objects.get(action="share.revoked")
    assert (event.actor_id, event.subject_id) == (user.pk, str(made.pk))
    assert f"{made.pk}/revoke/" not in client.get(page(made)).content.decode()


def test_chosen_shares_are_revoked_and_foreign_ones_stay(client: Client, library: Library, made: Share) -> None:
    other = factories.make_library()
    foreign = share(factories.make_member(other, "editor"), factories.make_photo(other))[0]
    client.force_login(staff(library, "editor", "view_share", "change_share"))
    body = {"action": "revoke_chosen", "_selected_action": [str(made.pk), str(foreign.pk)]}
    assert client.post(LIST, body, follow=True).status_code == 200
    assert set(Share.objects.filter(revoked_at__isnull=False)) == {made}


def test_nobody_makes_changes_or_deletes_shares_here(client: Client, made: Share) -> None:
    client.force_login(factories.make_user(is_staff=True, is_superuser=True))
    assert client.get(f"{LIST}add/").status_code == 403
    assert client.post(page(made), {"title": "Winter"}).status_code == 403
    assert client.post(page(made, "delete/"), {"post": "yes"}).status_code == 403
    made.refresh_from_db()
    assert (made.title, made.revoked_at) == ("Summer", None)


def test_the_list_is_filtered_and_costs_the_same_for_many(client: Client, library: Library, made: Share) -> None:
    client.force_login(factories.make_user(is_staff=True, is_superuser=True))
    Share.objects.update(revoked_at=made.created_at)
    open_one = share(made.created_by, factories.make_photo(library), title="Open one")[0]
    assert list(client.get(f"{LIST}?state=open").context["cl"].result_list) == [open_one]
    assert list(client.get(f"{LIST}?state=revoked").context["cl"].result_list) == [made]
    counts = []
    for more in (0, 10):
        for _ in range(more):
            share(made.created_by, factories.make_photo(library))
        with CaptureQueriesContext(connection) as queries:
            assert client.get(LIST).context["cl"].result_count == 2 + more
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_list_filter_and_page_tell_the_same_state(client: Client, library: Library) -> None:
    gone = factories.make_member(library, "editor")
    by_state = {
        state: share(gone if state == "sharer_inactive" else factories.make_member(library, "editor"), photo)[0]
        for state, photo in ((state, factories.make_photo(library)) for state in ShareState.values)
    }
    User.objects.filter(pk=gone.pk).update(is_active=False)
    past = timezone.now() - timedelta(days=1)
    Share.objects.filter(pk=by_state["expired"].pk).update(created_at=past - timedelta(days=1), expires_at=past)
    Share.objects.filter(pk=by_state["revoked"].pk).update(revoked_at=past)
    client.force_login(factories.make_user(is_staff=True, is_superuser=True))

    labels = dict(ShareState.choices)
    assert set(by_state) == set(labels) == {"open", "revoked", "expired", "sharer_inactive"}
    assert set(Share.objects.usable()) == {by_state["open"]}
    for state, made in by_state.items():
        listed = client.get(f"{LIST}?state={state}").context["cl"].result_list
        assert [(one.pk, one.state) for one in listed] == [(made.pk, state)]
        lines = chain.from_iterable(client.get(page(made)).context["adminform"])
        shown = {field.field["name"]: field.contents() for line in lines for field in line}
        assert shown["state_in_words"] == labels[state]
    assert client.get(f"{LIST}?state=nonsense").context["cl"].result_count == len(labels)


def test_staff_without_leave_in_the_library_revoke_nothing(client: Client, library: Library, made: Share) -> None:
    for user in (
        staff(library, "editor", "view_share"),
        staff(library, "visitor", "view_share", "change_share"),
        staff(factories.make_library(), "admin", "view_share", "change_share"),
    ):
        client.force_login(user)
        assert client.post(page(made, "revoke/"), {"_form_submitted": "1"}).status_code in {403, 404}
        client.post(LIST, {"action": "revoke_chosen", "_selected_action": [str(made.pk)]})
    made.refresh_from_db()
    assert made.revoked_at is None
