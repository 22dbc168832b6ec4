"""The audit trail in the admin: looked at, searched, narrowed, and never changed."""

import uuid

import factories
import pytest
from dead_letter_rows import staff
from django.contrib.admin import site
from django.db import connection
from django.test import Client, RequestFactory

from accounts import origin
from accounts.models import AuditAction, AuditEvent, ErasureKind
from accounts.services import audit, erasure

pytestmark = pytest.mark.django_db

TRAIL = "/admin/accounts/auditevent/"


def ids(client: Client, query: str = "") -> set[str]:
    return {str(event.pk) for event in client.get(f"{TRAIL}{query}").context["cl"].result_list}


def test_the_trail_names_people_and_libraries_while_they_are_there(admin_client: Client) -> None:
    library = factories.make_library(name="Archive")
    user = factories.make_user(email="ada@example.org")
    with origin.coming_from("192.0.2.7"):
        audit.record(
            action=AuditAction.MEMBER_ADDED, actor=user, library_id=library.pk, subject=user, details={"role": "editor"}
        )
    audit.seal()
    event = AuditEvent.objects.get(action=AuditAction.MEMBER_ADDED)
    listed = admin_client.get(TRAIL).content.decode()
    shown = admin_client.get(f"{TRAIL}{event.pk}/change/").content.decode()
    for page in (listed, shown):
        for text in ("ada@example.org", "Archive", "added a member", "192.0.2.7"):
            assert text in page
    assert "editor" in shown
    assert event.hash in shown
    user.delete()
    assert str(event.actor_id) in admin_client.get(TRAIL).content.decode()


def test_it_is_searched_by_ids_and_addresses(admin_client: Client) -> None:
    user, library = factories.make_user(), factories.make_library()
    for values in ({"actor": user}, {"library_id": library.pk}, {"subject": library}):
        audit.record(action=AuditAction.ERASED, **values)
    with origin.coming_from("192.0.2.7"):
        audit.record(action=AuditAction.LOGIN_FAILED)
    by_user, by_library, by_subject, by_address = (
        str(event.pk) for event in AuditEvent.objects.exclude(action="login.succeeded").order_by("id")
    )
    assert ids(admin_client, f"?q={user.pk}") == {by_user}
    assert ids(admin_client, f"?q={library.pk}") == {by_library, by_subject}
    assert ids(admin_client, "?q=192.0.2.7") == {by_address}
    assert ids(admin_client, "?q=nothing") == set()
    assert ids(admin_client, "?action__exact=login.failed") == {by_address}


def test_staff_see_the_trail_of_their_libraries_alone(client: Client) -> None:
    library, other = factories.make_library(), factories.make_library()
    for one in (library, other):
        audit.record(action=AuditAction.MEMBER_ADDED, library_id=one.pk)
    mine, foreign = AuditEvent.objects.order_by("id")
    client.force_login(staff(library, "admin", "view_auditevent"))
    assert ids(client) == {str(mine.pk)}
    assert client.get(f"{TRAIL}{foreign.pk}/change/").status_code == 302


def test_an_account_is_found_by_its_address(admin_client: Client) -> None:
    user = factories.make_user(email="ada@example.org")
    for values in ({"actor": user}, {"subject": user}, {}):
        audit.record(action=AuditAction.ERASED, **values)
    acted, done_to, _ = (str(event.pk) for event in AuditEvent.objects.filter(action="erased").order_by("id"))
    assert ids(admin_client, "?q=Ada@example.org") == {acted, done_to}
    assert ids(admin_client, "?q=nobody@example.org") == set()


