"""The ledger in the admin: stage runs, library runs, models and workers."""

from datetime import timedelta
from http import HTTPStatus
from urllib.parse import urlencode

import factories
import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Library
from processing.models import LibraryRun, ModelSelection, RunState, StageRun, WorkerPresence
from processing.models.ledger import Lane

pytestmark = pytest.mark.django_db

RUNS = "/admin/processing/stagerun/"
LIBRARY_RUNS = "/admin/processing/libraryrun/"
SUBMITTED = {"_form_submitted": "True"}


@pytest.fixture
def library() -> Library:
    return factories.make_library()


@pytest.fixture
def admin(client: Client) -> Client:
    client.force_login(factories.make_user(is_staff=True, is_superuser=True))
    return client


def found(client: Client, page: str = RUNS, **parameters: object) -> list[StageRun] | list[LibraryRun]:
    response = client.get(f"{page}?{urlencode(parameters)}")
    assert response.status_code == HTTPStatus.OK, response.headers
    return list(response.context["cl"].result_list)


def make_library_run(library: Library, state: str = RunState.DEAD, **values: object) -> LibraryRun:
    ended = {"finished_at": timezone.now(), "error_code": "unexpected_error"} if state == RunState.DEAD else {}
    return LibraryRun.objects.create(library=library, kind="people", version="1", state=state, **{**ended, **values})


def test_runs_are_filtered(admin: Client, library: Library) -> None:
    photo = factories.make_photo(library)
    elsewhere = factories.make_photo(factories.make_library())
    done = factories.make_run(photo, "exif")
    dead = factories.make_run(photo, "renditions", RunState.DEAD, error_code="damaged", lane=Lane.BACKFILL)
    retried = factories.make_run(elsewhere, "renditions", RunState.PENDING, error_code="damaged")
    timed_out = factories.make_run(elsewhere, "exif", RunState.DEAD, error_code="timed_out")
    assert found(admin) == [timed_out, retried, dead, done]
    assert found(admin, stage="renditions") == [retried, dead]
    assert found(admin, state__exact="dead") == [timed_out, dead]
    assert found(admin, error_code="damaged") == [retried, dead]
    assert found(admin, error_code="damaged", state__exact="dead", stage="renditions") == [dead]
    assert found(admin, lane__exact=Lane.BACKFILL) == [dead]
    assert found(admin, photo__library__id__exact=library.pk) == [dead, done]
    filters = admin.get(RUNS).context["cl"].filter_specs
    offered = next(one for one in filters if getattr(one, "parameter_name", "") == "error_code")
    assert offered.lookup_choices == [("damaged", "damaged"), ("timed_out", "timed_out")]


def test_runs_are_searched(admin: Client, library: Library) -> None:
    boat = factories.make_run(factories.make_photo(library, original_filename="boat.jpg"))
    task = "0193a6de-0000-7000-8000-000000000000"
    other = factories.make_run(factories.make_photo(library), task_id=task)
    assert found(admin, q="BOAT") == [boat]
    assert found(admin, q=str(boat.pk)) == [boat]
    assert found(admin, q=str(boat.photo_id)) == [boat]
    assert found(admin, q=task) == [other]
    assert found(admin, q="  ") == [other, boat]


def test_a_line_says_how_a_run_went(admin: Client, library: Library) -> None:
    photo = factories.make_photo(library)
    rendition = factories.make_rendition(photo, "thumb_300")
    now = timezone.now()
    factories.make_run(
        photo,
        "renditions",
        RunState.DEAD,
        error_code="damaged",
        error_detail='cut "off"',
        attempt=3,
        work_seconds=1.25,
        started_at=now - timedelta(minutes=2),
        finished_at=now,
    )
    page = admin.get(RUNS).content.decode()
    for text in ("damaged", "cut &quot;off&quot;", "1.2 s", "2 min 0 s", f"/rendition/{rendition.kind}/?v="):
        assert text in page


@pytest.mark.parametrize("page", [RUNS, LIBRARY_RUNS])
def test_lists_cost_the_same_queries_however_long_they_are(admin: Client, page: str) -> None:
    def make(count: int) -> None:
        for _ in range(count):
            library = factories.make_library()
            photo = factories.make_photo(library)
            factories.make_rendition(photo, "thumb_300")
            factories.make_run(photo)
            make_library_run(library)

    make(3)
    admin.get(page)
    with CaptureQueriesContext(connection) as few:
        assert len(found(admin, page)) == 3
    make(27)
    with CaptureQueriesContext(connection) as many:
        assert len(found(admin, page)) == 30
    # session, user, dead letters of both ledgers, error codes, count, runs; and the renditions of the photos
    expected = 8 if page == RUNS else 7
    assert (len(few), len(many)) == (expected, expected)


def test_dead_runs_of_a_list_are_retried(admin: Client, library: Library) -> None:
    photo = factories.make_photo(library)
    dead = factories.make_run(photo, "exif", RunState.DEAD)
    done = factories.make_run(photo, "renditions")
    unmarked = factories.make_run(factories.make_photo(library), "exif", RunState.DEAD)
    marked = {"action": "retry", "_selected_action": [dead.pk, done.pk]}
    response = admin.post(RUNS, marked, follow=True)
    assert [str(message) for message in response.context["messages"]] == ["1 run starts over."]
    for run, state in ((dead, "pending"), (done, "done"), (unmarked, "dead")):
        run.refresh_from_db()
        assert run.state == state
    response = admin.post(RUNS, {**marked, "_selected_action": [done.pk]}, follow=True)
    assert [str(message) for message in response.context["messages"]] == ["None of them is dead."]


