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
    """Let dead library runs start over; gives how many. One whose work is open again already is left alone."""
    dead = LibraryRun.objects.filter(pk__in=list(run_ids), state=RunState.DEAD).values_list("pk", "library_id")
    busy = LibraryRun.objects.open().values("library_id")
    found = list(dead.exclude(library_id__in=busy).select_for_update())
    count = reopen(LibraryRun.objects.filter(pk__in=[pk for pk, _ in found]))
    ring_on_commit(task=grouping.KIND, queue=grouping.QUEUE, ids=[library_id for _, library_id in found])
    return count
