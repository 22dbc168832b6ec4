"""All that is known of one photo, as far as the caller may see it."""

from collections.abc import Callable
from datetime import datetime, timedelta

import factories
import pytest
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from uuid_utils.compat import uuid7

from accounts.models import Library, Membership, Role
from accounts.roles import Permission
from photos.models import Photo
from photos.services import trash
from processing.models import RunState, WorkerPresence
from processing.stages import registry

pytestmark = pytest.mark.django_db

PHOTOS = "/api/v1/photos"


@pytest.fixture
def library() -> Library:
    return factories.make_library()


@pytest.fixture
def client(library: Library) -> Client:
    return factories.client_of(factories.make_member(library, "editor"))


def as_json(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


@pytest.fixture
def full_photo(library: Library) -> Photo:
    """A photo with one of everything."""
    photo = factories.make_photo(library)
    factories.make_rendition(photo, "preview")
    factories.make_metadata(
        photo,
        camera_make="Canon",
        iso=100,
        latitude=48.5,
        longitude=9.25,
        keywords=["sea"],
        tags={"EXIF:Contrast": "0"},
        warnings=[{"field": "lens", "code": "absurd"}],
    )
    factories.make_face(photo, person=factories.make_person(library, name="Ada"))
    return photo


def test_all_that_is_known_of_a_photo(client: Client, full_photo: Photo) -> None:
    face = full_photo.faces.get()

    response = client.get(f"{PHOTOS}/{full_photo.pk}")

    found = response.json()
    assert response.status_code == 200
    assert found["original_url"] == f"http://testserver{PHOTOS}/{full_photo.pk}/original"
    assert [rendition["kind"] for rendition in found["renditions"]] == ["preview"]
    metadata = found["metadata"]
    known = {name: metadata[name] for name in metadata if metadata[name] not in (None, "")}
    assert known == {
        "camera_make": "Canon",
        "iso": 100,
        "latitude": 48.5,
        "longitude": 9.25,
        "keywords": ["sea"],
        "tags": {"EXIF:Contrast": "0"},
        "warnings": [{"field": "lens", "code": "absurd"}],
    }
    assert len(metadata) == 29
    chip_url = found["faces"][0].pop("chip_url")
    assert found["faces"] == [
        {
            "id": str(face.pk),
            "box": {"left": 0.25, "top": 0.125, "right": 0.5, "bottom": 0.375},
            "landmarks": [[0.3, 0.2], [0.4, 0.2], [0.35, 0.25], [0.3, 0.3], [0.4, 0.3]],
            "confidence": 0.99,
            "quality": 0.5,
            "person": {"id": str(face.person_id), "name": "Ada"},
            "person_decided": False,
        }
    ]
    assert chip_url.startswith(f"http://testserver/api/v1/faces/{face.pk}/chip?v=")


def test_faces_below_the_floor_are_not_shown(client: Client, full_photo: Photo) -> None:
    kept = full_photo.faces.get()
    factories.make_face(full_photo, confidence=0.9)
    stranger = factories.make_face(full_photo, left=0.6, right=0.8)

    faces = client.get(f"{PHOTOS}/{full_photo.pk}").json()["faces"]

    assert [face["id"] for face in faces] == [
        str(kept.pk),
        str(stranger.pk),
    ]
    assert faces[1]["person"] is None


@pytest.fixture
def blind(library: Library) -> Client:
    """A client of somebody who sees photos and may not see people."""
    user = factories.make_user()
    role = Role.objects.create(name="no people", permissions=[Permission.VIEW_PHOTOS])
    Membership.objects.create(library=library, user=user, role=role)
    return factories.client_of(user)


def test_faces_are_not_shown_to_whoever_may_not_see_people(blind: Client, full_photo: Photo) -> None:
    assert blind.get(f"{PHOTOS}/{full_photo.pk}").json()["faces"] == []


def test_stages_are_told_in_their_order(client: Client, library: Library) -> None:
    photo = factories.make_photo(library)
    started = timezone.now()
    factories.make_run(photo, "face_detection", RunState.SKIPPED, skip_reason="face_analysis_off")
    factories.make_run(
        photo,
        "renditions",
        RunState.DEAD,
        attempt=3,
        error_code="damaged",
        error_detail="truncated at /srv/originals",
        started_at=started,
        finished_at=started + timedelta(seconds=1.5),
    )
    factories.make_run(
        photo,
        "exif",
        attempt=1,
        work_seconds=0.25,
        warnings=[{"field": "lens", "code": "absurd"}],
        started_at=started,
        finished_at=started + timedelta(seconds=0.5),
    )

    stages = client.get(f"{PHOTOS}/{photo.pk}").json()["stages"]

    unset = {
        "version": "v1",
        "attempt": 0,
        "queued_at": None,
        "started_at": None,
        "finished_at": None,
        "duration_seconds": None,
        "work_seconds": None,
        "skip_reason": "",
        "error_code": "",
        "error_detail": "",
        "warnings": [],
        "obstacle": "",
    }
    assert stages[0] == unset | {
        "stage": "exif",
        "state": "done",
        "attempt": 1,
        "started_at": as_json(started),
        "finished_at": as_json(started + timedelta(seconds=0.5)),
        "duration_seconds": 0.5,
        "work_seconds": 0.25,
        "warnings": [{"field": "lens", "code": "absurd"}],
    }
    assert stages[1] == unset | {
        "stage": "renditions",
        "state": "dead",
        "attempt": 3,
        "started_at": as_json(started),
        "finished_at": as_json(started + timedelta(seconds=1.5)),
        "duration_seconds": 1.5,
        "error_code": "damaged",
        "error_detail": "truncated at /srv/originals",
    }
    assert (stages[2]["stage"], stages[2]["skip_reason"]) == ("face_detection", "face_analysis_off")


def test_what_keeps_a_pending_run_from_moving_is_told(client: Client, library: Library) -> None:
    photo = factories.make_photo(library)
    exif = registry.get("exif")
    factories.make_run(photo, "exif", RunState.PENDING, version=exif.base_version)
    factories.make_run(photo, "renditions", RunState.PENDING)

    def obstacles() -> dict[str, str]:
        stages = client.get(f"{PHOTOS}/{photo.pk}").json()["stages"]
        return {stage["stage"]: stage["obstacle"] for stage in stages}

    assert obstacles() == {"exif": "no_worker", "renditions": "no_worker"}

    now = timezone.now()
    WorkerPresence.objects.create(
        name="a", queues=["ingest"], versions={"exif": [exif.base_version]}, started_at=now, seen_at=now
    )
    assert obstacles() == {"exif": "", "renditions": "no_worker"}


def test_a_run_of_a_stage_that_is_no_more_is_told(client: Client, library: Library) -> None:
    photo = factories.make_photo(library)
    factories.make_run(photo, "exif")
    factories.make_run(photo, "abolished")

    stages = client.get(f"{PHOTOS}/{photo.pk}").json()["stages"]

    assert [stage["stage"] for stage in stages] == ["exif", "abolished"]


def test_errors_in_detail_are_for_whoever_sees_processing(library: Library) -> None:
    photo = factories.make_photo(library)
    factories.make_run(photo, "exif", RunState.DEAD, error_detail="OSError: /srv/secret")
    visitor = factories.client_of(factories.make_member(library, "visitor"))

    response = visitor.get(f"{PHOTOS}/{photo.pk}")

    assert response.json()["stages"][0]["error_code"] == "damaged"
    assert response.json()["stages"][0]["error_detail"] is None
    assert b"secret" not in response.content


def test_a_photo_costs_the_same_queries_whatever_it_has(
    client: Client, full_photo: Photo, library: Library, django_assert_num_queries: Callable[..., CaptureQueriesContext]
) -> None:
    factories.make_run(full_photo, "exif")
    client.get(f"{PHOTOS}/{full_photo.pk}")  # the first look is counted
    # the account, the photo, renditions, faces with their people, tags, runs, the permission to read errors
    with django_assert_num_queries(7):
        client.get(f"{PHOTOS}/{full_photo.pk}")
    for number in range(5):
        factories.make_face(full_photo, person=factories.make_person(library))
        factories.make_rendition(full_photo, f"thumb_{number}")
        factories.make_run(full_photo, "renditions", RunState.PENDING, version=f"v{number}")
    # and, since runs are pending, the live workers
    with django_assert_num_queries(8):
        response = client.get(f"{PHOTOS}/{full_photo.pk}")
    assert len(response.json()["faces"]) == 6
    assert len(response.json()["stages"]) == 6


def test_a_foreign_photo_is_as_one_that_is_not_there(client: Client, library: Library) -> None:
    trashed = factories.make_photo(library)
    trash.move_to_trash(photo_ids=[trashed.pk])
    foreign = factories.make_photo(factories.make_library())

    answers = [client.get(f"{PHOTOS}/{key}") for key in (foreign.pk, trashed.pk, uuid7(), "nonsense", "1")]

    assert [answer.status_code for answer in answers] == [404] * 5
    assert all(answer.json() == answers[0].json() for answer in answers)
    assert answers[0].json() == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "There is nothing here, or you may not see it.",
        "code": "not_found",
    }


def test_photos_are_not_replaced(client: Client, full_photo: Photo) -> None:
    response = client.put(f"{PHOTOS}/{full_photo.pk}", {"width": 1})

    assert (response.status_code, response.json()["code"]) == (405, "method_not_allowed")
    assert Photo.objects.filter(pk=full_photo.pk, width=40).exists()


def test_a_stage_that_only_another_release_knows_is_told_as_well(client: Client, library: Library) -> None:
    photo = factories.make_photo(library)
    factories.make_run(photo, "telepathy", RunState.PENDING)

    def told() -> list[tuple[str, str, str]]:
        response = client.get(f"{PHOTOS}/{photo.pk}")
        assert response.status_code == 200
        return [(stage["stage"], stage["state"], stage["obstacle"]) for stage in response.json()["stages"]]

    assert told() == [("telepathy", "pending", "no_worker")]
    now = timezone.now()
    WorkerPresence.objects.create(
        name="newer", queues=["minds"], versions={"telepathy": ["v1"]}, started_at=now, seen_at=now
    )
    assert told() == [("telepathy", "pending", "")]
