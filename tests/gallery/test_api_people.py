"""People in the API: counts, covers, names, and their photos."""

import factories
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from uuid_utils.compat import uuid7

from accounts.models import Library, Membership, Role
from accounts.roles import Permission
from gallery.api.links import chip_url
from photos.models import Person
from photos.services import trash

pytestmark = pytest.mark.django_db

PEOPLE = "/api/v1/people"


@pytest.fixture
def library() -> Library:
    return factories.make_library()


@pytest.fixture
def client(library: Library) -> Client:
    return factories.client_of(factories.make_member(library, "editor"))


@pytest.fixture
def visitor(library: Library) -> Client:
    return factories.client_of(factories.make_member(library, "visitor"))


def test_people_are_listed_with_counts_and_their_best_face(visitor: Client, library: Library) -> None:
    ada = factories.make_person(library, name="Ada")
    nobody = factories.make_person(library)
    first, second, trashed = (factories.make_photo(library) for _ in range(3))
    factories.make_face(first, person=ada, quality=0.4)
    best = factories.make_face(first, person=ada, quality=0.8)
    factories.make_face(second, person=ada, quality=0.7)
    factories.make_face(second, person=ada, quality=0.9, confidence=0.5)  # only a candidate
    factories.make_face(trashed, person=ada, quality=1.0)
    trash.move_to_trash(photo_ids=[trashed.pk])

    response = visitor.get(PEOPLE)

    assert response.status_code == 200
    address = chip_url(best.pk, chip_key=best.chip_key, request=None)
    assert response.json()["results"] == [
        {
            "id": str(nobody.pk),
            "library": str(library.pk),
            "name": "",
            "hidden": False,
            "created_at": nobody.created_at.isoformat().replace("+00:00", "Z"),
            "face_count": 0,
            "photo_count": 0,
            "cover": None,
        },
        {
            "id": str(ada.pk),
            "library": str(library.pk),
            "name": "Ada",
            "hidden": False,
            "created_at": ada.created_at.isoformat().replace("+00:00", "Z"),
            "face_count": 3,
            "photo_count": 2,
            "cover": {"id": str(best.pk), "chip_url": f"http://testserver{address}"},
        },
    ]
    assert visitor.get(f"{PEOPLE}/{ada.pk}").json() == response.json()["results"][1]


def test_people_can_be_narrowed(library: Library) -> None:
    other = factories.make_library()
    ada, unnamed, foreign = (
        factories.make_person(library, name="Ada"),
        factories.make_person(library),
        factories.make_person(other),
    )
    client = factories.client_of(factories.make_user(is_superuser=True))

    def found(query: str) -> list[str]:
        return [person["id"] for person in client.get(f"{PEOPLE}?{query}").json()["results"]]

    assert found("") == [str(foreign.pk), str(unnamed.pk), str(ada.pk)]
    assert found(f"library={library.pk}") == [str(unnamed.pk), str(ada.pk)]
    assert found("is_named=true") == [str(ada.pk)]
    assert found("is_named=false") == [str(foreign.pk), str(unnamed.pk)]
    assert client.get(f"{PEOPLE}?is_named=perhaps").status_code == 400


def test_the_list_costs_two_queries_however_long_it_is(visitor: Client, library: Library) -> None:
    counts = []
    for more in (2, 18):
        for _ in range(more):
            factories.make_face(factories.make_photo(library), person=factories.make_person(library))
        with CaptureQueriesContext(connection) as queries:
            response = visitor.get(PEOPLE)
        counts.append((len(response.json()["results"]), len(queries)))

    assert counts == [(2, 2), (20, 2)]  # the account, the people


def test_a_person_is_named_and_unnamed(client: Client, library: Library) -> None:
    person = factories.make_person(library)
    factories.make_face(factories.make_photo(library), person=person)

    named = client.patch(f"{PEOPLE}/{person.pk}", {"name": "  Ada Lovelace "})

    assert named.status_code == 200
    assert (named.json()["name"], named.json()["face_count"]) == ("Ada Lovelace", 1)
    assert Person.objects.get(pk=person.pk).name == "Ada Lovelace"

    assert client.patch(f"{PEOPLE}/{person.pk}", {}).json()["name"] == "Ada Lovelace"
    assert client.patch(f"{PEOPLE}/{person.pk}", {"name": ""}).json()["name"] == ""
    assert Person.objects.get(pk=person.pk).name == ""


def test_nothing_but_the_name_is_changed(client: Client, library: Library) -> None:
    person = factories.make_person(library, name="Ada")
    other = factories.make_library()

    response = client.patch(f"{PEOPLE}/{person.pk}", {"library": str(other.pk), "id": str(uuid7()), "name": "Ben"})

    assert response.status_code == 400
    assert [error["field"] for error in response.json()["errors"]] == ["library", "id"]
    person.refresh_from_db()
    assert (person.library_id, person.name) == (library.pk, "Ada")


