"""Exports are for nobody but whoever asked, for as long as they may have them, and end."""

from datetime import timedelta
from typing import Any

import factories
import pytest
from django.test import Client
from django.utils import timezone
from exports_asked import EXPORTS, ask, body_of, events, keys, made, opened, sweep, work
from pytest_django import Settings

from accounts.models import AuditAction, AuditEvent, Library, Membership, User
from accounts.services import api_keys
from photos.models import Export, ExportFile, Photo
from photos.services import trash as photo_trash
from processing.models import LibraryRun
from processing.services import exports, trash

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True, params=["disk", "s3"])
def store(request: pytest.FixtureRequest) -> Any:
    """Every test, on a disk and in buckets."""
    return request.getfixturevalue({"disk": "photo_store", "s3": "s3_storages"}[request.param])


@pytest.fixture
def library() -> Library:
    return factories.make_library()


@pytest.fixture
def editor(library: Library) -> User:
    return factories.make_member(library, "editor")


@pytest.fixture
def client(editor: User) -> Client:
    return factories.client_of(editor)


def test_a_link_opens_a_file_without_logging_in(client: Client, library: Library, editor: User) -> None:
    factories.make_photo(library, data=b"original")
    one = made(client, library)
    [file] = one["files"]
    stranger = Client()

    response = stranger.get(file["link"])

    assert body_of(response) == body_of(client.get(file["url"]))
    assert response["Referrer-Policy"] == "no-referrer"
    by_link, by_asker = events(AuditAction.EXPORT_DOWNLOADED)
    assert (by_link.actor_id, by_link.details["by_link"]) == (None, True)
    assert (by_asker.actor_id, by_asker.details["by_link"]) == (editor.pk, False)
    altered = [
        file["link"][:-1] + ("A" if file["link"][-1] != "A" else "B"),
        f"{EXPORTS}/files/x",
        f"{EXPORTS}/files/x.y",
    ]
    assert [stranger.get(address).status_code for address in altered] == [404] * 3
    assert stranger.get(file["url"]).status_code == 401
    Membership.objects.filter(user=editor).delete()
    assert stranger.get(file["link"]).status_code == 404
    assert len(events(AuditAction.EXPORT_DOWNLOADED)) == 2


def test_nobody_else_knows_of_an_export(client: Client, library: Library) -> None:
    factories.make_photo(library, data=b"original")
    one = made(client, library)
    [file] = one["files"]
    others = [
        factories.client_of(factories.make_member(library, "admin")),
        factories.client_of(factories.make_user(is_superuser=True)),
    ]
    for other in others:
        assert other.get(EXPORTS).json()["results"] == []
        answers = [other.get(f"{EXPORTS}/{one['id']}"), other.get(file["url"]), other.delete(f"{EXPORTS}/{one['id']}")]
        assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert Export.objects.get().state == "ready"
    assert len(keys()) == 1


def test_whoever_may_not_take_originals_takes_no_export(library: Library) -> None:
    photo = factories.make_photo(library, data=b"original")
    visitor = factories.client_of(factories.make_member(library, "visitor"))
    foreign = factories.make_photo(factories.make_library(), data=b"elsewhere")
    for delivery in ("stream", "background"):
        refused = ask(visitor, photos=[str(photo.pk)], delivery=delivery)
        assert (refused.status_code, refused.json()["code"]) == (403, "permission_denied")
        assert ask(visitor, photos=[str(foreign.pk)], delivery=delivery).status_code == 404
    nothing = ask(visitor, filter={"library": str(library.pk)})
    assert (nothing.status_code, nothing.json()) == (202, {"matched": 0, "exports": []})
    assert not Export.objects.exists()
    assert not AuditEvent.objects.filter(action__startswith="export").exists()


def test_a_key_narrows_what_is_exported(library: Library, editor: User) -> None:
    factories.make_photo(library, data=b"original")
    elsewhere = factories.make_library()
    Membership.objects.create(library=elsewhere, user=editor, role=editor.memberships.get().role)
    factories.make_photo(elsewhere, data=b"elsewhere")
    scopes = ["photos.view", "originals.download"]
    key = api_keys.create(owner=editor, name="backup", scopes=scopes, library_id=library.pk)
    program = factories.APIClient()
    program.credentials(HTTP_X_API_KEY=key.text)

    assert len(opened(body_of(ask(program, filter={}, delivery="stream")))[0]) == 1
    assert ask(program, filter={}).json()["matched"] == 1

    ask(factories.client_of(editor), filter={"library": str(elsewhere.pk)})
    assert [one["library"] for one in program.get(EXPORTS).json()["results"]] == [str(library.pk)]


def test_who_was_removed_gets_nothing_any_more(client: Client, library: Library, editor: User) -> None:
    factories.make_photo(library, data=b"original")
    ready = made(client, library)
    waiting = ask(client, filter={"library": str(library.pk)}).json()["exports"][0]
    Membership.objects.filter(user=editor).delete()

    assert client.get(ready["files"][0]["url"]).status_code == 404
    assert client.get(f"{EXPORTS}/{ready['id']}").status_code == 404
    assert client.get(EXPORTS).json()["results"] == []
    assert work() == 1

    withdrawn = Export.objects.get(pk=waiting["id"])
    assert (withdrawn.state, withdrawn.reason, withdrawn.files.count()) == ("withdrawn", "not_permitted", 0)
    assert LibraryRun.objects.get(subject=waiting["id"]).state == "skipped"
    assert len(keys()) == 1


