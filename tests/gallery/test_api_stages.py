"""Stages in the API: what each is at, pause and resume. For superusers alone."""

from datetime import timedelta
from typing import Any

import factories
import pytest
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import Library, User
from processing import ledger
from processing.models import RunState, StagePause

pytestmark = pytest.mark.django_db

STAGES = "/api/v1/admin/stages"


@pytest.fixture
def operator() -> User:
    return factories.make_user(is_superuser=True)


@pytest.fixture
def client(operator: User) -> Client:
    return factories.client_of(operator)


def by_name(response: Any) -> dict[str, Any]:
    assert response.status_code == 200
    return {stage["name"]: stage for stage in response.json()["stages"]}


def test_stages_say_what_they_are_at(client: Client) -> None:
    library, now = factories.make_library(), timezone.now()
    factories.make_run(factories.make_photo(library), "exif", RunState.PENDING, queued_at=now - timedelta(seconds=90))
    factories.make_run(factories.make_photo(library), "exif", RunState.RUNNING)
    factories.make_run(factories.make_photo(library), "exif", RunState.DEAD)
    for _ in range(3):
        factories.make_run(factories.make_photo(library), "exif", RunState.DONE)

    response = client.get(STAGES)

    stages = by_name(response)
    names = list(stages)
    stages_of_photos = ["exif", "place", "renditions", "face_detection", "face_embedding", "image_embedding"]
    assert names[:6] == stages_of_photos
    assert set(names[6:]) == {
        "people",
        "regroup_preview",
        "plan",
        "edit",
        "import",
        "export",
        "duplicates",
        "erase_faces",
        "forget",
    }
    assert 90 <= stages["exif"].pop("oldest_pending_seconds") < 120
    assert stages["exif"] == {
        "name": "exif",
        "queue": "ingest",
        "is_library_work": False,
        "counts": {"waiting": 0, "pending": 1, "running": 1, "dead": 1},
        "done_last_5_minutes": 3,
        "done_per_minute": 0.6,
        "failures_last_hour": 1,
        "pause": None,
        "obstacle": "no_worker",
    }
    assert stages["people"] == {
        "name": "people",
        "queue": "people",
        "is_library_work": True,
        "counts": {"waiting": 0, "pending": 0, "running": 0, "dead": 0},
        "oldest_pending_seconds": None,
        "done_last_5_minutes": 0,
        "done_per_minute": 0.0,
        "failures_last_hour": 0,
        "pause": None,
        "obstacle": "",
    }


def test_a_stage_is_paused_and_resumed(client: Client, operator: User) -> None:
    run = factories.make_run(factories.make_photo(factories.make_library()), "exif", RunState.PENDING)

    paused = client.post(f"{STAGES}/exif/pause", {"reason": " The disk is replaced. "})

    assert paused.status_code == 200
    pause = paused.json()["pause"]
    assert pause.pop("paused_at").endswith("Z")
    assert pause == {
        "paused_by": {"id": str(operator.pk), "email": operator.email},
        "reason": "The disk is replaced.",
        "is_circuit": False,
        "error_code": "",
        "probe_at": None,
    }
    assert by_name(client.get(STAGES))["exif"]["pause"]["reason"] == "The disk is replaced."
    assert ledger.claim(stage="exif", versions=["v1"], limit=1, task_id="t", worker="w") == []

    resumed = client.post(f"{STAGES}/exif/resume")

    assert (resumed.status_code, resumed.json()["name"], resumed.json()["pause"]) == (200, "exif", None)
    assert client.post(f"{STAGES}/exif/resume").json()["pause"] is None
    (lease,) = ledger.claim(stage="exif", versions=["v1"], limit=1, task_id="t", worker="w")
    assert lease.run_id == run.pk


def test_library_work_is_paused_without_a_reason(client: Client) -> None:
    response = client.post(f"{STAGES}/people/pause")

    assert (response.status_code, response.json()["pause"]["reason"]) == (200, "")
    assert StagePause.objects.get().work == "people"


@pytest.mark.parametrize("body", [{"reason": "x" * 201}, {"reason": None}, []])
def test_a_reason_that_cannot_be_is_refused(client: Client, body: object) -> None:
    response = client.post(f"{STAGES}/exif/pause", body)

    assert (response.status_code, response.json()["code"]) == (400, "invalid")
    assert not StagePause.objects.exists()


@pytest.mark.parametrize("action", ["pause", "resume"])
def test_a_stage_that_there_is_not_is_not_found(client: Client, action: str) -> None:
    StagePause.objects.create(work="nonsense")

    response = client.post(f"{STAGES}/nonsense/{action}", {"reason": "why"})

    assert (response.status_code, response.json()["code"]) == (404, "not_found")
    assert list(StagePause.objects.values_list("work", "reason")) == [("nonsense", "")]


def test_nobody_else_sees_or_does_anything() -> None:
    library: Library = factories.make_library()
    StagePause.objects.create(work="renditions")
    staff = factories.make_member(library, "admin")
    User.objects.filter(pk=staff.pk).update(is_staff=True)
    knocking = [
        (APIClient(), 401),
        (factories.client_of(factories.make_member(library, "visitor")), 403),
        (factories.client_of(factories.make_member(library, "admin")), 403),
        (factories.client_of(staff), 403),
    ]

    for client, status in knocking:
        assert client.get(STAGES).status_code == status
        assert client.post(f"{STAGES}/exif/pause", {"reason": "why"}).status_code == status
        assert client.post(f"{STAGES}/renditions/resume").status_code == status
        assert client.post(f"{STAGES}/nonsense/pause").status_code == status

    assert list(StagePause.objects.values_list("work", flat=True)) == ["renditions"]
