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

# stage by stage: of several versions of one all have to end
_STANDINGS = f"""
SELECT photo_id, count(*), count(*) FILTER (WHERE NOT is_open AND NOT is_dead),
       bool_or(is_open), bool_or(is_dead), bool_or(has_begun)
FROM (
    SELECT photo_id, stage, bool_or(state = ANY(%(open)s)) AS is_open, bool_or(state = %(dead)s) AS is_dead,
           bool_or(state = ANY(%(begun)s)) AS has_begun
    FROM {StageRun._meta.db_table} WHERE photo_id = ANY(%(photos)s) GROUP BY photo_id, stage
) AS stages GROUP BY photo_id
"""  # noqa: S608 - the name of our own table


@dataclass(frozen=True, slots=True)
class _Standing:
    """How far a photo is: `done` of `total` stages, and its state as everywhere else (`processing.states`)."""

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
    # what lies in the trash is not told of
    photos = Photo.objects.present().filter(pk__in=photo_ids).select_for_update(no_key=True).order_by("pk")
    library_of = dict(photos.values_list("pk", "library_id"))
    standings = _standings(library_of)
    told = []
    for photo_id, library_id in library_of.items():
        standing = standings.get(photo_id)
        if standing is None:
            continue
        kind = EventKind.PHOTO_READY if standing.state == PhotoState.READY else EventKind.PHOTO_PROGRESS
        payload = {**said, "state": standing.state.value, "done": standing.done, "total": standing.total}
        told.append(
            Event(
                kind=EventKind.PHOTO_ATTENTION if is_death else kind,
                library_id=library_id,
                photo_id=photo_id,
                payload=payload,
            )
        )
    events.record(events=told)


def _standings(photo_ids: Collection[UUID]) -> dict[UUID, _Standing]:
    values = {
        "photos": list(photo_ids),
        "open": [state.value for state in OPEN_STATES],
        "dead": RunState.DEAD.value,
        "begun": [RunState.RUNNING.value, RunState.DONE.value],
    }
    with connection.cursor() as cursor:
        cursor.execute(_STANDINGS, values)
        return {row[0]: _Standing(*row[1:]) for row in cursor.fetchall()}
