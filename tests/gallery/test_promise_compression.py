"""Compression: of the API's JSON alone, and with ETags and parts as right as without it."""

import gzip

import factories
import pytest
from access_world import World
from django.test import Client

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("photo_store")]

GZIP = {"Accept-Encoding": "gzip, br"}


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def client(world: World) -> Client:
    return factories.client_of(world.place.admin)


def test_json_is_compressed_for_who_accepts_it(client: Client) -> None:
    plain, packed = client.get("/api/v1/photos"), client.get("/api/v1/photos", headers=GZIP)

    assert "Content-Encoding" not in plain
    assert packed["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.content) == plain.content
    assert int(packed["Content-Length"]) == len(packed.content)
    assert "Accept-Encoding" in plain["Vary"]
    assert "Accept-Encoding" in packed["Vary"]


def test_what_is_packed_differs_in_length_each_time(client: Client) -> None:
    lengths = {client.get("/api/v1/photos", headers=GZIP)["Content-Length"] for _ in range(20)}

    assert len(lengths) > 1  # of the same answer: its length tells nothing of a secret in it


def test_problems_and_the_schema_are_compressed_and_little_is_not(client: Client) -> None:
    unknown = client.get("/api/v1/photos?misspelt=1", headers=GZIP)
    schema = client.get("/api/schema", headers=GZIP)
    tiny = client.get("/api/v1/health", headers=GZIP)

    assert [one.get("Content-Encoding") for one in (unknown, schema, tiny)] == ["gzip", "gzip", None]
    assert unknown["Content-Type"] == "application/problem+json"
    assert len(schema.content) * 5 < len(gzip.decompress(schema.content))


def test_pictures_parts_streams_and_pages_are_sent_as_they_are(world: World, client: Client) -> None:
    photo = f"/api/v1/photos/{world.place.photo.pk}"
    picture = client.get(f"{photo}/renditions/preview", headers=GZIP)
    original = client.get(f"{photo}/original", headers=GZIP)
    part = client.get(f"{photo}/original", headers=GZIP | {"Range": "bytes=2-4"})
    stream = client.get(f"/api/v1/people/{world.place.person.pk}/export", headers=GZIP)
    page = Client().get("/admin/login/", headers=GZIP)

    for one in (picture, original, part, stream, page):
        assert one.status_code in (200, 206)
        assert "Content-Encoding" not in one
    sent = [b"".join(one.streaming_content) for one in (picture, original, part, stream)]
    assert (part.status_code, sent[2]) == (206, b"original"[2:5])
    assert (part["Content-Range"], part["ETag"]) == ("bytes 2-4/8", original["ETag"])
    assert original["ETag"].startswith('"')
    again = client.get(f"{photo}/original", headers=GZIP | {"If-None-Match": original["ETag"]})
    assert (again.status_code, again["ETag"]) == (304, original["ETag"])


def test_the_etag_of_a_compressed_answer_is_taken_back(world: World, client: Client) -> None:
    address = f"/api/v1/people/{world.place.person.pk}"
    plain, packed = client.get(address), client.get(address, headers=GZIP)

    assert packed["Content-Encoding"] == "gzip"
    assert packed["ETag"] == f"W/{plain['ETag']}"
    unchanged = client.get(address, headers=GZIP | {"If-None-Match": packed["ETag"]})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert "Accept-Encoding" in unchanged["Vary"]
    changed = client.patch(address, {"name": "Grace"}, headers=GZIP | {"If-Match": packed["ETag"]})
    assert changed.status_code == 200
    assert changed["ETag"].startswith('W/"')
    stale = client.patch(address, {"name": "Hedy"}, headers=GZIP | {"If-Match": packed["ETag"]})
    assert stale.status_code == 412


def test_what_is_answered_again_is_compressed_too(world: World, client: Client) -> None:
    headers = GZIP | {"Idempotency-Key": "once"}
    address = f"/api/v1/photos/{world.place.photo.pk}/restore"

    first, again = client.post(address, headers=headers), client.post(address, headers=headers)

    assert again["Idempotent-Replayed"] == "true"
    assert first["Content-Encoding"] == again["Content-Encoding"] == "gzip"
    assert gzip.decompress(again.content) == gzip.decompress(first.content)
