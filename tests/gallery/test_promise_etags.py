"""ETag, If-None-Match and If-Match: what was read is changed as it was read, or not at all."""

from typing import Any

import factories
import pytest
from access_operations import operations
from access_world import World, digests
from concurrency import in_a_thread, wait_until_blocked
from django.db import transaction
from django.test import Client
from promised import OPERATIONS, ask, somebody_who_may
from rest_framework.response import Response

from accounts.api.promises.conditions import ConditionalMixin
from accounts.models import Library, Membership
from gallery.models import Share
from photos.models import Person

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("photo_store")]

# bytes are sent to where an upload is, which is a condition of its own
BY_OFFSET = {"PATCH uploads/{pk}"}
CHANGES = sorted(name for name in OPERATIONS if name.startswith("PATCH") and name not in BY_OFFSET)
READS = [name.replace("PATCH", "GET") for name in CHANGES]
# another value of a field that each takes
ANOTHER: dict[str, dict[str, Any]] = {
    "PATCH albums/{pk}": {"title": "Winter"},
    "PATCH auth/me": {"name": "Ada"},
    "PATCH faces/{pk}": {"person": None},
    "PATCH photos/{pk}": {"title": "Winter"},
    "PATCH tags/{pk}": {"name": "Winter"},
    "PATCH people/{pk}": {"name": "Ada"},
    "PATCH shares/{pk}": {"title": "Winter"},
    "PATCH libraries/{library_id}/members/{user_id}": {"role": "editor"},
}
# what the answer to a change has beside what is read
OF_CHANGES = {"PATCH faces/{pk}": {"decisions"}, "PATCH people/{pk}": {"decisions"}}


@pytest.fixture
def world() -> World:
    return World()


def test_whatever_can_be_changed_has_an_etag() -> None:
    views = {one.name: one.view for one in operations()}

    assert [name for name in CHANGES if not isinstance(views[name], ConditionalMixin)] == []
    assert [name for name in READS if name not in OPERATIONS] == []
    assert {*CHANGES} == {*ANOTHER}


@pytest.mark.parametrize("name", READS)
def test_what_was_read_is_not_sent_again(world: World, name: str) -> None:
    call = OPERATIONS[name]
    client = somebody_who_may(call, world)

    first = ask(call, world, client)
    etag = first["ETag"]
    narrow = ask(call, world, client, query=f"?fields={next(iter(first.json()))}")
    answers = [
        ask(call, world, client, **{"If-None-Match": given})
        for given in (etag, f"W/{etag}", f'"other", {etag}', "*", '"other"')
    ]

    assert etag.startswith('"')
    assert first["Cache-Control"] == "private, no-cache"
    assert narrow["ETag"] == etag
    assert [answer.status_code for answer in answers] == [304, 304, 304, 304, 200]
    assert {answer["ETag"] for answer in answers} == {etag}
    assert answers[0].content == b""
    head = client.head(answers[0].wsgi_request.path)
    assert (head.status_code, head["ETag"]) == (200, etag)


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_answers_with_the_etag_that_it_has_then(world: World, name: str) -> None:
    call = OPERATIONS[name]
    client = somebody_who_may(call, world)
    before = read(name, world, client)

    changed = change(name, world, client, if_match=before["ETag"])

    assert changed.status_code == 200
    assert changed.json().items() >= ANOTHER[name].items()
    after = read(name, world, client)
    assert after["ETag"] == changed["ETag"] != before["ETag"]
    told = OF_CHANGES.get(name, set())
    assert after.json() == {key: value for key, value in changed.json().items() if key not in told}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_of_what_was_changed_since_is_refused(world: World, name: str) -> None:
    client = somebody_who_may(OPERATIONS[name], world)
    etag = read(name, world, client)["ETag"]
    assert ask(OPERATIONS[name], world, client).status_code == 200  # without a condition, by somebody else
    if name.endswith("{user_id}"):  # of which the world's own change is none
        Membership.objects.filter(user=world.place.member).update(created_at="2026-01-01T00:00:00Z")
    before = digests()

    refused = change(name, world, client, if_match=etag)

    assert (refused.status_code, refused.json()["code"]) == (412, "precondition_failed")
    assert digests() == before
    for form in ("*", '"other", {}', "W/{}"):
        now = read(name, world, client)["ETag"]
        assert change(name, world, client, if_match=form.format(now)).status_code == 200


def test_without_a_condition_the_last_one_wins(world: World) -> None:
    client = factories.client_of(world.place.admin)
    address = f"/api/v1/shares/{world.place.share.pk}"

    assert client.patch(address, {"title": "First"}).status_code == 200
    assert client.patch(address, {"show_metadata": True}).json()["title"] == "First"


