"""The audit trail: in the transaction that it tells of, append-only, chained, and anybody can see that it is whole."""

import io
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import factories
import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, connections, transaction
from django.test import Client
from rest_framework.test import APIClient
from second_factors import enrol

import manage
from accounts import origin
from accounts.models import ApiKey, AuditAction, AuditEvent, User
from accounts.services import api_keys, audit

pytestmark = pytest.mark.django_db


@pytest.fixture
def user() -> User:
    return factories.make_user()


def record(count: int = 1, **values: object) -> None:
    for _ in range(count):
        audit.record(action=AuditAction.LOGIN_FAILED, **values)


def forge(sql: str) -> None:
    """Do what whoever owns the table can: stop the triggers first."""
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(sql)
        cursor.execute("SET session_replication_role = DEFAULT")


def test_an_event_says_who_did_what_to_what_from_where(user: User) -> None:
    library = factories.make_library()
    with origin.coming_from("192.0.2.7"):
        audit.record(
            action=AuditAction.MEMBER_ADDED, actor=user, library_id=library.pk, subject=user, details={"role": "editor"}
        )
    event = AuditEvent.objects.get()
    assert (event.action, event.actor_id, event.key_id, event.library_id) == ("member.added", user.pk, None, library.pk)
    assert (event.subject_type, event.subject_id, event.address) == ("user", str(user.pk), "192.0.2.7")
    assert event.details == {"role": "editor"}
    assert (event.sequence, event.hash) == (None, "")


def test_an_event_is_rolled_back_with_what_it_tells_of(user: User) -> None:
    with transaction.atomic():
        record(actor=user)
        transaction.set_rollback(True)
    assert not AuditEvent.objects.exists()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE accounts_auditevent SET action = 'login.succeeded'",
        "UPDATE accounts_auditevent SET details = '{}', sequence = 9, hash = repeat('0', 64), previous_hash = hash",
        "UPDATE accounts_auditevent SET sequence = 9",
        "DELETE FROM accounts_auditevent",
    ],
)
@pytest.mark.parametrize("is_sealed", [False, True])
def test_an_event_can_be_neither_changed_nor_deleted(user: User, change: str, is_sealed: bool) -> None:
    record(actor=user, details={"way": "password"})
    if is_sealed:
        audit.seal()
    before = list(AuditEvent.objects.values())
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(change)
    assert list(AuditEvent.objects.values()) == before


def test_committed_events_are_chained_in_their_order(user: User) -> None:
    record(3, actor=user)
    assert audit.verify() == audit.Verification(sealed=0, unsealed=3, head=audit.NO_HASH)
    assert audit.seal(limit=2) == 2
    assert audit.seal() == 1
    assert audit.seal() == 0
    events = list(AuditEvent.objects.order_by("id"))
    assert [event.sequence for event in events] == [1, 2, 3]
    assert [event.previous_hash for event in events] == [audit.NO_HASH, events[0].hash, events[1].hash]
    assert audit.verify() == audit.Verification(sealed=3, unsealed=0, head=events[2].hash)


def test_a_pile_is_chained_in_steps(user: User) -> None:
    record(5, actor=user)
    assert audit.seal_all(step=2) == 5
    assert audit.seal_all() == 0
    assert (audit.verify().sealed, audit.verify().broken_at) == (5, None)


@pytest.mark.parametrize(
    ("sql", "broken_at", "reason"),
    [
        ("UPDATE accounts_auditevent SET action = 'login.succeeded' WHERE sequence = 2", 2, "altered"),
        ("UPDATE accounts_auditevent SET at = at + interval '1 microsecond' WHERE sequence = 3", 3, "altered"),
        ("UPDATE accounts_auditevent SET actor_id = NULL WHERE sequence = 1", 1, "altered"),
        ('UPDATE accounts_auditevent SET details = \'{"way": "x"}\' WHERE sequence = 1', 1, "altered"),
        ("DELETE FROM accounts_auditevent WHERE sequence = 2", 2, "missing"),
        ("DELETE FROM accounts_auditevent WHERE sequence = 1", 1, "missing"),
    ],
)
def test_a_forged_chain_is_noticed(user: User, sql: str, broken_at: int, reason: str) -> None:
    record(4, actor=user, details={"way": "password"})
    audit.seal()
    forge(sql)
    found = audit.verify()
    assert (found.broken_at, found.reason, found.sealed) == (broken_at, reason, broken_at - 1)


def test_an_end_that_was_cut_off_has_another_head(user: User) -> None:
    record(3, actor=user)
    audit.seal()
    head = audit.verify().head
    forge("DELETE FROM accounts_auditevent WHERE sequence = 3")
    assert audit.verify().broken_at is None
    assert audit.verify().head != head


@pytest.mark.django_db(transaction=True)
def test_many_sealers_make_one_chain(user: User) -> None:
    record(60, actor=user)
    begin = threading.Barrier(6)

    def seal_all() -> int:
        try:
            begin.wait()
            return sum(audit.seal(limit=5) for _ in range(20))
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as pool:
        sealed = [task.result() for task in [pool.submit(seal_all) for _ in range(6)]]
    assert sum(sealed) + audit.seal() == 60
    assert audit.verify().sealed == 60
    assert audit.verify().broken_at is None


