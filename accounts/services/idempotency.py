"""Requests with an Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): done once, answered as often as sent.

Whoever sends a key first takes a lease of it, in a transaction of its own. The answer is kept in the transaction that
does the work, fenced by the lease's token: a server that is killed has either done both or nothing, and one that was so
slow that somebody else has taken over does nothing. What is done outside of a transaction may be done twice where the
server is killed between the work and the keeping.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db import connection
from django.db.models import QuerySet
from django.db.models.functions import Now
from uuid_utils.compat import uuid4, uuid7

from accounts.models import IdempotentRequest, User
from accounts.problems import ConflictError, DomainError

KEPT = timedelta(hours=24)
# longer than a request takes; a key of a server that was killed is free again after it
LEASE = timedelta(seconds=60)
# an answer that is longer is not kept, but that it was given
LARGEST_BODY = 256 * 1024
FLUSH_AT_ONCE = 5000

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
# one row in any case: a new one, one that has expired, or one whose holder has been silent for a lease
_CLAIM = """
INSERT INTO accounts_idempotentrequest AS kept
    (id, user_id, holder, key, fingerprint, lease_token, lease_until, headers, subjects, created_at, expires_at)
VALUES (%(id)s, %(user)s, %(holder)s, %(key)s, %(fingerprint)s, %(token)s, statement_timestamp() + %(lease)s,
    '{}', '{}', statement_timestamp(), statement_timestamp() + %(kept)s)
ON CONFLICT (holder, key) DO UPDATE SET
    user_id = excluded.user_id, fingerprint = excluded.fingerprint, lease_token = excluded.lease_token,
    lease_until = excluded.lease_until, status = NULL, headers = '{}', body = NULL, subjects = '{}',
    created_at = excluded.created_at, expires_at = excluded.expires_at
WHERE kept.expires_at <= statement_timestamp()
    OR kept.status IS NULL AND kept.lease_until <= statement_timestamp() AND kept.fingerprint = excluded.fingerprint
"""


class KeyReusedError(DomainError):
    """The key was sent with another request before."""

    code = "idempotency_key_reused"


class KeyInUseError(ConflictError):
    """The first request with the key is still being worked on; `wait` is when to ask again, in seconds."""

    code = "idempotency_key_in_use"
    wait = 2

    def __init__(self) -> None:
        super().__init__("The first request with this key is still being worked on.")


class ResultNotKeptError(ConflictError):
    """The request was fulfilled, and its answer is not told twice."""

    code = "idempotency_result_not_kept"


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered; `body` is None where it was not kept."""

    status: int
    headers: Mapping[str, str]
    body: str | None


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to work on a request: whoever holds the token keeps its answer."""

    holder: UUID
    key: str
    token: UUID


def claim(*, user: User, key: str, fingerprint: str) -> Claim | Answer:
    """Take a key for a request, or give the answer that was kept for it. Call it outside of transactions.

    Raises KeyReusedError where another request came with the key, KeyInUseError while the first one is worked on.
    """
    holder = user.pk if user.acting_key is None else user.acting_key.pk
    token = uuid4()
    values = {
        "id": uuid7(),
        "user": user.pk,
        "holder": holder,
        "key": key,
        "fingerprint": fingerprint,
        "token": token,
        "lease": LEASE,
        "kept": KEPT,
    }
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, values)
        if cursor.rowcount:
            return Claim(holder, key, token)
    row = IdempotentRequest.objects.filter(holder=holder, key=key).first()
    if row is not None and row.fingerprint != fingerprint:
        raise KeyReusedError("This Idempotency-Key was sent with another request: take a new one.")
    # none: whoever worked on it has let go of it between the two
    if row is None or row.status is None:
        raise KeyInUseError
    return Answer(row.status, row.headers, row.body)


def keep(claimed: Claim, *, status: int, headers: Mapping[str, str], body: str | None) -> bool:
    """Keep an answer, as a part of the transaction that is open; False where somebody else has taken over meanwhile.

    Without a `body`, or with one that is very long, only that it was answered is kept.
    """
    kept = body if body is not None and len(body) <= LARGEST_BODY else None
    subjects = sorted({UUID(one) for one in _ID.findall(kept or "")})
    return bool(
        _held(claimed).update(
            status=status, headers=dict(headers), body=kept, subjects=subjects, lease_token=None, lease_until=None
        )
    )


def release(claimed: Claim) -> None:
    """Let go of a key whose request may be sent again: it was not fulfilled, and may be the next time."""
    _held(claimed).delete()


def forget(*, ids: Iterable[UUID]) -> None:
    """Drop what was kept of answers that name something which is erased, in its transaction; that they were given
    stays.
    """
    IdempotentRequest.objects.filter(subjects__overlap=list(ids)).update(body=None, headers={}, subjects=[])


def flush_expired() -> int:
    """Delete what was kept for long enough; gives how many."""
    deleted = 0
    expired = IdempotentRequest.objects.filter(expires_at__lte=Now())
    while keys := list(expired.values_list("pk", flat=True)[:FLUSH_AT_ONCE]):
        # one that was sent anew meanwhile is not expired any more
        deleted += expired.filter(pk__in=keys).delete()[0]
    return deleted


def _held(claimed: Claim) -> QuerySet[IdempotentRequest]:
    return IdempotentRequest.objects.filter(holder=claimed.holder, key=claimed.key, lease_token=claimed.token)
