"""Photos in the API: the list, its filters and its pages."""

from base64 import b64encode
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import factories
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings
from uuid_utils.compat import uuid7

from accounts.models import Library, Membership, Role
from accounts.roles import Permission
from photos.services import trash
from processing.models import RunState

pytestmark = pytest.mark.django_db

PHOTOS = "/api/v1/photos"


@pytest.fixture
def library() -> Library:
    return factories.make_library()


@pytest.fixture
def client(library: Library) -> Client:
    return factories.client_of(factories.make_member(library, "editor"))


def ids(client: Client, **parameters: object) -> list[str]:
    response = client.get(f"{PHOTOS}?{urlencode(parameters)}")
    assert response.status_code == 200, response.json()
    return [photo["id"] for photo in response.json()["results"]]


def as_json(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def test_the_list_shows_what_a_grid_needs(client: Client, library: Library) -> None:
    uploader = factories.make_user()
    photo = factories.make_photo(library, uploader=uploader, thumbhash=b"\x01\xff\x00")
    rendition = factories.make_rendition(photo, "thumb_300", width=300, height=225, version="1.a+b")
    factories.make_rendition(photo, "preview", width=1440, height=1080)
    factories.make_metadata(
        photo, camera_make="Canon", camera_model="EOS 40D", taken_at=datetime(2008, 5, 30, 15, 56, 1, tzinfo=UTC)
    )
    factories.make_run(photo)

    response = client.get(PHOTOS)

    assert response.status_code == 200
    assert response.json()["results"] == [
        {
            "id": str(photo.pk),
            "library": str(library.pk),
            "uploader": str(uploader.pk),
            "original_filename": photo.original_filename,
            "sha256": photo.sha256,
            "byte_size": photo.byte_size,
            "mime_type": "image/jpeg",
            "width": 40,
            "height": 30,
            "uploaded_at": as_json(photo.uploaded_at),
            "state": "ready",
            "title": "",
            "caption": "",
            "rating": None,
            "is_favourite": False,
            "is_hidden": False,
            "taken_at": "2008-05-30T15:56:01Z",
            "taken_at_offset": None,
            "latitude": None,
            "longitude": None,
            "country_code": "",
            "country": "",
            "region": "",
            "city": "",
            "camera_make": "Canon",
            "camera_model": "EOS 40D",
            "lens": "",
            "thumbhash": b64encode(b"\x01\xff\x00").decode(),
            "renditions": [
                {
                    "kind": "preview",
                    "width": 1440,
                    "height": 1080,
                    "byte_size": 7,
                    "mime_type": "image/jpeg",
                    "url": f"http://testserver{PHOTOS}/{photo.pk}/renditions/preview?v=1.aaaa",
                },
                {
                    "kind": "thumb_300",
                    "width": 300,
                    "height": 225,
                    "byte_size": rendition.byte_size,
                    "mime_type": "image/jpeg",
                    "url": f"http://testserver{PHOTOS}/{photo.pk}/renditions/thumb_300?v=1.a%2Bb",
                },
            ],
        }
    ]


def test_what_is_not_known_yet_is_null(client: Client, library: Library) -> None:
    factories.make_photo(library)

    photo = client.get(PHOTOS).json()["results"][0]

    nulls = {name for name, value in photo.items() if value is None}
    assert nulls == {"uploader", "rating", "taken_at", "taken_at_offset", "latitude", "longitude", "thumbhash"}
    assert photo["renditions"] == []


def test_storage_keys_are_never_told(client: Client, library: Library) -> None:
    photo = factories.make_photo(library)
    rendition = factories.make_rendition(photo, "preview")
    face = factories.make_face(photo, person=factories.make_person(library))

    answers = [client.get(address) for address in (PHOTOS, f"{PHOTOS}/{photo.pk}", "/api/v1/people")]

    for answer in answers:
        assert answer.status_code == 200
        for key in (photo.storage_key, rendition.storage_key, face.chip_key):
            assert key.encode() not in answer.content


def test_photos_of_others_and_of_the_trash_are_not_listed(client: Client, library: Library) -> None:
    mine = factories.make_photo(library)
    factories.make_photo(factories.make_library())
    trash.move_to_trash(photo_ids=[factories.make_photo(library).pk])

    assert ids(client) == [str(mine.pk)]


def test_pages_go_from_the_newest_to_the_oldest_and_back(client: Client, library: Library) -> None:
    keys = [str(factories.make_photo(library).pk) for _ in range(5)]

    first = client.get(f"{PHOTOS}?page_size=2").json()
    factories.make_photo(library)  # does not move what follows
    second = client.get(first["next"]).json()
    third = client.get(second["next"]).json()

    pages = [[photo["id"] for photo in page["results"]] for page in (first, second, third)]
    assert pages == [[keys[4], keys[3]], [keys[2], keys[1]], [keys[0]]]
    assert first["previous"] is None
    assert third["next"] is None
    assert client.get(third["previous"]).json()["results"] == second["results"]


def cursor(text: str) -> str:
    return b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("library", "nonsense"),
        ("library", "\x00"),
        ("state", "done"),
        ("state", "\x00"),
        ("taken_after", "yesterday"),
        ("taken_after", "2020-13-01"),
        ("taken_before", "2020-02-30T00:00:00Z"),
        ("taken_after", "9999-12-31T23:59:59-23:59"),
        ("taken_before", "0001-01-01T00:00:00+23:59"),
        ("taken_after", "2020-01-01T00:00:00+13:59:59.999999"),
        ("camera_make", "a\x00b"),
        ("camera_model", "\x00"),
        ("has_faces", "maybe"),
        ("has_faces", "1"),
        ("person", "12"),
        ("page_size", "0"),
        ("page_size", "-1"),
        ("page_size", "201"),
        ("page_size", "ten"),
        ("page_size", "٣"),
        ("page_size", "9" * 5000),
        ("page_size", "000000200000"),
        ("page_size", "0050"),
        ("cursor", "nonsense"),
        ("cursor", "ü"),
        ("cursor", cursor("p=nonsense")),
        ("cursor", cursor("p=1%00")),
        ("cursor", cursor("r=x")),
        ("cursor", cursor("o=-1")),
    ],
)
def test_a_value_that_cannot_be_is_named(client: Client, library: Library, parameter: str, value: str) -> None:
    factories.make_photo(library)

    response = client.get(f"{PHOTOS}?{urlencode({parameter: value})}")

    assert response.status_code == 400
    assert response["Content-Type"] == "application/problem+json"
    assert response.json()["code"] == "invalid"
    assert [error["field"] for error in response.json()["errors"]] == [parameter]