@pytest.mark.parametrize("name", ["x" * 201, "a\x00b", None, ["a"], {"b": 1}])
def test_a_name_that_cannot_be_is_refused(client: Client, library: Library, name: object) -> None:
    person = factories.make_person(library, name="Ada")

    response = client.patch(f"{PEOPLE}/{person.pk}", {"name": name})

    assert (response.status_code, response.json()["code"]) == (400, "invalid")
    assert [error["field"] for error in response.json()["errors"]] == ["name"]
    assert Person.objects.get(pk=person.pk).name == "Ada"


def test_a_body_that_is_no_json_is_refused(client: Client, library: Library) -> None:
    person = factories.make_person(library, name="Ada")

    response = client.generic("PATCH", f"{PEOPLE}/{person.pk}", "{", content_type="application/json")

    assert (response.status_code, response.json()["code"]) == (400, "parse_error")
    assert Person.objects.get(pk=person.pk).name == "Ada"


def test_seeing_people_is_not_enough_to_name_them(visitor: Client, library: Library) -> None:
    person = factories.make_person(library, name="Ada")

    response = visitor.patch(f"{PEOPLE}/{person.pk}", {"name": "Eve"})

    assert (response.status_code, response.json()["permission"]) == (403, "people.edit")
    assert Person.objects.get(pk=person.pk).name == "Ada"


def test_a_person_whom_a_regrouping_removes_meanwhile_is_not_there(
    client: Client, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = factories.make_person(library)

    def regroup(*args: object, **kwargs: object) -> None:
        Person.objects.filter(pk=person.pk).delete()

    monkeypatch.setattr("accounts.api.access.require", regroup)

    response = client.patch(f"{PEOPLE}/{person.pk}", {"name": "Ada"})

    assert (response.status_code, response.json()["code"]) == (404, "not_found")
    assert Person.objects.count() == 0


def test_a_foreign_person_is_not_there(client: Client) -> None:
    foreign = factories.make_person(factories.make_library(), name="Ada")

    answers = [
        client.get(f"{PEOPLE}/{foreign.pk}"),
        client.get(f"{PEOPLE}/{foreign.pk}/photos"),
        client.patch(f"{PEOPLE}/{foreign.pk}", {"name": "Eve"}),
        client.get(f"{PEOPLE}/{uuid7()}"),
    ]

    assert [answer.status_code for answer in answers] == [404] * 4
    assert Person.objects.get(pk=foreign.pk).name == "Ada"


def test_people_need_a_permission_of_their_own(library: Library) -> None:
    person = factories.make_person(library)
    user = factories.make_user()
    role = Role.objects.create(name="no people", permissions=[Permission.VIEW_PHOTOS])
    Membership.objects.create(library=library, user=user, role=role)
    client = factories.client_of(user)

    assert client.get(PEOPLE).json()["results"] == []
    assert client.get(f"{PEOPLE}/{person.pk}").status_code == 404
    assert client.get(f"{PEOPLE}/{person.pk}/photos").status_code == 404


def test_the_photos_of_a_person(visitor: Client, library: Library) -> None:
    ada = factories.make_person(library)
    photos = [factories.make_photo(library) for _ in range(4)]
    for photo in photos[:3]:
        factories.make_face(photo, person=ada)
    factories.make_face(photos[0], person=ada)
    factories.make_face(photos[3], person=ada, confidence=0.5)
    trash.move_to_trash(photo_ids=[photos[1].pk])

    first = visitor.get(f"{PEOPLE}/{ada.pk}/photos?page_size=1").json()
    second = visitor.get(first["next"]).json()

    assert [photo["id"] for photo in first["results"]] == [str(photos[2].pk)]
    assert [photo["id"] for photo in second["results"]] == [str(photos[0].pk)]
    assert second["next"] is None
    assert first["results"][0] == visitor.get(f"/api/v1/photos?library={library.pk}").json()["results"][1]


def test_the_photos_of_a_person_cost_four_queries(visitor: Client, library: Library) -> None:
    ada = factories.make_person(library)
    counts = []
    for more in (2, 18):
        for _ in range(more):
            photo = factories.make_photo(library)
            factories.make_rendition(photo, "preview")
            factories.make_face(photo, person=ada)
        with CaptureQueriesContext(connection) as queries:
            response = visitor.get(f"{PEOPLE}/{ada.pk}/photos")
        counts.append((len(response.json()["results"]), len(queries)))

    assert counts == [(2, 4), (20, 4)]  # the account, the person, the photos, their renditions
