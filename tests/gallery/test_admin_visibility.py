"""Runs in the admin start from the one visibility rule: a list, its badge and the dashboard tell the same."""

import factories
import pytest
from dead_letter_rows import LIBRARY_RUNS, PAGE, RUNS, dead, dead_library_run, rows, staff, state_of
from django.test import Client
from django.utils import timezone

from accounts.models import Library, Membership, Role
from processing.models import LibraryRun, RunState, StageRun
from processing.pipeline import library_work

pytestmark = pytest.mark.django_db


@pytest.fixture
def library() -> Library:
    return factories.make_library(name="Archive", **factories.FACES_OFF)


def role(*permissions: str) -> Role:
    return Role.objects.create(name="+".join(permissions), permissions=permissions)


def told(client: Client) -> dict[str, int]:
    """Give how many dead runs each page knows of."""
    dashboard = client.get("/admin/").context
    entries = [one for group in dashboard["sidebar_navigation"] for one in group["items"]]
    badge = next(one.get("badge", "0") for one in entries if one["title"] == "Dead letters")
    counts = [cell["count"] for row in dashboard["stage_rows"] for cell in row["cells"] if "=dead" in cell["url"]]
    return {
        "badge": int(badge),
        "notices": sum(int(one.title.split()[0]) for one in dashboard["notices"] if " dead run" in one.title),
        "stages": sum(counts),
        "page": sum(row.group.count for row in rows(client)),
        "list": client.get(f"{RUNS}?state__exact=dead").context["cl"].result_count,
    }


def same(count: int) -> dict[str, int]:
    return dict.fromkeys(("badge", "notices", "stages", "page", "list"), count)


def test_runs_of_photos_that_one_may_not_see_are_not_told(client: Client, library: Library) -> None:
    run = dead(library)
    user = staff(library, "editor", "view_stagerun")
    client.force_login(user)
    assert told(client) == same(1)
    Membership.objects.filter(user=user).update(role=role("processing.view", "processing.retry"))
    assert told(client) == same(0)
    assert client.get(f"{RUNS}{run.pk}/change/").status_code == 302


def test_runs_of_photos_in_the_trash_are_told_to_whom_the_trash_is_shown(client: Client, library: Library) -> None:
    dead(library, photo=factories.make_photo(library, trashed_at=timezone.now()))
    user = staff(library, "editor", "view_stagerun", "change_stagerun")
    client.force_login(user)
    assert told(client) == same(1)
    retry = rows(client)[0].retry_url
    Membership.objects.filter(user=user).update(role=role("photos.view", "processing.view", "processing.retry"))
    assert told(client) == same(0)
    client.post(retry, {"_form_submitted": "True"})
    assert StageRun.objects.get().state == RunState.DEAD


def test_library_runs_are_counted_for_those_who_may_list_them(client: Client, library: Library) -> None:
    dead(library)
    dead_library_run(library)
    user = staff(library, "editor", "view_stagerun")
    client.force_login(user)
    assert told(client) == same(1)
    assert client.get(LIBRARY_RUNS).status_code == 403
    client.force_login(staff(library, "editor", "view_stagerun", "view_libraryrun"))
    assert told(client) == same(2) | {"list": 1}
    assert PAGE in client.get("/admin/").content.decode()
    client.force_login(factories.make_user(is_staff=True, is_superuser=True))
    assert told(client) == same(2) | {"list": 1}


def test_an_erasure_that_died_is_told_to_superusers_and_retried(client: Client, library: Library) -> None:
    factories.make_photo(library)
    Library.objects.update(erasure_requested_at=timezone.now())
    run = dead_library_run(library, kind="forget")
    client.force_login(staff(library, "admin", "view_stagerun", "view_libraryrun", "change_libraryrun"))
    assert told(client) == same(0)
    assert client.get(f"{LIBRARY_RUNS}{run.pk}/change/").status_code == 302
    client.force_login(factories.make_user(is_staff=True, is_superuser=True))
    assert told(client) == same(1) | {"list": 0}
    assert client.get(LIBRARY_RUNS).context["cl"].result_count == 1
    assert "retry_run" in client.get(f"{LIBRARY_RUNS}{run.pk}/change/").content.decode()
    for retry, data in (
        (f"{LIBRARY_RUNS}{run.pk}/retry_run/", {}),
        (rows(client)[0].retry_url, {}),
        (LIBRARY_RUNS, {"action": "retry", "_selected_action": [run.pk]}),
    ):
        client.post(retry, {"_form_submitted": "True"} | data)
        assert state_of(run) == RunState.PENDING
        LibraryRun.objects.update(state=RunState.DEAD, finished_at=timezone.now(), error_code="timed_out")
    client.post(f"{LIBRARY_RUNS}{run.pk}/retry_run/", {"_form_submitted": "True"})
    assert library_work.work(kind="forget", task_id="t", worker="w") == 1
    assert not Library.objects.exists()


def test_library_runs_are_told_to_those_who_may_see_the_library(client: Client, library: Library) -> None:
    run = dead_library_run(library)
    user = staff(library, "editor", "view_stagerun", "view_libraryrun")
    client.force_login(user)
    assert client.get(f"{LIBRARY_RUNS}{run.pk}/change/").status_code == 200
    Membership.objects.filter(user=user).update(role=role("processing.view", "processing.retry"))
    assert client.get(f"{LIBRARY_RUNS}{run.pk}/change/").status_code == 302
