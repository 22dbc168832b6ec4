"""What an operator asks of the pipeline: how much, how old, what keeps it."""

from collections.abc import Callable
from datetime import timedelta

import factories
import pytest
from django.db.models.functions import Now
from django.utils import timezone

from accounts.models import Library
from photos.models import Photo
from processing import overview
from processing.models import LibraryRun, RunState, StageRun, WorkerPresence
from processing.stages import registry

pytestmark = pytest.mark.django_db

NOTHING = {"waiting": 0, "pending": 0, "running": 0, "done": 0, "skipped": 0, "dead": 0}


def by_name(photos: object = None) -> dict[str, overview.WorkOverview]:
    return {work.name: work for work in overview.overview(photos).work}


def make_worker(name: str, *queues: str, **versions: list[str]) -> None:
    WorkerPresence.objects.create(name=name, queues=queues, versions=versions, started_at=Now(), seen_at=Now())


def test_an_empty_pipeline_is_settled() -> None:
    seen = overview.overview()
    assert [(work.name, work.queue) for work in seen.work] == [
        ("exif", "ingest"),
        ("place", "maintenance"),
        ("renditions", "ingest"),
        ("face_detection", "faces"),
        ("face_embedding", "embeddings"),
        ("image_embedding", "embeddings"),
        ("people", "people"),
        ("regroup_preview", "people"),
        ("plan", "people"),
        ("edit", "people"),
        ("import", "maintenance"),
        ("export", "maintenance"),
        ("duplicates", "people"),
        ("erase_faces", "people"),
        ("forget", "people"),
    ]
    for work in seen.work:
        assert (work.counts, work.blocked, work.oldest_pending_seconds, work.obstacle) == (NOTHING, 0, None, "")
    assert seen.is_settled


def test_runs_are_counted_by_stage_and_state(make_photo: Callable[..., Photo], library: Library) -> None:
    photo, other = make_photo(), make_photo()
    factories.make_run(photo, "exif", RunState.DONE)
    factories.make_run(other, "exif", RunState.DONE)
    factories.make_run(photo, "renditions", RunState.RUNNING)
    factories.make_run(other, "renditions", RunState.PENDING, queued_at=timezone.now() - timedelta(minutes=2))
    factories.make_run(photo, "renditions", RunState.PENDING, version="v2")
    LibraryRun.objects.create(library=library, kind="people", version="v", state=RunState.PENDING, queued_at=Now())
    seen = by_name()
    assert seen["exif"].counts == {**NOTHING, "done": 2}
    assert seen["renditions"].counts == {**NOTHING, "running": 1, "pending": 2}
    assert 115 < seen["renditions"].oldest_pending_seconds < 150
    assert seen["people"].counts == {**NOTHING, "pending": 1}

    mine = by_name(Photo.objects.filter(pk=photo.pk))
    assert mine["renditions"].counts == {**NOTHING, "running": 1, "pending": 1}
    assert mine["people"].counts == {**NOTHING, "pending": 1}
    assert by_name(Photo.objects.none())["people"].counts == NOTHING


@pytest.mark.parametrize(
    ("runs", "is_settled"),
    [
        ({"exif": "pending"}, False),
        ({"exif": "running"}, False),
        ({"exif": "done", "renditions": "skipped"}, True),
        ({"exif": "dead"}, True),
        ({"renditions": "done", "face_detection": "waiting"}, False),
        ({"renditions": "dead", "face_detection": "waiting", "face_embedding": "waiting"}, True),
        ({"renditions": "done", "face_detection": "dead", "face_embedding": "waiting"}, True),
        ({"renditions": "pending", "face_detection": "waiting", "face_embedding": "waiting"}, False),
        # what is dead beside it does not block it
        ({"exif": "dead", "renditions": "running", "face_detection": "waiting"}, False),
    ],
)
def test_settled_is_what_nothing_moves_but_a_person(
    make_photo: Callable[..., Photo], runs: dict[str, str], is_settled: bool
) -> None:
    dead_elsewhere = make_photo()
    factories.make_run(dead_elsewhere, "renditions", RunState.DEAD)
    photo = make_photo()
    for stage, state in runs.items():
        factories.make_run(photo, stage, state)
    assert overview.overview().is_settled is is_settled


def test_an_open_library_run_is_not_settled(library: Library) -> None:
    run = LibraryRun.objects.create(
        library=library, kind="people", version="v", state=RunState.PENDING, queued_at=Now()
    )
    assert not overview.overview().is_settled
    LibraryRun.objects.filter(pk=run.pk).update(state=RunState.DONE, finished_at=Now())
    assert overview.overview().is_settled


def test_blocked_runs_are_those_below_a_dead_one(make_photo: Callable[..., Photo]) -> None:
    for renditions in ("dead", "dead", "pending"):
        photo = make_photo()
        factories.make_run(photo, "renditions", renditions)
        factories.make_run(photo, "face_detection", RunState.WAITING)
        factories.make_run(photo, "face_embedding", RunState.WAITING)
    seen = by_name()
    assert [(work.counts["waiting"], work.blocked) for work in seen.values()] == [
        *[(0, 0)] * 3,
        *[(3, 2)] * 2,
        *[(0, 0)] * 10,
    ]


def test_what_keeps_pending_runs_from_moving(make_photo: Callable[..., Photo], face_library: Library) -> None:
    photo = make_photo()
    exif, detection = registry.get("exif"), registry.get("face_detection")
    [model_version] = detection.planned_versions()
    runs = [
        factories.make_run(photo, "exif", RunState.PENDING, version=exif.base_version),
        factories.make_run(photo, "face_detection", RunState.PENDING, version=model_version),
    ]
    done = factories.make_run(photo, "renditions", RunState.DONE)
    LibraryRun.objects.create(library=face_library, kind="people", version="v", queued_at=Now())

    def obstacles() -> list[str]:
        seen = by_name()
        found = overview.Obstacles()
        assert [found.of_run(run) for run in (*runs, done)] == [
            seen["exif"].obstacle,
            seen["face_detection"].obstacle,
            "",
        ]
        return [seen[name].obstacle for name in ("exif", "renditions", "face_detection", "people")]

    assert obstacles() == ["no_worker", "", "no_worker", "no_worker"]
    make_worker("pixels", "ingest", exif=["another version"])
    assert obstacles() == ["no_worker", "", "no_worker", "no_worker"]
    make_worker("light", "people", "maintenance")
    make_worker("faces", "faces", "embeddings", face_detection=["without it"])
    assert obstacles() == ["no_worker", "", "model_not_installed", ""]
    make_worker("newer pixels", "ingest", exif=[exif.base_version])
    make_worker("gpu", "faces", face_detection=[model_version])
    assert obstacles() == ["", "", "", ""]
    # workers that went silent are not there
    WorkerPresence.objects.update(seen_at=Now() - timedelta(minutes=1))
    assert obstacles() == ["no_worker", "", "no_worker", "no_worker"]
    StageRun.objects.update(state=RunState.DONE, finished_at=Now())
    assert {name for name, work in by_name().items() if work.obstacle} == {"people"}
    assert by_name()["people"].obstacle == "no_worker"


def test_a_worker_that_takes_nothing_new_is_none(make_run: Callable[..., StageRun]) -> None:
    make_run(version=registry.get("exif").planned_versions()[0])
    make_worker("one", "ingest", exif=registry.get("exif").planned_versions())
    assert by_name()["exif"].obstacle == ""
    WorkerPresence.objects.update(draining_since=Now())
    assert by_name()["exif"].obstacle == "no_worker"
