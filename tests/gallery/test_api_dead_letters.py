"""Dead letters in the API: lists, groups, one of them, and what is done about them. For superusers alone."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import factories
import pytest
from concurrency import in_a_thread
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient
from uuid_utils.compat import uuid7

from accounts.models import Library, User
from processing.error_codes import EXPLANATIONS
from processing.ledger.errors import RunError, fingerprint
from processing.models import LibraryRun, RunState, StageRun

pytestmark = pytest.mark.django_db

DLQ = "/api/v1/admin/dlq"
NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
DECODER = RunError("unexpected_error", "at 17", "ValueError", "renditions.py:compute", "Traceback ...")
LOST = RunError("worker_lost", "signal 11")
WARNING = {"code": "unreadable_tag", "field": "GPS", "detail": "not a number"}
DECODER_MARK = fingerprint(work="renditions", error=DECODER)
LOST_MARK = fingerprint(work="exif", error=LOST)


@pytest.fixture
def operator() -> User:
    return factories.make_user(is_superuser=True)


@pytest.fixture
def client(operator: User) -> Client:
    return factories.client_of(operator)


@pytest.fixture
def library() -> Library:
    return factories.make_library(name="Archive")


def make_dead(library: Library, *, error: RunError = DECODER, stage: str = "renditions", **values: Any) -> StageRun:
    columns = {**error.columns(stage), "finished_at": NOON, "attempt": 3, **values}
    return factories.make_run(factories.make_photo(library), stage, RunState.DEAD, **columns)


def make_dead_grouping(library: Library) -> LibraryRun:
    columns = {**LOST.columns("people"), "finished_at": NOON, "version": "v1", "state": RunState.DEAD}
    return LibraryRun.objects.create(library=library, kind="people", **columns)


def everything() -> list[dict[str, Any]]:
    return [row for model in (StageRun, LibraryRun) for row in model.objects.order_by("pk").values()]


def ids(response: Any) -> list[str]:
    assert response.status_code == 200
    return [row["id"] for row in response.json()["results"]]


def shown(run: StageRun, library: Library) -> dict[str, Any]:
    return {
        "id": str(run.pk),
        "is_library_work": False,
        "work": "renditions",
        "version": "v1",
        "library": {"id": str(library.pk), "name": "Archive"},
        "photo": {"id": str(run.photo_id), "original_filename": run.photo.original_filename},
        "state": "dead",
        "skip_reason": "",
        "attempt": 3,
        "error_code": "unexpected_error",
        "error_detail": "at 17",
        "exception": "ValueError",
        "frame": "renditions.py:compute",
        "fingerprint": DECODER_MARK,
        "created_at": run.created_at.isoformat().replace("+00:00", "Z"),
        "started_at": None,
        "finished_at": "2026-05-04T12:00:00Z",
        "discarded_by": None,
        "discard_reason": "",
    }


def test_dead_runs_of_both_ledgers_are_one_list_newest_first(client: Client, library: Library) -> None:
    run = make_dead(library)
    grouping = make_dead_grouping(library)
    factories.make_run(run.photo, "exif")

    response = client.get(DLQ)

    assert ids(response) == [str(grouping.pk), str(run.pk)]
    of_library, of_photo = response.json()["results"]
    assert of_photo == shown(run, library)
    assert (of_library["is_library_work"], of_library["work"], of_library["photo"]) == (True, "people", None)
    assert of_library["library"] == {"id": str(library.pk), "name": "Archive"}
    assert (response.json()["next"], response.json()["previous"]) == (None, None)


def test_pages_go_through_both_ledgers_and_back(client: Client, library: Library) -> None:
    made = [(make_dead if number % 3 else make_dead_grouping)(library) for number in range(7)]
    newest_first = [str(run.pk) for run in reversed(made)]

    pages, address = [], f"{DLQ}?page_size=2"
    while address:
        response = client.get(address)
        pages.append(ids(response))
        address = response.json()["next"]
    assert pages == [newest_first[0:2], newest_first[2:4], newest_first[4:6], newest_first[6:7]]

    assert ids(client.get(response.json()["previous"])) == pages[2]
    # what is gone meanwhile moves no page
    second = client.get(client.get(f"{DLQ}?page_size=2").json()["next"])
    StageRun.objects.filter(pk=pages[0][0]).delete()
    assert ids(client.get(second.json()["next"])) == pages[2]


def test_a_list_costs_as_many_queries_however_long_it_is(
    client: Client, library: Library, django_assert_num_queries: Callable[..., object]
) -> None:
    for count in (1, 4):
        for _ in range(count):
            make_dead(library)
            make_dead_grouping(factories.make_library())
        with django_assert_num_queries(3):  # who asks, and each ledger
            assert client.get(DLQ).status_code == 200


def test_a_list_is_narrowed(client: Client, library: Library) -> None:
    decoder = make_dead(library)
    lost = make_dead(factories.make_library(), error=LOST, stage="exif")
    older = make_dead(library, error=LOST, stage="exif", fingerprint="")
    grouping = make_dead_grouping(library)

    def found(query: str) -> set[str]:
        return set(ids(client.get(f"{DLQ}?{query}")))

    assert found("stage=renditions") == {str(decoder.pk)}
    assert found("stage=people") == {str(grouping.pk)}
    assert found("error_code=worker_lost") == {str(lost.pk), str(older.pk), str(grouping.pk)}
    assert found(f"library={library.pk}") == {str(decoder.pk), str(older.pk), str(grouping.pk)}
    assert found(f"fingerprint={LOST_MARK}") == {str(lost.pk), str(older.pk)}
    assert found(f"fingerprint={LOST_MARK}&library={library.pk}") == {str(older.pk)}
    assert found(f"library={uuid7()}") == set()
    client.post(f"{DLQ}/{decoder.pk}/discard", {"reason": "why"})
    assert found("state=discarded") == {str(decoder.pk)}
    assert found("state=dead&stage=renditions") == set()


@pytest.mark.parametrize(
    "query", ["stage=nonsense", "library=1", "fingerprint=ABCDEF0123456789", "fingerprint=1", "state=done", "cursor=x"]
)
def test_a_filter_that_cannot_be_is_named(client: Client, query: str) -> None:
    response = client.get(f"{DLQ}?{query}")

    assert (response.status_code, response.json()["code"]) == (400, "invalid")
    assert [error["field"] for error in response.json()["errors"]] == [query.split("=", maxsplit=1)[0]]


def said_of(code: str) -> dict[str, str]:
    return {"meaning": EXPLANATIONS[code].meaning, "remedy": EXPLANATIONS[code].remedy}


def test_groups_count_what_failed_in_one_way(
    client: Client, library: Library, django_assert_num_queries: Callable[..., object]
) -> None:
    make_dead(library)
    newest = make_dead(library, finished_at=NOON + timedelta(hours=2))
    make_dead(library, error=LOST, stage="exif", finished_at=NOON + timedelta(hours=1))

    with django_assert_num_queries(5):
        response = client.get(f"{DLQ}/groups")

    assert response.status_code == 200
    assert response.json()["groups"][0] == {
        "fingerprint": DECODER_MARK,
        "is_library_work": False,
        "work": "renditions",
        "error_code": "unexpected_error",
        "exception": "ValueError",
        "frame": "renditions.py:compute",
        "count": 2,
        "first_seen": "2026-05-04T12:00:00Z",
        "last_seen": "2026-05-04T14:00:00Z",
        "libraries": ["Archive"],
        "library_count": 1,
        "sample_run": str(newest.pk),
        "sample_photo": str(newest.photo_id),
        **said_of("unexpected_error"),
    }
    assert [group["fingerprint"] for group in response.json()["groups"]] == [DECODER_MARK, LOST_MARK]
    narrowed = client.get(f"{DLQ}/groups?stage=exif&library={library.pk}&error_code=worker_lost").json()["groups"]
    assert [(group["fingerprint"], group["count"]) for group in narrowed] == [(LOST_MARK, 1)]
    assert client.get(f"{DLQ}/groups?stage=people").json() == {"groups": []}


def test_one_run_is_read_with_its_traceback_in_whatever_state(client: Client, library: Library) -> None:
    run = make_dead(library, worker="w@h", task_id="t", inputs={"renditions": "v0"}, warnings=[WARNING])
    done = factories.make_run(factories.make_photo(library))
    grouping = make_dead_grouping(library)

    response = client.get(f"{DLQ}/{run.pk}")

    assert response.status_code == 200
    assert response.json() == shown(run, library) | {
        "traceback": "Traceback ...",
        "subject": "",
        "queued_at": None,
        "not_before": None,
        "worker": "w@h",
        "task_id": "t",
        "work_seconds": None,
        "inputs": {"renditions": "v0"},
        "warnings": [WARNING],
        **said_of("unexpected_error"),
    }
    done_now = client.get(f"{DLQ}/{done.pk}").json()
    assert (done_now["state"], done_now["meaning"], done_now["remedy"]) == ("done", "", "")
    of_library = client.get(f"{DLQ}/{grouping.pk}").json()
    assert (of_library["inputs"], of_library["warnings"]) == ({}, [])
    missing = client.get(f"{DLQ}/{uuid7()}")
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")


def test_a_run_is_retried_discarded_and_restored(client: Client, operator: User, library: Library) -> None:
    run = make_dead(library)

    discarded = client.post(f"{DLQ}/{run.pk}/discard", {"reason": " The owner agrees. "})

    assert discarded.status_code == 200
    now = discarded.json()
    assert (now["state"], now["skip_reason"], now["discard_reason"]) == ("skipped", "discarded", "The owner agrees.")
    assert now["discarded_by"] == {"id": str(operator.pk), "email": operator.email}
    assert (now["error_code"], now["traceback"]) == ("unexpected_error", "Traceback ...")
    assert client.get(f"/api/v1/photos/{run.photo_id}").json()["state"] == "ready"

    retried = client.post(f"{DLQ}/{run.pk}/retry")

    assert retried.status_code == 200
    now = retried.json()
    assert (now["state"], now["attempt"], now["error_code"], now["discarded_by"]) == ("pending", 0, "", None)
    assert now == client.get(f"{DLQ}/{run.pk}").json()


def test_library_work_is_retried_and_discarded_too(client: Client, library: Library) -> None:
    grouping = make_dead_grouping(library)

    assert client.post(f"{DLQ}/{grouping.pk}/discard", {"reason": "why"}).json()["skip_reason"] == "discarded"
    assert client.post(f"{DLQ}/{grouping.pk}/retry").json()["state"] == "pending"

    other = make_dead_grouping(library)
    before = everything()
    refused = client.post(f"{DLQ}/{other.pk}/retry")
    assert (refused.status_code, refused.json()["code"]) == (409, "work_is_open")
    assert everything() == before


def test_an_erasure_is_not_given_up(client: Client, library: Library) -> None:
    erasure = make_dead_grouping(library)
    LibraryRun.objects.update(kind="erase_faces")
    before = everything()

    refused = client.post(f"{DLQ}/{erasure.pk}/discard", {"reason": "why"})

    assert (refused.status_code, refused.json()["code"]) == (409, "erasure_is_owed")
    assert everything() == before


def test_an_erasure_of_a_library_that_died_is_listed_and_retried(client: Client, library: Library) -> None:
    erasure = make_dead_grouping(library)
    LibraryRun.objects.update(kind="forget")
    # nobody is let in any more
    Library.objects.update(erasure_requested_at=timezone.now())
    assert [one["id"] for one in client.get(DLQ).json()["results"]] == [str(erasure.pk)]
    assert [one["work"] for one in client.get(f"{DLQ}/groups").json()["groups"]] == ["forget"]
    assert client.get(f"{DLQ}/{erasure.pk}").json()["library"]["name"] == library.name
    assert client.post(f"{DLQ}/{erasure.pk}/retry").json()["state"] == "pending"


@pytest.mark.parametrize("action", ["retry", "discard"])
@pytest.mark.parametrize("state", [RunState.PENDING, RunState.RUNNING, RunState.DONE, RunState.SKIPPED])
def test_what_is_not_dead_is_refused_and_says_what_it_is(
    client: Client, library: Library, action: str, state: RunState
) -> None:
    run = factories.make_run(factories.make_photo(library), state=state)
    before = everything()

    response = client.post(f"{DLQ}/{run.pk}/{action}", {"reason": "why"})

    assert (response.status_code, response.json()["code"]) == (409, "not_a_dead_letter")
    assert response.json()["state"] == state
    assert everything() == before
    missing = client.post(f"{DLQ}/{uuid7()}/{action}", {"reason": "why"})
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": "  "}, {"reason": "x" * 401}, {"reason": None}, []])
def test_a_discard_wants_a_reason(client: Client, library: Library, body: object) -> None:
    run = make_dead(library)
    before = everything()

    one = client.post(f"{DLQ}/{run.pk}/discard", body)
    many = client.post(f"{DLQ}/discard", {**body, "fingerprint": DECODER_MARK} if isinstance(body, dict) else body)

    assert [(response.status_code, response.json()["code"]) for response in (one, many)] == [(400, "invalid")] * 2
    assert everything() == before


def test_groups_are_retried_and_discarded(client: Client, operator: User, library: Library) -> None:
    alike = [make_dead(library), make_dead(factories.make_library())]
    other = make_dead(library, error=LOST, stage="exif")
    grouping = make_dead_grouping(library)

    assert client.post(f"{DLQ}/discard", {"fingerprint": DECODER_MARK, "reason": "why"}).json() == {"discarded": 2}

    kept = StageRun.objects.filter(pk__in=[run.pk for run in alike]).values_list("skip_reason", "discarded_by")
    assert list(kept) == [("discarded", operator.pk)] * 2
    assert StageRun.objects.get(pk=other.pk).state == "dead"
    # what was given up is not taken up by the way
    assert client.post(f"{DLQ}/retry", {"fingerprint": DECODER_MARK}).json() == {"retried": 0}
    assert client.post(f"{DLQ}/retry", {"fingerprint": LOST_MARK}).json() == {"retried": 1}
    people = fingerprint(work="people", error=LOST)
    assert client.post(f"{DLQ}/retry", {"fingerprint": people}).json() == {"retried": 1}
    assert StageRun.objects.get(pk=other.pk).state == "pending"
    assert LibraryRun.objects.get(pk=grouping.pk).state == "pending"


@pytest.mark.parametrize("body", [{}, {"fingerprint": ""}, {"fingerprint": "xyz"}, {"fingerprint": "0" * 17}])
@pytest.mark.parametrize("action", ["retry", "discard"])
def test_a_group_wants_a_fingerprint(client: Client, library: Library, action: str, body: dict[str, str]) -> None:
    make_dead(library, fingerprint="")
    before = everything()

    response = client.post(f"{DLQ}/{action}", {**body, **({"reason": "why"} if action == "discard" else {})})

    assert (response.status_code, response.json()["code"]) == (400, "invalid")
    assert [error["field"] for error in response.json()["errors"]] == ["fingerprint"]
    assert everything() == before


def test_nobody_else_sees_or_does_anything(library: Library) -> None:
    run = make_dead(library)
    before = everything()
    staff = factories.make_member(library, "admin")
    User.objects.filter(pk=staff.pk).update(is_staff=True)
    knocking = {
        "anonymous": (APIClient(), 401, "not_authenticated"),
        "visitor": (factories.client_of(factories.make_member(library, "visitor")), 403, "permission_denied"),
        "admin of the library": (
            factories.client_of(factories.make_member(library, "admin")),
            403,
            "permission_denied",
        ),
        "staff": (factories.client_of(staff), 403, "permission_denied"),
    }
    body = {"reason": "why", "fingerprint": DECODER_MARK}

    for who, (client, status, code) in knocking.items():
        for response in (
            client.get(DLQ),
            client.get(f"{DLQ}/groups"),
            client.get(f"{DLQ}/{run.pk}"),
            client.get(f"{DLQ}/{uuid7()}"),
            client.post(f"{DLQ}/{run.pk}/retry"),
            client.post(f"{DLQ}/{run.pk}/discard", body),
            client.post(f"{DLQ}/retry", body),
            client.post(f"{DLQ}/discard", body),
        ):
            assert (response.status_code, response.json()["code"]) == (status, code), who
    assert everything() == before


@pytest.mark.django_db(transaction=True)
def test_of_a_retry_and_a_discard_at_once_one_is_told_no(operator: User, library: Library) -> None:
    run = make_dead(library)
    clients = [factories.client_of(operator) for _ in range(6)]

    answers = [
        in_a_thread(client.post, f"{DLQ}/{run.pk}/discard", {"reason": "why"}, format="json") for client in clients
    ]

    statuses = sorted(answer.result(20).status_code for answer in answers)
    assert statuses == [200, 409, 409, 409, 409, 409]
    both = [
        in_a_thread(clients[0].post, f"{DLQ}/{run.pk}/retry"),
        in_a_thread(clients[1].post, f"{DLQ}/{run.pk}/retry"),
    ]
    assert sorted(answer.result(20).status_code for answer in both) == [200, 409]
    run.refresh_from_db()
    assert (run.state, run.attempt, run.discard_reason) == ("pending", 0, "")