def test_a_photo_that_is_erased_takes_its_exports_along(client: Client, library: Library, editor: User) -> None:
    photo, other = factories.make_photo(library, data=b"erased"), factories.make_photo(library, data=b"kept")
    ready = made(client, library)
    waiting = ask(client, filter={"library": str(library.pk)}).json()["exports"][0]
    asked = ask(client, photos=[str(other.pk)]).json()["exports"][0]
    assert len(keys()) == 1

    trash.purge(photo_ids=[photo.pk], also_present=True, by=editor)
    sweep()

    assert keys() == set()
    gone = client.get(ready["files"][0]["url"])
    assert (gone.status_code, gone.json()["code"], gone.json()["reason"]) == (410, "export_withdrawn", "photo_erased")
    assert Client().get(ready["files"][0]["link"]).status_code == 410
    for one in (ready, waiting):
        found = client.get(f"{EXPORTS}/{one['id']}").json()
        assert (found["state"], found["reason"], found["files"]) == ("withdrawn", "photo_erased", [])
    assert not ExportFile.objects.exists()
    while work():
        pass
    assert client.get(f"{EXPORTS}/{asked['id']}").json()["state"] == "ready"
    assert len(keys()) == 1


def test_a_photo_in_the_trash_is_not_given_out(client: Client, library: Library, editor: User) -> None:
    photo = factories.make_photo(library, data=b"original")
    [file] = made(client, library)["files"]
    photo_trash.move_to_trash(photo_ids=[photo.pk])

    refused = [client.get(file["url"]), Client().get(file["link"])]
    assert [(one.status_code, one.json()["code"]) for one in refused] == [(409, "export_outdated")] * 2
    assert events(AuditAction.EXPORT_DOWNLOADED) == []

    trash.restore(photo_ids=[photo.pk])
    assert len(opened(body_of(client.get(file["url"])))[0]) == 1


def test_hidden_photos_are_for_those_who_hide_them(library: Library) -> None:
    photo = factories.make_photo(library, data=b"original")
    role = factories.Role.objects.create(name="collector", permissions=["photos.view", "originals.download"])
    collector = factories.make_user()
    Membership.objects.create(library=library, user=collector, role=role)
    client = factories.client_of(collector)
    [file] = made(client, library)["files"]
    Photo.objects.filter(pk=photo.pk).update(is_hidden=True)
    assert client.get(file["url"]).json()["code"] == "export_outdated"
    assert ask(client, filter={"library": str(library.pk)}).json()["matched"] == 0


def test_an_export_expires(client: Client, library: Library) -> None:
    factories.make_photo(library, data=b"original")
    one = made(client, library)
    assert exports.sweep() == 0
    Export.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    # at once, and not when it is swept
    for address in (one["files"][0]["url"], one["files"][0]["link"]):
        gone = client.get(address)
        assert (gone.status_code, gone.json()["code"]) == (410, "export_expired")
    assert exports.sweep() == 1
    sweep()

    assert keys() == set()
    found = client.get(f"{EXPORTS}/{one['id']}").json()
    assert (found["state"], found["files"], found["byte_size"]) == ("expired", [], 0)
    assert client.get(one["files"][0]["url"]).json()["code"] == "export_expired"
    assert exports.sweep() == 0


def test_an_account_that_goes_takes_its_exports_along(client: Client, library: Library, editor: User) -> None:
    factories.make_photo(library, data=b"original")
    one = made(client, library)
    editor.delete()
    assert Client().get(one["files"][0]["link"]).status_code == 404
    assert exports.sweep() == 1
    sweep()
    assert keys() == set()


def test_an_export_is_deleted(client: Client, library: Library) -> None:
    factories.make_photo(library, data=b"original")
    one = made(client, library)
    waiting = ask(client, filter={"library": str(library.pk)}).json()["exports"][0]

    assert [client.delete(f"{EXPORTS}/{pk}").status_code for pk in (one["id"], waiting["id"])] == [204, 204]
    assert client.delete(f"{EXPORTS}/{one['id']}").status_code == 404
    assert Client().get(one["files"][0]["link"]).status_code == 404
    assert work() == 1
    sweep()

    assert keys() == set()
    assert not Export.objects.exists()
    assert LibraryRun.objects.get(subject=waiting["id"]).skip_reason == "export_ended"
    assert len(events(AuditAction.EXPORT_DELETED)) == 2


def test_an_account_has_so_many_exports_at_most(client: Client, library: Library, settings: Settings) -> None:
    settings.EXPORT_MAX_OPEN = 1
    factories.make_photo(library, data=b"original")
    one = made(client, library)

    refused = ask(client, filter={"library": str(library.pk)})

    assert (refused.status_code, refused.json()["code"], refused.json()["limit"]) == (409, "too_many_exports", 1)
    assert Export.objects.count() == 1
    client.delete(f"{EXPORTS}/{one['id']}")
    assert ask(client, filter={"library": str(library.pk)}).status_code == 202
