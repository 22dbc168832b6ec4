"""Finding photos: every filter, how they combine, what they refuse, and in which order photos come."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import factories
import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Library, Membership, Role
from accounts.roles import Permission
from photos.models import Favourite, Photo, PhotoPlace, PhotoViews
from photos.services import people, shown

pytestmark = pytest.mark.django_db

PHOTOS = "/api/v1/photos"


@pytest.fixture
def library() -> Library:
    return factories.make_library()


@pytest.fixture
def client(library: Library) -> Client:
    return factories.client_of(factories.make_member(library, "editor"))


def photo_with(library: Library, *, photo: dict[str, Any] | None = None, **metadata: Any) -> Photo:
    """Make a photo whose file says something."""
    made = factories.make_photo(library, **(photo or {}))
    factories.make_metadata(made, **metadata)
    return made


def found(client: Client, *pairs: tuple[str, object], **parameters: object) -> list[str]:
    response = client.get(f"{PHOTOS}?{urlencode([*pairs, *parameters.items()])}")
    assert response.status_code == 200, response.json()
    return [photo["id"] for photo in response.json()["results"]]


def refused(client: Client, *pairs: tuple[str, object], **parameters: object) -> list[str]:
    response = client.get(f"{PHOTOS}?{urlencode([*pairs, *parameters.items()])}")
    assert response.status_code == 400, response.json()
    assert response.json()["code"] == "invalid"
    return list({error["field"] for error in response.json()["errors"]})


def keys(*photos: Photo) -> list[str]:
    return [str(photo.pk) for photo in photos]


RANGES = {
    "aperture": ("aperture", 2.8, 2.8, 2.9),
    "iso": ("iso", 400, 400, 401),
    "focal_length": ("focal_length", 50.5, 50.5, 51),
    "exposure": ("exposure_time", 0.004, "1/250", "0.005"),
}


@pytest.mark.parametrize("name", RANGES)
def test_measures_are_ranges_with_their_edges(client: Client, library: Library, name: str) -> None:
    column, value, edge, above = RANGES[name]
    known = photo_with(library, **{column: value})
    photo_with(library)

    assert found(client, **{f"{name}_min": edge}) == keys(known)
    assert found(client, **{f"{name}_max": edge}) == keys(known)
    assert found(client, **{f"{name}_min": edge, f"{name}_max": edge}) == keys(known)
    assert found(client, **{f"{name}_min": above}) == []


@pytest.mark.parametrize("column", ["camera_make", "camera_model", "lens"])
def test_cameras_are_found_exactly(client: Client, library: Library, column: str) -> None:
    known = photo_with(library, **{column: "EF 50mm f/1.8"})
    photo_with(library, **{column: "EF 50mm"})

    assert found(client, **{column: "EF 50mm f/1.8"}) == keys(known)


def test_times_are_from_a_moment_until_before_another(client: Client, library: Library) -> None:
    moment = datetime(2020, 5, 1, 12, tzinfo=UTC)
    known = photo_with(library, taken_at=moment, photo={"uploaded_at": moment})
    photo_with(library, taken_at=moment + timedelta(days=9), photo={"uploaded_at": moment + timedelta(days=9)})

    for name in ("taken", "uploaded"):
        later = (moment + timedelta(seconds=1)).isoformat()
        assert found(client, **{f"{name}_after": moment.isoformat(), f"{name}_before": later}) == keys(known)
        assert found(client, **{f"{name}_before": moment.isoformat()}) == []


def test_boxes_may_lie_across_the_180th_meridian(client: Client, library: Library) -> None:
    fiji = photo_with(library, latitude=-17.0, longitude=179.5)
    samoa = photo_with(library, latitude=-13.8, longitude=-172.0)
    bern = photo_with(library, latitude=46.95, longitude=7.44)
    nowhere = photo_with(library)

    assert found(client, bbox="7,46,8,47") == keys(bern)
    assert found(client, bbox="179,-20,-170,-10") == keys(samoa, fiji)
    assert found(client, bbox="-180,-90,180,90") == keys(bern, samoa, fiji)
    assert found(client, has_gps="true") == keys(bern, samoa, fiji)
    assert found(client, has_gps="false") == keys(nowhere)


def test_near_is_a_circle_on_the_ground(client: Client, library: Library) -> None:
    bern = photo_with(library, latitude=46.948, longitude=7.4474)
    zurich = photo_with(library, latitude=47.3769, longitude=8.5417)
    pole = photo_with(library, latitude=89.9, longitude=-90.0)
    fiji = photo_with(library, latitude=-17.0, longitude=179.9)

    # 95 km apart
    assert found(client, near="46.948,7.4474,90") == keys(bern)
    assert found(client, near="46.948,7.4474,100", order="distance") == keys(bern, zurich)
    assert found(client, near="47.3769,8.5417,100", order="distance") == keys(zurich, bern)
    assert found(client, near="89.9,90,30") == keys(pole)
    assert found(client, near="-17,-179.9,30") == keys(fiji)
    assert found(client, near="46.948,7.4474,0") == keys(bern)


def test_places_are_found_by_country_region_city_and_code(client: Client, library: Library) -> None:
    photo = photo_with(library, latitude=47.37, longitude=8.54)
    PhotoPlace.objects.create(
        photo=photo,
        version="v1",
        latitude=47.37,
        longitude=8.54,
        country_code="CH",
        country="Switzerland",
        region="Zurich",
        city="Zürich-West (Kreis 1)",
        distance_km=0.1,
    )
    shown.refresh(photo_ids=[photo.pk])

    for name in ("ch", "SWITZERLAND", "zürich-west (kreis 1)", "Zurich West (Kreis 1)"):
        assert found(client, place=name) == keys(photo), name
    assert found(client, place="Switz") == []
    assert found(client, q="kreis zurich-west") == keys(photo)


def test_several_people_are_all_in_one_photo(client: Client, library: Library) -> None:
    ada, grace = (factories.make_person(library) for _ in range(2))
    both, one, none = (factories.make_photo(library) for _ in range(3))
    for photo, person in ((both, ada), (both, grace), (one, ada)):
        factories.make_face(photo, person=person)

    assert found(client, person=ada.pk) == keys(one, both)
    assert found(client, ("person", ada.pk), ("person", grace.pk)) == keys(both)
    assert found(client, faces_min=1) == keys(one, both)
    assert found(client, faces_min=2) == keys(both)
    assert found(client, faces_max=1) == keys(none, one)
    assert found(client, faces_max=0) == keys(none)


def test_several_tags_are_all_on_one_photo(client: Client, library: Library) -> None:
    both, one = factories.make_photo(library), factories.make_photo(library)
    factories.make_tag(library, "Sea side", one, both)
    factories.make_tag(library, "Évening", both)
    factories.make_tag(factories.make_library(), "elsewhere", one)

    assert found(client, tag="sea SIDE") == keys(one, both)
    assert found(client, ("tag", "Sea side"), ("tag", "evening")) == keys(both)
    assert found(client, tag="elsewhere") == []
    assert found(client, tag="sea") == []


def test_ratings_favourites_shapes_and_types(client: Client, library: Library) -> None:
    user = library.memberships.get().user
    good = photo_with(library, rating=4)
    bad = photo_with(library, rating=-1, photo={"width": 3, "height": 4, "mime_type": "image/png"})
    square = factories.make_photo(library, width=5, height=5)
    Favourite.objects.create(user=user, photo=bad)
    Favourite.objects.create(user=factories.make_user(), photo=good)

    assert found(client, rating_min=4) == keys(good)
    assert found(client, rating_min=5) == []
    assert found(client, favourite="true") == keys(bad)
    assert found(client, favourite="false") == keys(square, good)
    assert found(client, orientation="landscape") == keys(good)
    assert found(client, orientation="portrait") == keys(bad)
    assert found(client, orientation="square") == keys(square)
    assert found(client, media_type="image/png") == keys(bad)


def test_photos_are_found_by_their_bytes(client: Client, library: Library) -> None:
    one, two, _three = (factories.make_photo(library) for _ in range(3))
    strangers = factories.make_photo(factories.make_library())
    asked = [("sha256", photo.sha256) for photo in (one, two, strangers)]

    assert found(client, *asked) == keys(two, one)
    assert found(client, *asked, library=library.pk) == keys(two, one)
    assert found(client, sha256="0" * 64) == []
    many = [("sha256", f"{number:064x}") for number in range(39)]
    assert found(client, *many, asked[0]) == keys(one)
    assert refused(client, *many, *asked[:2]) == ["sha256"]


def test_filters_combine(client: Client, library: Library) -> None:
    wanted = photo_with(library, camera_make="Canon", iso=400, rating=5)
    photo_with(library, camera_make="Canon", iso=100, rating=5)
    photo_with(library, camera_make="Nikon", iso=400, rating=5)

    assert found(client, camera_make="Canon", iso_min=200, rating_min=3, q="canon") == keys(wanted)


def test_words_are_those_of_a_web_search(client: Client, library: Library) -> None:
    sunset = photo_with(library, title="Sunset over the Pier", description="A long, quiet evening")
    factories.make_tag(library, "Seaside", sunset)
    dog = photo_with(library, photo={"original_filename": "IMG_2682-dog.heic"}, camera_model="EOS 40D")

    assert found(client, q="SUNSET evening") == keys(sunset)
    assert found(client, q="sunset dog") == []
    assert set(found(client, q="sunset or dog")) == set(keys(sunset, dog))
    assert found(client, q='"quiet evening"') == keys(sunset)
    assert found(client, q='"evening quiet"') == []
    assert found(client, q="seaside -dog") == keys(sunset)
    assert found(client, q="img_2682") == keys(dog)
    assert found(client, q="2682 40d") == keys(dog)


def test_the_best_match_comes_first_and_the_newest_if_asked_for(client: Client, library: Library) -> None:
    title = photo_with(library, title="harbour")
    caption = photo_with(library, description="harbour")
    name = photo_with(library, photo={"original_filename": "harbour.jpg"})

    assert found(client, q="harbour") == keys(title, caption, name)
    assert found(client, q="harbour", order="-uploaded") == keys(name, caption, title)
    response = client.get(f"{PHOTOS}?q=harbour&page_size=2").json()
    assert ([one["id"] for one in response["results"]], response["next"]) == (keys(title, caption), None)


def test_names_of_people_are_found_where_they_may_be_seen(client: Client, library: Library) -> None:
    photo = factories.make_photo(library, original_filename="a.jpg")
    person = factories.make_person(library, name="Zoë Noether")
    factories.make_face(photo, person=person)
    role = Role.objects.create(name="stranger", permissions=[Permission.VIEW_PHOTOS])
    stranger = factories.make_user()
    Membership.objects.create(library=library, user=stranger, role=role)
    blind = factories.client_of(stranger)

    assert found(client, q="zoe jpg") == keys(photo)
    assert (found(blind, q="zoe"), found(blind, q="jpg -zoe")) == ([], keys(photo))
    assert (found(blind, faces_min=1), found(blind, faces_max=0), found(blind, person=person.pk)) == (
        [],
        keys(photo),
        [],
    )

    people.rename_person(person=person, name="Emmy")
    assert (found(client, q="zoe"), found(client, q="emmy")) == ([], keys(photo))

    Library.objects.filter(pk=library.pk).update(**factories.FACES_OFF)
    assert (found(client, q="emmy"), found(client, q="jpg"), found(client, faces_min=1)) == ([], keys(photo), [])


@pytest.mark.parametrize(
    ("name", "values"),
    {
        "q": ["-", "x" * 201],
        "bbox": ["1,2,3", "a,b,c,d", "0,10,1,5", "-181,0,1,1", "nan,0,1,1", "0,0,inf,1"],
        "near": ["1,2", "91,0,1", "0,0,-1", "0,0,30000", "0,0,nan"],
        "iso_min": ["-1", "x", "1e99", "nan", "1.5", ""],
        "library": [""],
        # of a search by words alone
        "limit": ["0", "5", "201"],
        "aperture_max": ["-0.1", "1001", "nan", "inf"],
        "exposure_min": ["1/0", "1/x", "/", "-1/2", "1/1/1"],
        "faces_min": ["-1", "many", "1.5"],
        "rating_min": ["6", "-1"],
        "favourite": ["1", "yes"],
        "has_gps": ["maybe"],
        "person": ["x"],
        "sha256": ["x", "A" * 64, "a" * 63, "a" * 65],
        "media_type": ["image/jxl"],
        "orientation": ["round"],
        "order": ["-name", "uploaded,taken", "relevance", "distance", "album"],
        "taken_after": ["yesterday"],
        "uploaded_before": ["2020"],
        "place": ["x" * 129],
        "cursor": ["x", "bm90IGpzb24", "WyItdGFrZW4iXQ"],
    }.items(),
)
def test_what_cannot_be_is_refused_by_name(client: Client, name: str, values: list[str]) -> None:
    for value in values:
        assert refused(client, **{name: value}) == [name], value


def test_pages_by_time_neither_repeat_nor_miss(client: Client, library: Library) -> None:
    moment = datetime(2020, 5, 1, 12, tzinfo=UTC)
    same = [photo_with(library, taken_at=moment) for _ in range(5)]
    later = photo_with(library, taken_at=moment + timedelta(days=1))
    # no time: by its upload, which is now
    undated = factories.make_photo(library)
    expected = keys(undated, later, *reversed(same))

    for order, wanted in (("-taken", expected), ("taken", expected[::-1])):
        address: str | None = f"{PHOTOS}?order={order}&page_size=3"
        pages, backwards = [], []
        while address:
            page = client.get(address).json()
            pages.append([one["id"] for one in page["results"]])
            address, last = page["next"], page
        assert pages == [wanted[:3], wanted[3:6], wanted[6:]]
        while last["previous"]:
            last = client.get(last["previous"]).json()
            backwards.append([one["id"] for one in last["results"]])
        assert backwards == [wanted[3:6], wanted[:3]]


def test_orders_by_rating_and_by_views(client: Client, library: Library) -> None:
    rejected, unrated, best = photo_with(library, rating=-1), photo_with(library), photo_with(library, rating=5)
    for photo, count in ((unrated, 3), (rejected, 9)):
        PhotoViews.objects.create(photo=photo, count=count, last_viewed_at=timezone.now())

    assert found(client, order="-rating") == keys(best, unrated, rejected)
    assert found(client, order="rating") == keys(rejected, unrated, best)
    assert found(client, order="-views") == keys(rejected, unrated)
    page = client.get(f"{PHOTOS}?order=-rating&page_size=1").json()
    assert found(client, ("cursor", page["next"].split("cursor=")[1].split("&")[0]), order="-rating") == keys(
        unrated, rejected
    )


def test_a_cursor_of_another_order_is_refused(client: Client, library: Library) -> None:
    for _ in range(2):
        factories.make_photo(library)
    page = client.get(f"{PHOTOS}?page_size=1&order=-taken").json()

    response = client.get(page["next"].replace("order=-taken", "order=taken"))

    assert (response.status_code, response.json()["errors"][0]["field"]) == (400, "cursor")


def test_refusals_say_how_it_is_written(client: Client) -> None:
    told = {
        name: client.get(f"{PHOTOS}?{name}={value}").json()["errors"][0]["detail"]
        for name, value in {"taken_after": "2008", "order": "album", "camera_makes": "Canon"}.items()
    }

    assert told["taken_after"] == "A day or a time in ISO 8601, as 2026-05-04 or 2026-05-04T09:12:00Z."
    assert told["order"] == "The order album takes the parameter album."
    assert " camera_make, " in told["camera_makes"]


@pytest.mark.parametrize(
    ("order", "value"),
    [("-rating", float("inf")), ("rating", float("nan")), ("-taken", "2020-05-01T12:00:00"), ("album", "five")],
)
def test_a_cursor_that_no_page_gives_is_refused(client: Client, library: Library, order: str, value: object) -> None:
    key = str(factories.make_photo(library).pk)
    cursor = base64.urlsafe_b64encode(json.dumps([order, False, value, key]).encode()).decode()
    album = client.post("/api/v1/albums", {"library": str(library.pk), "title": "Pier"}).json()
    of = {"album": album["id"]} if order == "album" else {}
    assert refused(client, order=order, cursor=cursor, **of) == ["cursor"]


def test_what_is_hidden_is_for_those_who_may_hide(client: Client, library: Library) -> None:
    open_to_all, hidden = factories.make_photo(library), factories.make_photo(library, is_hidden=True)
    visitor = factories.client_of(factories.make_member(library, "visitor"))

    assert found(client) == keys(hidden, open_to_all)
    assert found(client, hidden="true") == keys(hidden)
    assert found(visitor) == keys(open_to_all)
    assert visitor.get(f"{PHOTOS}/{hidden.pk}").status_code == 404
    assert client.get(f"{PHOTOS}/{hidden.pk}").status_code == 200
