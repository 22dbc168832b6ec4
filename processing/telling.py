"""Telling what becomes of photos: an event for each stage that ends, in the transaction that ends it."""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from django.db import connection

from photos.models import Event, EventKind, Photo
from photos.services import events
from processing.models import RunState, StageRun
from processing.models.ledger import OPEN_STATES
from processing.states import PhotoState

# Two statements, so that the second one sees what was committed while the first one waited. What lies in the trash is
# not told of. Stage by stage: of several versions of one all have to end.
_STANDINGS = f"""
SELECT FROM {Photo._meta.db_table} WHERE id = ANY(%(photos)s) ORDER BY id FOR NO KEY UPDATE;
SELECT id, library_id, total, done, is_open, is_dead, has_begun
FROM {Photo._meta.db_table} AS photo CROSS JOIN LATERAL (
    SELECT count(*) AS total, count(*) FILTER (WHERE NOT is_open AND NOT is_dead) AS done,
           bool_or(is_open) AS is_open, bool_or(is_dead) AS is_dead, bool_or(has_begun) AS has_begun
    FROM (
        SELECT bool_or(state = ANY(%(open)s)) AS is_open, bool_or(state = %(dead)s) AS is_dead,
               bool_or(state = ANY(%(begun)s)) AS has_begun
        FROM {StageRun._meta.db_table} AS run WHERE run.photo_id = photo.id GROUP BY stage
    ) AS stages
) AS standing
WHERE id = ANY(%(photos)s) AND trashed_at IS NULL AND total > 0
"""  # noqa: S608 - the names of our own tables


@dataclass(frozen=True, slots=True)
class _Standing:
    """How far a photo is: `done` of `total` stages, and its state as everywhere else (`processing.states`)."""

    photo_id: UUID
    library_id: UUID
    total: int
    done: int
    is_open: bool
    is_dead: bool
    has_begun: bool

    @property
    def state(self) -> PhotoState:
        if self.is_dead:
            return PhotoState.ATTENTION
        if not self.is_open:
            return PhotoState.READY
        return PhotoState.PROCESSING if self.has_begun else PhotoState.PENDING


def tell_run(*, photo_id: UUID, stage: str, run: RunState, error_code: str = "") -> None:
    """Tell that a run of a photo ended, how, and how far the photo is by that.

    Call it last in the transaction that ends the run. Whoever is first to end another run of the same photo is waited
    for: of two that end at the same moment the second one sees that nothing is open any more.
    """
    said = {"stage": stage, "run": run.value, **({"error": error_code} if error_code else {})}
    _tell([photo_id], said, is_death=run == RunState.DEAD)


def tell_photos(*, photo_ids: Collection[UUID]) -> None:
    """Tell how far photos are of which somebody has begun runs anew, or given them up. Call it as `tell_run`."""
    _tell(photo_ids, {}, is_death=False)


def _tell(photo_ids: Collection[UUID], said: dict[str, str], *, is_death: bool) -> None:
    told = []
    for standing in _standings(photo_ids):
        kind = EventKind.PHOTO_READY if standing.state == PhotoState.READY else EventKind.PHOTO_PROGRESS
        payload = {**said, "state": standing.state.value, "done": standing.done, "total": standing.total}
        told.append(
            Event(
                kind=EventKind.PHOTO_ATTENTION if is_death else kind,
                library_id=standing.library_id,
                photo_id=standing.photo_id,
                payload=payload,
            )
        )
    events.record(events=told)


def _standings(photo_ids: Collection[UUID]) -> list[_Standing]:
    values = {
        "photos": list(photo_ids),
        "open": [state.value for state in OPEN_STATES],
        "dead": RunState.DEAD.value,
        "begun": [RunState.RUNNING.value, RunState.DONE.value],
    }
    with connection.cursor() as cursor:
        cursor.execute(_STANDINGS, values)
        return [_Standing(*row) for row in cursor.fetchall()]
