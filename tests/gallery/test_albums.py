"""Albums and tags in the API."""

from typing import Any

import factories
import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Library
from gallery.models import Album, AlbumPhoto
from photos.models import Photo, Tag

pytestmark = pytest.mark.django_db

ALBUMS, PHOTOS, TAGS = "/api/v1/albums", "/api/v1/photos", "/api/v1/tags"


@pytest.fixture
def library() -> Library:
    return factories.make_library()


@pytest.fixture
def client(library: Library) -> Client:
    return factories.client_of(factories.make_member(library, "editor"))


def post(client: Client, address: str, expected: int = 200, **body: Any) -> Any:
    response = client.post(address, body, format="json")
    assert response.status_code == expected, response.json()
    return response.json() if response.content else None


def keys(*photos: Photo) -> list[str]:
    return [str(photo.pk) for photo in photos]


def shown(client: Client, album: str, **more: object) -> list[str]:
    query = "&".join(f"{name}={value}" for name, value in more.items())
    response = client.get(f"{PHOTOS}?album={album}&{query}")
    assert response.status_code == 200, response.json()
    return [one["id"] for one in response.json()["results"]]


@pytest.fixture
def album(client: Client, library: Library) -> str:
    return post(client, ALBUMS, 201, library=str(library.pk), title="Summer")["id"]


def test_an_album_has_its_own_order(client: Client, library: Library, album: str) -> None:
    one, two, three = (factories.make_photo(library) for _ in range(3))
    assert post(client, f"{ALBUMS}/{album}/photos", photos=keys(two, one)) == {"changed": 2}
    assert post(client, f"{ALBUMS}/{album}/photos", photos=keys(one, three, three)) == {"changed": 1}
    assert shown(client, album) == keys(two, one, three)

    post(client, f"{ALBUMS}/{album}/photos/move", 204, photos=keys(three, two), before=str(one.pk))
    assert shown(client, album) == keys(three, two, one)
    post(client, f"{ALBUMS}/{album}/photos/move", 204, photos=keys(three), before=None)
    assert shown(client, album) == keys(two, one, three)
    assert shown(client, album, order="-uploaded") == keys(three, two, one)

    page = client.get(f"{PHOTOS}?album={album}&page_size=2").json()
    assert [row["id"] for row in client.get(page["next"]).json()["results"]] == keys(three)
    assert post(client, f"{ALBUMS}/{album}/photos/remove", photos=keys(one, one)) == {"changed": 1}
    assert post(client, f"{ALBUMS}/{album}/photos", photos=keys(one)) == {"changed": 1}
    assert shown(client, album) == keys(two, three, one)


def test_cover_and_count_are_of_what_may_be_seen(client: Client, library: Library, album: str) -> None:
    hidden, first, second = (
        factories.make_photo(library, is_hidden=True),
        *(factories.make_photo(library) for _ in "ab"),
    )
    post(client, f"{ALBUMS}/{album}/photos", photos=keys(hidden, first, second))
    visitor = factories.client_of(factories.make_member(library, "visitor"))

    answers = [one.get(f"{ALBUMS}/{album}").json() for one in (client, visitor)]
    assert [(one["cover"], one["photo_count"]) for one in answers] == [(str(hidden.pk), 3), (str(first.pk), 2)]
    client.patch(f"{ALBUMS}/{album}", {"cover": str(second.pk)}, format="json")
    assert visitor.get(ALBUMS).json()["results"][0]["cover"] == str(second.pk)
    Photo.objects.filter(pk=second.pk).update(trashed_at=timezone.now())
    assert visitor.get(f"{ALBUMS}/{album}").json()["cover"] == str(first.pk)
    assert shown(visitor, album) == keys(first)


def test_a_smart_album_is_what_its_filter_keeps(client: Client, library: Library) -> None:
    kept = factories.make_photo(library)
    factories.make_metadata(kept, iso=400)
    other = factories.make_photo(factories.make_library())
    factories.make_metadata(other, iso=400)
    made = post(client, ALBUMS, 201, library=str(library.pk), title="Dark", filter={"iso_min": 200})
    assert (made["kind"], made["photo_count"], made["cover"]) == ("smart", 1, None)

    assert shown(client, made["id"]) == keys(kept)
    assert shown(client, made["id"], iso_min=800) == []
    refused = client.post(f"{ALBUMS}/{made['id']}/photos", {"photos": keys(kept)}, format="json")
    assert (refused.status_code, refused.json()["code"]) == (409, "album_is_smart")
    client.patch(f"{ALBUMS}/{made['id']}", {"filter": {"iso_min": 800}}, format="json")
    assert shown(client, made["id"]) == []
    stays = client.patch(f"{ALBUMS}/{made['id']}", {"filter": {}}, format="json")
    assert stays.status_code == 400