def test_a_share_is_revoked_as_it_was_read(world: World) -> None:
    client = factories.client_of(world.place.admin)
    address = f"/api/v1/shares/{world.place.share.pk}"
    etag = client.get(address)["ETag"]
    Share.objects.update(title="Another")

    assert client.delete(address, headers={"If-Match": etag}).status_code == 412
    assert Share.objects.get(pk=world.place.share.pk).revoked_at is None
    assert client.delete(address, headers={"If-Match": client.get(address)["ETag"]}).status_code == 204


def test_a_condition_on_what_has_no_etag_is_refused(world: World) -> None:
    call = OPERATIONS["POST people/{pk}/forget"]
    client = somebody_who_may(call, world)
    before = digests()

    refused = ask(call, world, client, **{"If-Match": '"x"'})

    assert (refused.status_code, refused.json()["code"]) == (412, "precondition_failed")
    assert digests() == before
    assert ask(call, world, client, **{"If-Match": "*"}).status_code == 202


def test_who_may_not_change_it_is_told_that_first(world: World) -> None:
    visitor = factories.client_of(world.place.member)
    address = f"/api/v1/people/{world.place.person.pk}"

    assert visitor.patch(address, {"name": "x"}, headers={"If-Match": '"x"'}).status_code == 403
    stranger = factories.client_of(factories.make_user())
    assert stranger.patch(address, {"name": "x"}, headers={"If-Match": '"x"'}).status_code == 404
    assert Person.objects.get(pk=world.place.person.pk).name == world.place.person.name


@pytest.mark.django_db(transaction=True)
def test_of_two_who_have_read_the_same_one_changes_it() -> None:
    library = factories.make_library()
    person = factories.make_person(library, name="Ada")
    address = f"/api/v1/people/{person.pk}"
    clients = [factories.client_of(factories.make_member(library, "editor")) for _ in range(2)]
    etags = {client.get(address)["ETag"] for client in clients}
    assert len(etags) == 1

    with transaction.atomic():
        # both have asked before either is let go on
        Person.objects.select_for_update(no_key=True).get(pk=person.pk)
        asked = []
        for client, name in zip(clients, ("Grace", "Hedy"), strict=True):
            asked.append(in_a_thread(client.patch, address, {"name": name}, headers={"If-Match": min(etags)}))
            wait_until_blocked(len(asked))
    answers: list[Response] = [one.result(10) for one in asked]

    assert sorted(answer.status_code for answer in answers) == [200, 412]
    won = next(answer for answer in answers if answer.status_code == 200)
    assert Person.objects.get(pk=person.pk).name == won.json()["name"]


@pytest.mark.django_db(transaction=True)
def test_of_two_who_give_a_member_another_role_one_does() -> None:
    library = factories.make_library()
    admins = [factories.make_member(library, "admin") for _ in range(2)]
    member, _ = factories.make_member(library, "visitor"), factories.make_member(library, "editor")
    address = f"/api/v1/libraries/{library.pk}/members/{member.pk}"
    clients = [factories.client_of(one) for one in admins]
    etag = clients[0].get(address)["ETag"]

    with transaction.atomic():
        Library.objects.select_for_update(no_key=True).get(pk=library.pk)
        asked = []
        for client, role in zip(clients, ("admin", "editor"), strict=True):
            asked.append(in_a_thread(client.patch, address, {"role": role}, headers={"If-Match": etag}))
            wait_until_blocked(len(asked))
    answers: list[Response] = [one.result(10) for one in asked]

    assert sorted(answer.status_code for answer in answers) == [200, 412]


@pytest.mark.django_db(transaction=True)
def test_of_two_who_rename_one_account_one_does() -> None:
    user = factories.make_user()
    clients = [factories.client_of(user) for _ in range(2)]
    etag = clients[0].get("/api/v1/auth/me")["ETag"]

    with transaction.atomic():
        type(user).objects.select_for_update(no_key=True).get(pk=user.pk)
        asked = []
        for client, name in zip(clients, ("Ada", "Grace"), strict=True):
            asked.append(in_a_thread(client.patch, "/api/v1/auth/me", {"name": name}, headers={"If-Match": etag}))
            wait_until_blocked(len(asked))
    answers: list[Response] = [one.result(10) for one in asked]

    assert sorted(answer.status_code for answer in answers) == [200, 412]


def read(change_name: str, world: World, client: Client) -> Any:
    """Read what a change is made to."""
    return ask(OPERATIONS[change_name.replace("PATCH", "GET")], world, client)


def change(name: str, world: World, client: Client, *, if_match: str) -> Any:
    """Change it to another value."""
    address = read(name, world, client).wsgi_request.path
    return client.patch(address, ANOTHER[name], headers={"If-Match": if_match})
