"""Deciding about people through the API: every act, what it answers, what undoes it, and what refuses it."""

import factories
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from uuid_utils.compat import uuid7

from accounts.models import Library
from photos.models import Face, FaceLink, Person, PersonDecision

pytestmark = pytest.mark.django_db

API = "/api/v1"


@pytest.fixture
def library() -> Library:
    return factories.make_library()


@pytest.fixture
def client(library: Library) -> Client:
    return factories.client_of(factories.make_member(library, "editor"))


def somebody(library: Library, *, faces: int = 2, **values: object) -> tuple[Person, list[Face]]:
    person = factories.make_person(library, **values)
    return person, [factories.make_face(factories.make_photo(library), person=person) for _ in range(faces)]


def persons_of(faces: list[Face]) -> list[object]:
    found = dict(Face.objects.values_list("pk", "person_id"))
    return [found[face.pk] for face in faces]


def undo(client: Client, decision: str) -> int:
    return client.post(f"{API}/decisions/{decision}/undo").status_code


def test_merging_and_undoing(client: Client, library: Library) -> None:
    ada, hers = somebody(library, name="Ada")
    other, theirs = somebody(library)

    merged = client.post(f"{API}/people/{ada.pk}/merge", {"people": [str(other.pk)]}, format="json")

    assert merged.status_code == 200
    assert (merged.json()["id"], merged.json()["face_count"], merged.json()["name"]) == (str(ada.pk), 4, "Ada")
    [decision] = merged.json()["decisions"]
    for request in (client.get, client.patch):
        gone = request(f"{API}/people/{other.pk}")
        assert (gone.status_code, gone.json()["code"], gone.json()["merged_into"]) == (404, "merged", str(ada.pk))
    assert [one["id"] for one in client.get(f"{API}/people").json()["results"]] == [str(ada.pk)]

    assert undo(client, decision) == 200
    assert persons_of([*hers, *theirs]) == [ada.pk] * 2 + [other.pk] * 2
    assert client.get(f"{API}/people/{other.pk}").json()["face_count"] == 2
    again = client.post(f"{API}/decisions/{decision}/undo")
    assert (again.status_code, again.json()["code"]) == (409, "already_undone")


def test_whom_a_chain_of_merges_leads_to(client: Client, library: Library) -> None:
    ada, ben, cy = (somebody(library, faces=1)[0] for _ in range(3))
    for into, one in ((ben, ada), (cy, ben)):
        assert client.post(f"{API}/people/{into.pk}/merge", {"people": [str(one.pk)]}, format="json").status_code == 200
    assert client.get(f"{API}/people/{ada.pk}").json()["merged_into"] == str(cy.pk)


def test_merges_that_are_refused_change_nothing(client: Client, library: Library) -> None:
    ada, hers = somebody(library, name="Ada")
    other, theirs = somebody(library)
    client.post(f"{API}/faces/{hers[0].pk}/reject", {"person": str(other.pk)}, format="json")
    decision = PersonDecision.objects.get()
    FaceLink.objects.create(face=hers[0], person=ada, kind="is", decision=decision)
    before = persons_of([*hers, *theirs])

    refused = client.post(f"{API}/people/{other.pk}/merge", {"people": [str(ada.pk)]}, format="json")
    assert (refused.status_code, refused.json()["code"]) == (409, "contradicts_decision")
    assert (refused.json()["decisions"], refused.json()["faces"]) == ([str(decision.pk)], [str(hers[0].pk)])
    wrongs = {(): 400, (str(ada.pk),): 400, (str(uuid7()),): 404, ("x",): 400}
    for named, status in wrongs.items():
        answer = client.post(f"{API}/people/{ada.pk}/merge", {"people": list(named)}, format="json")
        assert answer.status_code == status, named
    assert (persons_of([*hers, *theirs]), PersonDecision.objects.count()) == (before, 1)


def test_splitting_and_undoing(client: Client, library: Library) -> None:
    ada, faces = somebody(library, faces=3, name="Ada")

    split = client.post(f"{API}/people/{ada.pk}/split", {"faces": [str(faces[0].pk)], "name": " Grace "}, format="json")

    assert (split.status_code, split.json()["name"], split.json()["face_count"]) == (201, "Grace", 1)
    assert persons_of(faces) == [Person.objects.get(name="Grace").pk, ada.pk, ada.pk]
    wrong = client.post(f"{API}/people/{ada.pk}/split", {"faces": [str(faces[0].pk)]}, format="json")
    assert (wrong.status_code, wrong.json()["code"], wrong.json()["faces"]) == (
        409,
        "not_their_face",
        [str(faces[0].pk)],
    )
    every = client.post(f"{API}/people/{ada.pk}/split", {"faces": [str(face.pk) for face in faces[1:]]}, format="json")
    assert (every.status_code, every.json()["errors"][0]["field"]) == (400, "faces")
    assert undo(client, split.json()["decisions"][0]) == 200
    assert persons_of(faces) == [ada.pk] * 3


