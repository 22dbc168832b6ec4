"""Lists in bodies are counted before they are looked at: what is wrong with each of very many is told to nobody."""

import json

import factories
import pytest

from accounts.models import Library

pytestmark = pytest.mark.django_db

# as many as a body has room for
MANY = 400_000


@pytest.mark.parametrize(
    ("address", "field"),
    [
        ("photos/duplicates/decisions", "photos"),
        ("people/{person}/merge", "people"),
        ("people/{person}/split", "faces"),
        ("people/{person}/confirm", "faces"),
        ("edits/favourites", "photos"),
        ("albums/{album}/photos", "photos"),
        ("tags/{tag}/merge", "tags"),
    ],
)
def test_what_is_far_too_long_is_refused_in_one_sentence(address: str, field: str) -> None:
    library: Library = factories.make_library()
    client = factories.client_of(factories.make_member(library, "editor"))
    album = client.post("/api/v1/albums", {"library": str(library.pk), "title": "Sea"}, format="json").json()["id"]
    path = address.format(
        person=factories.make_person(library).pk, album=album, tag=factories.make_tag(library, "sea").pk
    )
    beside = {"is_favourite": True} if "favourites" in address else {}
    body = json.dumps({field: [1] * MANY, **beside}, separators=(",", ":"))

    response = client.generic("POST", f"/api/v1/{path}", body, content_type="application/json")

    assert response.status_code == 400
    assert [(one["field"], one["code"]) for one in response.json()["errors"]] == [(field, "max_length")]
