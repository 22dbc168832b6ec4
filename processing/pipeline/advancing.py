"""What a finished run means for the stages that read its result; in the transaction that finishes it."""

from collections.abc import Collection
from uuid import UUID

from django.db.models import Case, F, Q, Subquery, When
from django.db.models.functions import Coalesce, Now

from processing.models import RunState, StageRun
from processing.models.ledger import FINAL_STATES, RunQuerySet
from processing.publish import ring_on_commit
from processing.stages import registry
from processing.stages.base import FACE_ANALYSIS_OFF

# a run that starts over, whatever happened to it before
FRESH = {
    "state": RunState.PENDING,
    "attempt": 0,
    "not_before": None,
    "started_at": None,
    "finished_at": None,
    "work_seconds": None,
    "lease_token": None,
    "lease_until": None,
    "claim_alone": False,
    "commits": 0,
    "first_queued_at": None,
    "hand_backs": 0,
    "error_code": "",
    "error_detail": "",
    "exception": "",
    "frame": "",
    "traceback": "",
    "fingerprint": "",
    "skip_reason": "",
    "discarded_by": None,
    "discard_reason": "",
}


def advance(*, photo_id: UUID, stage: str, skip_children: str = "") -> None:
    """Make the runs that read the result of `stage` claimable, or skip them for the reason given.

    Runs that were finished with an older input are opened again; one that is running loses its lease, so that what it
    makes of the older input is not written.
    """
    for child in registry.children_of(stage):
        # waiting ones of any version: in a rolling upgrade others plan versions that this process does not know
        planned = Q(version__in=child.planned_versions()) | Q(state=RunState.WAITING)
        runs = StageRun.objects.filter(planned, photo_id=photo_id, stage=child.name)
        runs = runs.exclude(skip_reason=FACE_ANALYSIS_OFF)
        if skip_children:
            _skip(runs, reason=skip_children)
            advance(photo_id=photo_id, stage=child.name, skip_children=skip_children)
        elif reopen(runs, lane=_lane_after(photo_id, stage)):
            ring_on_commit(task=child.name, queue=child.queue, ids=[photo_id])


def hold_children(*, photo_id: UUID, stage: str) -> None:
    """Lock the runs that read the result of `stage`. Call it before that result is replaced.

    One that is at work commits first, or finds its lease gone; else each would hold rows that the other needs.
    """
    names = [child.name for child in registry.children_of(stage)]
    if names:
        list(locked_in_order(StageRun.objects.filter(photo_id=photo_id, stage__in=names)).values_list("pk"))


def hold_runs(photo_ids: Collection[UUID]) -> None:
    """Lock all runs of photos: commits under way end first, and none begins until this transaction has ended.

    Call it before any of them is changed by a transaction that changes several.
    """
    list(locked_in_order(StageRun.objects.filter(photo_id__in=photo_ids)).values_list("pk"))


def locked_in_order(runs: RunQuerySet) -> RunQuerySet:
    """Lock runs of photos as they are read: in the one order in which everybody does who waits for several.

    That of the pipeline, as a commit does, which holds its own run when it reaches for its children's.
    """
    order = Case(*(When(stage=stage.name, then=place) for place, stage in enumerate(registry.all_stages())))
    return runs.order_by(order, "photo_id", "pk").select_for_update(of=("self",))


def reopen(runs: RunQuerySet, **changes: object) -> int:
    """Let runs start over, with these other columns changed; gives how many."""
    return runs.update(queued_at=Now(), **FRESH, **changes)


def _lane_after(photo_id: UUID, stage: str) -> Case:
    """Give the lane of a run that follows: what was finished before is as urgent as what sends it round again.

    One that has not ended keeps its own, or a backfill would hold up the upload that it came across.
    """
    made = StageRun.objects.filter(photo_id=photo_id, stage=stage, state=RunState.DONE)
    lane = Subquery(made.order_by("-finished_at").values("lane")[:1])
    return Case(When(state__in=FINAL_STATES, then=Coalesce(lane, F("lane"))), default=F("lane"))


def _skip(runs: RunQuerySet, *, reason: str) -> None:
    equal = {"state": RunState.SKIPPED, "skip_reason": reason}
    changed = runs.exclude(**equal)
    changed.update(**{**FRESH, **equal, "finished_at": Now()})
