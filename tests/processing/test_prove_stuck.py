"""Stuck: open runs that nothing explains, and groupings that nobody asked for."""

import uuid
from datetime import timedelta

import photo_samples
import proving
import pytest
import redis
from django.db.models.functions import Now

from accounts.models import Library
from photos.models import FaceEmbedding, Photo
from processing.kinds import registry as kinds
from processing.models import LibraryRun, RunState, StageRun, WorkerPresence
from processing.stages import registry

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("photo_store", "quick_ripening")]

HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def worker(broker: redis.Redis) -> WorkerPresence:
    """A worker that is alive, serves every queue and knows every version."""
    return WorkerPresence.objects.create(
        name="worker@test",
        queues=["ingest", "faces", "embeddings", "people", "maintenance"],
        versions={stage.name: stage.known_versions() for stage in registry.all_stages()},
        started_at=Now(),
        seen_at=Now(),
    )


def finished(library: Library, count: int = 1, data: bytes | None = None) -> list[Photo]:
    photos = [photo_samples.take_in(library, data or photo_samples.picture()) for _ in range(count)]
    photo_samples.run_everything()
    StageRun.objects.update(finished_at=Now() - HOUR)
    LibraryRun.objects.update(finished_at=Now() - HOUR)
    return photos


def opened(photo: Photo, stage: str, state: str, **columns: object) -> StageRun:
    run = photo_samples.run_of(photo, stage)
    StageRun.objects.filter(pk=run.pk).update(state=state, finished_at=None, skip_reason="", commits=0, **columns)
    return run


def offences(said: proving.Said) -> set[tuple[str, str, str]]:
    return {(one["code"], one.get("photo", ""), one.get("run", "")) for one in said.body["findings"]}


def test_runs_that_nobody_takes_up_are_released(library: Library, broker: redis.Redis) -> None:
    pending, expired, late, _ = finished(library, 4)
    first = opened(pending, "exif", RunState.PENDING, queued_at=Now() - HOUR)
    lease = {"lease_token": uuid.UUID(int=1), "lease_until": Now() - HOUR, "started_at": Now() - HOUR}
    second = opened(expired, "renditions", RunState.RUNNING, **lease)
    third = opened(late, "exif", RunState.PENDING, queued_at=Now() - HOUR, not_before=Now() - HOUR)
    broker.flushdb()

    said = proving.prove("--repair", "--yes")

    assert (said.status, said.counts) == (1, {**proving.NOTHING, "stuck": 3})
    assert offences(said) == {
        ("not_claimed", str(pending.pk), str(first.pk)),
        ("lease_expired", str(expired.pk), str(second.pk)),
        ("not_claimed", str(late.pk), str(third.pk)),
    }
    assert said.body["repair"] == {"plan": ["release 3 stuck runs"], "done": ["1 run taken back or planned anew"]}
    second.refresh_from_db()
    assert (second.state, second.error_code) == ("pending", "lease_expired")
    # rung for
    assert broker.llen("ingest") == 2
    photo_samples.run_everything()
    assert proving.prove().counts == proving.NOTHING


def test_a_run_that_waits_for_an_input_that_is_there_is_planned(face_library: Library) -> None:
    [photo] = finished(face_library)
    run = opened(photo, "face_embedding", RunState.WAITING)
    said = proving.prove("--repair", "--yes")
    assert offences(said) == {("input_is_there", str(photo.pk), str(run.pk))}
    assert said.named("detail")[0].startswith("face_embedding: waits for face_detection, which ended 3")
    photo_samples.run_everything()
    assert proving.prove().counts == proving.NOTHING
    # there is no face to embed
    assert photo_samples.run_of(photo, "face_embedding").skip_reason == "no_faces"


def test_a_run_whose_input_nothing_will_make(face_library: Library) -> None:
    [photo] = finished(face_library)
    run = opened(photo, "face_detection", RunState.WAITING)
    photo.stage_runs.filter(stage="face_embedding").delete()
    photo.stage_runs.filter(stage="renditions").delete()
    said = proving.prove("--repair", "--yes")
    assert offences(said) == {
        ("no_input", str(photo.pk), str(run.pk)),
        ("run_missing", str(photo.pk), ""),
    }
    assert "face_detection: waits for renditions, which has no run" in said.named("detail")
    photo_samples.run_everything()
    assert proving.prove().counts == proving.NOTHING


def test_work_that_nobody_knows(library: Library, worker: WorkerPresence) -> None:
    [photo] = finished(library)
    old = {"state": RunState.PENDING, "queued_at": Now() - HOUR, "version": "9"}
    run = StageRun.objects.create(photo=photo, stage="colours", **old)
    of_library = LibraryRun.objects.create(library=library, kind="tidy", **old)
    said = proving.prove("--repair", "--yes")
    assert offences(said) == {("unknown_work", str(photo.pk), str(run.pk)), ("unknown_work", "", str(of_library.pk))}
    assert said.named("library") == [str(library.pk)] * 2
    assert said.body["repair"]["done"] is None
    # a worker of another release has said that it knows the stage
    WorkerPresence.objects.filter(pk=worker.pk).update(versions={"colours": ["9"]}, seen_at=Now())
    of_library.delete()
    said = proving.prove()
    assert said.counts == proving.NOTHING
    assert said.body["explained"]["of a stage that only another release knows"] == 1


