"""Whoever listens is told of changes to tags and albums: once for each act, with an id and nothing else."""

import factories
import pytest
from django.test import Client

from accounts.models import Library
from photos.models import Event

pytestmark = pytest.mark.django_db


@pytest.fixture
def library() -> Library:
    return factories.make_library()


@pytest.fixture
def client(library: Library) -> Client:
    return factories.client_of(factories.make_member(library, "editor"))


def told(kind: str) -> list[dict[str, str]]:
    """Give what events of a kind say, and forget them."""
    found = list(Event.objects.filter(kind=kind).order_by("pk").values_list("payload", flat=True))
    Event.objects.all().delete()
    return found


def test_of_tags(client: Client, library: Library) -> None:
    made = client.post("/api/v1/tags", {"library": str(library.pk), "name": "sea"}, format="json").json()
    other = client.post("/api/v1/tags", {"library": str(library.pk), "name": "ocean"}, format="json").json()
    assert told("tags.changed") == [{"tag": made["id"]}, {"tag": other["id"]}]
    address = f"/api/v1/tags/{made['id']}"
    headers = {"HTTP_IF_MATCH": client.get(address)["ETag"]}
    assert client.patch(address, {"name": "seaside"}, format="json", **headers).status_code == 200
    assert told("tags.changed") == [{"tag": made["id"]}]
    assert client.post(f"{address}/merge", {"tags": [other["id"]]}, format="json").status_code == 200
    assert told("tags.changed") == [{"tag": made["id"]}]
    assert client.delete(address).status_code == 204
    assert told("tags.changed") == [{"tag": made["id"]}]


def test_of_albums(client: Client, library: Library) -> None:
    photos = [str(factories.make_photo(library).pk) for _ in range(2)]
    made = client.post("/api/v1/albums", {"library": str(library.pk), "title": "Summer"}, format="json").json()
    address, said = f"/api/v1/albums/{made['id']}", [{"album": made["id"]}]
    assert told("albums.changed") == said
    for verb, body in (
        ("photos", {"photos": photos}),
        ("photos/move", {"photos": photos[1:], "before": photos[0]}),
        ("photos/remove", {"photos": photos[:1]}),
    ):
        response = client.post(f"{address}/{verb}", body, format="json")
        assert response.status_code in (200, 204), (verb, response.content)
        assert told("albums.changed") == said
    # nothing was in it any more
    client.post(f"{address}/photos/remove", {"photos": photos[:1]}, format="json")
    assert told("albums.changed") == []
    assert client.delete(address).status_code == 204
    assert told("albums.changed") == said