def test_a_subject_leads_to_its_page(admin_client: Client, client: Client) -> None:
    library = factories.make_library()
    photo = factories.make_photo(library)
    audit.record(action=AuditAction.ORIGINAL_DOWNLOADED, library_id=library.pk, subject=photo)
    event = AuditEvent.objects.get(action=AuditAction.ORIGINAL_DOWNLOADED)
    link = f'<a class="dr-link" href="/admin/photos/photo/{photo.pk}/change/">photo {photo.pk}</a>'
    for page in (TRAIL, f"{TRAIL}{event.pk}/change/"):
        assert link in admin_client.get(page).content.decode()
    client.force_login(staff(library, "admin", "view_auditevent"))
    page = client.get(TRAIL).content.decode()
    assert f"photo {photo.pk}" in page
    assert link not in page


def test_what_a_command_has_done_is_told_apart(admin_client: Client) -> None:
    user = factories.make_user()
    with origin.commanded_by("forget"):
        receipt, _ = erasure.begin(kind=ErasureKind.USER, subject=user, library_id=None, by=None)
        audit.record(action=AuditAction.PERSON_EXPORTED, actor=user)
    audit.record(action=AuditAction.LOGIN_FAILED)
    told = dict(AuditEvent.objects.exclude(action="login.succeeded").values_list("action", "details"))
    assert told["erased"]["command"] == "forget"
    assert (told["person.exported"], told["login.failed"]) == ({}, {})
    assert admin_client.get(TRAIL).content.decode().count("command line") == 1
    page = admin_client.get(f"/admin/accounts/erasurereceipt/{receipt.pk}/change/").content.decode()
    assert "command line" in page


def test_the_history_of_a_row_is_what_the_trail_tells_of_it(admin_client: Client, client: Client) -> None:
    library = factories.make_library()
    page, history = (f"/admin/accounts/library/{library.pk}/{one}/" for one in ("change", "history"))
    audit.record(action=AuditAction.FACE_ANALYSIS_SWITCHED, library_id=library.pk, subject=library)
    audit.record(action=AuditAction.ERASED)
    event = AuditEvent.objects.get(action=AuditAction.FACE_ANALYSIS_SWITCHED)
    assert history in admin_client.get(page).content.decode()
    led = admin_client.get(history)
    assert led["Location"] == f"{TRAIL}?q={library.pk}"
    assert ids(admin_client, f"?q={library.pk}") == {str(event.pk)}
    # of an event there is nothing else to tell
    assert "/history/" not in admin_client.get(f"{TRAIL}{event.pk}/change/").content.decode()

    # who may not read the trail is not led to it
    client.force_login(staff(library, "admin", "view_library", "change_library"))
    assert "/history/" not in client.get(page).content.decode()
    assert client.get(history).status_code == 200
    other = factories.make_library()
    assert client.get(f"/admin/accounts/library/{other.pk}/history/")["Location"] == "/admin/"


def test_nobody_changes_it_there(admin_client: Client) -> None:
    audit.record(action=AuditAction.ERASED)
    before = list(AuditEvent.objects.values())
    event = AuditEvent.objects.get(action=AuditAction.ERASED)
    assert admin_client.get(f"{TRAIL}add/").status_code == 403
    assert admin_client.post(f"{TRAIL}{event.pk}/change/", {"action": "login.failed"}).status_code == 403
    assert admin_client.post(f"{TRAIL}{event.pk}/delete/", {"post": "yes"}).status_code == 403
    assert list(AuditEvent.objects.values()) == before


@pytest.mark.parametrize("term", [str(uuid.UUID(int=1)), "192.0.2.7", "nothing", "ada@example.org"])
def test_a_search_reads_indexes_alone(rf: RequestFactory, term: str) -> None:
    factories.make_user(email="ada@example.org")
    admin_of_trail = site.get_model_admin(AuditEvent)
    found, _ = admin_of_trail.get_search_results(rf.get(TRAIL), AuditEvent.objects.order_by(), term)
    with connection.cursor() as cursor:
        # of few rows the planner would rather read all
        cursor.execute("SET LOCAL enable_seqscan = off")
    plan = found.explain()
    assert "audit_event_subject" in plan
    assert ("audit_event_address" in plan) == (term == "192.0.2.7")
    assert "Seq Scan" not in plan
    assert "Filter" not in plan