@pytest.mark.parametrize(
    "value",
    [
        {"iso_min": "x"},
        {"album": "x"},
        {"colour": "red"},
        {"trashed": True},
        "text",
        # each means something short, and would be in every list of albums
        {"iso_min": "0" * 50_000 + "1"},
        {"favourite": ["x" * 50_000, "true"]},
    ],
)
def test_a_filter_that_cannot_be_is_not_stored(client: Client, library: Library, value: object) -> None:
    response = client.post(ALBUMS, {"library": str(library.pk), "title": "x", "filter": value}, format="json")

    assert response.status_code == 400
    assert response.json()["errors"][0]["field"].startswith("filter")
    assert Album.objects.count() == 0


def test_photos_of_another_library_are_not_put_in(client: Client, library: Library, album: str) -> None:
    user = library.memberships.get().user
    other = factories.make_library()
    factories.Membership.objects.create(library=other, user=user, role=factories.Role.objects.get(name="editor"))
    own, foreign, unseen = (factories.make_photo(one) for one in (library, other, factories.make_library()))

    for photo in (foreign, unseen):
        response = client.post(f"{ALBUMS}/{album}/photos", {"photos": keys(own, photo)}, format="json")
        assert response.status_code == 404
        assert client.patch(f"{ALBUMS}/{album}", {"cover": str(photo.pk)}, format="json").status_code == 404
    assert (
        client.post(f"{ALBUMS}/{album}/photos/move", {"photos": keys(own), "before": None}, format="json").status_code
        == 404
    )
    assert AlbumPhoto.objects.count() == 0


def test_a_deleted_album_leaves_its_photos(client: Client, library: Library, album: str) -> None:
    photo = factories.make_photo(library)
    post(client, f"{ALBUMS}/{album}/photos", photos=keys(photo))

    assert client.delete(f"{ALBUMS}/{album}").status_code == 204
    assert (Album.objects.count(), Photo.objects.count()) == (0, 1)
    assert client.get(f"{PHOTOS}?album={album}").json()["results"] == []


def test_tags_are_made_renamed_merged_and_deleted(client: Client, library: Library) -> None:
    photo, other = factories.make_photo(library), factories.make_photo(library)
    sea = post(client, TAGS, 201, library=str(library.pk), name=" Sea ")
    assert (sea["name"], sea["photo_count"]) == ("Sea", 0)
    again = client.post(TAGS, {"library": str(library.pk), "name": "SEA"}, format="json")
    assert (again.status_code, again.json()["code"]) == (409, "tag_exists")
    ocean = factories.make_tag(library, "ocean", photo, other)

    as_it_was = client.patch(f"{TAGS}/{ocean.pk}", {}, format="json")
    assert (as_it_was.status_code, as_it_was.json()["name"]) == (200, "ocean")
    named = client.patch(f"{TAGS}/{ocean.pk}", {"name": "sea"}, format="json")
    assert (named.status_code, named.json()["code"]) == (409, "tag_exists")
    merged = post(client, f"{TAGS}/{sea['id']}/merge", tags=[str(ocean.pk)])
    assert (merged["name"], merged["photo_count"]) == ("Sea", 2)
    assert [one["name"] for one in client.get(f"{TAGS}?name=se").json()["results"]] == ["Sea"]
    assert client.get(f"{PHOTOS}?tag=sea").json()["results"] != []

    assert client.delete(f"{TAGS}/{sea['id']}").status_code == 204
    assert client.get(TAGS).json()["results"] == []
    assert client.get(f"{PHOTOS}/{photo.pk}").json()["tags"] == []
    assert Tag.objects.filter(is_removed=False).count() == 0


def test_a_photo_tells_its_tags_and_what_was_corrected(client: Client, library: Library) -> None:
    photo = factories.make_photo(library)
    factories.make_tag(library, "sea", photo)
    client.patch(f"{PHOTOS}/{photo.pk}", {"title": "x"}, format="json")

    told = client.get(f"{PHOTOS}/{photo.pk}").json()

    assert ([tag["name"] for tag in told["tags"]], told["corrected"]) == (["sea"], ["title"])
