"""What a body may hold: members that are documented. Every operation that takes one keeps to it."""

import re
from dataclasses import replace
from typing import Any

import factories
import pytest
from access_operations import Call
from access_world import World, digests
from drf_spectacular.generators import SchemaGenerator
from promised import OPERATIONS, ask, somebody_who_may

from photos.models import Edit

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("photo_store")]


def with_another_member(call: Call, world: World) -> Call:
    """Let the body of a call have a member that no operation takes."""
    given = call.body(world)
    return replace(call, body=lambda _: {**given, "misspelt": "x"})


def test_a_member_that_there_is_none_is_refused() -> None:
    world = World()
    taking = [call for call in OPERATIONS.values() if call.body is not None]
    prepared = [(with_another_member(call, world), somebody_who_may(call, world)) for call in taking]
    before = digests()

    refused = {call.name: ask(call, world, client) for call, client in prepared}

    assert len(refused) > 40
    assert {name: response.status_code for name, response in refused.items()} == dict.fromkeys(refused, 400)
    errors = {name: response.json()["errors"] for name, response in refused.items()}
    assert {(one[0]["field"], one[0]["code"]) for one in errors.values()} == {("misspelt", "unknown_field")}
    assert digests() == before


def test_a_misspelt_dry_run_edits_nothing() -> None:
    photo = factories.make_photo(factories.make_library())
    client = factories.client_of(factories.make_member(photo.library, "editor"))

    refused = client.post("/api/v1/edits", {"photos": [photo.pk], "changes": {"rating": 3}, "dryrun": True})

    (error,) = refused.json()["errors"]
    assert (refused.status_code, error["field"], error["code"]) == (400, "dryrun", "unknown_field")
    assert error["detail"] == "There is no such member here. There are: changes, dry_run, filter, photos."
    assert not Edit.objects.exists()


def test_a_member_of_what_is_nested_is_refused_too() -> None:
    photo = factories.make_photo(factories.make_library())
    client = factories.client_of(factories.make_member(photo.library, "editor"))

    refused = client.post("/api/v1/edits", {"photos": [photo.pk], "changes": {"rating": 3, "caption_": "x"}})

    (error,) = refused.json()["errors"]
    assert (refused.status_code, error["field"], error["code"]) == (400, "changes.caption_", "unknown_field")
    assert not Edit.objects.exists()


def test_the_schema_takes_no_other_members_and_speaks_of_no_code() -> None:
    components: dict[str, Any] = SchemaGenerator().get_schema(public=True)["components"]["schemas"]
    sent = {name: one for name, one in components.items() if name.endswith("Request")}

    assert len(sent) > 40
    assert [name for name, one in sent.items() if one.get("additionalProperties") is not False] == []
    told = {name: one.get("description", "") for name, one in components.items()}
    of_code = re.compile(r"^(Input|Output):|Wants|QuerySet|`(accounts|photos|processing|gallery|config)\.\w+\.")
    assert {name: text for name, text in told.items() if of_code.search(text)} == {}
