"""Counts of photos: facets, timeline and map, of what the same filters keep as in the list."""

from datetime import UTC, datetime
from typing import Any

import factories
import pytest
from django.db import connection
from django.test import Client

from accounts.models import Library
from photos.models import Photo, PhotoPlace
from photos.search import facets
from photos.services import shown

pytestmark = pytest.mark.django_db

PHOTOS = "/api/v1/photos"


@pytest.fixture
def library() -> Library:
    return factories.make_library()


@pytest.fixture
def client(library: Library) -> Client:
    return factories.client_of(factories.make_member(library, "editor"))


def photo_with(library: Library, **metadata: Any) -> Photo:
    made = factories.make_photo(library)
    factories.make_metadata(made, **metadata)
    return made


def test_facets_count_what_the_filters_keep(client: Client, library: Library) -> None:
    moment = datetime(2020, 5, 31, 23, 30, tzinfo=UTC)
    first = photo_with(library, camera_make="Canon", camera_model="EOS", lens="50mm", taken_at=moment)
    second = photo_with(library, camera_make="Canon", camera_model="EOS", taken_at=moment, taken_at_offset=60)
    photo_with(factories.make_library(), camera_make="Nikon")
    factories.make_photo(library)
    person, tag = factories.make_person(library, name="Ada"), factories.make_tag(library, "Sea", first, second)
    for photo in (first, first, second):
        factories.make_face(photo, person=person)
    names = {"country_code": "CH", "country": "Switzerland", "region": "Bern", "city": "Thun"}
    PhotoPlace.objects.create(photo=first, version="1", latitude=46.7, longitude=7.6, distance_km=1, **names)
    Photo.objects.filter(pk=first.pk).update(corrections={"position": [46.7, 7.6]})
    shown.refresh(photo_ids=[first.pk])

    everything = client.get(f"{PHOTOS}/facets").json()
    one = client.get(f"{PHOTOS}/facets?lens=50mm").json()

    assert everything == {
        "cameras": [{"camera_make": "Canon", "camera_model": "EOS", "count": 2}],
        "lenses": [{"lens": "50mm", "count": 1}],
        "months": [{"year": 2020, "month": 6, "count": 1}, {"year": 2020, "month": 5, "count": 1}],
        "places": [{**names, "count": 1}],
        "people": [{"id": str(person.pk), "name": "Ada", "count": 2}],
        "tags": [{"id": str(tag.pk), "name": "Sea", "count": 2}],
        "is_estimated": False,
    }
    assert (one["cameras"][0]["count"], one["people"][0]["count"], one["tags"][0]["count"]) == (1, 1, 1)
    assert client.get(f"{PHOTOS}/facets?iso_min=x").status_code == 400


def test_of_very_many_photos_a_sample_is_counted(
    client: Client, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facets, "COUNTED_AT_MOST", 400)
    photos = [factories.make_photo(library, camera_make="A" if number % 4 else "B") for number in range(1600)]
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE photos_photo")

    found = client.get(f"{PHOTOS}/facets?camera_make=A&library={library.pk}").json()

    assert found["is_estimated"] is True
    [one] = found["cameras"]
    # of 1200 about a third is looked at
    assert one["camera_make"] == "A"
    assert abs(one["count"] - 1200) < 250
    assert len(photos) == 1600


def test_the_timeline_counts_by_the_camera_s_day(client: Client, library: Library) -> None:
    moment = datetime(2020, 5, 31, 23, 30, tzinfo=UTC)
    photo_with(library, taken_at=moment)
    for _ in range(2):
        photo_with(library, taken_at=moment, taken_at_offset=60)
    factories.make_photo(library)

    days = client.get(f"{PHOTOS}/timeline").json()["days"]

    assert days == [
        {"date": "2020-06-01", "count": 2},
        {"date": "2020-05-31", "count": 1},
        {"date": None, "count": 1},
    ]
    assert client.get(f"{PHOTOS}/timeline?taken_after=2021-01-01T00:00:00Z").json() == {"days": []}


def test_the_map_groups_what_is_close_at_its_zoom(client: Client, library: Library) -> None:
    bern = photo_with(library, latitude=46.95, longitude=7.44)
    near = photo_with(library, latitude=46.97, longitude=7.46)
    fiji = photo_with(library, latitude=-17.0, longitude=179.5)
    factories.make_photo(library)

    world = client.get(f"{PHOTOS}/map?zoom=2").json()
    close = client.get(f"{PHOTOS}/map?zoom=14&bbox=7.4,46.9,7.5,47").json()
    across = client.get(f"{PHOTOS}/map?zoom=5&bbox=179,-20,-179,-10").json()

    assert world["type"] == "FeatureCollection"
    assert [one["properties"]["count"] for one in world["features"]] == [2, 1]
    longitude, latitude = world["features"][0]["geometry"]["coordinates"]
    assert (round(longitude, 6), round(latitude, 6)) == (7.45, 46.96)
    assert world["features"][0]["properties"]["photo"] in {str(bern.pk), str(near.pk)}
    assert {one["properties"]["photo"] for one in close["features"]} == {str(bern.pk), str(near.pk)}
    assert [one["properties"]["photo"] for one in across["features"]] == [str(fiji.pk)]


@pytest.mark.parametrize(
    ("query", "field"),
    [("", "zoom"), ("zoom=23", "zoom"), ("zoom=x", "zoom"), ("zoom=20", "bbox"), ("zoom=3&bbox=1", "bbox")],
)
def test_a_map_that_cannot_be_is_refused(client: Client, query: str, field: str) -> None:
    response = client.get(f"{PHOTOS}/map?{query}")

    assert (response.status_code, [one["field"] for one in response.json()["errors"]]) == (400, [field])
