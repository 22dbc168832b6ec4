"""Control of the pipeline: what each stage is at, holding one up and letting it go on, and who works."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from django.db import transaction
from django.db.models import Count, F
from django.db.models.functions import Now

from accounts.models import User
from accounts.problems import InvalidValueError, NotFoundError
from processing import backlog, history
from processing.models import LibraryRun, RunState, StagePause, StageRun, WorkerPresence
from processing.models.worker import ALIVE_FOR
from processing.overview import Obstacles
from processing.services import draining
from processing.stages import registry
from processing.stages.base import model_of
from processing.task_policy import ring_for_many

RATE_SPAN = timedelta(minutes=5)
FAILURE_SPAN = timedelta(hours=1)
REASON_MAX_LENGTH = StagePause._meta.get_field("reason").max_length


@dataclass(frozen=True, slots=True)
class StageStatus:
    """One stage, or one kind of library work, at one moment.

    `counts` are by state, of the runs that are not finished and of the dead ones, each up to backlog.COUNT_LIMIT.
    `failures_last_hour` counts runs that died. `obstacle` says why pending runs are not claimed, beside a pause.
    """

    name: str
    queue: str
    is_library_work: bool
    counts: dict[RunState, int]
    oldest_pending_seconds: float | None
    done_last_5_minutes: int
    failures_last_hour: int
    pause: StagePause | None
    obstacle: str

    @property
    def done_per_minute(self) -> float:
        """The rate of the last five minutes."""
        return self.done_last_5_minutes / (RATE_SPAN / timedelta(minutes=1))


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """One worker, as it last said of itself, and the runs that it holds. Times are the database's.

    `models` are those whose versions it knows. One that is not alive was stopped hard, or is cut off.
    """

    name: str
    host: str
    queues: list[str]
    models: list[str]
    versions: dict[str, list[str]]
    device: str
    processes: int
    running_by_work: dict[str, int]
    memory_bytes: int | None
    started_at: datetime
    seen_at: datetime
    seen_seconds_ago: float
    is_alive: bool
    draining_since: datetime | None

    @property
    def running(self) -> int:
        """How many runs it holds."""
        return sum(self.running_by_work.values())


@transaction.atomic
def pause(*, work: str, by: User | None, reason: str = "") -> StagePause:
    """Have nothing more claimed of a stage, or of a kind of library work, until it is resumed; what runs is finished.

    Pausing what is paused says who and why anew. A pause that the circuit made becomes a person's, and no longer lifts
    itself. Raises NotFoundError for work that there is not, InvalidValueError for a reason longer than
    REASON_MAX_LENGTH, or which is a drain's.
    """
    _require_known(work)
    reason = reason.strip()
    if len(reason) > REASON_MAX_LENGTH:
        raise InvalidValueError(f"A reason has at most {REASON_MAX_LENGTH} characters.", field="reason")
    if reason == draining.REASON:
        raise InvalidValueError(
            f"{reason!r} is the reason of `manage.py drain`, whose --end would lift this pause with its own: say it in "
            "other words.",
            field="reason",
        )
    values = {
        "paused_at": Now(),
        "paused_by": by,
        "reason": reason,
        "error_code": "",
        "probe_at": None,
        "probes": 0,
    }
    paused, _ = StagePause.objects.update_or_create(work=work, defaults=values)
    paused.refresh_from_db()
    return paused


@transaction.atomic
def resume(*, work: str) -> bool:
    """Let a stage, or a kind of library work, be claimed again, and ring for what is pending; False if it was not held.

    Raises NotFoundError for work that there is not.
    """
    _require_known(work)
    lifted, _ = StagePause.objects.filter(work=work).delete()
    if lifted:
        transaction.on_commit(partial(ring_for_many, [work]), robust=True)
    return bool(lifted)


def stages() -> list[StageStatus]:
    """Give every stage, and every kind of library work, in the order in which a photo goes through them.

    Each query reads an index of what is not finished, of what is dead, or of the last minutes; none the finished runs.
    """
    counts = backlog.unfinished()
    done, died = history.count_done(RATE_SPAN), history.count_died(FAILURE_SPAN)
    pauses = {one.work: one for one in StagePause.objects.select_related("paused_by")}
    obstacles = Obstacles()
    of_photos = {stage.name: stage for stage in registry.all_stages()}
    found = []
    for waiting in backlog.waiting():
        stage = of_photos.get(waiting.name)
        obstacle = ""
        if counts[waiting.name][RunState.PENDING]:
            obstacle = obstacles.of_stage(stage) if stage else obstacles.of_queue(waiting.queue)
        found.append(
            StageStatus(
                name=waiting.name,
                queue=waiting.queue,
                is_library_work=stage is None,
                counts=counts[waiting.name],
                oldest_pending_seconds=waiting.longest,
                done_last_5_minutes=done[waiting.name],
                failures_last_hour=died[waiting.name],
                pause=pauses.get(waiting.name),
                obstacle=obstacle,
            )
        )
    return found


def stage(work: str) -> StageStatus:
    """Give one stage, or one kind of library work. Raises NotFoundError for work that there is not."""
    _require_known(work)
    return next(one for one in stages() if one.name == work)


def workers() -> list[WorkerStatus]:
    """Give the workers that were there within the last day, by name; three queries."""
    running: dict[str, Counter[str]] = {}
    for model, work in ((StageRun, "stage"), (LibraryRun, "kind")):
        held = model.objects.filter(state=RunState.RUNNING).order_by().values_list("worker", work)
        for worker, name, count in held.annotate(Count("pk")):
            running.setdefault(worker, Counter())[name] += count
    rows = WorkerPresence.objects.annotate(silence=Now() - F("seen_at")).order_by("name")
    return [_worker(row, running.get(row.name, {})) for row in rows]


def _worker(row: WorkerPresence, running: dict[str, int]) -> WorkerStatus:
    model_stages = {stage.name for stage in registry.all_stages() if stage.model_task}
    models = {
        model_of(version) for name, versions in row.versions.items() if name in model_stages for version in versions
    }
    return WorkerStatus(
        name=row.name,
        host=row.name.rpartition("@")[2],
        queues=row.queues,
        models=sorted(models),
        versions=row.versions,
        device=row.device,
        processes=row.processes,
        running_by_work=dict(sorted(running.items())),
        memory_bytes=row.memory_bytes,
        started_at=row.started_at,
        seen_at=row.seen_at,
        seen_seconds_ago=max(0.0, row.silence.total_seconds()),
        is_alive=row.silence < ALIVE_FOR,
        draining_since=row.draining_since,
    )


def _require_known(work: str) -> None:
    if work not in backlog.queues():
        known = ", ".join(sorted(backlog.queues()))
        raise NotFoundError(f"There is no stage and no library work named {work}. There are: {known}.")
