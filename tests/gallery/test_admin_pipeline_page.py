"""The pipeline page: stages with their switch, workers, canaries; and what the dashboard says of a pause."""

from datetime import timedelta
from http import HTTPStatus
from typing import Any

import factories
import pytest
from django.conf import settings
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Library, User
from gallery.admin.pipeline import CanaryRow, StageRow, WorkerRow
from processing import backlog
from processing.models import Canary, LibraryRun, RunState, StagePause, WorkerPresence
from processing.stages import registry

pytestmark = pytest.mark.django_db

PAGE = "/admin/pipeline/"
RUNS = "/admin/processing/stagerun/"
SUBMITTED = {"_form_submitted": "True"}
REASON = "the bucket moves to another host"


@pytest.fixture
def library() -> Library:
    # where nobody wants faces, no model is missed
    return factories.make_library(**factories.FACES_OFF)


@pytest.fixture
def superuser() -> User:
    return factories.make_user(email="ada@example.org", is_staff=True, is_superuser=True)


@pytest.fixture
def admin(client: Client, superuser: User) -> Client:
    client.force_login(superuser)
    return client


def stages(client: Client) -> dict[str, StageRow]:
    return {row.status.name: row for row in client.get(PAGE).context["stages"]}


def cells(row: StageRow) -> dict[str, tuple[str, str]]:
    return {cell.label: (cell.shown, cell.url) for cell in row.cells}


def conditions(row: StageRow) -> list[tuple[str, str, str]]:
    return [(one.tone, one.label, one.detail) for one in row.conditions]


def workers(client: Client) -> dict[str, WorkerRow]:
    return {row.status.name: row for row in client.get(PAGE).context["workers"]}


def canaries(client: Client) -> dict[str, CanaryRow]:
    return {row.queue: row for row in client.get(PAGE).context["canaries"]}


def content(client: Client, url: str = PAGE) -> str:
    """Give a page as a person reads it: with single spaces."""
    return " ".join(client.get(url).content.decode().split())


def make_worker(name: str, queues: list[str], **values: Any) -> WorkerPresence:
    now = timezone.now()
    versions = {stage.name: stage.planned_versions() for stage in registry.all_stages()}
    there = {"started_at": now - timedelta(hours=30, minutes=10), "seen_at": now, "processes": 2, "versions": versions}
    return WorkerPresence.objects.create(name=name, queues=queues, **{**there, **values})


