"""Exports by the API: what is in the zip files, streamed or made in the background."""

import hashlib
import json
import subprocess
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
from exports_asked import EXPORTS, ask, body_of, events, keys, made, opened, packed, work
from pytest_django import Settings

from accounts.models import AuditAction, AuditEvent, Library, Membership, User
from photos import storage
from photos.models import Export, ObjectSweep, Photo
from photos.services import trash as photo_trash
from processing.models import LibraryRun
from processing.services import photo_edits

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
