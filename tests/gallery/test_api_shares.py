"""The API of shares: the link is told once; who may share in a library sees and revokes all of its shares."""

from datetime import timedelta
from typing import Any

import factories
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import AuditEvent, Library, User
from gallery.models import Share

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("photo_store")]

SHARES = "/api/v1/shares"


@pytest.fixture
def library() -> Library:
    return factories.make_library()


@pytest.fixture
def editor(library: Library) -> User:
    return factories.make_member(library, "editor")


@pytest.fixture
def client(editor: User) -> Client:
    return factories.client_of(editor)


def made(client: Client, library: Library, **values: Any) -> dict[str, Any]:
    photos = values.pop("photos", None) or [str(factories.make_photo(library).pk)]
    response = client.post(SHARES, {"photos": photos, **values})
    assert response.status_code == 201, response.json()
    return response.json()


def test_a_share_is_made_and_its_link_told_once(client: Client, library: Library, editor: User) -> None:
    photo = factories.make_photo(library)
    factories.make_rendition(photo, "preview", data=b"picture")

    response = client.post(SHARES, {"photos": [str(photo.pk)], "title": "Summer", "password": "open sesame"})

    share = Share.objects.get()
    said = response.json()
    link = said.pop("link")
    assert (response.status_code, response["Cache-Control"]) == (201, "private, no-store")
    assert response["Location"] == f"http://testserver{SHARES}/{share.pk}"
    assert link.startswith("http://testserver/s/")
    assert said == {
        "id": str(share.pk),
        "library": str(library.pk),
        "created_by": str(editor.pk),
        "title": "Summer",
        "created_at": share.created_at.isoformat().replace("+00:00", "Z"),
        "expires_at": None,
        "revoked_at": None,
        "has_password": True,
        "show_metadata": False,
        "allow_originals": False,
        "photo_count": 1,
        "view_count": 0,
        "last_viewed_at": None,
    }
    assert client.get(response["Location"]).json() == said
    assert client.get(SHARES).json()["results"] == [said]
    assert Client().get(link).status_code == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "photos"),
        ({"photos": []}, "photos"),
        ({"photos": ["no id"]}, "photos.0"),
        ({"photos": None}, "photos"),
        ({"title": "x" * 201}, "title"),
        ({"title": "a\x00b"}, "title"),
        ({"password": "12345"}, "password"),
        ({"password": "x" * 129}, "password"),
        ({"expires_at": "2001-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "tomorrow"}, "expires_at"),
        ({"show_metadata": "perhaps"}, "show_metadata"),
    ],
)
def test_what_cannot_be_is_refused(client: Client, library: Library, body: dict[str, Any], field: str) -> None:
    whole = body if "photos" in body or not body else {"photos": [str(factories.make_photo(library).pk)], **body}
    response = client.post(SHARES, whole)
    assert (response.status_code, response.json()["code"]) == (400, "invalid")
    assert [error["field"] for error in response.json()["errors"]] == [field]
    assert (Share.objects.count(), AuditEvent.objects.count()) == (0, 0)


def test_a_foreign_photo_is_not_there_and_a_visitor_may_not(client: Client, library: Library) -> None:
    foreign = factories.make_photo(factories.make_library())
    own = factories.make_photo(library)
    assert client.post(SHARES, {"photos": [str(own.pk), str(foreign.pk)]}).status_code == 404
    visitor = factories.client_of(factories.make_member(library, "visitor"))
    refused = visitor.post(SHARES, {"photos": [str(own.pk)]})
    assert (refused.status_code, refused.json()["permission"]) == (403, "photos.share")
    assert Share.objects.count() == 0


def test_a_change(client: Client, library: Library) -> None:
    share = made(client, library, title="Summer")
    until = (timezone.now() + timedelta(days=2)).isoformat().replace("+00:00", "Z")
    response = client.patch(f"{SHARES}/{share['id']}", {"expires_at": until, "show_metadata": True})
    share.pop("link")
    assert (response.status_code, response.json()) == (200, {**share, "expires_at": until, "show_metadata": True})


def test_revoking_is_done_once_and_may_be_said_again(client: Client, library: Library) -> None:
    share = made(client, library)
    address = f"{SHARES}/{share['id']}"
    assert client.delete(address).status_code == 204
    revoked_at = client.get(address).json()["revoked_at"]
    assert revoked_at
    assert client.delete(address).status_code == 204
    assert client.get(address).json()["revoked_at"] == revoked_at
    refused = client.patch(address, {"title": "again"})
    assert (refused.status_code, refused.json()["code"]) == (409, "share_is_revoked")
    assert client.get(address).json()["title"] == ""


def test_whoever_may_share_in_a_library_sees_its_shares(client: Client, library: Library) -> None:
    share = made(client, library)
    address = f"{SHARES}/{share['id']}"
    for role, status in (("editor", 200), ("admin", 200), ("visitor", 404)):
        other = factories.client_of(factories.make_member(library, role))
        assert other.get(address).status_code == status
        assert len(other.get(SHARES).json()["results"]) == (1 if status == 200 else 0)
    stranger = factories.client_of(factories.make_member(factories.make_library(), "admin"))
    assert [stranger.get(address).status_code, stranger.delete(address).status_code] == [404, 404]
    assert stranger.patch(address, {"title": "mine"}).status_code == 404
    assert (Share.objects.get().revoked_at, Share.objects.get().title) == (None, "")


def test_the_list_costs_two_queries_however_long_it_is(client: Client, library: Library) -> None:
    counts = []
    for more in (1, 9):
        for _ in range(more):
            made(client, library)
        with CaptureQueriesContext(connection) as queries:
            found = client.get(SHARES).json()["results"]
        counts.append((len(found), len(queries)))
    assert counts == [(1, 2), (10, 2)]  # the account, the shares
