"""Which runs a photo should have. Called in the transaction that creates the photo, or changes what is planned."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice, product
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Exists, OuterRef
from django.db.models.functions import Now

from photos.models import Face, Photo
from processing.consent import libraries_wanting_faces
from processing.models import RunState, StageRun
from processing.models.ledger import DISCARDED, INPUT_DISCARDED, OPEN_STATES
from processing.pipeline.advancing import hold_runs
from processing.publish import ring, ring_on_commit, ring_sparingly
from processing.services import object_sweeps
from processing.stages import registry
from processing.stages.base import FACE_ANALYSIS_OFF, SUPERSEDED, Stage, model_of
from processing.stages.face_detection import NO_FACES
from processing.stages.place import NO_POSITION

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
def plan(photo_ids: Sequence[UUID], *, lane: int, announce: bool = True, only: Collection[str] | None = None) -> int:
    """Create the runs that these photos should have and have not; gives how many.

    Made anew is what says nothing of the photo as it is: a run that was superseded and is planned again, one whose
    rows another version has replaced since, one that was withdrawn where face work is wanted again, one that still
    waits for an input that is there, or was discarded. Open and dead runs of versions that are no longer planned are
    ended as superseded. With `announce` off nobody is rung: the caller does it for many photos at once, by
    `announce_new`. `only` narrows all of it to some stages.
    """
    lock_plan_for_reading()
    photo_ids = keep_from_deletion(photo_ids)
    # before they are read: else a commit that ends meanwhile sees none of the runs made here, nor these its result
    hold_runs(photo_ids)
    chunk = Chunk(photo_ids)
    created: list[StageRun] = []
    outdated: list[UUID] = []
    taken_away: set[UUID] = set()
    for stage in [one for one in registry.all_stages() if only is None or one.name in only]:
        versions = stage.planned_versions()
        for photo_id, version in product(chunk.wanted(stage), versions):
            old = chunk.runs.get((photo_id, stage.name, version))
            if old is None or chunk.is_outdated(old, stage):
                created.append(chunk.new_run(photo_id, stage, version, lane=lane))
                outdated += [old.pk] if old else []
        taken_away |= _supersede(chunk.photo_ids, stage, versions)
    # not one that has moved on since it was read
    StageRun.objects.filter(pk__in=outdated, state__in=_READ_AS_OUTDATED).delete()
    StageRun.objects.bulk_create(created, ignore_conflicts=True)
    # last: who holds a sweep's row waits for nothing more
    object_sweeps.request_for_lost_photos(taken_away)
    if announce:
        _ring(created)
        _ring_for_passed_by(chunk)
    return len(created)


def announce_new(photo_ids: Sequence[UUID]) -> None:
    """Ring for new photos, many in one message."""
    for stage in registry.all_stages():
        if stage.needs is None:
            ring(task=stage.name, queue=stage.queue, ids=photo_ids)


def batched_ids(photos: Iterable[UUID]) -> Iterator[Sequence[UUID]]:
    """Cut a stream of ids into what one transaction takes."""
    stream = iter(photos)
    while chunk := list(islice(stream, PHOTOS_PER_TRANSACTION)):
        yield chunk


def keep_from_deletion(photo_ids: Sequence[UUID]) -> list[UUID]:
    """Give the photos that are there, and are until this transaction has ended: a run refers to its photo."""
    with connection.cursor() as cursor:
        # the weakest lock that a deletion respects: commits that update the photo pass by
        cursor.execute("SELECT id FROM photos_photo WHERE id = ANY(%s) FOR KEY SHARE", [list(photo_ids)])
        return [row[0] for row in cursor.fetchall()]


class Chunk:
    """What is known of a few photos while their runs are planned: three queries, however many they are.

    `runs` are by photo, stage and version; `newest` is the version of a photo's stage that was done last.
    """

    def __init__(self, photo_ids: Sequence[UUID]) -> None:
        wanted = Exists(libraries_wanting_faces().filter(pk=OuterRef("library_id")))
        photos = Photo.objects.filter(pk__in=photo_ids).annotate(faces_wanted=wanted)
        rows = list(photos.values_list("pk", "faces_wanted", "latitude"))
        self.with_faces_wanted = {pk: is_wanted for pk, is_wanted, _ in rows}
        self.located = {pk for pk, _, latitude in rows if latitude is not None}
        self.photo_ids = list(self.with_faces_wanted)
        columns = ("photo_id", "stage", "version", "state", "skip_reason", "finished_at", "inputs")
        # rows, not models: a survey of all photos comes here
        runs = list(StageRun.objects.filter(photo_id__in=photo_ids).values_list("pk", *columns, named=True))
        self.runs = {(run.photo_id, run.stage, run.version): run for run in runs}
        # whose rows are there: the version that was finished last
        done = sorted((run for run in runs if run.state == RunState.DONE), key=lambda run: run.finished_at)
        self.finished = {(run.photo_id, run.stage) for run in done}
        self.latest = {(run.photo_id, run.stage, model_of(run.version)): run.version for run in done}
        self.newest = {(run.photo_id, run.stage): run.version for run in done}
        self.given_up = _given_up(runs)
        faces = Face.objects.filter(photo_id__in=photo_ids)
        self.having_faces = set(faces.values_list("photo_id", flat=True).distinct())

    def wanted(self, stage: Stage) -> list[UUID]:
        return [one for one in self.photo_ids if self.with_faces_wanted[one] or not stage.is_face_work]

    def is_outdated(self, run: StageRun, stage: Stage) -> bool:
        if run.state == RunState.DONE:
            return self.latest[run.photo_id, run.stage, model_of(run.version)] != run.version
        if run.state == RunState.WAITING:
            read = (run.photo_id, stage.needs)
            return read in self.finished or read in self.given_up
        # withdrawn runs are planned like those that never were: by what of their input is there now
        return run.state == RunState.SKIPPED and run.skip_reason in (SUPERSEDED, FACE_ANALYSIS_OFF)

    def new_run(self, photo_id: UUID, stage: Stage, version: str, *, lane: int) -> StageRun:
        run = StageRun(photo_id=photo_id, stage=stage.name, version=version, lane=lane)
        if (photo_id, stage.needs) in self.given_up:
            run.state, run.skip_reason, run.finished_at = RunState.SKIPPED, INPUT_DISCARDED, Now()
            self.given_up.add((photo_id, stage.name))
            return run
        self.given_up.discard((photo_id, stage.name))
        if stage.needs and (photo_id, stage.needs) not in self.finished:
            run.state = RunState.WAITING
        elif stage.needs == "face_detection" and photo_id not in self.having_faces:
            run.state, run.skip_reason, run.finished_at = RunState.SKIPPED, NO_FACES, Now()
        elif stage.name == "place" and photo_id not in self.located:
            run.state, run.skip_reason, run.finished_at = RunState.SKIPPED, NO_POSITION, Now()
        else:
            run.state, run.queued_at = RunState.PENDING, Now()
        return run


def _given_up(runs: Iterable[StageRun]) -> set[tuple[UUID, str]]:
    """Give the photos and stages whose result nobody will make, because a person has discarded the run."""
    discarded = {(run.photo_id, run.stage) for run in runs if run.skip_reason in (DISCARDED, INPUT_DISCARDED)}
    return discarded - {(run.photo_id, run.stage) for run in runs if run.state != RunState.SKIPPED}


def _supersede(photo_ids: Sequence[UUID], stage: Stage, versions: Sequence[str]) -> set[UUID]:
    """End what is not planned any more; gives the photos whose objects somebody may be storing at this moment."""
    old = StageRun.objects.filter(photo_id__in=photo_ids, stage=stage.name).exclude(version__in=versions)
    at_work = old.filter(state=RunState.RUNNING) if stage.stores_objects else old.none()
    taken_away = set(at_work.values_list("photo_id", flat=True))
    old.filter(state__in=(*OPEN_STATES, RunState.DEAD)).update(
        state=RunState.SKIPPED, skip_reason=SUPERSEDED, finished_at=Now(), lease_token=None, lease_until=None
    )
    return taken_away


def _ring_for_passed_by(chunk: Chunk) -> None:
    """Ring for what was pending and held: whoever came for it meanwhile passed it by, and has used its hint up."""
    pending = {run.stage for run in chunk.runs.values() if run.state == RunState.PENDING}
    for stage in [one for one in registry.all_stages() if one.name in pending]:
        again = partial(ring_sparingly, task=stage.name, queue=stage.queue, messages=1, enough=len(pending))
        transaction.on_commit(again, robust=True)


def _ring(runs: Iterable[StageRun]) -> None:
    pending: dict[str, list[UUID]] = defaultdict(list)
    for run in runs:
        if run.state == RunState.PENDING:
            pending[run.stage].append(run.photo_id)
    for name, ids in pending.items():
        ring_on_commit(task=name, queue=registry.get(name).queue, ids=ids)
