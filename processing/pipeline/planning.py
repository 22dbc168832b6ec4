"""Which runs a photo should have. Called in the transaction that creates the photo, or changes what is planned."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, product
from uuid import UUID

from django.db import connection, transaction
from django.db.models.functions import Now

from photos.models import Face, Photo
from processing.models import RunState, StageRun
from processing.models.ledger import OPEN_STATES
from processing.publish import ring, ring_on_commit
from processing.stages import registry
from processing.stages.base import SUPERSEDED, Stage
from processing.stages.face_detection import NO_FACES

PHOTOS_PER_TRANSACTION = 500
_READ_AS_OUTDATED = (RunState.DONE, RunState.WAITING, RunState.SKIPPED)
_PLANNING_LOCK = 0x6461726B726F6F6D  # "darkroom": a key of our own among advisory locks


def lock_plan_for_reading() -> None:
    """Keep what is planned (face analysis, selected models) from changing until this transaction has ended."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [_PLANNING_LOCK])


def lock_plan_for_change() -> None:
    """Wait until nobody plans, and keep others from planning until this transaction has ended.

    Without it an upload that read "off" and commits after the switch would never be planned.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_PLANNING_LOCK])


@transaction.atomic
def plan(photo_ids: Sequence[UUID], *, lane: int, announce: bool = True) -> int:
    """Create the runs that these photos should have and have not; gives how many.

    Made anew is what says nothing of the photo as it is: a run that was superseded and is planned again, one whose
    rows another version has replaced since, one that still waits for an input that is there. Open and dead runs of
    versions that are no longer planned are ended as superseded. With `announce` off nobody is rung: the caller does it
    for many photos at once, by `announce_new`.
    """
    lock_plan_for_reading()
    chunk = _Chunk(photo_ids)
    created: list[StageRun] = []
    outdated: list[UUID] = []
    for stage in registry.all_stages():
        versions = stage.planned_versions()
        for photo_id, version in product(chunk.wanted(stage), versions):
            old = chunk.runs.get((photo_id, stage.name, version))
            if old is None or chunk.is_outdated(old, stage):
                created.append(chunk.new_run(photo_id, stage, version, lane=lane))
                outdated += [old.pk] if old else []
        _supersede(chunk.photo_ids, stage, versions)
    # not one that has moved on since it was read
    StageRun.objects.filter(pk__in=outdated, state__in=_READ_AS_OUTDATED).delete()
    StageRun.objects.bulk_create(created, ignore_conflicts=True)
    if announce:
        _ring(created)
    return len(created)


def announce_new(photo_ids: Sequence[UUID]) -> None:
    """Ring for new photos, many in one message."""
    for stage in registry.all_stages():
        if stage.needs is None:
            ring(task=stage.name, queue=stage.queue, ids=photo_ids)


def plan_all(photos: Iterable[UUID], *, lane: int) -> int:
    """Plan many photos, a transaction for each few hundred; gives how many runs were created."""
    return sum(plan(chunk, lane=lane) for chunk in batched_ids(photos))


def batched_ids(photos: Iterable[UUID]) -> Iterator[Sequence[UUID]]:
    """Cut a stream of ids into what one transaction takes."""
    stream = iter(photos)
    while chunk := list(islice(stream, PHOTOS_PER_TRANSACTION)):
        yield chunk


class _Chunk:
    """What is known of a few photos while their runs are planned: three queries, however many they are."""

    def __init__(self, photo_ids: Sequence[UUID]) -> None:
        photos = Photo.objects.filter(pk__in=photo_ids).values_list("pk", "library__face_analysis")
        self.with_faces_wanted = dict(photos)
        self.photo_ids = list(self.with_faces_wanted)
        columns = ("photo_id", "stage", "version", "state", "skip_reason", "finished_at")
        runs = list(StageRun.objects.filter(photo_id__in=photo_ids).only(*columns))
        self.runs = {(run.photo_id, run.stage, run.version): run for run in runs}
        # whose rows are there: the version that was finished last
        done = sorted((run for run in runs if run.state == RunState.DONE), key=lambda run: run.finished_at)
        self.finished = {(run.photo_id, run.stage) for run in done}
        self.latest = {(run.photo_id, run.stage, _model_of(run)): run.version for run in done}
        faces = Face.objects.filter(photo_id__in=photo_ids)
        self.having_faces = set(faces.values_list("photo_id", flat=True).distinct())

    def wanted(self, stage: Stage) -> list[UUID]:
        return [one for one in self.photo_ids if self.with_faces_wanted[one] or not stage.is_face_work]

    def is_outdated(self, run: StageRun, stage: Stage) -> bool:
        if run.state == RunState.DONE:
            return self.latest[run.photo_id, run.stage, _model_of(run)] != run.version
        if run.state == RunState.WAITING:
            return (run.photo_id, stage.needs) in self.finished
        return run.state == RunState.SKIPPED and run.skip_reason == SUPERSEDED

    def new_run(self, photo_id: UUID, stage: Stage, version: str, *, lane: int) -> StageRun:
        run = StageRun(photo_id=photo_id, stage=stage.name, version=version, lane=lane)
        if stage.needs and (photo_id, stage.needs) not in self.finished:
            run.state = RunState.WAITING
        elif stage.needs == "face_detection" and photo_id not in self.having_faces:
            run.state, run.skip_reason, run.finished_at = RunState.SKIPPED, NO_FACES, Now()
        else:
            run.state, run.queued_at = RunState.PENDING, Now()
        return run


def _model_of(run: StageRun) -> str:
    """Give the model whose rows a run writes, from its version; nothing for a stage without one."""
    return "".join(run.version.split(".")[2:3])


def _supersede(photo_ids: Sequence[UUID], stage: Stage, versions: Sequence[str]) -> None:
    old = StageRun.objects.filter(photo_id__in=photo_ids, stage=stage.name).exclude(version__in=versions)
    old.filter(state__in=(*OPEN_STATES, RunState.DEAD)).update(
        state=RunState.SKIPPED, skip_reason=SUPERSEDED, finished_at=Now(), lease_token=None, lease_until=None
    )


def _ring(runs: Iterable[StageRun]) -> None:
    pending: dict[str, list[UUID]] = defaultdict(list)
    for run in runs:
        if run.state == RunState.PENDING:
            pending[run.stage].append(run.photo_id)
    for name, ids in pending.items():
        ring_on_commit(task=name, queue=registry.get(name).queue, ids=ids)
