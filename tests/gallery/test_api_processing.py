"""The pipeline in the API: the summary, a retry, and the switch of face analysis."""

from datetime import timedelta
from typing import Any

import factories
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from uuid_utils.compat import uuid7

from accounts import consent_text
from accounts.models import ConsentRecord, Library
from photos.models import Face
from processing.models import LibraryRun, ModelSelection, RunState, StageRun, WorkerPresence
from processing.pipeline import library_work
from processing.services.face_analysis import switch_face_analysis
from processing.stages import registry

pytestmark = pytest.mark.django_db

SUMMARY = "/api/v1/processing/summary"


@pytest.fixture
def library() -> Library:
    return factories.make_library(**factories.FACES_OFF)


def client_of(library: Library, role: str) -> Client:
    return factories.client_of(factories.make_member(library, role))


def by_name(response: Any) -> dict[str, Any]:
    assert response.status_code == 200
    return {work["name"]: work for work in response.json()["work"]}


NO_RUNS = {"waiting": 0, "pending": 0, "running": 0, "done": 0, "skipped": 0, "dead": 0}


def test_the_summary_counts_runs_of_ones_own_libraries(library: Library) -> None:
    photo, other = factories.make_photo(library), factories.make_photo(library)
    foreign = factories.make_photo(factories.make_library())
    long_ago = timezone.now() - timedelta(seconds=90)
    factories.make_run(photo, "exif", RunState.PENDING, queued_at=long_ago)
    factories.make_run(other, "exif", RunState.PENDING)
    factories.make_run(photo, "renditions", RunState.DEAD)
    factories.make_run(other, "renditions", RunState.DONE)
    factories.make_run(photo, "face_detection", RunState.WAITING)
    factories.make_run(other, "face_detection", RunState.WAITING)
    factories.make_run(other, "face_embedding", RunState.SKIPPED)
    for stage in ("exif", "renditions"):
        factories.make_run(foreign, stage, RunState.RUNNING)
    LibraryRun.objects.create(
        library=library, kind="people", version="v1", state=RunState.PENDING, queued_at=timezone.now()
    )

    response = client_of(library, "editor").get(SUMMARY)

    work = by_name(response)
    assert [one["name"] for one in response.json()["work"]] == [
        "exif",
        "place",
        "renditions",
        "face_detection",
        "face_embedding",
        "image_embedding",
        "people",
        "regroup_preview",
        "plan",
        "edit",
        "import",
        "export",
        "duplicates",
        "erase_faces",
        "forget",
    ]
    assert {name: one["queue"] for name, one in work.items()} == {
        "exif": "ingest",
        "place": "maintenance",
        "renditions": "ingest",
        "face_detection": "faces",
        "face_embedding": "embeddings",
        "image_embedding": "embeddings",
        "people": "people",
        "regroup_preview": "people",
        "plan": "people",
        "edit": "people",
        "import": "maintenance",
        "export": "maintenance",
        "duplicates": "people",
        "erase_faces": "people",
        "forget": "people",
    }
    assert work["exif"]["counts"] == NO_RUNS | {"pending": 2}
    assert 90 <= work["exif"]["oldest_pending_seconds"] < 120
    assert work["exif"]["obstacle"] == "no_worker"
    assert work["renditions"]["counts"] == NO_RUNS | {"done": 1, "dead": 1}
    assert work["renditions"]["oldest_pending_seconds"] is None
    assert work["renditions"]["obstacle"] == ""
    assert work["face_detection"]["counts"] == NO_RUNS | {"waiting": 2}
    assert work["face_detection"]["blocked"] == 1
    assert work["face_embedding"]["counts"] == NO_RUNS | {"skipped": 1}
    assert work["people"]["counts"] == NO_RUNS | {"pending": 1}
    assert response.json()["is_settled"] is False


def test_the_summary_names_what_keeps_work_from_moving(library: Library) -> None:
    photo = factories.make_photo(library)
    selection = ModelSelection.objects.create(task="face_detection", model="mtcnn", weights_hash="ab" * 32, in_use=True)
    version = registry.get("face_detection").version_with(selection.model, selection.weights_hash)
    factories.make_run(photo, "face_detection", RunState.PENDING, version=version)
    now = timezone.now()
    worker = WorkerPresence.objects.create(name="a", queues=["faces"], versions={}, started_at=now, seen_at=now)
    client = client_of(library, "admin")

    assert by_name(client.get(SUMMARY))["face_detection"]["obstacle"] == "model_not_installed"

    worker.versions = {"face_detection": [version]}
    worker.save()
    assert by_name(client.get(SUMMARY))["face_detection"]["obstacle"] == ""


