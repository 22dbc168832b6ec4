"""The audit trail: in the transaction that it tells of, append-only, chained, and anybody can see that it is whole."""

import threading
from concurrent.futures import ThreadPoolExecutor

import factories
import pytest
from django.db import IntegrityError, connection, connections, transaction
from django.test import Client

from accounts import origin
from accounts.models import AuditAction, AuditEvent, User
from accounts.services import audit

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
