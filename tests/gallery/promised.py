"""Every operation of the API with somebody who may call it: what walks all of them to hold each to a promise."""

from dataclasses import replace
from typing import Any

import factories
from access_operations import Call, address, calls, operations
from access_world import World
from django.test import Client

from accounts.api.access import RUNS_INSTALLATION

NAMES = {one.name for one in operations()}
OPERATIONS: dict[str, Call] = {call.name: call for call in calls() if call.name in NAMES}
READS = [name for name in OPERATIONS if name.startswith("GET")]


def somebody_who_may(call: Call, world: World) -> Client:
    """Make a client of the admin of the world's first library, or of who runs the installation."""
    if call.rule == RUNS_INSTALLATION:
        return factories.client_of(factories.make_user(is_superuser=True))
    return factories.client_of(world.place.admin)


def with_its_body(call: Call, world: World) -> Call:
    """Make the body of a call now, which may make rows: the same one is sent whenever it is asked then."""
    given = None if call.body is None else call.body(world)
    return call if given is None else replace(call, body=lambda _: given)


def ask(call: Call, world: World, client: Client, *, query: str = "", **headers: str) -> Any:
    """Call an operation."""
    method = getattr(client, call.name.split()[0].lower())
    body = {} if call.body is None else {"data": call.body(world), "format": "multipart" if call.is_form else "json"}
    asked = address(call, world)
    spoken = call.headers(world) if call.headers else {}
    return method(
        asked + (query.replace("?", "&") if "?" in asked else query), headers={**spoken, **headers} or None, **body
    )