@pytest.mark.parametrize("value", ["0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-14:00", "2020-01-01"])
def test_times_at_the_edge_are_times(client: Client, library: Library, value: str) -> None:
    factories.make_metadata(factories.make_photo(library), taken_at=timezone.now())

    assert client.get(f"{PHOTOS}?taken_after={value}").status_code == 200
    assert client.get(f"{PHOTOS}?taken_before={value}").status_code == 200


def test_filter_by_library(library: Library) -> None:
    other = factories.make_library()
    first, second = factories.make_photo(library), factories.make_photo(other)
    client = factories.client_of(factories.make_user(is_superuser=True))

    assert ids(client) == [str(second.pk), str(first.pk)]
    assert ids(client, library=library.pk) == [str(first.pk)]
    assert ids(client, library=uuid7()) == []


def test_filter_by_a_foreign_library_finds_nothing(client: Client) -> None:
    foreign = factories.make_photo(factories.make_library())

    assert ids(client, library=foreign.library_id) == []


def test_filter_by_state(client: Client, library: Library) -> None:
    runs = {
        "pending": [("exif", RunState.PENDING), ("renditions", RunState.PENDING)],
        "processing": [("exif", RunState.DONE), ("renditions", RunState.RUNNING)],
        "ready": [("exif", RunState.DONE), ("renditions", RunState.SKIPPED)],
        "attention": [("exif", RunState.DONE), ("renditions", RunState.DEAD)],
    }
    photos = {}
    for state, its_runs in runs.items():
        photos[state] = factories.make_photo(library)
        for stage, run_state in its_runs:
            factories.make_run(photos[state], stage, run_state)

    for state, photo in photos.items():
        assert ids(client, state=state) == [str(photo.pk)]
        assert client.get(f"{PHOTOS}/{photo.pk}").json()["state"] == state
    listed = {photo["id"]: photo["state"] for photo in client.get(PHOTOS).json()["results"]}
    assert listed == {str(photo.pk): state for state, photo in photos.items()}


def test_filter_by_time(client: Client, library: Library) -> None:
    noon = datetime(2020, 6, 1, 12, tzinfo=UTC)
    at_noon, later, _unknown = (factories.make_photo(library) for _ in range(3))
    factories.make_metadata(at_noon, taken_at=noon)
    factories.make_metadata(later, taken_at=noon + timedelta(hours=1))

    assert ids(client, taken_after="2020-06-01T12:00:00Z") == [str(later.pk), str(at_noon.pk)]
    assert ids(client, taken_after="2020-06-01T14:00:01+02:00") == [str(later.pk)]
    assert ids(client, taken_before="2020-06-01T12:00:00Z") == []
    assert ids(client, taken_before="2020-06-01T13:00:00Z") == [str(at_noon.pk)]
    assert ids(client, taken_after="2020-06-01", taken_before="2020-06-02") == [str(later.pk), str(at_noon.pk)]


