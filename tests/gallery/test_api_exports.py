"""Exports by the API: zip files of photos, streamed or made in the background, for nobody but whoever asked."""

import hashlib
import io
import json
import subprocess
import zipfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import factories
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from accounts.models import AuditAction, AuditEvent, Library, Membership, User
from accounts.services import api_keys
from photos import storage
from photos.models import Export, ExportFile, ObjectSweep, Photo
from photos.services import trash as photo_trash
from processing.models import LibraryRun
from processing.pipeline import library_work
from processing.services import exports, object_sweeps, photo_edits, trash

pytestmark = pytest.mark.django_db

EXPORTS = "/api/v1/exports"


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


def work() -> int:
    return library_work.work(kind="export", task_id=str(uuid4()), worker="worker@test")


def ask(client: Client, **body: Any) -> Any:
    return client.post(EXPORTS, body, format="json")


def made(client: Client, library: Library, **body: Any) -> dict[str, Any]:
    """Ask for an export of a library and have it made; gives it as it is read then."""
    asked = ask(client, filter={"library": str(library.pk)}, **body)
    assert asked.status_code == 202, asked.content
    [one] = asked.json()["exports"]
    assert work() == 1
    return client.get(f"{EXPORTS}/{one['id']}").json()


def body_of(response: Any) -> bytes:
    assert response.status_code == 200, response.content
    return b"".join(response.streaming_content)