def test_a_superuser_sees_everything_also_when_there_is_nothing() -> None:
    client = factories.client_of(factories.make_user(is_superuser=True))

    empty = client.get(SUMMARY)

    assert [one["counts"] for one in by_name(empty).values()] == [NO_RUNS] * 15
    assert empty.json()["is_settled"] is True
    factories.make_run(factories.make_photo(factories.make_library()))
    assert by_name(client.get(SUMMARY))["exif"]["counts"] == NO_RUNS | {"done": 1}


def test_the_summary_is_not_for_visitors(library: Library) -> None:
    response = client_of(library, "visitor").get(SUMMARY)

    assert (response.status_code, response.json()["permission"]) == (403, "processing.view")


def test_a_retry_lets_the_dead_runs_of_one_photo_start_over(library: Library) -> None:
    photo, other = factories.make_photo(library), factories.make_photo(library)
    dead = factories.make_run(photo, "exif", RunState.DEAD, attempt=3, error_detail="broken")
    done = factories.make_run(photo, "renditions")
    elsewhere = factories.make_run(other, "exif", RunState.DEAD)
    client = client_of(library, "editor")

    response = client.post(f"/api/v1/photos/{photo.pk}/retry")

    assert (response.status_code, response.json()) == (200, {"retried": 1})
    dead.refresh_from_db()
    assert (dead.state, dead.attempt, dead.error_code, dead.error_detail) == ("pending", 0, "", "")
    assert StageRun.objects.get(pk=done.pk).state == "done"
    assert StageRun.objects.get(pk=elsewhere.pk).state == "dead"
    assert client.post(f"/api/v1/photos/{photo.pk}/retry").json() == {"retried": 0}


def test_a_retry_needs_its_permission(library: Library) -> None:
    photo = factories.make_photo(library)
    dead = factories.make_run(photo, "exif", RunState.DEAD)

    visitor = client_of(library, "visitor").post(f"/api/v1/photos/{photo.pk}/retry")
    stranger = client_of(factories.make_library(), "admin").post(f"/api/v1/photos/{photo.pk}/retry")

    assert (visitor.status_code, visitor.json()["permission"]) == (403, "processing.retry")
    assert stranger.status_code == 404
    assert StageRun.objects.get(pk=dead.pk).state == "dead"


def test_face_analysis_is_switched_and_who_did_it_is_kept(library: Library) -> None:
    ModelSelection.objects.create(task="face_detection", model="mtcnn", weights_hash="ab" * 32, in_use=True)
    photo = factories.make_photo(library)
    factories.make_run(photo, "renditions")
    admin = factories.make_member(library, "admin")
    client = factories.client_of(admin)
    address = f"/api/v1/libraries/{library.pk}/face-analysis"

    stale = client.post(address, {"enabled": True, "consent_version": "1999-01"})
    assert (stale.status_code, stale.json()["code"]) == (409, "consent_outdated")
    assert stale.json()["consent_version"] == consent_text.VERSION
    unread = client.post(address, {"enabled": True})
    assert (unread.status_code, unread.json()["errors"][0]["field"]) == (400, "consent_version")
    library.refresh_from_db()
    assert (library.face_analysis, library.consent_records.count()) == (False, 0)
    shown = client.get(address).json()
    assert shown["consent"] == {"version": consent_text.VERSION, "text": consent_text.TEXT}

    on = client.post(address, {"enabled": True, "consent_version": shown["consent"]["version"]})

    assert on.status_code == 200
    assert on.json()["face_analysis_consent_version"] == consent_text.VERSION
    assert on.json()["face_analysis"] is True
    assert on.json()["own_role"] == "admin"
    work = on.json()["face_work"]
    assert (work["erasure"], work["planning"]["state"], work["planning"]["report"]) == (None, "pending", {})
    assert on.json() == client.get(f"/api/v1/libraries/{library.pk}").json() | {
        "face_work": work,
        "consent": shown["consent"],
        "consent_history": on.json()["consent_history"],
    }
    assert on.json() == client.get(address).json()
    library.refresh_from_db()
    assert library.face_analysis is True
    assert library.face_analysis_changed_by == admin
    assert library_work.work(kind="plan", task_id="t", worker="w") == 1
    assert StageRun.objects.get(stage="face_detection").state == "pending"
    assert client.get(address).json()["face_work"]["planning"]["report"] == {"photos": 1, "of": 1, "runs": 4}
    face = factories.make_face(photo, person=factories.make_person(library, name="Ada"))
    assert client.get("/api/v1/people").json()["results"][0]["name"] == "Ada"

    off = client.post(address, {"enabled": False})

    assert (off.status_code, off.json()["face_analysis"]) == (200, False)
    run = StageRun.objects.get(stage="face_detection")
    assert (run.state, run.skip_reason) == ("skipped", "face_analysis_off")
    # invisible at once, gone when the erasure has ended
    assert Face.objects.filter(pk=face.pk).exists()
    assert client.get("/api/v1/people").json()["results"] == []
    assert client.get(f"/api/v1/faces/{face.pk}/chip").status_code == 404
    assert client.get(f"/api/v1/people/{face.person_id}").status_code == 404
    assert client.get(f"/api/v1/photos/{photo.pk}").json()["faces"] == []
    assert client.get("/api/v1/photos?has_faces=true").json()["results"] == []
    assert off.json()["face_work"]["erasure"]["state"] == "pending"
    assert library_work.work(kind="erase_faces", task_id="t", worker="w") == 1
    erasure = client.get(address).json()["face_work"]["erasure"]
    receipt = {"photos": 1, "faces": 1, "embeddings": 0, "people": 1}
    assert (erasure["state"], erasure["report"], erasure["error_code"]) == ("done", receipt, "")
    assert not Face.objects.filter(pk=face.pk).exists()


