"""What a query may hold: parameters that are documented, and `fields`. Every operation keeps to it."""

from typing import Any

import factories
import pytest
from access_operations import operations
from access_world import World, digests
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from promised import OPERATIONS, READS, ask, somebody_who_may, with_its_body
from rest_framework.views import APIView

from accounts.api.views import PromisesMixin

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("photo_store")]

# what is no object, nor a list of objects: files, and a document that is sent while it is read
WITHOUT_FIELDS = {
    "GET events",
    "GET faces/{pk}/chip",
    "GET photos/{pk}/renditions/{kind}",
    "GET photos/{pk}/original",
    "GET people/{pk}/export",
    "GET exports/{pk}/files/{number}",
    "GET exports/files/{token}",
}


def test_every_view_keeps_the_promises() -> None:
    assert [one.name for one in operations() if not isinstance(one.view, PromisesMixin)] == []


def test_a_parameter_that_there_is_none_is_refused() -> None:
    world = World()
    prepared = [(with_its_body(call, world), somebody_who_may(call, world)) for call in OPERATIONS.values()]
    before = digests()

    refused = {call.name: ask(call, world, client, query="?misspelt=1") for call, client in prepared}

    assert {name: response.status_code for name, response in refused.items()} == dict.fromkeys(refused, 400)
    errors = {name: response.json()["errors"][0] for name, response in refused.items()}
    assert {(error["field"], error["code"]) for error in errors.values()} == {("misspelt", "unknown_parameter")}
    assert {response["Content-Type"] for response in refused.values()} == {"application/problem+json"}
    assert digests() == before


def test_a_parameter_without_a_value_is_refused() -> None:
    world = World()
    client = factories.client_of(world.place.admin)
    asked = (
        "photos?library=",
        "photos/facets?iso_min=",
        "tags?name=",
        "people?cursor=",
        "photos?tag=sea&tag=",
        "faces?fields=",
    )

    refused = [client.get(f"/api/v1/{address}").json()["errors"] for address in asked]

    assert [(error["field"], error["code"]) for [error] in refused] == [
        (name, "blank") for name in ("library", "iso_min", "name", "cursor", "tag", "fields")
    ]


def test_the_refusal_names_the_parameters_that_there_are() -> None:
    client = factories.client_of(factories.make_user())

    several = client.get("/api/v1/people?libary=x&is_named=true&page=2")
    none = client.post("/api/v1/auth/token?email=x")

    assert [one["field"] for one in several.json()["errors"]] == ["libary", "page"]
    told = "There is no such parameter here. There are: cursor, fields, hidden, is_named, library, page_size."
    assert several.json()["errors"][0]["detail"] == told
    assert none.json()["errors"][0]["detail"] == "No parameter is taken here."


def test_who_may_not_ask_is_told_that_first() -> None:
    assert Client().get("/api/v1/people?misspelt=1").status_code == 401
    key_owner = factories.client_of(factories.make_user())
    assert key_owner.get("/api/v1/admin/workers?misspelt=1").status_code == 403


def test_a_method_that_there_is_none_stays_that() -> None:
    client = factories.client_of(factories.make_user())

    assert client.put("/api/v1/people?misspelt=1").status_code == 405
    assert client.options("/api/v1/people?misspelt=1").status_code == 200


def list_name_of(answer: Any) -> str | None:
    """Give the member of a whole answer that has the list which `fields` narrows; None where it is one thing."""
    if "results" in answer:
        return "results"
    return next(iter(answer)) if len(answer) == 1 and isinstance(next(iter(answer.values())), list) else None


@pytest.fixture(scope="module")
def sparse() -> list[str]:
    """The operations that answer with an object, or with a list of objects."""
    return [name for name in READS if name not in WITHOUT_FIELDS]


def test_fields_narrow_every_answer(sparse: list[str]) -> None:
    world = World()
    empty = set()
    for name in sparse:
        call = OPERATIONS[name]
        client = somebody_who_may(call, world)
        whole, again = (ask(call, world, client).json() for _ in range(2))
        list_name = list_name_of(whole)
        items, later = ([one] if list_name is None else one[list_name] for one in (whole, again))
        empty |= set() if items else {name}

        for field in items[0] if items else ():
            response = ask(call, world, client, query=f"?fields={field}")
            assert response.status_code == 200, (name, field)
            assert {*response.json()} == ({field} if list_name is None else {*whole}), (name, field)
            narrowed = [response.json()] if list_name is None else response.json()[list_name]
            assert [{*one} for one in narrowed] == [{field}] * len(items), (name, field)
            # ages grow from one answer to the next
            is_still = [one[field] for one in items] == [one[field] for one in later]
            assert not is_still or [one[field] for one in narrowed] == [one[field] for one in items], (name, field)

    assert empty == EMPTY


# of which the world has none
EMPTY = {"GET admin/workers", "GET imports/sources"}


def test_a_field_that_there_is_none_is_refused(sparse: list[str]) -> None:
    world = World()
    for name in sparse:
        call = OPERATIONS[name]
        response = ask(call, world, somebody_who_may(call, world), query="?fields=id,nmae")

        assert response.status_code == 400, name
        error = response.json()["errors"][0]
        assert (error["field"], error["code"]) == ("fields", "unknown_field"), name
        assert "There are: " in error["detail"], name


def test_the_refusal_names_the_fields_that_there_are() -> None:
    client = factories.client_of(factories.make_user())

    response = client.get("/api/v1/people?fields=id,nmae")
    empty = client.get("/api/v1/people?fields=,")

    assert response.json()["errors"] == [
        {
            "field": "fields",
            "code": "unknown_field",
            "detail": "There is no field 'nmae'. There are: "
            "id, library, name, hidden, created_at, face_count, photo_count, cover.",
        }
    ]
    assert empty.json()["errors"][0]["detail"].startswith("There is no field ''.")


def test_several_fields_keep_their_order_and_what_is_nested_stays_whole() -> None:
    world = World()
    client = factories.client_of(world.place.admin)

    response = client.get(f"/api/v1/photos/{world.place.photo.pk}?fields=renditions,id")
    listed = client.get("/api/v1/photos?fields=renditions,id")

    assert list(response.json()) == ["id", "renditions"]
    assert {*response.json()["renditions"][0]} == {"kind", "width", "height", "byte_size", "mime_type", "url"}
    assert {*listed.json()} == {"next", "previous", "results"}
    assert response.json() in listed.json()["results"]
    assert {tuple(one) for one in listed.json()["results"]} == {("id", "renditions")}


def test_what_is_not_asked_for_is_not_read() -> None:
    world = World()
    client = factories.client_of(world.place.admin)
    addresses = ("/api/v1/photos", f"/api/v1/people/{world.place.person.pk}/photos", "/api/v1/people")

    for path, table in zip(addresses, ("photos_rendition", "photos_rendition", "photos_face"), strict=True):
        with CaptureQueriesContext(connection) as whole:
            client.get(path)
        with CaptureQueriesContext(connection) as narrow:
            client.get(f"{path}?fields=id")
        selects = [[one["sql"] for one in queries if f'"{table}"' in one["sql"]] for queries in (whole, narrow)]
        assert len(selects[0]) > len(selects[1]), path


def test_a_view_may_say_that_its_answer_is_one_piece() -> None:
    views = {one.name: one.view for one in operations()}
    assert isinstance(views["GET people/{pk}/export"], APIView)
    assert views["GET people/{pk}/export"].sparse is False
    assert {name for name in READS if not views[name].sparse} <= WITHOUT_FIELDS
