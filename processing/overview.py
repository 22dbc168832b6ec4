"""What an operator asks of the pipeline as a whole: how much, how old, why not."""

from dataclasses import dataclass, field
from datetime import timedelta

from django.db.models import Count, Min, Q, QuerySet
from django.db.models.functions import Coalesce, Now

from photos.models import Photo
from processing.kinds import registry as kinds
from processing.models import LibraryRun, RunState, StageRun, WorkerPresence
from processing.stages import registry
from processing.stages.base import Stage

MODEL_NOT_INSTALLED = "model_not_installed"
NO_WORKER = "no_worker"


@dataclass(frozen=True, slots=True)
class WorkOverview:
    """Runs of one stage, or of one kind of library work.

    `blocked` are those of the waiting that wait for a dead run: nothing moves them but a person. `obstacle` says why
    pending runs are not claimed: `no_worker`, `model_not_installed`, or nothing.
    """

    name: str
    queue: str
    counts: dict[str, int]
    blocked: int = 0
    oldest_pending_seconds: float | None = None
    obstacle: str = ""


@dataclass(frozen=True, slots=True)
class Overview:
    """The pipeline at one moment."""

    work: list[WorkOverview] = field(default_factory=list)

    @property
    def is_settled(self) -> bool:
        """Whether nothing moves any more by itself: all is final, or blocked by a dead run."""
        return all(
            not one.counts[RunState.PENDING]
            and not one.counts[RunState.RUNNING]
            and one.counts[RunState.WAITING] == one.blocked
            for one in self.work
        )


def overview(photos: QuerySet[Photo] | None = None) -> Overview:
    """Count runs by stage and state, of all photos or of some, and say what keeps pending ones from moving."""
    runs = StageRun.objects.all() if photos is None else StageRun.objects.filter(photo__in=photos)
    library_runs = LibraryRun.objects.filter(kind__in=kinds.names())
    if photos is not None:
        library_runs = library_runs.filter(library__in=photos.values("library_id"))
    counts = _counts(runs, "stage") | _counts(library_runs, "kind")
    oldest = _oldest(runs, "stage") | _oldest(library_runs, "kind")
    obstacles = Obstacles()
    work = [
        WorkOverview(
            name=stage.name,
            queue=stage.queue,
            counts=_all_states(counts.get(stage.name, {})),
            blocked=_blocked(runs, stage) if stage.needs else 0,
            oldest_pending_seconds=_age(oldest.get(stage.name)),
            obstacle=obstacles.of_stage(stage) if counts.get(stage.name, {}).get(RunState.PENDING) else "",
        )
        for stage in registry.all_stages()
    ]
    work += [
        WorkOverview(
            name=kind.name,
            queue=kind.queue,
            counts=_all_states(counts.get(kind.name, {})),
            oldest_pending_seconds=_age(oldest.get(kind.name)),
            obstacle=obstacles.of_queue(kind.queue) if counts.get(kind.name, {}).get(RunState.PENDING) else "",
        )
        for kind in kinds.all_kinds()
    ]
    return Overview(work=work)


class Obstacles:
    """Why pending runs are not claimed, from what the live workers that take work say of themselves: one query."""

    def __init__(self) -> None:
        self._workers = list(WorkerPresence.objects.taking_work().values_list("queues", "versions"))

    def of_queue(self, queue: str) -> str:
        """Say `no_worker` if no live worker serves the queue."""
        return "" if any(queue in queues for queues, _ in self._workers) else NO_WORKER

    def of_run(self, run: StageRun) -> str:
        """Say why a pending run is not claimed; nothing if a live worker could."""
        if run.state != RunState.PENDING:
            return ""
        if run.stage in {stage.name for stage in registry.all_stages()}:
            return self._of_versions(registry.get(run.stage), [run.version])
        # another release's stage: its queue is not known here, its workers say what they know
        is_known = any(run.version in by_stage.get(run.stage, []) for _, by_stage in self._workers)
        return "" if is_known else NO_WORKER

    def of_stage(self, stage: Stage) -> str:
        """Say why the planned runs of a stage are not claimed; nothing if a live worker could."""
        return self._of_versions(stage, stage.planned_versions())

    def _of_versions(self, stage: Stage, versions: list[str]) -> str:
        missing = self.of_queue(stage.queue)
        if missing:
            return missing
        serving = [by_stage for queues, by_stage in self._workers if stage.queue in queues]
        known = {version for by_stage in serving for version in by_stage.get(stage.name, [])}
        return "" if known.issuperset(versions) else MODEL_NOT_INSTALLED if stage.model_task else NO_WORKER


def _counts(runs: QuerySet, work: str) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for name, state, count in runs.order_by().values_list(work, "state").annotate(count=Count("pk")):
        counts.setdefault(name, {})[state] = count
    return counts


def _oldest(runs: QuerySet, work: str) -> dict[str, timedelta]:
    pending = runs.filter(state=RunState.PENDING).order_by()
    since = Min(Coalesce("first_queued_at", "queued_at"))
    return dict(pending.values_list(work).annotate(age=Now() - since))


def _blocked(runs: QuerySet, stage: Stage) -> int:
    """Count waiting runs with a dead one above them, however far up."""
    above = []
    needs = stage.needs
    while needs:
        above.append(needs)
        needs = registry.get(needs).needs
    waiting = runs.filter(stage=stage.name, state=RunState.WAITING)
    dead = StageRun.objects.filter(stage__in=above, state=RunState.DEAD)
    return waiting.filter(Q(photo__in=dead.values("photo_id"))).count()


def _all_states(counts: dict[str, int]) -> dict[str, int]:
    return {state: counts.get(state, 0) for state in RunState.values}


def _age(age: timedelta | None) -> float | None:
    return None if age is None else max(0.0, age.total_seconds())
