"""Runs that are not there (lost), and open runs that nothing explains (stuck)."""

from collections.abc import Iterator, Sequence

from processing.models import RunState
from processing.models.ledger import OPEN_STATES
from processing.overview import MODEL_NOT_INSTALLED, NO_WORKER
from processing.prove.batches import PhotoRow, RunRow
from processing.prove.findings import Finding
from processing.prove.situation import Situation
from processing.prove.tally import Tally
from processing.stages import registry
from processing.stages.base import FACE_ANALYSIS_OFF, SUPERSEDED, model_of

CHECK = "photos"

# what explains that a run is open, as it is said to a person
AT_WORK = "at work under a lease"
JUST_QUEUED = "queued just now"
NOT_YET = "waiting for the next attempt's time"
PAUSED = "of a paused stage"
WITHOUT_MODEL = "of a model that no worker has"
IN_BACKLOG = "in a backlog that moves"
INPUT_OPEN = "waiting for an input that is open itself"
INPUT_DEAD = "waiting behind a dead run"
INPUT_NEW = "waiting for an input that ended just now"
OTHER_RELEASE = "of a stage that only another release knows"


def missing(photo: PhotoRow, runs: Sequence[RunRow], situation: Situation, tally: Tally) -> Iterator[Finding]:
    """Find the stages that a photo should have a run of and has none.

    A run of an older version, or of an older hash of the same model, is out of date and not lost. Nothing is expected
    of a photo in the trash, nor while its library is being planned.
    """
    if photo.trashed_at is not None or photo.library_id in situation.planning:
        return
    held = [run for run in runs if not _is_withdrawn(run, photo)]
    for stage in situation.stages:
        if stage.is_face_work and not photo.with_faces:
            continue
        of_stage = [run for run in held if run.stage == stage.name]
        versions, models = {run.version for run in of_stage}, {run.model for run in of_stage}
        for version in situation.planned[stage.name]:
            if version in versions:
                continue
            if model_of(version) in models:
                tally.outdated += 1
                continue
            yield Finding(
                CHECK,
                str(photo.pk),
                "run_missing",
                f"no run of {stage.name} ({version})",
                photo=str(photo.pk),
                stage=stage.name,
                library=str(photo.library_id),
                item=version,
            )


def stuck(photo: PhotoRow, runs: Sequence[RunRow], situation: Situation, tally: Tally) -> Iterator[Finding]:
    """Find the open runs of a photo that nothing explains, and count the others by their explanation."""
    for run in runs:
        tally.runs += 1
        tally.dead += run.state == RunState.DEAD
        if run.state not in OPEN_STATES:
            continue
        explanation, code, detail = _judge(run, runs, situation)
        if explanation:
            tally.explained[explanation] += 1
            continue
        yield Finding(
            CHECK,
            str(photo.pk),
            code,
            f"{run.stage}: {detail}",
            photo=str(photo.pk),
            run=str(run.pk),
            stage=run.stage,
            library=str(photo.library_id),
        )


def judge_claimable(run: object, situation: Situation, *, work: str, queue: str, obstacle: str) -> tuple[str, str, str]:
    """Judge a running or pending run of either ledger; gives (explanation, "", "") or ("", code, detail)."""
    if run.state == RunState.RUNNING:
        if not situation.is_overdue(run.lease_until):
            return AT_WORK, "", ""
        return "", "lease_expired", f"running, and its lease ended {_ago(run.lease_until, situation)}"
    if run.not_before is not None and not situation.is_overdue(run.not_before):
        return NOT_YET, "", ""
    if not situation.is_overdue(run.queued_at):
        return JUST_QUEUED, "", ""
    if work in situation.paused:
        return PAUSED, "", ""
    since = _ago(run.queued_at, situation)
    if obstacle == NO_WORKER:
        return "", "no_worker", f"pending since {since}; no worker of the queue {queue} knows version {run.version}"
    if obstacle == MODEL_NOT_INSTALLED:
        return WITHOUT_MODEL, "", ""
    if run.state == RunState.PENDING and situation.is_passed_by(run, work=work):
        return "", "not_claimed", f"pending since {since}, and passed by"
    if queue in situation.moving:
        return IN_BACKLOG, "", ""
    return "", "not_claimed", f"pending since {since}"


def _judge(run: RunRow, runs: Sequence[RunRow], situation: Situation) -> tuple[str, str, str]:
    known = {stage.name for stage in registry.all_stages()}
    if run.stage not in known and run.state != RunState.RUNNING:
        if run.stage in situation.served_stages:
            return OTHER_RELEASE, "", ""
        return "", "unknown_work", f"{run.state}, version {run.version}"
    if run.state == RunState.WAITING:
        return _judge_waiting(run, runs, situation)
    if run.stage not in known:
        return judge_claimable(run, situation, work=run.stage, queue="", obstacle="")
    queue = registry.get(run.stage).queue
    return judge_claimable(run, situation, work=run.stage, queue=queue, obstacle=situation.obstacles.of_run(run))


def _judge_waiting(run: RunRow, runs: Sequence[RunRow], situation: Situation) -> tuple[str, str, str]:
    needs = registry.get(run.stage).needs
    inputs = [one for one in runs if one.stage == needs]
    states = {one.state for one in inputs}
    if opened := [one for one in inputs if one.state in OPEN_STATES]:
        waiting = [one for one in opened if one.state == RunState.WAITING]
        is_behind_dead = any(_judge_waiting(one, runs, situation)[0] == INPUT_DEAD for one in waiting)
        return INPUT_DEAD if is_behind_dead and waiting == opened else INPUT_OPEN, "", ""
    ended = max((one.finished_at for one in inputs), default=None)
    if RunState.DONE in states:
        if not situation.is_overdue(ended):
            return INPUT_NEW, "", ""
        return "", "input_is_there", f"waits for {needs}, which ended {_ago(ended, situation)}"
    if RunState.DEAD in states:
        return INPUT_DEAD, "", ""
    if inputs and not situation.is_overdue(ended):
        return INPUT_NEW, "", ""
    reasons = sorted({one.skip_reason for one in inputs})
    return (
        "",
        "no_input",
        f"waits for {needs}, which " + (f"was skipped: {', '.join(reasons)}" if reasons else "has no run"),
    )


def _is_withdrawn(run: RunRow, photo: PhotoRow) -> bool:
    """Tell whether a run says nothing of the photo as it is: planning would make it anew."""
    if run.state != RunState.SKIPPED:
        return False
    return run.skip_reason == SUPERSEDED or (photo.with_faces and run.skip_reason == FACE_ANALYSIS_OFF)


def _ago(since: object, situation: Situation) -> str:
    if since is None:
        return "at no known time"
    seconds = int((situation.now - since).total_seconds())
    return f"{seconds} s ago" if seconds < 7200 else f"{since:%Y-%m-%d %H:%M} UTC"
