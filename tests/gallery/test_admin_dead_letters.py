"""The admin page of dead letters: the groups, what is done about one, and who may."""

import json
from datetime import datetime, timedelta
from http import HTTPStatus
from urllib.parse import urlencode

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
    staff,
    state_of,
)
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Library, Role, User
from accounts.services.libraries import add_member
from gallery.admin import dead_letters as page_module
from gallery.admin import run_actions, sidebar
from processing.ledger import RunError
from processing.models import LibraryRun, RunState
from processing.models.ledger import DISCARDED, INPUT_DISCARDED

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


# the page


def test_what_failed_in_the_same_way_stands_together(admin: Client, library: Library) -> None:
    now = timezone.now()
    old = dead(library, finished_at=now - timedelta(hours=30, minutes=10))
    new = dead(factories.make_library(name="Weddings"), finished_at=now - timedelta(hours=5, minutes=30))
    other = dead(library, "exif", TIMED_OUT, finished_at=now - timedelta(days=3))
    factories.make_run(factories.make_photo(library), "exif")
    damaged, timed_out = rows(admin)
    group = damaged.group
    assert (group.work, group.error_code, group.count, group.fingerprint) == (
        "renditions", "damaged", 2, DAMAGED.columns("renditions")["fingerprint"],
    )  # fmt: skip
    assert (group.first_seen, group.last_seen) == (old.finished_at, new.finished_at)
    assert (damaged.first_seen, damaged.last_seen) == ("1 d 6 h", "5 h 30 min")
    assert sorted(group.libraries) == ["Archive", "Weddings"]
    assert damaged.sample_url == f"{RUNS}{new.pk}/change/"
    assert damaged.photo_url == f"/admin/photos/photo/{new.photo_id}/change/"
    assert (timed_out.group.sample_run_id, timed_out.group.count) == (other.pk, 1)
    assert admin.get(PAGE).context["summary"] == "3 dead letters in 2 groups"
    page = content(admin)
    for text in (
        '<span class="dr-error">damaged</span> <span class="dr-strong">renditions</span>',
        '<span class="dr-mono">DamagedImageError</span>',
        '<p class="dr-mono">processing/engines/imaging/decoding.py:decode</p>',
        '<p class="dr-group-remedy">The file says what it is, its pixels cannot be read; dead at once.',
        "What to do:</span> Upload a whole copy and discard the run; the original is kept.</p>",
        f'<a class="dr-link" href="{damaged.photo_url}">{new.photo.original_filename}</a>',
        ">last 5 h 30 min ago</time>",
        ">first 1 d 6 h ago</time>",
        '<span class="dr-number">2</span>',
    ):
        assert text in page


def test_a_group_shows_a_photo_that_leads_to_its_page(admin: Client, library: Library) -> None:
    run = dead(library)
    rendition = factories.make_rendition(run.photo, "thumb_300")
    page = content(admin)
    link = f'href="/admin/photos/photo/{run.photo_id}/change/" title="{run.photo.original_filename}"'
    assert f"{link}><img" in page
    assert f"/admin/photos/photo/{run.photo_id}/rendition/{rendition.kind}/?v=" in page


def test_of_many_libraries_a_few_are_named(admin: Client) -> None:
    for number in range(7):
        dead(factories.make_library(name=f"library no {number}"))
    (row,) = rows(admin)
    assert (len(row.group.libraries), row.more_libraries) == (5, 2)
    assert "and 2 more libraries" in content(admin)


def test_library_work_is_grouped_too(admin: Client, library: Library) -> None:
    run = dead_library_run(library)
    (row,) = rows(admin)
    assert (row.group.work, row.group.is_library_work, row.photo_url) == ("people", True, "")
    assert row.sample_url == f"{LIBRARY_RUNS}{run.pk}/change/"
    assert row.retry_url.startswith(f"{PAGE}library/retry/?")
    assert list(admin.get(row.runs_url).context["cl"].result_list) == [run]


