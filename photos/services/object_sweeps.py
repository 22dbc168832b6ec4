"""Dates at which stored objects are looked at again: asked for, called off, taken up and ended.

All times are the database's. What a sweep does lies above, where runs are known.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import QuerySet
from django.db.models.functions import Greatest, Now
from uuid_utils.compat import uuid7

from photos import storage
from photos.models import ObjectSweep


@dataclass(frozen=True, slots=True)
class TakenSweep:
    """A sweep in somebody's hands until `leased_until`, when it is due again should they have died.

    `final_at` is when the prefix is to be looked at for the last time; `is_final`: that time has come. `tried_for`: how
    long ago it was taken up for the first time.
    """

    id: UUID
    alias: str
    prefix: str
    reason: str
    final_at: datetime
    is_final: bool
    leased_until: datetime
    kept_until: datetime
    tried_for: timedelta


# in the order of the keys, as everybody who asks for several locks them
_REQUEST = """
INSERT INTO photos_objectsweep (id, alias, prefix, reason, created_at, due_at, final_at)
SELECT id, alias, prefix, %(reason)s, now(), now() + %(due_in)s, now() + greatest(%(due_in)s, %(final_in)s)
FROM unnest(%(ids)s::uuid[], %(aliases)s::text[], %(prefixes)s::text[]) AS wanted (id, alias, prefix)
ORDER BY alias, prefix
ON CONFLICT (alias, prefix) DO UPDATE
SET reason = excluded.reason,
    due_at = least(photos_objectsweep.due_at, excluded.due_at),
    final_at = greatest(photos_objectsweep.final_at, excluded.final_at)
"""

_TAKE = """
WITH picked AS MATERIALIZED (
    SELECT id, final_at, final_at <= now() AS is_final FROM photos_objectsweep
    WHERE due_at <= now() ORDER BY due_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
UPDATE photos_objectsweep AS sweep
SET taken_at = coalesce(sweep.taken_at, now()),
    due_at = now() + %(lease)s, final_at = greatest(sweep.final_at, now() + %(lease)s)
FROM picked WHERE sweep.id = picked.id
RETURNING sweep.id, sweep.alias, sweep.prefix, sweep.reason,
          picked.final_at, picked.is_final, sweep.due_at, sweep.final_at, now() - sweep.taken_at
"""


def longest_life() -> timedelta:
    """Give the time after which a request is over at the latest, unless its sweep is put off again and again."""
    # a file of an export may be written for as long as a task may work
    longest = 2 * max(settings.UPLOAD_SWEEP_SECONDS, settings.LIBRARY_TASK_TIME_LIMIT)
    return timedelta(seconds=max(longest, settings.OBJECT_SWEEP_AGAIN_SECONDS))


def request(
    *,
    alias: str,
    prefix: str,
    reason: ObjectSweep.Reason,
    due_in: timedelta = timedelta(0),
    final_in: timedelta | None = None,
) -> None:
    """Have the objects under a prefix looked at; those that no row names are deleted.

    `prefix` is the prefix of a photo's derived objects, or the key of one original; ValueError if it ends in a slash
    and is no photo's. Looked at after `due_in`, and once more after `final_in` (without it: when the last process that
    might write there has lost its lease). Asked for again, it is the earlier of two dates, and the later of two last
    ones. Call it in the transaction that takes the rows away.
    """
    request_all(sweeps=[(alias, prefix)], reason=reason, due_in=due_in, final_in=final_in)


def request_all(
    *,
    sweeps: Iterable[tuple[str, str]],
    reason: ObjectSweep.Reason,
    due_in: timedelta = timedelta(0),
    final_in: timedelta | None = None,
) -> None:
    """Ask as `request` does, for many (alias, prefix) at once. What lies in a source is not ours to look at."""
    wanted = sorted({(alias, prefix) for alias, prefix in sweeps if not storage.is_source(alias)})
    for _, prefix in wanted:
        if prefix.endswith("/"):
            storage.photo_of_prefix(prefix)
    if not wanted:
        return
    again = timedelta(seconds=settings.OBJECT_SWEEP_AGAIN_SECONDS) if final_in is None else final_in
    values = {
        "ids": [uuid7() for _ in wanted],
        "aliases": [alias for alias, _ in wanted],
        "prefixes": [prefix for _, prefix in wanted],
        "reason": str(reason.value),
        "due_in": due_in,
        "final_in": again,
    }
    with connection.cursor() as cursor:
        cursor.execute(_REQUEST, values)


def cancel(*, alias: str, prefix: str) -> bool:
    """Call a sweep off, in the transaction that names the object; False if it has been taken up, or never was there.

    Then the object may be gone, and what names it must not be committed.
    """
    deleted, _ = ObjectSweep.objects.filter(alias=alias, prefix=prefix, taken_at__isnull=True).delete()
    return bool(deleted)


def is_any_due(*, library_id: UUID, aliases: Sequence[str] = (storage.RENDITIONS,)) -> bool:
    """Tell whether objects of any photo of a library are to be looked at now; derived ones, unless it is said."""
    due = ObjectSweep.objects.filter(alias__in=aliases, due_at__lte=Now())
    return due.filter(prefix__startswith=f"{library_id}/").exists()


@transaction.atomic
def take(*, limit: int, lease: timedelta) -> list[TakenSweep]:
    """Take up sweeps that are due, the oldest first, which nobody else has in hand; each again after `lease`."""
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, {"limit": limit, "lease": lease})
        return [TakenSweep(*row) for row in cursor.fetchall()]


def finish(taken: TakenSweep) -> bool:
    """End a sweep that was done: it is over, or waits for its last time. False if it was asked for again meanwhile."""
    held = _held(taken)
    if taken.is_final:
        return bool(held.delete()[0])
    return bool(held.update(due_at=taken.final_at, final_at=taken.final_at))


def put_off(taken: TakenSweep, *, wait: timedelta) -> bool:
    """Look again after `wait`: it could not be done now. False if it was asked for again meanwhile."""
    return bool(_held(taken).update(due_at=Now() + wait, final_at=Greatest(Now() + wait, taken.final_at)))


def _held(taken: TakenSweep) -> QuerySet[ObjectSweep]:
    # a request moves one of the two
    return ObjectSweep.objects.filter(pk=taken.id, due_at=taken.leased_until, final_at=taken.kept_until)
