"""The audit trail: written in the transaction that it tells of, chained afterwards by one sealer, verified by anybody.

An event is committed or rolled back with what it tells of, so that neither is there without the other. Transactions end
in any order, and to chain rows while they are written would let one of them hold up all others: the sealer numbers what
is committed. An event that is not sealed yet can be altered by whoever can stop triggers; a sealed one cannot without
the change being seen, unless all after it are forged too. Against that, keep the head that `verify` gives elsewhere.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC
from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.db import connection, transaction
from django.db.models import Model

from accounts import origin
from accounts.models import AuditAction, AuditEvent, User

NO_HASH = "0" * 64
SEAL_AT_ONCE = 1000
# which command of the server did it, among the details where nobody is known
COMMAND = "command"
# any number that nothing else locks
_SEALER_LOCK = 7_261_544_120


@dataclass(frozen=True, slots=True)
class Verification:
    """What came of reading the chain from its begin.

    `sealed` events are in it, `unsealed` wait for the sealer; `head` is the hash of the last one. `broken_at` is the
    number of the first event that is not what it was, or is missing, and `reason` says which; None and "" if all is
    well.
    """

    sealed: int
    unsealed: int
    head: str
    broken_at: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the chain at some time: the number and the hash of its last event."""

    number: int
    digest: str


def record(
    *,
    action: AuditAction,
    actor: User | AnonymousUser | None = None,
    library_id: UUID | None = None,
    subject: Model | None = None,
    details: Mapping[str, object] | None = None,
) -> None:
    """Write an event into the trail, as a part of the transaction that is open.

    `actor` is None where nobody is known, as after a failed login, or where the system does it by itself. `details` are
    JSON values without secrets, addresses of people, or places: the trail outlives those whom it tells of.
    """
    user = actor if isinstance(actor, User) else None
    key = None if user is None else user.acting_key
    AuditEvent.objects.create(
        action=action,
        actor_id=None if user is None else user.pk,
        key_id=None if key is None else key.pk,
        library_id=library_id,
        subject_type="" if subject is None else subject._meta.model_name,
        subject_id="" if subject is None else str(subject.pk),
        address=origin.address(),
        details=_by_command(user) | dict(details or {}),
    )


def _by_command(user: User | None) -> dict[str, str]:
    name = origin.command()
    return {COMMAND: name} if name and user is None else {}


@transaction.atomic
def seal(*, limit: int = SEAL_AT_ONCE) -> int:
    """Chain committed events, the oldest first, at most `limit`; gives how many. Where a sealer is at work, none."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_SEALER_LOCK])
        if not cursor.fetchone()[0]:
            return 0
    last = AuditEvent.objects.sealed().order_by("-sequence").only("sequence", "hash").first()
    number, previous = (last.sequence, last.hash) if last else (0, NO_HASH)
    events = list(AuditEvent.objects.unsealed().order_by("id")[:limit])
    for event in events:
        number += 1
        event.sequence, event.previous_hash = number, previous
        event.hash = previous = digest(event)
    AuditEvent.objects.bulk_update(events, ["sequence", "previous_hash", "hash"])
    return len(events)


def seal_all(*, step: int = SEAL_AT_ONCE) -> int:
    """Chain all that is committed, `step` events at a time; gives how many. Ends where another sealer is at work."""
    count = 0
    while sealed := seal(limit=step):
        count += sealed
    return count


def verify(*, known: Head | None = None) -> Verification:
    """Read the whole chain, in batches. `known` is a head of an earlier time: the chain has to lead through it.

    What is committed meanwhile is not looked at.
    """
    with transaction.atomic():
        unsealed = AuditEvent.objects.unsealed().count()
        number, previous = 0, NO_HASH
        for event in _sealed():
            number += 1
            if event.sequence != number:
                return Verification(number - 1, unsealed, previous, number, "missing")
            if event.previous_hash != previous or event.hash != digest(event):
                return Verification(number - 1, unsealed, previous, number, "altered")
            if known is not None and number == known.number and event.hash != known.digest:
                return Verification(number - 1, unsealed, previous, number, "forked")
            previous = event.hash
    if known is not None and number < known.number:
        return Verification(number, unsealed, previous, number + 1, "missing")
    return Verification(number, unsealed, previous)


def digest(event: AuditEvent) -> str:
    """Give the SHA-256 (hex) of an event with its number and the hash before it, over JSON with sorted keys."""
    values = [
        event.sequence,
        event.previous_hash,
        str(event.pk),
        event.at.astimezone(UTC).isoformat(timespec="microseconds"),
        event.action,
        _text(event.actor_id),
        _text(event.key_id),
        _text(event.library_id),
        event.subject_type,
        event.subject_id,
        event.address,
        event.details,
    ]
    written = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(written.encode()).hexdigest()


def _sealed() -> Iterator[AuditEvent]:
    return AuditEvent.objects.sealed().order_by("sequence").iterator(chunk_size=SEAL_AT_ONCE)


def _text(value: UUID | None) -> str | None:
    return None if value is None else str(value)