def test_the_groups_are_filtered(admin: Client, library: Library) -> None:
    weddings = factories.make_library(name="Weddings")
    dead(library)
    dead(weddings)
    dead(weddings, "exif", TIMED_OUT)
    dead_library_run(library)

    def found(**parameters: object) -> list[tuple[str, str, int]]:
        return sorted((row.group.work, row.group.error_code, row.group.count) for row in rows(admin, **parameters))

    assert found() == [("exif", "timed_out", 1), ("people", "timed_out", 1), ("renditions", "damaged", 2)]
    assert found(work="people") == [("people", "timed_out", 1)]
    assert found(error_code="timed_out") == [("exif", "timed_out", 1), ("people", "timed_out", 1)]
    assert found(library=weddings.pk) == [("exif", "timed_out", 1), ("renditions", "damaged", 1)]
    assert found(library=weddings.pk, error_code="damaged", work="exif") == []
    assert found(fingerprint=DAMAGED.columns("renditions")["fingerprint"]) == [("renditions", "damaged", 2)]
    offered = {one["name"]: one["options"] for one in admin.get(f"{PAGE}?work=exif").context["filters"]}
    assert offered == {
        "work": [("", "All stages"), ("exif", "exif"), ("people", "people"), ("renditions", "renditions")],
        "error_code": [("", "All errors"), ("damaged", "damaged"), ("timed_out", "timed_out")],
        "library": [("", "All libraries"), (str(library.pk), "Archive"), (str(weddings.pk), "Weddings")],
    }


@pytest.mark.parametrize("query", ["library=nonsense", "work=%00", "error_code=nothing", "fingerprint=%00"])
def test_a_filter_that_nothing_meets_says_so(admin: Client, library: Library, query: str) -> None:
    dead(library)
    assert "No dead letter matches these filters." in content(admin, f"{PAGE}?{query}")


def test_quiet_is_said(admin: Client) -> None:
    page = content(admin)
    assert "Nothing is dead." in page
    assert "Runs that failed as often as they may, or for good, wait here for a person." in page


def test_older_groups_are_left_out_and_counted(
    admin: Client, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_module, "GROUPS_ON_PAGE", 1)
    for code in ("one", "two", "three"):
        dead(library, error=RunError(code=code, detail=""))
    assert [row.group.error_code for row in rows(admin)] == ["three"]
    page = content(admin)
    assert "2 older groups are not shown: narrow the filters." in page
    assert "3 dead letters in 3 groups" in page


def test_what_failed_says_nothing_to_the_browser(admin: Client, library: Library) -> None:
    dead(library, error=RunError(code="x", detail="", exception="<script>alert(1)</script>", frame="<b>"))
    page = content(admin)
    assert "<script>alert(1)</script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_the_page_costs_the_same_queries_however_much_is_dead(admin: Client) -> None:
    def make(count: int) -> None:
        for number in range(count):
            library = factories.make_library()
            run = dead(library, error=RunError(code=f"code {number}", detail=""))
            factories.make_rendition(run.photo, "thumb_300")
            dead_library_run(library)

    make(2)
    admin.get(PAGE)
    with CaptureQueriesContext(connection) as few:
        assert len(rows(admin)) == 3
    make(20)
    with CaptureQueriesContext(connection) as many:
        assert len(rows(admin)) == 21
    assert len(many) == len(few)