def test_one_dead_run_is_retried_behind_a_dialog(admin: Client, library: Library) -> None:
    run = factories.make_run(factories.make_photo(library), "exif", RunState.DEAD)
    page = f"{RUNS}{run.pk}/retry_run/"
    assert b'id="dialog"' in admin.get(page).content
    run.refresh_from_db()
    assert run.state == RunState.DEAD
    assert page in [action["path"] for action in admin.get(f"{RUNS}{run.pk}/change/").context["actions_detail"]]
    assert admin.post(page, SUBMITTED)["HX-Refresh"] == "true"
    run.refresh_from_db()
    assert run.state == RunState.PENDING
    assert admin.get(f"{RUNS}{run.pk}/change/").context["actions_detail"] == []


def test_a_run_that_is_not_there_is_not_retried(admin: Client) -> None:
    for page in (RUNS, LIBRARY_RUNS):
        assert admin.post(f"{page}nonsense/retry_run/", SUBMITTED).status_code == HTTPStatus.NOT_FOUND
        assert admin.get(f"{page}nonsense/change/")["Location"] == "/admin/"


def test_library_runs_are_shown_and_retried(admin: Client, library: Library) -> None:
    done = make_library_run(
        library,
        RunState.DONE,
        finished_at=timezone.now(),
        report={"faces": 12, "people_made": 2},
    )
    dead = make_library_run(library)
    page = admin.get(LIBRARY_RUNS).content.decode()
    assert "faces 12 · people made 2" in page
    assert found(admin, LIBRARY_RUNS, state__exact="dead", kind="people", error_code="unexpected_error") == [dead]
    assert admin.get(f"{LIBRARY_RUNS}{dead.pk}/change/").status_code == HTTPStatus.OK
    admin.post(f"{LIBRARY_RUNS}{dead.pk}/retry_run/", SUBMITTED)
    dead.refresh_from_db()
    done.refresh_from_db()
    assert (dead.state, done.state) == (RunState.PENDING, RunState.DONE)


def test_nobody_edits_the_ledger_by_hand(admin: Client, library: Library) -> None:
    run = factories.make_run(factories.make_photo(library), "exif", RunState.DEAD)
    for page in (RUNS, LIBRARY_RUNS, "/admin/processing/modelselection/", "/admin/processing/workerpresence/"):
        assert admin.get(page).status_code == HTTPStatus.OK
        assert admin.post(f"{page}add/", {}).status_code == HTTPStatus.FORBIDDEN
    assert admin.post(f"{RUNS}{run.pk}/change/", {"state": "done"}).status_code == HTTPStatus.FORBIDDEN
    assert admin.post(f"{RUNS}{run.pk}/delete/", {"post": "yes"}).status_code == HTTPStatus.FORBIDDEN
    run.refresh_from_db()
    assert run.state == RunState.DEAD


def test_staff_see_the_runs_of_libraries_where_they_may(client: Client, library: Library) -> None:
    ours = factories.make_run(factories.make_photo(library), "exif", RunState.DEAD)
    theirs = factories.make_run(factories.make_photo(factories.make_library()), "exif", RunState.DEAD)
    user = factories.make_member(library, "editor")
    user.is_staff = True
    user.save()
    user.user_permissions.set(Permission.objects.filter(codename="view_stagerun"))
    client.force_login(user)
    assert found(client) == [ours]
    marked = {"action": "retry", "_selected_action": [ours.pk, theirs.pk]}
    client.post(RUNS, marked)
    assert client.post(f"{RUNS}{ours.pk}/retry_run/", SUBMITTED).status_code == HTTPStatus.FORBIDDEN
    user.user_permissions.set(Permission.objects.filter(codename__in=["view_stagerun", "change_stagerun"]))
    states = list(StageRun.objects.order_by("pk").values_list("state", flat=True))
    assert states == ["dead", "dead"]
    client.post(RUNS, marked)
    ours.refresh_from_db()
    theirs.refresh_from_db()
    assert (ours.state, theirs.state) == (RunState.PENDING, RunState.DEAD)


def test_models_and_workers_are_listed(admin: Client) -> None:
    ModelSelection.objects.create(task="face_detection", model="mtcnn", weights_hash="a1" * 32, in_use=True)
    now = timezone.now()
    for name, seen in (("alive@host", now), ("gone@host", now - timedelta(minutes=5))):
        WorkerPresence.objects.create(
            name=name, queues=["faces", "embeddings"], started_at=now, seen_at=seen, memory_bytes=700 * 2**20
        )
    assert "a1a1a1a1a1a1" in admin.get("/admin/processing/modelselection/").content.decode()
    response = admin.get("/admin/processing/workerpresence/")
    alive = {worker.name: worker.is_alive for worker in response.context["cl"].result_list}
    assert alive == {"alive@host": True, "gone@host": False}
    assert "faces, embeddings" in response.content.decode()
    assert admin.get("/admin/processing/workerpresence/alive_40host/change/").status_code == HTTPStatus.OK


@pytest.mark.parametrize("query", ["state__exact=zz&stage=%00", "q=%00"])
def test_a_filter_that_no_row_can_have_is_no_fault(admin: Client, query: str) -> None:
    response = admin.get(f"{RUNS}?{query}")
    assert response.status_code in {200, 302}
    assert admin.get(response.headers.get("Location", RUNS)).status_code == 200