def test_the_last_turns_of_the_switch_are_told_to_those_who_may_turn_it(library: Library) -> None:
    admin = factories.make_member(library, "admin")
    client, address = factories.client_of(admin), f"/api/v1/libraries/{library.pk}/face-analysis"
    assert client.get(address).json()["consent_history"] == []
    with CaptureQueriesContext(connection) as of_none:
        client.get(address)
    for number in range(21):
        switch_face_analysis(library=library, enabled=number % 2 == 0, by=admin if number else None)
    other = factories.make_library(**factories.FACES_OFF)
    switch_face_analysis(library=other, enabled=True, by=admin)
    with CaptureQueriesContext(connection) as of_many:
        told = client.get(address).json()["consent_history"]
    assert len(of_many) == len(of_none)
    newest = ConsentRecord.objects.filter(library=library).order_by("-id")[:20]
    assert [row["at"] for row in told] == [one.at.isoformat().replace("+00:00", "Z") for one in newest]
    assert told[0] | {"at": None} == {
        "enabled": True, "by": str(admin.pk), "at": None, "text_version": consent_text.VERSION,
    }  # fmt: skip
    assert told[1] | {"at": None} == {"enabled": False, "by": str(admin.pk), "at": None, "text_version": ""}
    admin.delete()
    again = client_of(library, "admin").get(address).json()["consent_history"]
    assert [row["by"] for row in again] == [None] * 20
    for role in ("visitor", "editor"):
        assert client_of(library, role).get(address).json()["consent_history"] == []
    superuser = factories.client_of(factories.make_user(is_superuser=True))
    assert superuser.get(address).json()["consent_history"] == again


def test_the_switch_needs_its_permission(library: Library) -> None:
    address = f"/api/v1/libraries/{library.pk}/face-analysis"

    editor = client_of(library, "editor").post(address, {"enabled": True})
    stranger = client_of(factories.make_library(), "admin").post(address, {"enabled": True})
    missing = client_of(library, "admin").post(f"/api/v1/libraries/{uuid7()}/face-analysis", {"enabled": True})

    assert (editor.status_code, editor.json()["permission"]) == (403, "face_analysis.switch")
    assert (stranger.status_code, missing.status_code) == (404, 404)
    library.refresh_from_db()
    assert (library.face_analysis, library.face_analysis_changed_at) == (False, None)


@pytest.mark.parametrize("body", [{}, {"enabled": "perhaps"}, {"enabled": None}, []])
def test_the_switch_wants_on_or_off(library: Library, body: object) -> None:
    response = client_of(library, "admin").post(f"/api/v1/libraries/{library.pk}/face-analysis", body)

    assert (response.status_code, response.json()["code"]) == (400, "invalid")
    library.refresh_from_db()
    assert library.face_analysis is False
