"""Dead letters in the admin, one run and a choice of runs: the story, discarding, coming back, downloads."""

import json
from http import HTTPStatus

import factories
import pytest
from dead_letter_rows import (
    DAMAGED,
    LIBRARY_RUNS,
    PAGE,
    REASON,
    RUNS,
    SUBMITTED,
    TIMED_OUT,
    body,
    content,
    dead,
    dead_library_run,
    messages,
    rows,
    state_of,
)
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Library, User
from processing.models import LibraryRun, RunState, StageRun
from processing.models.ledger import INPUT_DISCARDED

pytestmark = pytest.mark.django_db


@pytest.fixture
def library() -> Library:
    return factories.make_library(name="Archive")


@pytest.fixture
def superuser() -> User:
    return factories.make_user(email="ada@example.org", is_staff=True, is_superuser=True)


@pytest.fixture
def admin(client: Client, superuser: User) -> Client:
    client.force_login(superuser)
    return client


# one run


def test_the_page_of_a_run_leaves_out_what_there_is_nothing_to_say_about(admin: Client, library: Library) -> None:
    run = factories.make_run(factories.make_photo(library), "exif")
    titles = [part.name for part in admin.get(f"{RUNS}{run.pk}/change/").context["adminform"]]
    assert titles == [None, "Times"]
    dead_titles = [part.name for part in admin.get(f"{RUNS}{dead(library).pk}/change/").context["adminform"]]
    assert dead_titles == [None, "What went wrong", "Times"]


def test_the_page_of_a_run_tells_the_whole_story(admin: Client, library: Library) -> None:
    run = dead(library)
    response = admin.get(f"{RUNS}{run.pk}/change/")
    page = response.content.decode()
    assert '<summary>DamagedImageError: broken &lt;stream&gt;</summary><pre class="dr-trace"' in page
    assert "Traceback:\n  File &quot;decoding.py&quot;\nDamagedImageError: broken &lt;stream&gt;</pre>" in page
    link = f'href="{PAGE}?fingerprint={run.fingerprint}"'
    assert link in page
    assert [row.group.sample_run_id for row in rows(admin, fingerprint=run.fingerprint)] == [run.pk]
    assert "Upload a whole copy and discard the run; the original is kept." in page
    assert "It waits for a person: retry it, or discard it and say why." in page
    assert [action["path"] for action in response.context["actions_detail"]] == [
        f"{RUNS}{run.pk}/{action}/" for action in ("retry_run", "discard_run", "download_run")
    ]


def test_one_run_is_discarded_and_comes_back(admin: Client, library: Library) -> None:
    run = dead(library)
    page = f"{RUNS}{run.pk}"
    assert b'id="dialog"' in admin.get(f"{page}/discard_run/").content
    admin.post(f"{page}/discard_run/", SUBMITTED | {"reason": " "})
    assert state_of(run) == "dead"
    assert admin.post(f"{page}/discard_run/", SUBMITTED | {"reason": REASON})["HX-Refresh"] == "true"
    assert (state_of(run), run.discard_reason) == ("skipped", REASON)
    response = admin.get(f"{page}/change/")
    said = " ".join(response.content.decode().split())
    when = f"{timezone.localtime(run.finished_at):%Y-%m-%d %H:%M:%S}"
    assert f"Discarded by ada@example.org on {when}" in said
    assert f'<span class="dr-sub">{REASON}</span>' in said
    paths = [action["path"] for action in response.context["actions_detail"]]
    assert paths == [f"{page}/retry_run/", f"{page}/download_run/"]
    admin.post(f"{page}/discard_run/", SUBMITTED | {"reason": "another"})
    assert messages(admin)[-1] == "The run is skipped, not dead."
    assert (state_of(run), run.discard_reason) == ("skipped", REASON)
    admin.post(f"{page}/retry_run/", SUBMITTED)
    assert state_of(run) == "pending"


