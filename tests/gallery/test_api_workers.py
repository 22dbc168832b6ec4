"""Workers in the API. For superusers alone."""

from collections.abc import Callable
from datetime import timedelta

import factories
import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import User
from processing.models import LibraryRun, RunState, WorkerPresence

pytestmark = pytest.mark.django_db

WORKERS = "/api/v1/admin/workers"


def test_workers_say_what_they_can_and_hold(django_assert_num_queries: Callable[..., object]) -> None:
    client = factories.client_of(factories.make_user(is_superuser=True))
    library, now = factories.make_library(), timezone.now()
    started = now - timedelta(hours=2)
    WorkerPresence.objects.create(
        name="faces@host2",
        queues=["faces", "people"],
        versions={"face_detection": ["1.aa.mtcnn.bb"]},
        device="cuda",
        processes=1,
        memory_bytes=1_500_000_000,
        started_at=started,
        seen_at=now,
    )
    WorkerPresence.objects.create(
        name="ingest@host1", queues=["ingest"], started_at=started, seen_at=now - timedelta(minutes=3)
    )
    factories.make_run(factories.make_photo(library), "face_detection", RunState.RUNNING, worker="faces@host2")
    LibraryRun.objects.create(
        library=library,
        kind="people",
        version="v1",
        state=RunState.RUNNING,
        lease_token=library.pk,
        lease_until=now,
        started_at=now,
        worker="faces@host2",
    )

    with django_assert_num_queries(4):  # who asks, workers, and each ledger
        response = client.get(WORKERS)

    assert response.status_code == 200
    faces, ingest = response.json()["workers"]
    assert 0 <= faces.pop("last_seen_seconds_ago") < 30
    assert faces == {
        "name": "faces@host2",
        "host": "host2",
        "queues": ["faces", "people"],
        "models": ["mtcnn"],
        "versions": {"face_detection": ["1.aa.mtcnn.bb"]},
        "device": "cuda",
        "processes": 1,
        "running": 2,
        "running_by_work": {"face_detection": 1, "people": 1},
        "memory_bytes": 1_500_000_000,
        "started_at": started.isoformat().replace("+00:00", "Z"),
        "last_seen": now.isoformat().replace("+00:00", "Z"),
        "is_alive": True,
        "draining_since": None,
    }
    assert (ingest["name"], ingest["is_alive"], ingest["running"], ingest["models"]) == ("ingest@host1", False, 0, [])
    assert 180 <= ingest["last_seen_seconds_ago"] < 210


def test_without_workers_the_list_is_empty() -> None:
    client = factories.client_of(factories.make_user(is_superuser=True))

    assert client.get(WORKERS).json() == {"workers": []}


def test_nobody_else_sees_them() -> None:
    library = factories.make_library()
    staff = factories.make_member(library, "admin")
    User.objects.filter(pk=staff.pk).update(is_staff=True)

    assert APIClient().get(WORKERS).status_code == 401
    for user in (factories.make_member(library, "visitor"), factories.make_member(library, "admin"), staff):
        response = factories.client_of(user).get(WORKERS)
        assert (response.status_code, response.json()["code"]) == (403, "permission_denied")
        assert response.json()["detail"] == "This is for whoever runs the installation."
