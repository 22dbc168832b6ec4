"""Libraries: which ones a caller sees, and what may be done there."""

import factories
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from uuid_utils.compat import uuid7

from accounts.models import Library, Membership, Role
from accounts.roles import BUILT_IN_ROLES, Permission

pytestmark = pytest.mark.django_db

LIBRARIES = "/api/v1/libraries"


@pytest.mark.parametrize("role", ["admin", "editor", "visitor"])
def test_a_member_sees_the_library_and_the_role_held_there(role: str) -> None:
    library = factories.make_library(name="Family", **factories.FACES_OFF)
    factories.make_library(name="Foreign")
    member = factories.make_member(library, role)

    response = factories.client_of(member).get(LIBRARIES)

    expected = {
        "id": str(library.pk),
        "name": "Family",
        "created_at": library.created_at.isoformat().replace("+00:00", "Z"),
        "face_analysis": False,
        "face_analysis_changed_at": None,
        "face_analysis_consent_version": "",
        "quota_bytes": None,
        "used_bytes": 0,
        "own_role": role,
        "own_permissions": [str(permission) for permission in BUILT_IN_ROLES[role]],
    }
    assert response.status_code == 200
    assert response.json()["next"] is None
    assert [{**found, "own_permissions": sorted(found["own_permissions"])} for found in response.json()["results"]] == [
        {**expected, "own_permissions": sorted(expected["own_permissions"])}
    ]
    one = factories.client_of(member).get(f"{LIBRARIES}/{library.pk}")
    assert one.json() == response.json()["results"][0]


def test_a_superuser_sees_all_and_may_do_all() -> None:
    names = {factories.make_library().name, factories.make_library().name}
    superuser = factories.make_user(is_superuser=True)

    found = factories.client_of(superuser).get(LIBRARIES).json()["results"]

    assert {library["name"] for library in found} == names
    assert [library["own_role"] for library in found] == [None, None]
    assert [library["own_permissions"] for library in found] == [list(Permission.values)] * 2


def test_a_role_without_sight_of_photos_shows_nothing() -> None:
    library = factories.make_library()
    role = Role.objects.create(name="uploader", permissions=[Permission.UPLOAD_PHOTOS])
    user = factories.make_user()
    Membership.objects.create(library=library, user=user, role=role)

    client = factories.client_of(user)

    assert client.get(LIBRARIES).json()["results"] == []
    assert client.get(f"{LIBRARIES}/{library.pk}").status_code == 404


def test_a_foreign_library_is_as_one_that_is_not_there() -> None:
    foreign = factories.make_library()
    client = factories.client_of(factories.make_member(factories.make_library(), "admin"))

    answers = [client.get(f"{LIBRARIES}/{key}") for key in (foreign.pk, uuid7())]

    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].json() == answers[1].json()


def test_the_list_costs_two_queries_however_long_it_is() -> None:
    user = factories.make_member(factories.make_library(), "visitor")
    client = factories.client_of(user)

    counts = []
    for more in (1, 18):
        for _ in range(more):
            membership = Membership(library=factories.make_library(), user=user, role=Role.objects.get(name="editor"))
            membership.save()
        with CaptureQueriesContext(connection) as queries:
            response = client.get(LIBRARIES)
        counts.append((len(response.json()["results"]), len(queries)))

    assert counts == [(2, 2), (20, 2)]  # the account, the libraries


def test_the_list_can_be_read_page_by_page() -> None:
    user = factories.make_user(is_superuser=True)
    keys = [str(factories.make_library().pk) for _ in range(5)]
    client = factories.client_of(user)

    pages, address = [], f"{LIBRARIES}?page_size=2"
    while address:
        page = client.get(address).json()
        pages.append([library["id"] for library in page["results"]])
        address = page["next"]

    assert pages == [[keys[4], keys[3]], [keys[2], keys[1]], [keys[0]]]
    assert Library.objects.count() == 5
