"""What is done to very many rows in the admin: told of library by library, in the transactions of the service."""

from typing import Any
from urllib.parse import urlencode

import factories
import pytest
from dead_letter_rows import REASON, RUNS, SUBMITTED, dead, dead_library_run, rows, state_of
from django.test import Client
from django.utils import timezone

from accounts.models import AuditEvent, Library, User
from photos.models import Photo
from processing.services import dead_letters

pytestmark = pytest.mark.django_db

PHOTOS = "/admin/photos/photo/"


@pytest.fixture
def libraries() -> list[Library]:
    return [factories.make_library() for _ in range(2)]


def trail() -> list[tuple[str, Any, Any, dict[str, Any]]]:
    events = AuditEvent.objects.exclude(action__startswith="login").order_by("id")
    return sorted(events.values_list("action", "actor_id", "library_id", "details"), key=str)


@pytest.mark.parametrize(
    ("action", "told", "given"),
    [("retry", "runs.retried", {}), ("discard", "runs.discarded", SUBMITTED | {"reason": REASON})],
)
def test_chosen_runs(
    admin_client: Client, admin_user: User, libraries: list[Library], action: str, told: str, given: dict[str, str]
) -> None:
    runs = [dead(library) for library in (libraries[0], libraries[0], libraries[1])]
    admin_client.post(RUNS, {"action": action, "_selected_action": [run.pk for run in runs], **given})
    counts = {libraries[0].pk: 2, libraries[1].pk: 1}
    assert trail() == sorted(((told, admin_user.pk, pk, {"runs": runs}) for pk, runs in counts.items()), key=str)


def test_a_group_of_either_ledger(admin_client: Client, admin_user: User, libraries: list[Library]) -> None:
    dead(libraries[0])
    dead_library_run(libraries[1])
    for row in rows(admin_client):
        admin_client.post(row.retry_url, SUBMITTED)
    wanted = [("runs.retried", admin_user.pk, library.pk, {"runs": 1}) for library in libraries]
    assert trail() == sorted(wanted, key=str)


def test_each_batch_stands_by_itself(
    admin_client: Client, libraries: list[Library], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash in the second batch leaves the first one done, and told of."""
    monkeypatch.setattr(dead_letters, "RUNS_PER_TRANSACTION", 2)
    runs = [dead(libraries[0]) for _ in range(4)]
    started, record = [], dead_letters.audit.record

    def fail_once_told(**event: Any) -> None:
        if started:
            raise RuntimeError
        started.append(event)
        record(**event)

    monkeypatch.setattr(dead_letters.audit, "record", fail_once_told)
    with pytest.raises(RuntimeError):
        admin_client.post(RUNS, {"action": "retry", "_selected_action": [run.pk for run in runs]})
    assert sorted(state_of(run) for run in runs) == ["dead", "dead", "pending", "pending"]
    assert [event[3] for event in trail()] == [{"runs": 2}]


def test_another_page_is_not_left_alone_for_the_name_of_an_action(
    admin_client: Client, admin_user: User, libraries: list[Library]
) -> None:
    page = f"/admin/accounts/library/{libraries[0].pk}/change/"
    form = {"name": "Another", "quota_bytes": "", "memberships-TOTAL_FORMS": 0, "memberships-INITIAL_FORMS": 0}
    form |= {"consent_records-TOTAL_FORMS": 0, "consent_records-INITIAL_FORMS": 0}
    assert admin_client.post(page, {**form, "action": "retry"}).status_code == 302
    assert [event[0] for event in trail()] == ["admin.changed"]


def test_photos_that_come_back_and_photos_that_go_for_good(
    admin_client: Client, admin_user: User, libraries: list[Library]
) -> None:
    photos = [factories.make_photo(library, trashed_at=timezone.now()) for library in libraries]
    admin_client.post(f"{PHOTOS}?{urlencode({'trash': 1})}", {"action": "restore", "_selected_action": [photos[0].pk]})
    assert trail() == [("photos.restored", admin_user.pk, libraries[0].pk, {"photos": 1})]
    admin_client.post(f"{PHOTOS}{photos[1].pk}/purge_photo/", SUBMITTED)
    assert [photo.pk for photo in Photo.objects.all()] == [photos[0].pk]
    assert trail() == [
        ("admin.changed", admin_user.pk, libraries[1].pk, {"page": "photos_photo_purge_photo"}),
        ("photos.purged", admin_user.pk, libraries[1].pk, {"photos": [str(photos[1].pk)]}),
        ("photos.restored", admin_user.pk, libraries[0].pk, {"photos": 1}),
    ]
