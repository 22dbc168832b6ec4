"""Which results are to be made anew: what a new version, model or input makes out of date, and no more.

Photos are looked at some hundreds at a time, in the order of their ids, so that no query grows with the library.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from django.db.models import F, OuterRef, Q, QuerySet, Subquery
from django.db.models.fields.json import KeyTextTransform

from photos.models import Photo
from processing.consent import libraries_wanting_faces
from processing.models import RunState, StageRun
from processing.pipeline.planning import PHOTOS_PER_TRANSACTION, Chunk
from processing.stages import registry
from processing.stages.base import Stage


class Choice(StrEnum):
    """What to make anew of the versions that are planned.

    `missing`: what no run has made, and none is about to. `outdated`: that, and what was made of an older input than
    the newest there is. `dead`: dead letters, and what is planned in the place of those of older versions. `all`:
    that, and what is done, whatever it was made of.
    """

    OUTDATED = "outdated"
    MISSING = "missing"
    DEAD = "dead"
    ALL = "all"


@dataclass(slots=True)
class Survey:
    """What was found among the photos that were looked at: how many of these have anything that is to be made anew.

    By stage: how many runs start over now, and how many more follow because they read what those make.
    """

    looked_at: int = 0
    photos: int = 0
    now: Counter[str] = field(default_factory=Counter)
    following: Counter[str] = field(default_factory=Counter)

    @property
    def runs(self) -> Counter[str]:
        """All of them, by stage."""
        return self.now + self.following


def stages_of(choice: Choice, stage: str | None) -> list[Stage]:
    """Give the stages to look at: the one that is named, or all.

    Of all that is done only the first ones, since what they make sends the others round again.
    """
    if stage is not None:
        return [registry.get(stage)]
    return [one for one in registry.all_stages() if choice != Choice.ALL or one.needs is None]


def survey(photos: QuerySet[Photo], choice: Choice, stage: str | None) -> Iterator[Survey]:
    """Count what is to be made anew; gives the survey as far as it has come, at last the whole of it."""
    found, stages = Survey(), stages_of(choice, stage)
    for look in _looks(photos, after=None):
        due = _due(choice, stages, look)
        found.looked_at += len(look.photo_ids)
        found.photos += len(set().union(*due.values()))
        for (name, _version), ids in due.items():
            found.now[name] += len(ids)
        _count_following(found, due, look)
        yield found


def due_photos(
    photos: QuerySet[Photo], choice: Choice, stage: str | None, *, after: UUID | None = None
) -> Iterator[list[UUID]]:
    """Give the photos of which anything is to be made anew, in order, those of one look at a time."""
    stages = stages_of(choice, stage)
    for look in _looks(photos, after=after):
        ids = set().union(*_due(choice, stages, look).values())
        if ids:
            yield sorted(ids)


def runs_to_reopen(choice: Choice, stage: Stage, photo_ids: Sequence[UUID]) -> QuerySet[StageRun]:
    """Give the runs of photos that are there and start over."""
    runs = StageRun.objects.filter(photo_id__in=photo_ids, stage=stage.name, version__in=stage.planned_versions())
    if stage.is_face_work:
        runs = runs.filter(photo__library__in=libraries_wanting_faces())
    return _starting_over(choice, stage, runs)


def _looks(photos: QuerySet[Photo], *, after: UUID | None) -> Iterator[Chunk]:
    """Give the photos in order, some hundreds at a time."""
    rows = photos.order_by("pk").values_list("pk", flat=True)
    while True:
        photo_ids = list((rows if after is None else rows.filter(pk__gt=after))[:PHOTOS_PER_TRANSACTION])
        if not photo_ids:
            return
        yield Chunk(photo_ids)
        after = photo_ids[-1]


def _due(choice: Choice, stages: Sequence[Stage], look: Chunk) -> dict[tuple[str, str], set[UUID]]:
    """Give the photos to make anew by stage and version."""
    due: dict[tuple[str, str], set[UUID]] = {}
    for stage in stages:
        versions = stage.planned_versions()
        to_replace = _having_dead_of_old_versions(look, stage, versions) if choice == Choice.DEAD else set()
        for version in versions:
            due[stage.name, version] = {
                photo_id
                for photo_id in look.wanted(stage)
                if _is_due(
                    choice, look.runs.get((photo_id, stage.name, version)), stage, look, replaces=photo_id in to_replace
                )
            }
    return due


def _having_dead_of_old_versions(look: Chunk, stage: Stage, versions: Sequence[str]) -> set[UUID]:
    """Give the photos with a dead run of a version that is not planned any more: a worker would not claim it."""
    dead = (run for run in look.runs.values() if run.stage == stage.name and run.state == RunState.DEAD)
    return {run.photo_id for run in dead if run.version not in versions}


def _is_due(choice: Choice, run: StageRun | None, stage: Stage, look: Chunk, *, replaces: bool) -> bool:
    is_missing = run is None or look.is_outdated(run, stage)
    if choice == Choice.DEAD:
        return replaces if is_missing else run.state == RunState.DEAD
    if is_missing:
        return True
    if choice == Choice.ALL:
        return run.state in (RunState.DONE, RunState.DEAD)
    newest = look.newest.get((run.photo_id, stage.needs))
    is_older = newest is not None and run.state == RunState.DONE and run.inputs.get(stage.needs) != newest
    return choice == Choice.OUTDATED and is_older


def _count_following(found: Survey, due: dict[tuple[str, str], set[UUID]], look: Chunk) -> None:
    for stage in registry.all_stages():
        above = _ancestors(stage)
        upstream = set().union(*(ids for (name, _version), ids in due.items() if name in above))
        for version in stage.planned_versions() if upstream else ():
            others = upstream.intersection(look.wanted(stage)) - due.get((stage.name, version), set())
            found.following[stage.name] += len(others)


def _starting_over(choice: Choice, stage: Stage, runs: QuerySet[StageRun]) -> QuerySet[StageRun]:
    """Filter runs of one stage by what starts over although a run is there."""
    if choice == Choice.DEAD:
        return runs.filter(state=RunState.DEAD)
    if choice == Choice.ALL:
        return runs.filter(state__in=[RunState.DONE, RunState.DEAD])
    return _made_of_older_input(runs, stage) if choice == Choice.OUTDATED else runs.none()


def _made_of_older_input(runs: QuerySet[StageRun], stage: Stage) -> QuerySet[StageRun]:
    """Filter done runs that consumed another version of their input than the one that was made last."""
    if stage.needs is None:
        return runs.none()
    inputs = StageRun.objects.filter(photo=OuterRef("photo"), stage=stage.needs, state=RunState.DONE)
    newest = Subquery(inputs.order_by("-finished_at").values("version")[:1])
    done = runs.filter(state=RunState.DONE).annotate(
        newest_input=newest, consumed=KeyTextTransform(stage.needs, "inputs")
    )
    # one that does not say what it consumed is out of date too
    is_older = Q(consumed__isnull=True) | ~Q(consumed=F("newest_input"))
    return done.filter(is_older, newest_input__isnull=False)


def _ancestors(stage: Stage) -> set[str]:
    found = set()
    while stage.needs:
        found.add(stage.needs)
        stage = registry.get(stage.needs)
    return found