def test_the_address_is_that_of_the_request(client: Client) -> None:
    with origin.coming_from("192.0.2.1"):
        client.get("/live", REMOTE_ADDR="192.0.2.7")
        assert origin.address() == "192.0.2.1"


@pytest.mark.parametrize("known", [1, 3])
def test_a_chain_that_was_made_anew_does_not_lead_through_the_head_of_before(user: User, known: int) -> None:
    record(3, actor=user)
    audit.seal()
    heads = {event.sequence: audit.Head(event.sequence, event.hash) for event in AuditEvent.objects.all()}
    assert audit.verify(known=heads[known]).broken_at is None
    forge("UPDATE accounts_auditevent SET action = 'erased', sequence = NULL, previous_hash = '', hash = ''")
    audit.seal()
    assert audit.verify().broken_at is None
    found = audit.verify(known=heads[known])
    assert (found.broken_at, found.reason) == (known, "forked")


def verify(*arguments: str) -> str:
    said = io.StringIO()
    call_command("audit", "verify", *arguments, stdout=said)
    return said.getvalue()


def test_the_command_says_whether_the_trail_is_whole(user: User) -> None:
    record(3, actor=user)
    audit.seal(limit=2)
    head = AuditEvent.objects.get(sequence=2).hash
    assert verify() == f"2 events, none altered, none missing; 1 is not chained yet.\nHead: 2:{head}\n"
    assert verify("--head", f"2:{head}") == verify()
    with pytest.raises(CommandError, match=r"^Event 3 is missing; those before it are whole\.$"):
        verify("--head", f"4:{head}")
    with pytest.raises(CommandError, match=r"^Event 2 is not the one of the head that was given"):
        verify("--head", f"2:{'0' * 64}")
    with pytest.raises(CommandError, match=r"as `audit verify` prints it"):
        verify("--head", "2:abc")
    forge("UPDATE accounts_auditevent SET action = 'erased' WHERE sequence = 1")
    with pytest.raises(CommandError, match=r"^Event 1 was altered; those before it are whole\.$"):
        verify()


def test_who_answers_for_a_library_reads_its_trail() -> None:
    library, other = factories.make_library(), factories.make_library()
    admin, visitor = factories.make_member(library, "admin"), factories.make_member(library, "visitor")
    record(actor=visitor, library_id=library.pk)
    record(actor=visitor, library_id=other.pk)
    record(actor=visitor)
    assert [event["library_id"] for event in trail_of(admin)] == [str(library.pk)]
    assert factories.client_of(visitor).get("/api/v1/audit").status_code == 403
    assert len(trail_of(factories.make_user(is_superuser=True))) == 3
    [event] = trail_of(admin, actor=visitor.pk, action="login.failed", after="2026-01-01T00:00:00Z")
    assert (event["actor_id"], event["action"], event["sequence"]) == (str(visitor.pk), "login.failed", None)
    assert trail_of(admin, before="2026-01-01T00:00:00Z") == []
    assert trail_of(admin, library=other.pk) == []
    assert trail_of(admin, key=uuid4()) == []
    response = factories.client_of(admin).get("/api/v1/audit", {"after": "2026-01-01T00:00:00+23:59"})
    assert (response.status_code, response.json()["errors"][0]["field"]) == (400, "after")


def trail_of(user: User, **query: object) -> list[dict[str, Any]]:
    return factories.client_of(user).get("/api/v1/audit", query).json()["results"]


def test_what_was_done_with_a_key_is_found_by_it() -> None:
    library = factories.make_library()
    admin, photo = factories.make_member(library, "admin"), factories.make_photo(library)
    made = [api_keys.create(owner=admin, name=name, scopes=["photos.view", "photos.share"]) for name in ("a", "b")]
    clients = [factories.client_of(admin), *(APIClient(headers={"X-API-Key": one.text}) for one in made)]
    shares = [
        client.post("/api/v1/shares", {"photos": [str(photo.pk)]}, format="json").json()["id"] for client in clients
    ]

    lost = made[0].key
    api_keys.revoke(keys=ApiKey.objects.filter(pk=lost.pk), actor=admin)

    [event] = trail_of(admin, action="share.created", key=lost.pk)
    assert (event["subject_id"], event["actor_id"], event["key_id"]) == (shares[1], str(admin.pk), str(lost.pk))
    assert len(trail_of(admin, action="share.created")) == 3
    # whose link goes on
    assert admin.shares.filter(pk=shares[1], revoked_at__isnull=True).exists()
    refused = factories.client_of(admin).get("/api/v1/audit", {"key": "dk_0a1b2c3d4e5f"})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "key")


@pytest.mark.django_db(transaction=True)
def test_a_command_of_the_terminal_says_who_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    user = factories.make_user(email="ada@example.org")
    enrol(user)
    before = AuditEvent.objects.count()
    monkeypatch.setattr(sys, "argv", ["manage.py", "second_factor", "reset", user.email])
    manage.main()
    assert capsys.readouterr().out.startswith("ada@example.org logs in with the password alone now.")
    event = AuditEvent.objects.get(action=AuditAction.SECOND_FACTOR_DISABLED)
    assert (AuditEvent.objects.count() - before, event.actor_id) == (1, None)
    assert event.details["command"] == "second_factor"
    # it ends with the command
    assert origin.command() == ""