def test_a_person_is_changed_in_one_call(client: Client, library: Library) -> None:
    ada, faces = somebody(library)

    changed = client.patch(
        f"{API}/people/{ada.pk}", {"name": "Ada", "hidden": True, "cover": str(faces[1].pk)}, format="json"
    )

    assert (changed.json()["name"], changed.json()["hidden"], changed.json()["cover"]["id"]) == (
        "Ada",
        True,
        str(faces[1].pk),
    )
    decisions = changed.json()["decisions"]
    assert len(decisions) == 3
    assert client.patch(f"{API}/people/{ada.pk}", {"name": "Ada"}, format="json").json()["decisions"] == []
    for decision in decisions:
        assert undo(client, decision) == 200
    shown = client.get(f"{API}/people/{ada.pk}").json()
    assert (shown["name"], shown["hidden"]) == ("", False)


def test_a_change_that_is_refused_in_part_is_not_made(client: Client, library: Library) -> None:
    ada, _ = somebody(library)
    _, others = somebody(library)
    for cover in (others[0].pk, uuid7()):
        refused = client.patch(f"{API}/people/{ada.pk}", {"name": "Ada", "cover": str(cover)}, format="json")
        assert (refused.status_code, refused.json()["code"]) == (409, "not_their_face")
    assert (Person.objects.get(pk=ada.pk).name, PersonDecision.objects.count()) == ("", 0)


def test_hidden_people_are_left_out_unless_they_are_asked_for(client: Client, library: Library) -> None:
    ada, hidden = somebody(library, name="Ada")[0], somebody(library, is_hidden=True)[0]

    def found(query: str = "") -> list[str]:
        return [one["id"] for one in client.get(f"{API}/people{query}").json()["results"]]

    assert found() == found("?hidden=false") == [str(ada.pk)]
    assert found("?hidden=true") == [str(hidden.pk)]
    assert client.get(f"{API}/people?hidden=perhaps").status_code == 400
    assert client.get(f"{API}/people/{hidden.pk}").json()["hidden"] is True


def test_confirming_faces(client: Client, library: Library) -> None:
    ada, faces = somebody(library, faces=3)
    one = client.post(f"{API}/people/{ada.pk}/confirm", {"faces": [str(faces[0].pk)]}, format="json")
    assert (one.status_code, Face.objects.filter(person_decided=True).count()) == (200, 1)
    every = client.post(f"{API}/people/{ada.pk}/confirm", {}, format="json")
    assert (every.status_code, Face.objects.filter(person_decided=True).count()) == (200, 3)
    assert client.post(f"{API}/people/{ada.pk}/confirm", {}, format="json").json()["decisions"] == []
    assert undo(client, every.json()["decisions"][0]) == 200
    assert Face.objects.filter(person_decided=True).count() == 1


def test_a_face_is_moved_made_somebody_and_nobody(client: Client, library: Library) -> None:
    ada, _ = somebody(library, name="Ada")
    face = factories.make_face(factories.make_photo(library))
    address = f"{API}/faces/{face.pk}"

    moved = client.patch(address, {"person": str(ada.pk)}, format="json")
    assert moved.status_code == 200
    assert (moved.json()["person"], moved.json()["person_decided"]) == ({"id": str(ada.pk), "name": "Ada"}, True)
    assert moved.json()["photo"] == str(face.photo_id)

    made = client.patch(address, {"new_person": {"name": "Grace"}}, format="json")
    grace = Person.objects.get(name="Grace")
    assert made.json()["person"] == {"id": str(grace.pk), "name": "Grace"}

    nobody = client.patch(address, {"person": None}, format="json")
    assert (nobody.json()["person"], nobody.json()["person_decided"]) == (None, True)

    for answer in (nobody, made, moved):
        assert undo(client, answer.json()["decisions"][0]) == 200
    face.refresh_from_db()
    assert (face.person, face.person_decided) == (None, False)
    assert not Person.objects.filter(pk=grace.pk).exists()


@pytest.mark.parametrize(
    "body",
    [{}, {"person": None, "new_person": {"name": "x"}}, {"person": "x"}, {"new_person": {}}, {"new_person": "x"}],
)
def test_a_move_that_cannot_be_is_refused(client: Client, library: Library, body: dict) -> None:
    _, [face, _] = somebody(library)
    assert client.patch(f"{API}/faces/{face.pk}", body, format="json").status_code == 400
    assert PersonDecision.objects.count() == 0
    assert Person.objects.count() == 1


def test_rejecting_and_confirming_a_face(client: Client, library: Library) -> None:
    ada, faces = somebody(library, faces=3, name="Ada")
    rejected = client.post(f"{API}/faces/{faces[0].pk}/reject", {}, format="json")
    assert (rejected.status_code, rejected.json()["person"]) == (200, None)
    for way in ("reject", "confirm"):
        refused = client.post(f"{API}/faces/{faces[0].pk}/{way}", {}, format="json")
        assert (refused.status_code, refused.json()["code"]) == (409, "of_nobody")
    confirmed = client.post(f"{API}/faces/{faces[1].pk}/confirm")
    assert (confirmed.status_code, confirmed.json()["person_decided"]) == (200, True)
    assert undo(client, rejected.json()["decisions"][0]) == 200
    assert persons_of(faces) == [ada.pk] * 3