def test_a_run_below_a_discarded_one_says_so(admin: Client, library: Library) -> None:
    run = factories.make_run(factories.make_photo(library), "exif", RunState.SKIPPED, skip_reason=INPUT_DISCARDED)
    response = admin.get(f"{RUNS}{run.pk}/change/")
    assert "Its input was discarded" in response.content.decode()
    assert response.context["actions_detail"] == []


def test_a_run_that_is_not_dead_is_not_discarded(admin: Client, library: Library) -> None:
    run = factories.make_run(factories.make_photo(library), "exif")
    assert admin.get(f"{RUNS}{run.pk}/change/").context["actions_detail"] == []
    admin.post(f"{RUNS}{run.pk}/discard_run/", SUBMITTED | {"reason": REASON})
    assert messages(admin) == ["The run is done, not dead."]
    assert (state_of(run), run.discard_reason) == ("done", "")


def test_one_run_is_downloaded(admin: Client, library: Library) -> None:
    run, work = dead(library), dead_library_run(library)
    for page, one, name, subject in (
        (RUNS, run, "stagerun", {"id": str(run.photo_id), "original_filename": run.photo.original_filename}),
        (LIBRARY_RUNS, work, "libraryrun", None),
    ):
        response = admin.get(f"{page}{one.pk}/download_run/")
        assert response["Content-Type"] == "application/json"
        assert response["Content-Disposition"] == f'attachment; filename="{name}-{one.pk}.json"'
        (letter,) = json.loads(body(response))
        assert (letter["id"], letter["photo"]) == (str(one.pk), subject)


def test_a_library_run_is_discarded_and_comes_back(admin: Client, library: Library) -> None:
    run = dead_library_run(library)
    admin.post(f"{LIBRARY_RUNS}{run.pk}/discard_run/", SUBMITTED | {"reason": REASON})
    assert (state_of(run), run.discard_reason) == ("skipped", REASON)
    assert "Discarded by ada@example.org on" in content(admin, f"{LIBRARY_RUNS}{run.pk}/change/")
    admin.post(f"{LIBRARY_RUNS}{run.pk}/retry_run/", SUBMITTED)
    assert state_of(run) == "pending"


def test_what_the_domain_does_not_allow_is_said(admin: Client, library: Library) -> None:
    run = dead_library_run(library)
    LibraryRun.objects.create(
        library=library, kind="people", version="1", state=RunState.PENDING, queued_at=timezone.now()
    )
    admin.post(f"{LIBRARY_RUNS}{run.pk}/retry_run/", SUBMITTED)
    assert messages(admin) == ["The library has an open run of this work already."]
    assert state_of(run) == "dead"


# chosen runs


def test_chosen_runs_are_discarded_after_a_question(admin: Client, library: Library) -> None:
    chosen, done, other = dead(library), factories.make_run(factories.make_photo(library), "exif"), dead(library)
    marked = {"action": "discard", "_selected_action": [chosen.pk, done.pk], "index": "0", "select_across": "0"}
    response = admin.post(RUNS, marked)
    page = response.content.decode()
    assert "Discard 1 dead run?" in page
    assert state_of(chosen) == "dead"
    assert response.context["kept"] == [
        ("action", "discard"),
        ("index", "0"),
        ("select_across", "0"),
        ("_selected_action", str(chosen.pk)),
        ("_selected_action", str(done.pk)),
    ]
    assert "This field is required." in admin.post(RUNS, marked | SUBMITTED | {"reason": ""}).content.decode()
    assert state_of(chosen) == "dead"
    response = admin.post(RUNS, marked | SUBMITTED | {"reason": REASON}, follow=True)
    assert [str(message) for message in response.context["messages"]] == ["1 run is discarded."]
    assert (state_of(chosen), chosen.discard_reason) == ("skipped", REASON)
    assert [state_of(run) for run in (done, other)] == ["done", "dead"]


@pytest.mark.parametrize("chosen", ["nonsense", "\x00", "1"])
def test_what_is_no_id_is_refused(admin: Client, library: Library, chosen: str) -> None:
    run = dead(library)
    form = {"action": "retry", "_selected_action": [str(run.pk), chosen]}
    assert admin.post(RUNS, form).status_code == HTTPStatus.BAD_REQUEST
    assert state_of(run) == RunState.DEAD


