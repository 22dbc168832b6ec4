"""Dead letters: runs that were tried as often as allowed, and what a person does about them."""

from collections import defaultdict
from collections.abc import Iterable
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from processing.models import LibraryRun, RunState, StageRun
from processing.pipeline.advancing import reopen
from processing.publish import ring_on_commit
from processing.services import grouping
from processing.stages import registry


@transaction.atomic
def retry(*, runs: QuerySet[StageRun]) -> int:
    """Let dead runs start over with all their attempts; gives how many. Runs in other states are left alone."""
    dead = StageRun.objects.filter(pk__in=runs.values("pk"), state=RunState.DEAD).select_for_update(of=("self",))
    found = list(dead.values_list("pk", "stage", "photo_id"))
    reopen(StageRun.objects.filter(pk__in=[pk for pk, _, _ in found]))
    by_stage: dict[str, list[UUID]] = defaultdict(list)
    for _, stage, photo_id in found:
        by_stage[stage].append(photo_id)
    for name, ids in by_stage.items():
        ring_on_commit(task=name, queue=registry.get(name).queue, ids=ids)
    return len(found)


@transaction.atomic
def retry_library_runs(*, run_ids: Iterable[UUID]) -> int:
    """Let dead library runs start over; gives how many. Where the work is open again already none does.

    Of several of one library the newest does: one run reads everything that there is.
    """
    dead = LibraryRun.objects.filter(pk__in=list(run_ids), state=RunState.DEAD)
    busy = LibraryRun.objects.open().values("library_id")
    locked = dead.exclude(library_id__in=busy).order_by("pk").select_for_update()
    newest = dict(locked.values_list("library_id", "pk"))
    ring_on_commit(task=grouping.KIND, queue=grouping.QUEUE, ids=list(newest))
    return reopen(LibraryRun.objects.filter(pk__in=newest.values()))