def test_the_number_of_dead_letters_stands_in_the_sidebar(
    admin: Client, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    def badge() -> object:
        groups = admin.get(RUNS).context["sidebar_navigation"]
        (entry,) = [one for group in groups for one in group["items"] if one["title"] == "Dead letters"]
        assert entry["link"] == PAGE
        return entry.get("badge")

    assert badge() is None
    dead(library)
    dead_library_run(library)
    assert badge() == "2"
    monkeypatch.setattr(sidebar, "BADGE_LIMIT", 1)
    dead(library)
    assert badge() == "1+"


# a group


def test_a_group_is_retried(admin: Client, library: Library) -> None:
    ours = [dead(library), dead(library)]
    other_error, other_stage = dead(library, error=TIMED_OUT), dead(library, "exif")
    url = next(row for row in rows(admin, error_code="damaged", work="renditions")).retry_url
    dialog = admin.get(url).content.decode()
    assert 'id="dialog"' in dialog
    assert "Retry 2 dead runs?" in dialog
    assert {state_of(run) for run in ours} == {RunState.DEAD}
    assert admin.post(url, SUBMITTED)["HX-Refresh"] == "true"
    assert messages(admin) == ["2 runs start over."]
    assert [state_of(run) for run in (*ours, other_error, other_stage)] == ["pending", "pending", "dead", "dead"]
    admin.post(url, SUBMITTED)
    assert messages(admin) == ["None of them is dead."]


def test_only_what_the_filters_show_of_a_group_is_retried(admin: Client, library: Library) -> None:
    here, elsewhere = dead(library), dead(factories.make_library())
    (row,) = rows(admin, library=library.pk)
    assert row.group.count == 1
    admin.post(row.retry_url, SUBMITTED)
    assert (state_of(here), state_of(elsewhere)) == ("pending", "dead")


def test_a_group_is_discarded_with_a_reason(admin: Client, superuser: User, library: Library) -> None:
    run, other = dead(library), dead(library, error=TIMED_OUT)
    below = factories.make_run(run.photo, "face_detection", RunState.WAITING)
    url = next(row for row in rows(admin, error_code="damaged")).discard_url
    for reason in ("", "   ", "x" * 401):
        response = admin.post(url, SUBMITTED | {"reason": reason})
        assert 'id="dialog-form"' in response.content.decode()
        assert "HX-Refresh" not in response
        assert (state_of(run), run.discard_reason, state_of(below)) == ("dead", "", "waiting")
    assert admin.post(url, SUBMITTED | {"reason": REASON})["HX-Refresh"] == "true"
    assert messages(admin) == ["1 run is discarded."]
    assert (state_of(run), run.skip_reason, run.discard_reason, run.discarded_by) == (
        "skipped", DISCARDED, REASON, superuser,
    )  # fmt: skip
    assert (run.error_code, run.traceback) == ("damaged", DAMAGED.traceback)
    assert (state_of(below), below.skip_reason) == ("skipped", INPUT_DISCARDED)
    assert state_of(other) == "dead"


def test_a_group_of_library_work_is_retried_and_discarded(admin: Client, library: Library) -> None:
    run = dead_library_run(library)
    (row,) = rows(admin)
    admin.post(row.discard_url, SUBMITTED | {"reason": REASON})
    assert (state_of(run), run.discard_reason) == ("skipped", REASON)
    again = dead_library_run(library)
    admin.post(row.retry_url, SUBMITTED)
    assert state_of(again) == "pending"


def test_what_is_owed_to_be_erased_is_not_given_up(admin: Client, library: Library) -> None:
    run = dead_library_run(library, kind="erase_faces")
    (row,) = rows(admin)
    assert (bool(row.retry_url), row.discard_url) == (True, "")
    assert "/discard/?" not in content(admin)
    page = f"{LIBRARY_RUNS}{run.pk}"
    offered = [action["path"] for action in admin.get(f"{page}/change/").context["actions_detail"]]
    assert offered == [f"{page}/retry_run/", f"{page}/download_run/"]
    before = list(LibraryRun.objects.order_by("pk").values())
    admin.post(row.retry_url.replace("/retry/", "/discard/"), SUBMITTED | {"reason": REASON})
    owed = "1 run stays dead: what is owed to be erased is not given up. Mend the cause, and retry it."
    assert messages(admin) == [owed]
    assert list(LibraryRun.objects.order_by("pk").values()) == before
    other = dead_library_run(library)
    marked = {"action": "discard", "_selected_action": [run.pk, other.pk]}
    response = admin.post(LIBRARY_RUNS, marked | SUBMITTED | {"reason": REASON}, follow=True)
    assert [str(message) for message in response.context["messages"]] == ["1 run is discarded.", owed]
    assert (state_of(run), state_of(other)) == ("dead", "skipped")


def test_work_that_is_open_again_already_is_said_to_be(admin: Client, library: Library) -> None:
    run = dead_library_run(library)
    LibraryRun.objects.create(
        library=library, kind="people", version="1", state=RunState.PENDING, queued_at=timezone.now()
    )
    before = list(LibraryRun.objects.order_by("pk").values())
    (row,) = rows(admin)
    admin.post(row.retry_url, SUBMITTED)
    is_open = "1 run stays as it is: the library has an open run of the same work."
    assert messages(admin) == [is_open]
    assert list(LibraryRun.objects.order_by("pk").values()) == before
    admin.post(row.discard_url, SUBMITTED | {"reason": REASON})
    assert state_of(run) == "skipped"
    admin.post(LIBRARY_RUNS, {"action": "restore", "_selected_action": [run.pk]})
    assert messages(admin) == ["1 run is discarded.", is_open]
    assert state_of(run) == "skipped"


def test_the_question_does_not_give_a_count_that_was_not_finished(
    admin: Client, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = [dead(library), dead(library)]
    marked = {"action": "discard", "_selected_action": [run.pk for run in chosen]}
    (row,) = rows(admin)
    for limit, shown in ((2, "2"), (1, "1+")):
        monkeypatch.setattr(run_actions, "COUNTED", limit)
        assert f"Retry {shown} dead runs?" in admin.get(row.retry_url).content.decode()
        assert f"Discard {shown} dead runs?" in admin.get(row.discard_url).content.decode()
        assert f"Discard {shown} dead runs?" in admin.post(RUNS, marked).content.decode()


def test_a_group_is_downloaded(admin: Client, library: Library) -> None:
    run = dead(library, finished_at=timezone.now() - timedelta(minutes=1))
    second = dead(library)
    dead(library, error=TIMED_OUT)
    url = next(row for row in rows(admin, error_code="damaged")).download_url
    response = admin.get(url)
    fingerprint = DAMAGED.columns("renditions")["fingerprint"]
    assert response["Content-Type"] == "application/json"
    assert response["Content-Disposition"] == f'attachment; filename="dead-letters-renditions-{fingerprint}.json"'
    found = {one["id"]: one for one in json.loads(body(response))}
    assert set(found) == {str(run.pk), str(second.pk)}
    letter = found[str(run.pk)]
    told = ("photo", "library", "work", "version", "attempt", "error_code", "error_detail", "exception")
    assert [letter[name] for name in told] == [
        {"id": str(run.photo_id), "original_filename": run.photo.original_filename},
        {"id": str(library.pk), "name": "Archive"},
        "renditions",
        "v1",
        3,
        "damaged",
        "broken data stream",
        "DamagedImageError",
    ]
    assert (letter["frame"], letter["traceback"]) == (DAMAGED.frame, DAMAGED.traceback)
    assert datetime.fromisoformat(letter["finished_at"]) == run.finished_at
    run.delete()
    second.delete()
    assert json.loads(body(admin.get(url))) == []


@pytest.mark.parametrize("what", ["retry", "discard", "download"])
def test_without_a_group_nothing_is_done(admin: Client, library: Library, what: str) -> None:
    run = dead(library)
    fingerprint = run.fingerprint
    for address in (f"stage/{what}/", f"stage/{what}/?work=renditions", f"nonsense/{what}/?fingerprint={fingerprint}"):
        assert admin.post(f"{PAGE}{address}", SUBMITTED | {"reason": REASON}).status_code == HTTPStatus.NOT_FOUND
    # a library that there cannot be means none of the runs, not all of them
    admin.post(f"{PAGE}stage/{what}/?fingerprint={fingerprint}&library=x", SUBMITTED | {"reason": REASON})
    assert state_of(run) == RunState.DEAD


def test_rows_older_than_fingerprints_are_grouped_and_found(admin: Client, library: Library) -> None:
    old = dead(library, "exif", TIMED_OUT, fingerprint="")
    marked = dead(library, "exif", TIMED_OUT)
    (row,) = rows(admin)
    assert row.group.count == 2
    assert set(admin.get(row.runs_url).context["cl"].result_list) == {old, marked}
    admin.post(row.retry_url, SUBMITTED)
    assert (state_of(old), state_of(marked)) == ("pending", "pending")


# who may


def test_staff_need_a_permission(client: Client, library: Library) -> None:
    run = dead(library)
    client.force_login(staff(library, "editor"))
    query = urlencode({"work": "renditions", "error_code": "damaged", "fingerprint": run.fingerprint})
    assert client.get(PAGE).status_code == HTTPStatus.FORBIDDEN
    assert client.get(f"{PAGE}stage/download/?{query}").status_code == HTTPStatus.FORBIDDEN
    client.force_login(staff(library, "editor", "view_stagerun"))
    (row,) = rows(client)
    assert (row.retry_url, row.discard_url) == ("", "")
    for what in ("retry", "discard"):
        answer = client.post(f"{PAGE}stage/{what}/?{query}", SUBMITTED | {"reason": REASON})
        assert answer.status_code == HTTPStatus.FORBIDDEN
    assert client.post(f"{RUNS}{run.pk}/discard_run/", SUBMITTED | {"reason": REASON}).status_code == 403
    assert (state_of(run), run.discard_reason) == ("dead", "")
    client.logout()
    assert client.get(PAGE)["Location"] == f"/admin/login/?next={PAGE}"


def test_members_see_and_retry_what_their_roles_allow(client: Client, library: Library) -> None:
    ours, theirs = dead(library), dead(factories.make_library(name="Weddings"))
    work = dead_library_run(library)
    user = staff(library, "editor", "view_stagerun", "change_stagerun")
    client.force_login(user)
    (row,) = rows(client)
    assert (row.group.count, row.group.libraries) == (1, ["Archive"])
    assert [one["name"] for one in json.loads(body(client.get(row.download_url))) if one["id"] == str(theirs.pk)] == []
    offered = {one["name"]: one["options"] for one in client.get(PAGE).context["filters"]}
    assert offered["library"] == [("", "All libraries"), (str(library.pk), "Archive")]
    client.post(row.retry_url, SUBMITTED)
    assert (state_of(ours), state_of(theirs), state_of(work)) == ("pending", "dead", "dead")
    client.post(row.retry_url.replace("/stage/", "/library/"), SUBMITTED)
    assert state_of(work) == "dead"


def test_who_may_only_look_changes_nothing(client: Client, library: Library) -> None:
    run = dead(library)
    Role.objects.create(name="auditor", permissions=["photos.view", "processing.view"])
    user = factories.make_user(is_staff=True)
    add_member(library=library, user=user, role="auditor")
    wanted = ["view_stagerun", "change_stagerun"]
    user.user_permissions.set(Permission.objects.filter(codename__in=wanted))
    client.force_login(user)
    (row,) = rows(client)
    client.post(row.retry_url, SUBMITTED)
    client.post(row.discard_url, SUBMITTED | {"reason": REASON})
    for action in ("retry_run", "discard_run"):
        assert client.post(f"{RUNS}{run.pk}/{action}/", SUBMITTED | {"reason": REASON}).status_code == 403
    client.post(RUNS, {"action": "retry", "_selected_action": [run.pk]})
    client.post(RUNS, {"action": "discard", "_selected_action": [run.pk], "reason": REASON, **SUBMITTED})
    assert (state_of(run), run.discard_reason) == ("dead", "")


def test_a_forged_form_changes_nothing(superuser: User, library: Library) -> None:
    run = dead(library)
    client = Client(enforce_csrf_checks=True)
    client.force_login(superuser)
    (row,) = rows(client)
    for url in (row.retry_url, row.discard_url, f"{RUNS}{run.pk}/discard_run/"):
        assert client.post(url, SUBMITTED | {"reason": REASON}).status_code == HTTPStatus.FORBIDDEN
    assert state_of(run) == "dead"
