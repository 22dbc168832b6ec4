"""How far a photo is: its stage runs, as one user may read them."""

from dataclasses import dataclass
from datetime import datetime

from accounts.models import Library, User
from accounts.roles import Permission
from photos.models import Photo
from processing.models import RunState, StageRun
from processing.overview import Obstacles
from processing.stages import registry


@dataclass(frozen=True, slots=True)
class StageReport:
    """One run. Times in seconds; `duration_seconds` goes from the claim to the commit, waits for I/O included.

    `error_detail` is None for whoever may not see processing: it can name hosts and paths. `obstacle` says why a
    pending run is not claimed. `warnings` are what a done run could not make use of.
    """

    stage: str
    version: str
    state: str
    attempt: int
    queued_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    duration_seconds: float | None
    work_seconds: float | None
    skip_reason: str
    error_code: str
    error_detail: str | None
    warnings: list[dict[str, str]]
    obstacle: str


def stage_reports(photo: Photo, *, user: User) -> list[StageReport]:
    """Report the runs of a photo, in the order in which it goes through the stages, older versions first."""
    order = {stage.name: place for place, stage in enumerate(registry.all_stages())}
    runs = sorted(photo.stage_runs.all(), key=lambda run: (order.get(run.stage, len(order)), run.pk))
    is_pending = any(run.state == RunState.PENDING for run in runs)
    obstacles = Obstacles() if is_pending else None
    with_detail = Library.objects.permitting(user, Permission.VIEW_PROCESSING).filter(pk=photo.library_id).exists()
    return [_report(run, obstacles=obstacles, with_detail=with_detail) for run in runs]


def _report(run: StageRun, *, obstacles: Obstacles | None, with_detail: bool) -> StageReport:
    return StageReport(
        stage=run.stage,
        version=run.version,
        state=run.state,
        attempt=run.attempt,
        queued_at=run.queued_at,
        started_at=run.started_at,
        finished_at=run.finished_at,
        duration_seconds=None if run.duration is None else run.duration.total_seconds(),
        work_seconds=run.work_seconds,
        skip_reason=run.skip_reason,
        error_code=run.error_code,
        error_detail=run.error_detail if with_detail else None,
        warnings=run.warnings,
        obstacle=obstacles.of_run(run) if obstacles else "",
    )
