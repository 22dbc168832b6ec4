"""Regrouping through the API: what is asked for, how it is shown, and what it refuses."""

import factories
import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Library
from photos.models import FaceEmbedding, LibraryThreshold, Person, Regrouping, RegroupingMove
from photos.services import regroupings
from processing.models import LibraryRun, ModelSelection

pytestmark = pytest.mark.django_db

MODEL = "dlib-resnet-v1"
COUNTS = ("people_split", "people_merged", "people_made", "people_gone")


@pytest.fixture
def library() -> Library:
    ModelSelection.objects.create(task="face_embedding", model=MODEL, weights_hash="ab" * 32, in_use=True)
    return factories.make_library()


@pytest.fixture
def client(library: Library) -> Client:
    return factories.client_of(factories.make_member(library, "editor"))


def address(library: Library) -> str:
    return f"/api/v1/libraries/{library.pk}/regrouping"


def computed(library: Library, *, threshold: float = 0.6) -> tuple[Regrouping, RegroupingMove, Person]:
    """Make a regrouping that was computed: one face would go from Ada to somebody new."""
    ada = factories.make_person(library, name="Ada")
    face = factories.make_face(factories.make_photo(library), person=ada)
    row = {"library": library, "model": MODEL, "version": "v1", "dimensions": 128, "vector": [0.1] * 128}
    FaceEmbedding.objects.create(face=face, **row)
    report = {"faces": 1, "faces_moved": 1, "people_before": 1, "people_after": 1}
    report |= dict.fromkeys(COUNTS, 0) | {f"{name}_first": [] for name in COUNTS}
    asked = Regrouping.objects.create(
        library=library,
        model=MODEL,
        threshold=threshold,
        computed_at=timezone.now(),
        basis=regroupings.basis(library_id=library.pk, model=MODEL),
        report=report,
    )
    new = "01900000-0000-7000-8000-000000000001"
    return asked, asked.moves.create(face=face, person_before=ada.pk, person_after=new, is_new_person=True), ada


def test_it_is_asked_for_and_waited_for(client: Client, library: Library) -> None:
    assert client.get(address(library)).status_code == 404

    asked = client.post(address(library), {"threshold": 0.6}, format="json")

    assert asked.status_code == 202
    shown = asked.json()
    assert (shown["model"], shown["threshold"], shown["state"]) == (MODEL, 0.6, "pending")
    assert (shown["report"], shown["moves"], shown["computed_at"], shown["refused"]) == (None, [], None, "")
    assert client.get(address(library)).json() == shown
    run = LibraryRun.objects.get()
    assert (run.kind, run.library, run.state) == ("regroup_preview", library, "pending")
    refused = client.post(f"{address(library)}/apply")
    assert (refused.status_code, refused.json()["code"]) == (409, "regrouping_not_computed")


@pytest.mark.parametrize(
    "body", [{"threshold": 0}, {"threshold": "x"}, {"threshold": 3}, {"model": "x"}, {"model": "mtcnn"}]
)
def test_what_cannot_be_asked_for_is_refused(client: Client, library: Library, body: dict) -> None:
    answer = client.post(address(library), body, format="json")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, next(iter(body)))
    assert (Regrouping.objects.count(), LibraryRun.objects.count()) == (0, 0)


def test_what_would_change_is_shown_and_applied(client: Client, library: Library) -> None:
    _, move, ada = computed(library)

    shown = client.get(address(library)).json()

    assert (shown["state"], shown["report"]["faces_moved"], shown["applied_at"]) == ("done", 1, None)
    assert shown["moves"] == [
        {
            "face": str(move.face_id),
            "before": {"id": str(ada.pk), "name": "Ada"},
            "after": None,
            "is_new_person": True,
            "new_person": move.person_after,
        }
    ]
    applied = client.post(f"{address(library)}/apply")
    assert (applied.status_code, applied.json()["moves"], applied.json()["applied_at"] is None) == (200, [], False)
    move.face.refresh_from_db()
    assert str(move.face.person_id) == move.person_after
    assert LibraryThreshold.objects.get().threshold == 0.6
    again = client.post(f"{address(library)}/apply")
    assert (again.status_code, again.json()["code"]) == (409, "regrouping_applied")


def test_what_is_outdated_is_not_applied(client: Client, library: Library) -> None:
    _, move, ada = computed(library)
    client.post(f"/api/v1/faces/{move.face_id}/confirm")
    refused = client.post(f"{address(library)}/apply")
    assert (refused.status_code, refused.json()["code"]) == (409, "regrouping_outdated")
    move.face.refresh_from_db()
    assert (move.face.person, LibraryThreshold.objects.count()) == (ada, 0)


def test_where_nothing_is_grouped_it_says_why(client: Client, library: Library) -> None:
    ModelSelection.objects.all().delete()
    refused = client.post(address(library), {}, format="json")
    assert (refused.status_code, refused.json()["code"]) == (409, "no_model_in_use")


def test_seeing_people_is_not_enough(library: Library) -> None:
    visitor = factories.client_of(factories.make_member(library, "visitor"))
    _, move, ada = computed(library)
    assert visitor.get(address(library)).status_code == 200
    for way in ("", "/apply"):
        answer = visitor.post(f"{address(library)}{way}", {}, format="json")
        assert (answer.status_code, answer.json()["permission"]) == (403, "people.edit")
    move.face.refresh_from_db()
    assert (move.face.person, Regrouping.objects.count()) == (ada, 1)