def test_faces_are_listed_and_narrowed(client: Client, library: Library) -> None:
    ada, faces = somebody(library, name="Ada")
    lone = factories.make_face(faces[0].photo, person_decided=True)
    factories.make_face(faces[0].photo, confidence=0.5)
    factories.make_face(factories.make_photo(factories.make_library()))

    def found(query: str) -> set[str]:
        return {one["id"] for one in client.get(f"{API}/faces{query}").json()["results"]}

    assert found("") == {str(one.pk) for one in (*faces, lone)}
    assert found(f"?photo={faces[0].photo_id}") == {str(faces[0].pk), str(lone.pk)}
    assert found(f"?person={ada.pk}&library={library.pk}") == {str(face.pk) for face in faces}
    assert found("?decided=true") == {str(lone.pk)}
    assert found("?decided=false") == {str(face.pk) for face in faces}
    for wrong in ("photo=x", "decided=1"):
        assert client.get(f"{API}/faces?{wrong}").status_code == 400


def test_what_was_decided_is_told(client: Client, library: Library) -> None:
    ada, faces = somebody(library, faces=3)
    other, _ = somebody(library, faces=1)
    client.patch(f"{API}/people/{ada.pk}", {"name": "Ada"}, format="json")
    client.post(f"{API}/faces/{faces[0].pk}/reject", {}, format="json")
    client.patch(f"{API}/faces/{faces[0].pk}", {"person": str(other.pk)}, format="json")
    moved = client.patch(f"{API}/faces/{faces[1].pk}", {"person": str(other.pk)}, format="json").json()["decisions"]

    of_ada = client.get(f"{API}/people/{ada.pk}/decisions").json()["results"]
    assert [(one["kind"], one["face_count"], one["name"]) for one in of_ada] == [
        ("move", 1, None),
        ("reject", 1, None),
        ("name", 0, "Ada"),
    ]
    assert of_ada[0]["person"] == {"id": str(other.pk), "name": ""}
    assert of_ada[0]["by"] == str(PersonDecision.objects.first().by_id)
    undo(client, moved[0])

    def found(query: str) -> list[str]:
        return [one["kind"] for one in client.get(f"{API}/decisions?{query}").json()["results"]]

    assert found(f"library={library.pk}") == ["move", "move", "reject", "name"]
    assert found("undone=true") == ["move"]
    assert found("undone=false&kind=name") == ["name"]
    assert found(f"library={factories.make_library().pk}") == []
    assert client.get(f"{API}/decisions?kind=x").status_code == 400


@pytest.mark.parametrize("address", ["faces", "decisions"])
def test_lists_cost_the_same_queries_however_long_they_are(client: Client, library: Library, address: str) -> None:
    counts = []
    for more in (2, 18):
        for _ in range(more):
            person, [face, _] = somebody(library)
            client.patch(f"{API}/faces/{face.pk}", {"person": str(person.pk)}, format="json")
        with CaptureQueriesContext(connection) as queries:
            response = client.get(f"{API}/{address}")
        counts.append((len(response.json()["results"]), len(queries)))
    assert [count for _, count in counts] == [2, 2]  # the account, the rows
    assert counts[1][0] > counts[0][0]


def test_what_a_later_decision_rests_on_is_named(client: Client, library: Library) -> None:
    ada, faces = somebody(library, name="Ada")
    bob, _ = somebody(library, name="Bob")
    first, second = (
        client.patch(f"{API}/faces/{faces[0].pk}", {"person": str(person.pk)}, format="json").json()["decisions"][0]
        for person in (bob, ada)
    )
    refused = client.post(f"{API}/decisions/{first}/undo")
    assert (refused.status_code, refused.json()["code"]) == (409, "decided_since")
    assert (refused.json()["decision"], refused.json()["kind"]) == (second, "move")
    assert persons_of(faces) == [ada.pk] * 2


def test_seeing_people_is_not_enough_to_decide(library: Library) -> None:
    visitor = factories.client_of(factories.make_member(library, "visitor"))
    ada, faces = somebody(library, name="Ada")
    answers = [
        visitor.patch(f"{API}/people/{ada.pk}", {"hidden": True}, format="json"),
        visitor.post(f"{API}/people/{ada.pk}/merge", {"people": [str(ada.pk)]}, format="json"),
        visitor.post(f"{API}/people/{ada.pk}/split", {"faces": [str(faces[0].pk)]}, format="json"),
        visitor.post(f"{API}/people/{ada.pk}/confirm", {}, format="json"),
        visitor.patch(f"{API}/faces/{faces[0].pk}", {"person": None}, format="json"),
        visitor.post(f"{API}/faces/{faces[0].pk}/reject", {}, format="json"),
        visitor.post(f"{API}/faces/{faces[0].pk}/confirm"),
    ]
    assert [(one.status_code, one.json()["permission"]) for one in answers] == [(403, "people.edit")] * 7
    assert (persons_of(faces), PersonDecision.objects.count()) == ([ada.pk] * 2, 0)
