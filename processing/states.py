"""The state of a photo, derived from its runs and stored nowhere."""

from collections.abc import Collection
from uuid import UUID

from django.db import models
from django.db.models import Case, Exists, OuterRef, Q, QuerySet, Value, When
from django.utils.translation import gettext_lazy as _

from photos.models import Photo
from processing.models import RunState, StageRun
from processing.models.ledger import OPEN_STATES

# as many are named to the database one by one
FEW_RUNS = 5000


class PhotoState(models.TextChoices):
    """What an operator or a client sees of a photo's processing.

    `pending`: nothing has begun; `processing`: some of it is done or under way; `ready`: every run is done or skipped;
    `attention`: a run is dead and waits for a person.
    """

    PENDING = "pending", _("Pending")
    PROCESSING = "processing", _("Processing")
    READY = "ready", _("Ready")
    ATTENTION = "attention", _("Needs attention")


def with_state(photos: QuerySet[Photo]) -> QuerySet[Photo]:
    """Annotate each photo with its `state`."""
    return photos.annotate(
        state=Case(
            When(_some(state=RunState.DEAD), then=Value(PhotoState.ATTENTION)),
            When(~_is_open(), then=Value(PhotoState.READY)),
            When(_has_begun(), then=Value(PhotoState.PROCESSING)),
            default=Value(PhotoState.PENDING),
            output_field=models.CharField(),
        )
    )


def in_state(photos: QuerySet[Photo], state: str) -> QuerySet[Photo]:
    """Filter photos by state, by the partial indexes of open and dead runs where those are few."""
    if state != PhotoState.READY:
        sought = (RunState.DEAD,) if state == PhotoState.ATTENTION else OPEN_STATES
        few = _few_with(sought)
        photos = photos if few is None else photos.filter(pk__in=few)
    dead = _some(state=RunState.DEAD)
    conditions = {
        PhotoState.ATTENTION: Q(dead),
        PhotoState.READY: ~Q(dead) & ~Q(_is_open()),
        PhotoState.PROCESSING: ~Q(dead) & Q(_is_open()) & Q(_has_begun()),
        PhotoState.PENDING: ~Q(dead) & Q(_is_open()) & ~Q(_has_begun()),
    }
    return photos.filter(conditions[PhotoState(state)])


def _few_with(states: Collection[str]) -> list[UUID] | None:
    """Give the photos that have runs in these states; None where they are many.

    Of few the planner expects to come across one soon while it walks through all photos, and there is none. Where
    there are many that is right.
    """
    runs = StageRun.objects.filter(state__in=states).values_list("photo", flat=True)
    ids = set(runs.order_by()[: FEW_RUNS + 1])
    return list(ids) if len(ids) < FEW_RUNS else None


def count_by_state(photos: QuerySet[Photo]) -> dict[str, int]:
    """Count photos by state. Only the open and dead ones are looked at: ready is what is left of the total."""
    restless = StageRun.objects.filter(photo=OuterRef("pk"), state__in=(*OPEN_STATES, RunState.DEAD))
    rows = with_state(photos.filter(Exists(restless))).values_list("state").annotate(count=models.Count("pk"))
    counts = dict.fromkeys(PhotoState.values, 0) | dict(rows.order_by())
    counts[PhotoState.READY] = photos.count() - sum(counts[state] for state in counts if state != PhotoState.READY)
    return counts


def _some(**conditions: object) -> Exists:
    return Exists(StageRun.objects.filter(photo=OuterRef("pk"), **conditions))


def _is_open() -> Exists:
    return _some(state__in=OPEN_STATES)


def _has_begun() -> Exists:
    return _some(state__in=[RunState.RUNNING, RunState.DONE])