def test_library_work_that_nobody_takes_up(library: Library, worker: WorkerPresence) -> None:
    pending = LibraryRun.objects.create(
        library=library, kind="plan", version="1", state=RunState.PENDING, queued_at=Now() - HOUR
    )
    said = proving.prove()
    assert offences(said) == {("not_claimed", "", str(pending.pk))}
    WorkerPresence.objects.filter(pk=worker.pk).update(queues=["ingest"])
    said = proving.prove()
    assert offences(said) == {("no_worker", "", str(pending.pk))}
    assert "; no worker of the queue people knows version 1" in said.named("detail")[0]
    assert kinds.get("plan").queue == "people"


def test_a_run_without_a_worker_is_stuck(library: Library, worker: WorkerPresence) -> None:
    [photo] = finished(library)
    run = opened(photo, "renditions", RunState.PENDING, queued_at=Now() - HOUR)
    for gone in ({"seen_at": Now() - HOUR}, {"seen_at": Now(), "versions": {"renditions": ["another"]}}):
        WorkerPresence.objects.filter(pk=worker.pk).update(**gone)
        said = proving.prove("--settle", "1")
        assert (said.status, offences(said)) == (1, {("no_worker", str(photo.pk), str(run.pk))})
        assert f"; no worker of the queue ingest knows version {run.version}" in said.named("detail")[0]
    # it may be about to start
    StageRun.objects.filter(pk=run.pk).update(queued_at=Now())
    assert proving.prove().body["explained"] == {"queued just now": 1}


def held(photo: Photo, stage: str, *, queued: timedelta, started: timedelta, **columns: object) -> None:
    """Have a run in hand that was queued and claimed so long ago."""
    lease = {"lease_token": uuid.UUID(int=1), "lease_until": Now() + HOUR}
    opened(photo, stage, RunState.RUNNING, queued_at=Now() - queued, started_at=Now() - started, **lease, **columns)


def test_work_whose_queue_is_busy_with_other_work_is_in_a_backlog(library: Library) -> None:
    waiting, busy = finished(library, 2)
    opened(waiting, "exif", RunState.PENDING, queued_at=Now() - HOUR)
    held(busy, "renditions", queued=timedelta(minutes=1), started=timedelta(seconds=30))
    said = proving.prove()
    assert (said.counts, said.body["explained"]["in a backlog that moves"]) == (proving.NOTHING, 1)
    StageRun.objects.filter(state=RunState.RUNNING).update(
        state=RunState.DONE, finished_at=Now() - HOUR, lease_token=None, lease_until=None
    )
    assert proving.prove().named("code") == ["not_claimed"]


@pytest.mark.parametrize(
    ("other", "is_passed_by"),
    [
        ({"queued": timedelta(minutes=1), "started": timedelta(seconds=30), "lane": 1}, True),
        ({"queued": 3 * HOUR, "started": timedelta(seconds=30), "lane": 2}, True),
        # as it should be: the older one, and the more urgent one
        ({"queued": 3 * HOUR, "started": timedelta(seconds=30), "lane": 1}, False),
        ({"queued": timedelta(minutes=1), "started": timedelta(seconds=30), "lane": 0}, False),
        # of an old claim it is not known what was there
        ({"queued": 3 * HOUR, "started": 2 * HOUR, "lane": 2}, False),
        # the next claim may be its own
        ({"queued": timedelta(minutes=1), "started": timedelta(seconds=0), "lane": 1}, False),
        ({"queued": timedelta(minutes=1), "started": timedelta(seconds=30), "lane": 1, "version": "2"}, False),
    ],
)
def test_a_run_that_others_are_claimed_before_is_not_in_the_backlog(
    library: Library, other: dict[str, object], is_passed_by: bool
) -> None:
    waiting, busy = finished(library, 2)
    run = opened(waiting, "exif", RunState.PENDING, queued_at=Now() - HOUR, lane=1)
    held(busy, "exif", **other)
    if "version" in other:
        busy.stage_runs.update(version="2")
        busy.stage_runs.filter(stage="renditions").delete()
    said = proving.prove()
    mine = [one for one in said.body["findings"] if one["photo"] == str(waiting.pk)]
    assert [(one["code"], one["run"]) for one in mine] == [("not_claimed", str(run.pk))] * is_passed_by
    assert all(one["detail"].endswith(", and passed by") for one in mine)


def test_a_grouping_that_nobody_asked_for(face_library: Library) -> None:
    finished(face_library, data=photo_samples.portrait())
    assert proving.prove().counts == proving.NOTHING
    FaceEmbedding.objects.update(component=None)

    said = proving.prove("--repair", "--yes")

    assert (said.status, said.counts) == (1, {**proving.NOTHING, "stuck": 1})
    assert said.offences == {("grouping_forgotten", str(face_library.pk))}
    assert said.body["repair"] == {"plan": ["ask for the grouping of 1 library"], "done": ["1 grouping asked for"]}
    # asked for, and not yet done: that is no offence
    assert proving.prove().counts == proving.NOTHING
    photo_samples.run_everything()
    assert FaceEmbedding.objects.filter(component=None).count() == 0
    assert proving.prove().counts == proving.NOTHING