def staff(*permissions: str) -> User:
    user = factories.make_user(is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return user


# stages


def test_each_stage_says_how_much_there_is(admin: Client, library: Library) -> None:
    now = timezone.now()
    for state in ("waiting", "running", "dead", "done", "done", "skipped"):
        factories.make_run(factories.make_photo(library), "renditions", state)
    long_ago = now - timedelta(hours=2)
    factories.make_run(factories.make_photo(library), "renditions", "dead", finished_at=long_ago)
    factories.make_run(factories.make_photo(library), "renditions", "done", finished_at=long_ago)
    factories.make_run(
        factories.make_photo(library), "exif", "pending", queued_at=now - timedelta(hours=1, seconds=130)
    )
    found = stages(admin)
    assert list(found) == list(backlog.queues())
    renditions = found["renditions"]
    runs = f"{RUNS}?stage=renditions&state__exact"
    dead = "/admin/dead_letters/?work=renditions"
    assert cells(renditions) == {
        "waiting": ("1", f"{runs}=waiting"),
        "pending": ("0", f"{runs}=pending"),
        "running": ("1", f"{runs}=running"),
        "died in the last hour": ("1", dead),
        "dead": ("2", dead),
    }
    assert (renditions.rate, renditions.oldest) == ("0.4", "")
    assert (found["exif"].oldest, cells(found["exif"])["pending"][0]) == ("1 h 2 min", "1")
    assert cells(found["people"])["dead"] == ("0", "/admin/dead_letters/?work=people")
    for row in found.values():
        for url in (row.url, *(cell.url for cell in row.cells)):
            assert admin.get(url).status_code == HTTPStatus.OK, url


def test_a_stage_says_whether_it_works(admin: Client, library: Library) -> None:
    make_worker("ingest@host", ["ingest"])
    factories.make_run(factories.make_photo(library), "renditions", "running")
    factories.make_run(
        factories.make_photo(library), "exif", "pending", version=registry.get("exif").planned_versions()[0]
    )
    LibraryRun.objects.create(
        library=library, kind="people", version="1", state=RunState.PENDING, queued_at=timezone.now()
    )
    found = stages(admin)
    assert conditions(found["renditions"]) == [("success", "working", "")]
    assert conditions(found["exif"]) == [("info", "pending", "")]
    assert conditions(found["face_detection"]) == [("default", "idle", "")]
    no_worker = "no live worker of the queue “people” takes them"
    assert conditions(found["people"]) == [("warning", "no_worker", no_worker)]


def test_counts_end_where_counting_ends(admin: Client, library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "COUNT_LIMIT", 2)
    for _ in range(3):
        factories.make_run(factories.make_photo(library), "exif", "pending")
    assert cells(stages(admin)["exif"])["pending"][0] == "2+"


def test_a_stage_is_paused_with_a_reason_and_resumed(admin: Client, superuser: User) -> None:
    url = f"{PAGE}renditions/pause/"
    assert f'hx-get="{url}"' in content(admin)
    dialog = admin.get(url).content.decode()
    assert "Pause renditions?" in dialog
    assert "Nothing more of it is claimed, by any worker, until it is resumed. What runs is finished." in dialog
    for reason in ("", " ", "x" * 201):
        response = admin.post(url, SUBMITTED | {"reason": reason})
        assert 'id="dialog-form"' in response.content.decode()
        assert "HX-Refresh" not in response
        assert not StagePause.objects.exists()
    assert admin.post(url, SUBMITTED | {"reason": REASON})["HX-Refresh"] == "true"
    pause = StagePause.objects.get()
    assert (pause.work, pause.paused_by, pause.reason, pause.is_circuit) == ("renditions", superuser, REASON, False)
    since = f"{timezone.localtime(pause.paused_at):%Y-%m-%d %H:%M:%S}"
    response = admin.get(PAGE)
    assert [str(message) for message in response.context["messages"]] == ["renditions is paused."]
    found = {row.status.name: row for row in response.context["stages"]}
    assert conditions(found["renditions"]) == [("warning", "paused", f"by ada@example.org since {since}: {REASON}")]
    assert conditions(found["exif"]) == [("default", "idle", "")]
    resume = f"{PAGE}renditions/resume/"
    assert f'hx-get="{resume}"' in content(admin)
    assert "Resume renditions?" in admin.get(resume).content.decode()
    assert StagePause.objects.count() == 1
    assert admin.post(resume, SUBMITTED)["HX-Refresh"] == "true"
    assert not StagePause.objects.exists()
    assert [str(message) for message in admin.get(PAGE).context["messages"]] == ["renditions goes on."]


def test_library_work_is_paused_too(admin: Client) -> None:
    admin.post(f"{PAGE}people/pause/", SUBMITTED | {"reason": REASON})
    assert StagePause.objects.get().work == "people"


def test_the_circuit_says_when_it_tries_again(admin: Client) -> None:
    now = timezone.now()
    StagePause.objects.create(
        work="exif",
        paused_at=now - timedelta(hours=1),
        reason="Paused by itself.",
        error_code="storage_unavailable",
        probe_at=now + timedelta(hours=1, minutes=30, seconds=30),
        probes=4,
    )
    since = f"{timezone.localtime(now - timedelta(hours=1)):%Y-%m-%d %H:%M:%S}"
    said = f"storage_unavailable since {since}, tries again in 1 h 30 min (4 tries so far)"
    assert conditions(stages(admin)["exif"]) == [("danger", "paused by itself", said)]
    StagePause.objects.update(probe_at=now - timedelta(seconds=5))
    said = f"storage_unavailable since {since}, tries again now (4 tries so far)"
    assert conditions(stages(admin)["exif"]) == [("danger", "paused by itself", said)]


def test_a_pause_outlives_who_made_it(admin: Client) -> None:
    pause = StagePause.objects.create(work="exif", reason="")
    since = f"{timezone.localtime(pause.paused_at):%Y-%m-%d %H:%M:%S}"
    assert conditions(stages(admin)["exif"]) == [("warning", "paused", f"by somebody since {since}")]


def test_a_reason_says_nothing_to_the_browser(admin: Client) -> None:
    StagePause.objects.create(work="exif", reason="<script>alert(1)</script>")
    for page in (content(admin), content(admin, "/admin/")):
        assert "<script>alert(1)</script>" not in page
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


@pytest.mark.parametrize("switch", ["pause", "resume"])
def test_work_that_there_is_not_has_no_switch(admin: Client, switch: str) -> None:
    assert admin.post(f"{PAGE}nonsense/{switch}/", SUBMITTED | {"reason": REASON}).status_code == HTTPStatus.NOT_FOUND
    assert not StagePause.objects.exists()


# workers and canaries


def test_workers_say_how_they_are(admin: Client, library: Library) -> None:
    now = timezone.now()
    make_worker("ingest@alpha", ["ingest"], memory_bytes=700 * 2**20)
    make_worker(
        "faces@gpu.example.org", ["faces", "embeddings"], device="cuda", draining_since=now - timedelta(hours=2)
    )
    make_worker("people@beta", ["people"], seen_at=now - timedelta(hours=1, minutes=5, seconds=30))
    for stage in ("exif", "exif", "renditions"):
        factories.make_run(factories.make_photo(library), stage, "running", worker="ingest@alpha")
    found = workers(admin)
    assert list(found) == ["faces@gpu.example.org", "ingest@alpha", "people@beta"]
    ingest = found["ingest@alpha"]
    assert (ingest.node, ingest.status.host, ingest.status.running, ingest.running) == (
        "ingest", "alpha", 3, "exif 2, renditions 1",
    )  # fmt: skip
    assert (ingest.memory, ingest.up) == ("700.0\xa0MB", "1 d 6 h")
    said = {name: (row.condition.tone, row.condition.label, row.condition.detail) for name, row in found.items()}
    assert said == {
        "ingest@alpha": ("success", "alive", ""),
        "faces@gpu.example.org": ("warning", "draining", "takes nothing new for 2 h 0 min"),
        "people@beta": ("danger", "silent", "not heard of for 1 h 5 min"),
    }
    page = content(admin)
    for text in ("cuda", "faces, embeddings", "1 h 5 min ago", "gpu.example.org"):
        assert text in page


def test_that_no_worker_is_there_is_said(admin: Client) -> None:
    assert "No worker was there within the last day." in content(admin)


def test_canaries_say_which_queue_is_deaf(admin: Client) -> None:
    now = timezone.now()
    make_worker("ingest@alpha", ["ingest"])
    make_worker("people@beta", ["people", "maintenance"])
    long_ago = now - timedelta(hours=1, seconds=130)
    Canary.objects.create(queue="ingest", rung_at=long_ago, moved_at=long_ago - timedelta(hours=1))
    Canary.objects.create(queue="people", rung_at=long_ago, moved_at=long_ago, worker="people@beta")
    # nobody serves it: that is said of the stage, and the canary just waits
    Canary.objects.create(queue="faces", rung_at=long_ago)
    found = {queue: (row.dot, row.said) for queue, row in canaries(admin).items()}
    assert list(found) == list(settings.QUEUES)
    assert found == {
        "ingest": ("off", "deaf: rung 1 h 2 min ago, and nobody answers"),
        "faces": ("idle", "rung 1 h 2 min ago, no answer yet"),
        "embeddings": ("idle", "not rung yet"),
        "people": ("on", "answered 1 h 2 min ago by people@beta"),
        "maintenance": ("idle", "not rung yet"),
    }


def test_the_page_costs_the_same_queries_however_much_there_is(admin: Client, library: Library) -> None:
    def make(count: int) -> None:
        for _ in range(count):
            for state in RunState:
                factories.make_run(factories.make_photo(library), "exif", state)
            make_worker(f"worker{WorkerPresence.objects.count()}@host", ["ingest"])

    Canary.objects.create(queue="ingest", rung_at=timezone.now())
    make(1)
    StagePause.objects.create(work="exif", paused_by=factories.make_user())
    admin.get(PAGE)
    with CaptureQueriesContext(connection) as few:
        admin.get(PAGE)
    make(7)
    StagePause.objects.create(work="renditions", paused_by=factories.make_user())
    with CaptureQueriesContext(connection) as many:
        admin.get(PAGE)
    assert len(many) == len(few)


# who may


def test_only_superusers_pause(client: Client) -> None:
    user = staff("view_stagepause", "change_stagepause", "add_stagepause", "delete_stagepause")
    StagePause.objects.create(work="exif", reason=REASON)
    client.force_login(user)
    page = content(client)
    assert f"since {timezone.localtime(StagePause.objects.get().paused_at):%Y-%m-%d %H:%M:%S}: {REASON}" in page
    assert "/pause/" not in page
    assert "/resume/" not in page
    for address in ("renditions/pause/", "exif/resume/"):
        assert client.get(f"{PAGE}{address}").status_code == HTTPStatus.FORBIDDEN
        assert client.post(f"{PAGE}{address}", SUBMITTED | {"reason": REASON}).status_code == HTTPStatus.FORBIDDEN
    assert [pause.work for pause in StagePause.objects.all()] == ["exif"]
    # nor are there links to what they may not open
    assert {url for row in stages(client).values() for url in (row.url, *(cell.url for cell in row.cells))} == {""}


def test_staff_need_a_permission(client: Client) -> None:
    client.force_login(staff("view_stagerun"))
    assert client.get(PAGE).status_code == HTTPStatus.FORBIDDEN
    titles = [one["title"] for group in client.get("/admin/").context["sidebar_navigation"] for one in group["items"]]
    assert "Pipeline" not in titles
    client.force_login(staff("view_stagepause"))
    assert client.get(PAGE).status_code == HTTPStatus.OK
    titles = [one["title"] for group in client.get("/admin/").context["sidebar_navigation"] for one in group["items"]]
    assert titles == ["Dashboard", "Pipeline"]
    client.logout()
    assert client.get(PAGE)["Location"] == f"/admin/login/?next={PAGE}"


def test_a_forged_form_pauses_nothing(superuser: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(superuser)
    answer = client.post(f"{PAGE}exif/pause/", SUBMITTED | {"reason": REASON})
    assert answer.status_code == HTTPStatus.FORBIDDEN
    assert not StagePause.objects.exists()


# the dashboard


def test_the_dashboard_says_what_is_paused(admin: Client, client: Client) -> None:
    now = timezone.now()
    ada = User.objects.get(email="ada@example.org")
    StagePause.objects.create(work="renditions", paused_by=ada, paused_at=now, reason=REASON)
    StagePause.objects.create(
        work="exif", paused_at=now, error_code="storage_unavailable", probe_at=now + timedelta(hours=2, seconds=30)
    )
    since = f"{timezone.localtime(now):%Y-%m-%d %H:%M:%S}"
    context = admin.get("/admin/").context
    assert [(one.tone, one.title, one.detail, one.url) for one in context["notices"]] == [
        (
            "danger",
            "exif is paused by itself",
            f"storage_unavailable since {since}, tries again in 2 h 0 min (0 tries so far)",
            PAGE,
        ),
        ("warning", "renditions is paused", f"by ada@example.org since {since}: {REASON}", PAGE),
    ]
    paused = [row["name"] for row in context["stage_rows"] if row["is_paused"]]
    assert paused == ["exif", "renditions"]
    assert content(admin, "/admin/").count('<span class="dr-paused">paused</span>') == 2
    # whoever may not open the pipeline page is led to the runs
    client.force_login(staff("view_stagerun"))
    urls = [one.url for one in client.get("/admin/").context["notices"]]
    assert urls == [f"{RUNS}?stage=exif", f"{RUNS}?stage=renditions"]