def test_all_runs_of_a_filtered_list_are_discarded(admin: Client, library: Library) -> None:
    damaged, also, timed_out = dead(library), dead(library), dead(library, error=TIMED_OUT)
    marked = {"action": "discard", "_selected_action": [damaged.pk], "select_across": "1"}
    assert "Discard 2 dead runs?" in admin.post(f"{RUNS}?error_code=damaged", marked).content.decode()
    admin.post(f"{RUNS}?error_code=damaged", marked | SUBMITTED | {"reason": REASON})
    assert [state_of(run) for run in (damaged, also, timed_out)] == ["skipped", "skipped", "dead"]


def test_chosen_discarded_runs_start_over(admin: Client, library: Library) -> None:
    discarded, still_dead = dead(library), dead(library)
    admin.post(f"{RUNS}{discarded.pk}/discard_run/", SUBMITTED | {"reason": REASON})
    marked = {"action": "restore", "_selected_action": [discarded.pk, still_dead.pk]}
    admin.post(RUNS, marked)
    assert (state_of(discarded), state_of(still_dead)) == ("pending", "dead")
    work = dead_library_run(library)
    admin.post(f"{LIBRARY_RUNS}{work.pk}/discard_run/", SUBMITTED | {"reason": REASON})
    admin.post(LIBRARY_RUNS, {"action": "restore", "_selected_action": [work.pk]})
    assert state_of(work) == "pending"


@pytest.mark.parametrize("page", [RUNS, LIBRARY_RUNS])
def test_chosen_runs_are_downloaded(admin: Client, library: Library, page: str) -> None:
    make = dead if page == RUNS else dead_library_run
    chosen, _other = make(library), make(library)
    response = admin.post(page, {"action": "download", "_selected_action": [chosen.pk]})
    name = "stageruns" if page == RUNS else "libraryruns"
    assert response["Content-Disposition"] == f'attachment; filename="{name}.json"'
    assert [one["id"] for one in json.loads(body(response))] == [str(chosen.pk)]


@pytest.mark.parametrize("page", [RUNS, LIBRARY_RUNS])
def test_a_download_reads_all_of_a_run_at_once_and_has_the_names_of_the_api(
    admin: Client, library: Library, page: str
) -> None:
    make = dead if page == RUNS else dead_library_run
    chosen = [make(library) for _ in range(5)]
    response = admin.post(page, {"action": "download", "_selected_action": [run.pk for run in chosen]})
    with CaptureQueriesContext(connection) as queries:
        told = {one["id"]: one for one in json.loads(body(response))}
    assert len(queries) == 1
    assert {one["traceback"] for one in told.values()} == {chosen[0].traceback}
    whole = admin.get(f"/api/v1/admin/dlq/{chosen[0].pk}").json()
    assert told[str(chosen[0].pk)] == whole


def test_a_run_that_goes_meanwhile_does_not_cut_a_download_short(admin: Client, library: Library) -> None:
    chosen = [dead(library) for _ in range(3)]
    response = admin.post(RUNS, {"action": "download", "_selected_action": [run.pk for run in chosen]})
    parts = iter(response.streaming_content)
    begun = next(parts)
    StageRun.objects.all().delete()
    told = json.loads(b"".join([begun, *parts]))
    assert {(one["id"], one["traceback"]) for one in told} == {(str(run.pk), DAMAGED.traceback) for run in chosen}


def test_the_list_of_a_group_shows_its_runs_alone(admin: Client, library: Library) -> None:
    mine = dead(library)
    dead(library, error=TIMED_OUT)
    elsewhere = dead(factories.make_library())
    (row,) = rows(admin, error_code="damaged")
    assert list(admin.get(row.runs_url).context["cl"].result_list) == [elsewhere, mine]
    (row,) = rows(admin, error_code="damaged", library=library.pk)
    assert list(admin.get(row.runs_url).context["cl"].result_list) == [mine]
