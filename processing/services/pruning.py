"""Forgetting runs of versions that are no longer planned, once newer ones say what the photo is."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import CharField, Exists, Func, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Now

from processing.models import RunState, StageRun
from processing.models.ledger import DISCARDED, INPUT_DISCARDED
from processing.stages import registry
from processing.stages.base import SUPERSEDED

RUNS_PER_TRANSACTION = 2000


def count_prunable(*, older_than: timedelta) -> dict[str, int]:
    """Count the runs that `prune_runs` would delete, by stage."""
    return {stage.name: _prunable(stage.name, older_than).count() for stage in registry.all_stages()}


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many runs of a stage one transaction has deleted, and how many it left because somebody held them."""

    stage: str
    deleted: int
    in_use: int


def prune_runs(*, older_than: timedelta) -> Iterator[Pruned]:
    """Delete runs of superseded versions that ended longer ago; gives what each transaction did.

    A run is superseded when its version is not planned any more and a later run of the photo and the stage (and of the
    same model, whose results are rows of their own) is done, or when it was ended unrun for that reason. Never deleted:
    the last done run, what is open or dead, and what a person has discarded.
    """
    for stage in registry.all_stages():
        # each goes on after the one before, so that what is kept is looked at once
        found = _prunable(stage.name, older_than).order_by("pk").values_list("pk", flat=True)
        chosen = list(found[:RUNS_PER_TRANSACTION])
        while chosen:
            yield _prune_some(stage.name, older_than, chosen)
            chosen = list(found.filter(pk__gt=chosen[-1])[:RUNS_PER_TRANSACTION])


@transaction.atomic
def _prune_some(stage: str, older_than: timedelta, chosen: Sequence[UUID]) -> Pruned:
    # asked again under the lock: one may have been planned and reopened since it was chosen
    prunable = _prunable(stage, older_than).filter(pk__in=chosen)
    held = list(prunable.select_for_update(of=("self",), skip_locked=True).values_list("pk", flat=True))
    deleted, _ = StageRun.objects.filter(pk__in=held).delete()
    return Pruned(stage=stage, deleted=deleted, in_use=prunable.count() if len(held) < len(chosen) else 0)


def _prunable(stage: str, older_than: timedelta) -> QuerySet[StageRun]:
    runs = StageRun.objects.filter(stage=stage, finished_at__lt=Now() - older_than)
    old = runs.exclude(version__in=registry.get(stage).planned_versions())
    later = StageRun.objects.filter(
        photo=OuterRef("photo"), stage=stage, state=RunState.DONE, finished_at__gt=OuterRef("finished_at")
    )
    of_one_model = later.annotate(model=_model("version")).filter(model=_model(OuterRef("version")))
    replaced = Q(state__in=[RunState.DONE, RunState.SKIPPED]) & Exists(of_one_model)
    never_run = Q(state=RunState.SKIPPED, skip_reason=SUPERSEDED)
    return old.filter(replaced | never_run).exclude(skip_reason__in=[DISCARDED, INPUT_DISCARDED])


def _model(version: str | OuterRef) -> Func:
    """Give the model in a version; nothing for a stage without one."""
    return Func(version, Value("."), Value(3), function="split_part", output_field=CharField())
