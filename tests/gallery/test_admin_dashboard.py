"""The front page of the admin: counts, throughput, and what needs a person."""

import json
from datetime import timedelta
from http import HTTPStatus

import factories
import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from accounts.models import Library
from processing.kinds import registry as kinds
from processing.models import Canary, LibraryRun, ModelSelection, RunState, WorkerPresence
from processing.stages import registry

pytestmark = pytest.mark.django_db


@pytest.fixture
def library() -> Library:
    # where nobody wants faces, no model is missed
    return factories.make_library(**factories.FACES_OFF)


@pytest.fixture
def admin(client: Client) -> Client:
    client.force_login(factories.make_user(is_staff=True, is_superuser=True))
    return client


def notices(client: Client) -> list[tuple[str, str, str]]:
    return [(one.title, one.detail, one.url) for one in client.get("/admin/").context["notices"]]


def test_a_queue_whose_workers_take_no_messages_is_said(admin: Client) -> None:
    now = timezone.now()
    worker = {"started_at": now - timedelta(hours=1), "seen_at": now}
    WorkerPresence.objects.create(name="w@here", queues=["ingest", "people"], **worker)
    Canary.objects.create(queue="ingest", rung_at=now - timedelta(minutes=10))
    Canary.objects.create(queue="people", rung_at=now - timedelta(minutes=10), moved_at=now)
    [(title, detail, url)] = notices(admin)
    assert title == "The workers of ingest take no messages"
    assert detail.endswith("one sent 10 minutes ago was not answered")
    assert url == "/admin/pipeline/"


def test_a_broker_that_is_away_is_said(admin: Client, settings: Settings) -> None:
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"
    [(title, detail, url)] = notices(admin)
    assert (title, url) == ("Redis takes no messages", "/admin/pipeline/")
    assert detail.startswith("It does not answer: Error 111 connecting to 127.0.0.1:1.")
    assert detail.endswith("Uploads are kept, and their work begins when Redis is back")


def test_photos_are_counted_by_state(admin: Client, library: Library) -> None:
    for state in ("done", "done", "running", "dead"):
        factories.make_run(factories.make_photo(library), state=state)
    cards = {card["state"]: (card["shown"], card["url"]) for card in admin.get("/admin/").context["photo_cards"]}
    assert cards == {
        "ready": ("2", "/admin/photos/photo/?state=ready"),
        "processing": ("1", "/admin/photos/photo/?state=processing"),
        "pending": ("0", "/admin/photos/photo/?state=pending"),
        "attention": ("1", "/admin/photos/photo/?state=attention"),
    }


def test_runs_are_counted_by_stage_and_state(admin: Client, library: Library) -> None:
    photo = factories.make_photo(library)
    factories.make_run(photo, "exif")
    factories.make_run(photo, "renditions", RunState.PENDING, queued_at=timezone.now() - timedelta(seconds=3725))
    LibraryRun.objects.create(
        library=library, kind="people", version="1", state=RunState.DONE, finished_at=timezone.now()
    )
    context = admin.get("/admin/").context
    rows = {row["name"]: row for row in context["stage_rows"]}
    assert list(rows) == [*(stage.name for stage in registry.all_stages()), *(kind.name for kind in kinds.all_kinds())]
    states = [state for state, _name in context["run_states"]]
    counts = {
        name: dict(zip(states, [cell["count"] for cell in row["cells"]], strict=True)) for name, row in rows.items()
    }
    assert counts["exif"] == {"waiting": 0, "pending": 0, "running": 0, "done": 1, "skipped": 0, "dead": 0}
    assert counts["renditions"]["pending"] == 1
    assert counts["people"]["done"] == 1
    assert rows["renditions"]["oldest"] == "1 h 2 min"
    assert rows["exif"]["oldest"] is None
    assert rows["people"]["url"] == "/admin/processing/libraryrun/?kind=people"
    assert rows["exif"]["cells"][3]["url"] == "/admin/processing/stagerun/?stage=exif&state__exact=done"


def test_every_link_leads_somewhere(admin: Client, library: Library) -> None:
    factories.make_run(factories.make_photo(library), "exif", RunState.DEAD)
    context = admin.get("/admin/").context
    links = [card["url"] for card in context["photo_cards"]] + [one.url for one in context["notices"]]
    for row in context["stage_rows"]:
        links += [row["url"], *(cell["url"] for cell in row["cells"])]
    assert len(links) > 30
    for link in set(links):
        assert admin.get(link).status_code == HTTPStatus.OK, link


def test_quiet_is_said(admin: Client) -> None:
    response = admin.get("/admin/")
    assert response.context["notices"] == []
    assert "Nothing waits for a person." in response.content.decode()