def opened(data: bytes) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Give the members of a zip, all of whose checksums are right, and its manifest."""
    with zipfile.ZipFile(io.BytesIO(data)) as found:
        assert found.testzip() is None
        members = {one.filename: found.read(one) for one in found.infolist()}
        assert len(members) == len(found.infolist())
    return members, json.loads(members.pop("manifest.json"))


def packed(client: Client, one: dict[str, Any]) -> tuple[dict[str, bytes], dict[str, Any]]:
    [file] = one["files"]
    data = body_of(client.get(file["url"]))
    assert (len(data), hashlib.sha256(data).hexdigest()) == (file["byte_size"], file["sha256"])
    return opened(data)


def keys() -> set[str]:
    """Give the keys of all files of exports that lie in the store."""
    return {one.key for one in storage.list_objects(alias=storage.RENDITIONS) if one.key.endswith(".zip")}


def sweep() -> None:
    object_sweeps.sweep()


def events(action: AuditAction) -> list[AuditEvent]:
    return list(AuditEvent.objects.filter(action=action).order_by("pk"))


def test_an_export_is_made_in_the_background(client: Client, library: Library, editor: User) -> None:
    data = {f"{number}.jpg": f"original {number}".encode() for number in range(3)}
    photos = [factories.make_photo(library, data=data[name], original_filename=name) for name in data]
    factories.make_photo(factories.make_library(), data=b"elsewhere")

    asked = ask(client, filter={"library": str(library.pk)})

    assert (asked.status_code, asked.json()["matched"]) == (202, 3)
    [begun] = asked.json()["exports"]
    assert (begun["state"], begun["photo_count"], begun["done_count"]) == ("running", 3, 0)
    assert client.get(f"{EXPORTS}/{begun['id']}").json()["files"] == []
    assert client.get(f"{EXPORTS}/{begun['id']}/files/1").json()["code"] == "export_not_ready"
    assert work() == 1
    one = client.get(f"{EXPORTS}/{begun['id']}").json()
    assert (one["state"], one["done_count"], one["left_out"], one["error_code"]) == ("ready", 3, {}, "")
    lifetime = Export.objects.get().expires_at - Export.objects.get().finished_at
    assert lifetime == timedelta(days=7)
    members, manifest = packed(client, one)
    assert members == data
    assert manifest["left_out"] == []
    assert [(entry["photo"], entry["name"], entry["sha256"], entry["beside"]) for entry in manifest["photos"]] == [
        (str(photo.pk), photo.original_filename, photo.sha256, []) for photo in photos
    ]
    assert (manifest["export"], manifest["file"], manifest["content"]) == (one["id"], 1, "originals")
    assert [item["id"] for item in client.get(EXPORTS).json()["results"]] == [one["id"]]
    assert len(keys()) == 1
    assert not ObjectSweep.objects.exists()
    [requested] = events(AuditAction.EXPORT_REQUESTED)
    [done] = events(AuditAction.EXPORT_MADE)
    [taken] = events(AuditAction.EXPORT_DOWNLOADED)
    assert {event.actor_id for event in (requested, done, taken)} == {editor.pk}
    assert {event.subject_id for event in (requested, done, taken)} == {one["id"]}
    assert (done.details["photos"], done.details["files"], taken.details["by_link"]) == (3, 1, False)


def test_an_export_is_streamed(client: Client, library: Library, editor: User) -> None:
    photos = [factories.make_photo(library, data=b"a" * 700_000), factories.make_photo(library, data=b"b")]
    there = factories.make_library()
    Membership.objects.create(library=there, user=editor, role=editor.memberships.get().role)
    photos.append(factories.make_photo(there, data=b"c"))

    response = ask(client, photos=[str(photo.pk) for photo in photos], delivery="stream")

    assert response["Content-Type"] == "application/zip"
    assert response["Content-Disposition"].startswith('attachment; filename="darkroom-')
    assert not response.has_header("Content-Length")
    members, manifest = opened(body_of(response))
    assert [len(data) for data in members.values()] == [700_000, 1, 1]
    assert [one["photo"] for one in manifest["photos"]] == [str(photo.pk) for photo in photos]
    told = events(AuditAction.EXPORT_DOWNLOADED)
    assert {event.library_id: event.details["photos"] for event in told} == {
        library.pk: [str(photos[0].pk), str(photos[1].pk)],
        there.pk: [str(photos[2].pk)],
    }
    assert not Export.objects.exists()
    assert not LibraryRun.objects.filter(kind="export").exists()


def test_a_stream_is_bounded(client: Client, library: Library, settings: Settings) -> None:
    for letter in (b"x", b"y", b"z"):
        factories.make_photo(library, data=letter * 100)
    wanted = {"filter": {"library": str(library.pk)}, "delivery": "stream"}
    for photos, size in ((2, 300), (3, 299)):
        settings.EXPORT_STREAM_PHOTOS, settings.EXPORT_STREAM_BYTES = photos, size
        refused = ask(client, **wanted)
        assert (refused.status_code, refused.json()["code"]) == (413, "export_too_large")
        assert (refused.json()["photos"], refused.json()["bytes"]) == (photos, size)
    assert not AuditEvent.objects.filter(action=AuditAction.EXPORT_DOWNLOADED).exists()
    settings.EXPORT_STREAM_BYTES = 300
    assert len(opened(body_of(ask(client, **wanted)))[0]) == 3


def test_what_is_said_of_a_photo_goes_beside_it(client: Client, library: Library, editor: User) -> None:
    photo = factories.make_photo(library, data=b"original", original_filename="Strände.jpg")
    other = factories.make_photo(library, data=b"other", original_filename="bare.jpg")
    factories.make_metadata(photo, camera_make="FUJIFILM", taken_at=timezone.now(), latitude=1.5, longitude=2.5)
    factories.make_tag(library, "lake", photo)
    taken_off = factories.make_tag(library, "river", photo, other)
    photo.photo_tags.filter(tag=taken_off).update(from_file=True, by_person=False, is_taken_off=True)
    photo_edits.edit_photos(photos=[(library.pk, photo.pk)], said={"title": "Sommer & Söhne", "rating": 4}, by=editor)
    factories.make_face(photo, person=factories.make_person(library, name="Ada Lovelace"))

    members, manifest = packed(client, made(client, library, metadata="both"))

    assert {*members} == {
        "Strände.jpg",
        "Strände.jpg.json",
        "Strände.jpg.xmp",
        "bare.jpg",
        "bare.jpg.json",
        "bare.jpg.xmp",
    }
    said, shown = json.loads(members["Strände.jpg.json"]), client.get(f"/api/v1/photos/{photo.pk}").json()
    assert said["tags"] == ["lake"]
    assert {name: shown[name] for name in said if name != "tags"} == {
        name: value for name, value in said.items() if name != "tags"
    }
    assert (said["title"], said["rating"], said["corrected"]) == ("Sommer & Söhne", 4, ["title", "rating"])
    assert json.loads(members["bare.jpg.json"])["metadata"] is None
    alone = client.get(f"/api/v1/photos/{photo.pk}/original?metadata=xmp")
    assert members["Strände.jpg.xmp"] == alone.content
    # who is on a photo is not told to whoever gets the file
    assert not any(b"Lovelace" in data for data in members.values())
    beside = {one["name"]: one["sha256"] for entry in manifest["photos"] for one in entry["beside"]}
    assert beside == {
        name: hashlib.sha256(data).hexdigest() for name, data in members.items() if not name.endswith(".jpg")
    }


@pytest.mark.parametrize(("metadata", "suffixes"), [("none", set()), ("json", {".json"}), ("xmp", {".xmp"})])
def test_the_form_of_what_is_said_is_chosen(
    client: Client, library: Library, metadata: str, suffixes: set[str]
) -> None:
    factories.make_photo(library, data=b"original", original_filename="a.jpg")
    members, _ = packed(client, made(client, library, metadata=metadata))
    assert {*members} == {"a.jpg", *(f"a.jpg{suffix}" for suffix in suffixes)}


def test_renditions_are_packed_as_what_they_are(client: Client, library: Library) -> None:
    photo = factories.make_photo(library, original_filename="IMG_1.HEIC", image_format="HEIF")
    factories.make_rendition(photo, "preview", data=b"preview")
    factories.make_rendition(photo, "thumb_300", data=b"thumbnail")
    bare = factories.make_photo(library, original_filename="IMG_2.jpg")

    one = made(client, library, content="preview")

    members, manifest = packed(client, one)
    assert members == {"IMG_1.jpg": b"preview"}
    assert one["left_out"] == {"no_rendition": 1}
    assert manifest["left_out"] == [{"photo": str(bare.pk), "code": "no_rendition"}]
    assert manifest["photos"][0]["sha256"] == hashlib.sha256(b"preview").hexdigest()


def test_names_of_strangers_open_nothing(
    client: Client, library: Library, program: Callable[[str], str], tmp_path: Path
) -> None:
    given = ["../../x.jpg", "x.jpg", "X.JPG", "CON", "🏖️.jpg", "a\u202egpj.exe", "", "manifest.json", "\\\\host\\share"]
    for name in given:
        factories.make_photo(library, data=name.encode() or b"nameless", original_filename=name)
    nameless = Photo.objects.get(original_filename="")

    members, manifest = packed(client, made(client, library))

    assert [*members] == [
        "x.jpg", "x (2).jpg", "X (3).JPG", "_CON", "🏖️.jpg", "agpj.exe", f"{nameless.pk}.jpeg", "manifest (2).json",
        "share",
    ]  # fmt: skip
    assert list(members.values()) == [name.encode() or b"nameless" for name in given]
    file = tmp_path / "export.zip"
    file.write_bytes(storage.read_object(alias=storage.RENDITIONS, key=keys().pop()))
    tested = subprocess.run([program("unzip"), "-t", file], capture_output=True, text=True, check=False)
    assert (tested.returncode, "No errors detected" in tested.stdout) == (0, True), tested.stdout + tested.stderr
    assert len(manifest["photos"]) == len(given)


def test_nothing_is_lost_in_silence(client: Client, library: Library, editor: User) -> None:
    whole = factories.make_photo(library, data=b"whole", original_filename="whole.jpg")
    wrong = factories.make_photo(library, data=b"wrong")
    storage.delete_objects(alias=storage.ORIGINALS, keys=[wrong.storage_key])
    storage.write_object(alias=storage.ORIGINALS, key=wrong.storage_key, file=factories.ContentFile(b"other"))
    missing = factories.make_photo(library)
    trashed = factories.make_photo(library, data=b"trashed")
    asked = ask(client, filter={"library": str(library.pk)}).json()["exports"][0]
    streamed = ask(client, filter={"library": str(library.pk)}, delivery="stream")
    photo_trash.move_to_trash(photo_ids=[trashed.pk])

    assert work() == 1

    one = client.get(f"{EXPORTS}/{asked['id']}").json()
    left_out = [
        {"photo": str(wrong.pk), "code": "wrong_bytes"},
        {"photo": str(missing.pk), "code": "object_missing"},
        {"photo": str(trashed.pk), "code": "not_available"},
    ]
    assert (one["state"], one["left_out"]) == ("ready", {"wrong_bytes": 1, "object_missing": 1, "not_available": 1})
    for members, manifest in (packed(client, one), opened(body_of(streamed))):
        assert members == {"whole.jpg": b"whole"}
        assert manifest["left_out"] == left_out
    assert Export.objects.get().photo_ids == [whole.pk]
    assert LibraryRun.objects.get(kind="export").report["wrong_bytes"] == 1


def test_a_large_export_is_several_files(client: Client, library: Library, settings: Settings) -> None:
    settings.EXPORT_FILE_BYTES = 250_000
    for number in range(5):
        factories.make_photo(library, data=bytes([number]) * 100_000, original_filename="same.jpg")
    large = factories.make_photo(library, data=b"l" * 300_000, original_filename="large.jpg")

    one = made(client, library)

    assert [file["photo_count"] for file in one["files"]] == [2, 2, 1, 1]
    assert all(file["byte_size"] <= 250_000 for file in one["files"][:3])
    found = [opened(body_of(client.get(file["url"]))) for file in one["files"]]
    assert [*found[0][0]] == ["same.jpg", "same (2).jpg"]
    assert [manifest["file"] for _, manifest in found] == [1, 2, 3, 4]
    assert sum(len(members) for members, _ in found) == 6
    assert [*found[3][0]] == ["large.jpg"]
    assert large.pk in Export.objects.get().photo_ids
    assert one["byte_size"] == sum(file["byte_size"] for file in one["files"])
    assert client.get(f"{EXPORTS}/{one['id']}/files/5").status_code == 404


def test_parts_of_a_file_can_be_had(client: Client, library: Library) -> None:
    factories.make_photo(library, data=b"a" * 5000)
    [file] = made(client, library)["files"]
    data = body_of(client.get(file["url"]))

    parts = [
        client.get(file["url"], headers={"Range": f"bytes={start}-{start + 999}"})
        for start in range(0, len(data), 1000)
    ]

    assert {part.status_code for part in parts} == {206}
    assert b"".join(b"".join(part.streaming_content) for part in parts) == data
    etag = f'"{file["sha256"]}"'
    assert parts[0]["ETag"] == etag
    assert client.get(file["url"], headers={"If-None-Match": etag}).status_code == 304
    # one download, however it came
    assert len(events(AuditAction.EXPORT_DOWNLOADED)) == 1


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


def test_a_dry_run_counts(client: Client, library: Library) -> None:
    factories.make_photo(library)
    for delivery in ("stream", "background"):
        counted = ask(client, filter={"library": str(library.pk)}, delivery=delivery, dry_run=True)
        assert (counted.status_code, counted.json()) == (200, {"matched": 1, "exports": []})
    assert not Export.objects.exists()
    assert not AuditEvent.objects.filter(action__startswith="export").exists()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, ""),
        ({"filter": {}, "photos": [str(uuid4())]}, ""),
        ({"filter": {"trashed": True}}, "trashed"),
        ({"filter": {"rating_min": "x"}}, "rating_min"),
        ({"filter": {}, "content": "chips"}, "content"),
        ({"filter": {}, "metadata": "iptc"}, "metadata"),
        ({"filter": {}, "delivery": "mail"}, "delivery"),
    ],
)
def test_what_cannot_be_is_refused(client: Client, body: dict[str, Any], field: str) -> None:
    refused = ask(client, **body)
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid")
    assert field in refused.json()["errors"][0]["field"]
    assert not Export.objects.exists()


def test_a_request_that_is_sent_again_makes_one_export(client: Client, library: Library) -> None:
    factories.make_photo(library, data=b"original")
    body = {"filter": {"library": str(library.pk)}}
    answers = [
        client.post(EXPORTS, body, format="json", headers={"Idempotency-Key": "one"}).json()["exports"][0]["id"]
        for _ in range(2)
    ]
    assert answers[0] == answers[1]
    assert Export.objects.count() == 1
    stream = {**body, "delivery": "stream"}
    first, again = (client.post(EXPORTS, stream, format="json", headers={"Idempotency-Key": "two"}) for _ in range(2))
    assert len(opened(body_of(first))[0]) == 1
    assert (again.status_code, again.json()["code"]) == (409, "idempotency_result_not_kept")


def test_packing_costs_no_query_for_each_photo(client: Client, library: Library) -> None:
    def cost(photos: int) -> int:
        while Photo.objects.count() < photos:
            photo = factories.make_photo(library, data=str(Photo.objects.count()).encode())
            factories.make_tag(library, f"tag {Photo.objects.count()}", photo)
            factories.make_metadata(photo)
        body = {"filter": {"library": str(library.pk)}, "metadata": "both", "delivery": "stream"}
        with CaptureQueriesContext(connection) as queries:
            assert len(opened(body_of(ask(client, **body)))[0]) == 3 * photos
        return len(queries)

    assert cost(3) == cost(30)


def test_the_bucket_or_nginx_sends_the_bytes(client: Client, library: Library, settings: Settings, store: Any) -> None:
    factories.make_photo(library, data=b"original")
    [file] = made(client, library)["files"]
    is_bucket = isinstance(store, tuple)
    settings.MEDIA_DELIVERY = "presigned" if is_bucket else "x-accel"
    response = client.get(file["url"])
    if is_bucket:
        assert (response.status_code, "X-Amz-Signature" in response["Location"]) == (302, True)
    else:
        assert response["X-Accel-Redirect"] == f"/_media/renditions/{keys().pop()}"
        assert (response["Content-Type"], response["X-Content-Type-Options"]) == ("application/zip", "nosniff")
    assert len(events(AuditAction.EXPORT_DOWNLOADED)) == 1