def test_filter_by_camera(client: Client, library: Library) -> None:
    canon, nikon = factories.make_photo(library), factories.make_photo(library)
    factories.make_metadata(canon, camera_make="Canon", camera_model="EOS 40D")
    factories.make_metadata(nikon, camera_make="NIKON CORPORATION", camera_model="D70")

    assert ids(client, camera_make="Canon") == [str(canon.pk)]
    assert ids(client, camera_model="D70") == [str(nikon.pk)]
    assert ids(client, camera_make="Canon", camera_model="D70") == []


def test_filter_by_faces(client: Client, library: Library, settings: Settings) -> None:
    settings.FACE_MIN_CONFIDENCE = 0.95
    with_face, with_candidate, with_decided, without = (factories.make_photo(library) for _ in range(4))
    factories.make_face(with_face, confidence=0.95)
    factories.make_face(with_candidate, confidence=0.94)
    factories.make_face(with_decided, confidence=0.9, person_decided=True)

    assert ids(client, has_faces="true") == [str(with_decided.pk), str(with_face.pk)]
    assert ids(client, has_faces="false") == [str(without.pk), str(with_candidate.pk)]


def test_filter_by_person(client: Client, library: Library) -> None:
    ada, ben = factories.make_person(library), factories.make_person(library)
    both, only_ben, _nobody = (factories.make_photo(library) for _ in range(3))
    for photo, person in ((both, ada), (both, ben), (only_ben, ben)):
        factories.make_face(photo, person=person)
    candidate = factories.make_photo(library)
    factories.make_face(candidate, person=ada, confidence=0.5)

    assert ids(client, person=ada.pk) == [str(both.pk)]
    assert ids(client, person=ben.pk) == [str(only_ben.pk), str(both.pk)]
    assert ids(client, person=uuid7()) == []


@pytest.fixture
def blind(library: Library) -> Client:
    """A client of somebody who sees photos and may not see people."""
    user = factories.make_user()
    role = Role.objects.create(name="no people", permissions=[Permission.VIEW_PHOTOS])
    Membership.objects.create(library=library, user=user, role=role)
    return factories.client_of(user)


def test_faces_are_not_told_to_whoever_may_not_see_people(blind: Client, library: Library) -> None:
    photo = factories.make_photo(library)
    person = factories.make_person(library)
    factories.make_face(photo, person=person)

    assert ids(blind, person=person.pk) == []
    assert ids(blind, has_faces="true") == []
    assert ids(blind, has_faces="false") == [str(photo.pk)]


def test_the_list_costs_four_queries_however_long_it_is(client: Client, library: Library) -> None:
    counts = []
    for more in (2, 18):
        for _ in range(more):
            photo = factories.make_photo(library)
            factories.make_metadata(photo, camera_make="Canon")
            for kind in ("preview", "thumb_300"):
                factories.make_rendition(photo, kind)
            for stage in ("exif", "renditions"):
                factories.make_run(photo, stage)
            factories.make_face(photo, person=factories.make_person(library))
        with CaptureQueriesContext(connection) as queries:
            response = client.get(f"{PHOTOS}?state=ready&has_faces=true&camera_make=Canon")
        counts.append((len(response.json()["results"]), len(queries)))

    assert counts == [(2, 4), (20, 4)]  # the account, the page, its photos, their renditions


def test_a_hundred_photos_with_their_thumbnails_cost_four_queries(client: Client, library: Library) -> None:
    kinds = ("preview", "thumb_1200", "thumb_600", "thumb_300")
    for _ in range(100):
        photo = factories.make_photo(library)
        for kind in kinds:
            factories.make_rendition(photo, kind)

    with CaptureQueriesContext(connection) as queries:
        found = client.get(f"{PHOTOS}?page_size=100").json()["results"]

    links = {rendition["url"] for photo in found for rendition in photo["renditions"]}
    assert (len(found), len(links), len(queries)) == (
        100,
        400,
        4,
    )  # the account, the page, its photos, their renditions


def test_a_rendition_costs_two_queries_however_many_there_are(
    client: Client, library: Library, photo_store: object
) -> None:
    counts = []
    for more in (1, 20):
        for _ in range(more):
            photo = factories.make_photo(library)
            for kind in ("preview", "thumb_300"):
                factories.make_rendition(photo, kind, data=b"picture")
        with CaptureQueriesContext(connection) as queries:
            response = client.get(f"{PHOTOS}/{photo.pk}/renditions/thumb_300")
            assert b"".join(response.streaming_content) == b"picture"
        counts.append(len(queries))

    assert counts == [2, 2]  # the account, the rendition of a photo that it may see
