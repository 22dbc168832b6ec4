"""Telling what happens, for those who listen: written in the transaction that does it, read in one order by everybody.

The number of a row says nothing of when it was committed: of two transactions at once the one that wrote first may end
last, and whoever had read up to the other's row would never see it. So rows are written without a position, and
`give_positions` gives them to what is committed, in one transaction at a time. It costs the writers nothing: they wait
for nobody, and a transaction that takes long holds nothing up.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction

from photos.models import Event, EventKind

# what a listening process waits for; a hint, as it looks by itself every second
CHANNEL = "darkroom_events"
ROWS_PER_INSERT = 1000
POSITIONS_AT_ONCE = 2000
PRUNED_AT_ONCE = 20_000

_POSITION_LOCK = 0x6576656E74730000  # "events": a key of our own among advisory locks

# whoever has shown a photo is told that it was changed or is gone, though it be by being hidden
_TOLD_TO_ALL = (EventKind.PHOTO_CHANGED.value, EventKind.PHOTO_TRASHED.value, EventKind.PHOTO_DELETED.value)
_INSERT = """
INSERT INTO photos_event (library_id, photo_id, kind, payload, is_hidden)
SELECT told.library_id, photo_id, kind, payload, coalesce(photo.is_hidden, false) AND kind <> ALL (%s)
FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::jsonb[]) WITH ORDINALITY
    AS told (library_id, photo_id, kind, payload, place)
LEFT JOIN photos_photo AS photo ON photo.id = told.photo_id ORDER BY place
"""
# in the order in which they were written: of one photo's, whose transactions waited for each other, it is the true one
_GIVE_POSITIONS = """
WITH numbered AS MATERIALIZED (
    SELECT id, nextval('photos_event_position') AS position
    FROM (SELECT id FROM photos_event WHERE position IS NULL ORDER BY id LIMIT %s) AS committed
)
UPDATE photos_event AS event SET position = numbered.position FROM numbered WHERE event.id = numbered.id
"""
# up to the first that is kept: none is missing between two that are there
_PRUNE = """
WITH oldest AS MATERIALIZED (
    SELECT position, created_at < now() - %(age)s AS is_old FROM photos_event
    WHERE position IS NOT NULL ORDER BY position LIMIT %(limit)s
), kept AS (
    SELECT coalesce(min(position) FILTER (WHERE NOT is_old), max(position) + 1) AS position FROM oldest
)
DELETE FROM photos_event AS event USING kept WHERE event.position < kept.position
"""
# where nobody listens, nobody gives positions
_PRUNE_UNREAD = """
WITH oldest AS MATERIALIZED (
    SELECT id, created_at < now() - %(age)s AS is_old FROM photos_event
    WHERE position IS NULL ORDER BY id LIMIT %(limit)s
)
DELETE FROM photos_event AS event USING oldest WHERE event.id = oldest.id AND is_old AND event.position IS NULL
"""


def record(*, events: Iterable[Event]) -> None:
    """Write events, as many as there are, in the transaction that is open: they are told if it commits.

    Call it at its end, when the rows that it tells of are written. Raises RuntimeError outside of a transaction: an
    event of what is not committed would be a lie.
    """
    if not connection.in_atomic_block:
        raise RuntimeError("events are recorded in the transaction that does what they tell of")
    rows = list(events)
    if rows:
        for start in range(0, len(rows), ROWS_PER_INSERT):
            _insert(rows[start : start + ROWS_PER_INSERT])
        # after the commit, and not in it: a commit that notifies has all others that do wait for its write to the disk
        transaction.on_commit(_wake, robust=True)


def record_photos(*, kind: EventKind, photos: Mapping[UUID, UUID], payload: Mapping[str, object] | None = None) -> None:
    """Write an event for each of many photos: {photo: its library}. Otherwise as `record`."""
    told = dict(payload or {})
    record(
        events=(
            Event(kind=kind, library_id=library_id, photo_id=photo_id, payload=told)
            for photo_id, library_id in photos.items()
        )
    )


def record_change(*, kind: EventKind, library_id: UUID, **payload: object) -> None:
    """Write that something of a library was changed, once, however much it is. Otherwise as `record`."""
    record(events=[Event(kind=kind, library_id=library_id, payload=payload)])


def _insert(rows: Sequence[Event]) -> None:
    """Write rows in the order in which they stand. Every commit of a stage does this, so it goes past the ORM."""
    columns = [
        list(_TOLD_TO_ALL),
        [row.library_id for row in rows],
        [row.photo_id for row in rows],
        [str(row.kind) for row in rows],
        [json.dumps(row.payload) for row in rows],
    ]
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, columns)


@transaction.atomic
def record_import(*, library_id: UUID, import_id: UUID, counts: Mapping[str, int], is_finished: bool = False) -> None:
    """Write how far an import has come, or that it ended, as counts of files by what became of them.

    Not for every file: once a second is enough for whoever looks on. May be called outside of a transaction.
    """
    kind = EventKind.IMPORT_FINISHED if is_finished else EventKind.IMPORT_PROGRESS
    record(events=[Event(kind=kind, library_id=library_id, payload={"import": str(import_id), **counts})])


def give_positions() -> int:
    """Give all committed events that have none their place in the order; gives how many. Any number may do so at once.

    Others wait meanwhile, and find nothing left.
    """
    total = 0
    while count := _give_positions():
        total += count
        if count < POSITIONS_AT_ONCE:
            break
    return total


@transaction.atomic
def _give_positions() -> int:
    _hold_positions()
    with connection.cursor() as cursor:
        cursor.execute(_GIVE_POSITIONS, [POSITIONS_AT_ONCE])
        return cursor.rowcount


@transaction.atomic
def last_position() -> int:
    """Give the last position that was ever given, 0 before the first: every event up to it is committed, or gone."""
    # whoever gives some at this moment has counted on, and not committed
    _hold_positions()
    with connection.cursor() as cursor:
        cursor.execute("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM photos_event_position")
        return cursor.fetchone()[0]


def _hold_positions() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_POSITION_LOCK])


def prune() -> int:
    """Delete events that are older than EVENTS_KEEP_SECONDS, a part of them where there are many; gives how many."""
    values = {"age": timedelta(seconds=settings.EVENTS_KEEP_SECONDS), "limit": PRUNED_AT_ONCE}
    count = 0
    with connection.cursor() as cursor:
        for statement in (_PRUNE, _PRUNE_UNREAD):
            cursor.execute(statement, values)
            count += cursor.rowcount
    return count


def forget_library(*, library_id: UUID) -> int:
    """Delete all events of a library that is erased; gives how many."""
    return Event.objects.filter(library_id=library_id).delete()[0]


def _wake() -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"NOTIFY {CHANNEL}")
