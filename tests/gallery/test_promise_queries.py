"""What an answer costs the database does not grow with what it tells: no list asks once more for each of its rows."""

import factories
import pytest
from access_world import World
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from promised import OPERATIONS, READS, ask, somebody_who_may
from test_promise_query import WITHOUT_FIELDS, list_name_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("photo_store")]

# of these there are as many as the installation has stages and open folders, however much is in them
OF_ONE_LENGTH = {"GET admin/stages", "GET imports/sources"}
# whoever may call these is answered where the thing is their own
OF_ONE_PERSON = {"GET keys/{pk}", "GET uploads/{pk}", "GET exports/{pk}"}


def cost_of(name: str, world: World, client: Client) -> tuple[int, int | None]:
    """Give the number of queries, and the length of the list that is answered if it is one."""
    with CaptureQueriesContext(connection) as queries:
        response = ask(OPERATIONS[name], world, client)
    assert response.status_code == OPERATIONS[name].allowed or name in OF_ONE_PERSON, name
    list_name = list_name_of(response.json())
    return len(queries), None if list_name is None else len(response.json()[list_name])


def test_no_answer_costs_a_query_for_each_row() -> None:
    world = World()
    clients = {name: somebody_who_may(OPERATIONS[name], world) for name in READS if name not in WITHOUT_FIELDS}
    world.place.add_more()
    for name, client in clients.items():
        ask(OPERATIONS[name], world, client)  # what is read once and remembered has been read then
    few = {name: cost_of(name, world, client) for name, client in clients.items()}
    for _ in range(3):
        world.place.add_more()

    many = {name: cost_of(name, world, client) for name, client in clients.items()}

    lists = {name for name, (_, length) in few.items() if length is not None}
    assert len(lists) >= 14
    # of what `Place.add_more` adds nothing to, nothing is learnt here
    assert {name for name in lists if many[name][1] <= few[name][1]} == OF_ONE_LENGTH
    grown = {name: (few[name][0], many[name][0]) for name in few if many[name][0] > few[name][0]}
    assert grown == {}


def test_a_query_for_each_row_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    client = factories.client_of(world.place.admin)
    name = "GET libraries/{library_id}/members"
    monkeypatch.setattr("django.db.models.query.QuerySet.select_related", lambda self, *_: self)

    few = cost_of(name, world, client)
    world.place.add_more()

    assert cost_of(name, world, client)[0] > few[0]