def test_dead_runs_need_attention_and_so_do_those_behind_them(admin: Client, library: Library) -> None:
    photo = factories.make_photo(library)
    for one in (photo, factories.make_photo(library)):
        factories.make_run(one, "renditions", RunState.DEAD, error_code="damaged")
    factories.make_run(photo, "exif", RunState.DEAD, error_code="timed_out")
    factories.make_run(photo, "face_detection", RunState.WAITING)
    LibraryRun.objects.create(
        library=library,
        kind="people",
        version="1",
        state=RunState.DEAD,
        error_code="unexpected_error",
        finished_at=timezone.now(),
    )
    runs, dead = "/admin/processing/stagerun/", "/admin/dead_letters/"
    assert notices(admin) == [
        ("2 dead runs of renditions", "damaged", f"{dead}?work=renditions&error_code=damaged"),
        ("1 dead run of exif", "timed_out", f"{dead}?work=exif&error_code=timed_out"),
        ("1 dead run of people", "unexpected_error", f"{dead}?work=people&error_code=unexpected_error"),
        (
            "1 blocked run of face_detection",
            "waits for a dead run: it moves when that is retried",
            f"{runs}?stage=face_detection&state__exact=waiting",
        ),
    ]


def test_pending_runs_that_nobody_can_claim_are_said(admin: Client, library: Library) -> None:
    photo = factories.make_photo(library)
    for task, model in (("face_detection", "mtcnn"), ("face_embedding", "dlib-resnet-v1")):
        ModelSelection.objects.create(task=task, model=model, weights_hash="ab" * 32, in_use=True)
    version = registry.get("face_detection").planned_versions()[0]
    factories.make_run(photo, "exif", RunState.PENDING)
    factories.make_run(photo, "face_detection", RunState.PENDING, version=version)
    now = timezone.now()
    WorkerPresence.objects.create(name="cpu", queues=["faces"], processes=2, device="cpu", started_at=now, seen_at=now)
    assert [(title, detail) for title, detail, _url in notices(admin)] == [
        ("1 pending run of exif", "no live worker of the queue “ingest” takes them (no_worker)"),
        ("1 pending run of face_detection", "no live worker of the queue “faces” has the model (model_not_installed)"),
    ]
    queues = {queue["name"]: queue["detail"] for queue in admin.get("/admin/").context["queues"]}
    assert queues == {
        "ingest": "no worker",
        "faces": "1 worker, 2 processes, cpu",
        "embeddings": "no worker",
        "people": "no worker",
        "maintenance": "no worker",
    }


def test_a_task_without_a_model_is_said_where_faces_are_wanted(admin: Client, library: Library) -> None:
    ModelSelection.objects.create(task="face_detection", model="mtcnn", weights_hash="ab" * 32, in_use=True)
    assert notices(admin) == []
    Library.objects.filter(pk=library.pk).update(face_analysis=True, face_analysis_changed_at=timezone.now())
    assert [title for title, _detail, _url in notices(admin)] == [
        "No model in use for face_embedding",
        "No model in use for image_embedding",
    ]


def test_the_chart_shows_the_last_hour(admin: Client, library: Library) -> None:
    now = timezone.now()
    for minutes, state in ((0, RunState.DONE), (0, RunState.DONE), (30, RunState.DONE), (30, RunState.DEAD)):
        photo = factories.make_photo(library)
        factories.make_run(photo, "exif", state, finished_at=now - timedelta(minutes=minutes))
    factories.make_run(factories.make_photo(library), "exif", finished_at=now - timedelta(minutes=70))
    chart = admin.get("/admin/").context["chart"]
    data = json.loads(chart["data"])
    assert len(data["labels"]) == 13
    series = {one["label"]: one["data"] for one in data["datasets"]}
    assert list(series) == [
        "exif",
        "place",
        "renditions",
        "face_detection",
        "face_embedding",
        "image_embedding",
        "dead",
    ]
    assert series["exif"] == [0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 2]
    assert series["dead"] == [0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]
    assert chart["done"] == "3"


def test_the_page_costs_the_same_queries_however_much_there_is(admin: Client, library: Library) -> None:
    for state in RunState:
        factories.make_run(factories.make_photo(library), state=state)
    admin.get("/admin/")
    with CaptureQueriesContext(connection) as few:
        admin.get("/admin/")
    for state in RunState:
        for _ in range(5):
            factories.make_run(factories.make_photo(library), state=state)
    with CaptureQueriesContext(connection) as many:
        admin.get("/admin/")
    assert len(many) == len(few)


def test_staff_see_what_they_may(client: Client, library: Library) -> None:
    factories.make_run(factories.make_photo(library), "exif", RunState.DEAD)
    factories.make_run(factories.make_photo(factories.make_library()), "exif", RunState.DEAD)
    user = factories.make_member(library, "editor")
    user.is_staff = True
    user.save()
    client.force_login(user)
    context = client.get("/admin/").context
    assert "photo_cards" not in context
    assert "stage_rows" not in context
    user.user_permissions.set(Permission.objects.filter(codename__in=["view_photo", "view_stagerun"]))
    context = client.get("/admin/").context
    assert {card["state"]: card["shown"] for card in context["photo_cards"]}["attention"] == "1"
    assert [one.title for one in context["notices"]] == ["1 dead run of exif"]
    assert sum(json.loads(context["chart"]["data"])["datasets"][-1]["data"]) == 1
    visitor = factories.make_member(library, "visitor")
    visitor.is_staff = True
    visitor.save()
    visitor.user_permissions.set(Permission.objects.filter(codename__in=["view_stagerun"]))
    client.force_login(visitor)
    assert client.get("/admin/").context["notices"] == []
