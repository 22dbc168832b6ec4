"""`Location`: whatever is made says where it is, and is there."""

import pytest
from access_world import World
from django.test import Client
from promised import OPERATIONS, ask, somebody_who_may

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("photo_store")]

# a ticket is not read, but used; to a disk nobody sends a file directly; and no folder is open to imports here
ELSEWHERE = {"events/tickets", "uploads/direct", "imports", "imports/{pk}/rescan"}


def test_every_operation_that_makes_something_says_where_it_is(client: Client) -> None:
    schema = client.get("/api/schema?format=json").json()
    making = {
        path.removeprefix("/api/v1/").replace("{id}", "{pk}")
        for path, methods in schema["paths"].items()
        for operation in methods.values()
        if "201" in operation["responses"]
    }
    documented = {
        path.removeprefix("/api/v1/").replace("{id}", "{pk}")
        for path, methods in schema["paths"].items()
        for operation in methods.values()
        if "Location" in operation["responses"].get("201", {}).get("headers", {})
    }
    made = set()
    for name in [f"POST {address}" for address in making - ELSEWHERE]:
        world = World()
        who = somebody_who_may(OPERATIONS[name], world)

        answer = ask(OPERATIONS[name], world, who)
        assert answer.status_code == 201, (name, answer.content)
        assert "Location" in answer, name
        found = who.get(answer["Location"])

        assert answer["Location"].startswith("http://testserver/api/v1/"), name
        assert found.status_code == 200, name
        said = answer.json() if answer.content else {}
        named = said.get("invitation", said)
        assert {key: found.json()[key] for key in ("id", "user") if key in named} == {
            key: named[key] for key in ("id", "user") if key in named
        }, name
        made.add(name.split()[1])

    assert made == making - ELSEWHERE
    assert documented == making
    assert {"photos", "shares", "keys", "libraries/{pk}/invitations", "libraries/{library_id}/members"} <= made
