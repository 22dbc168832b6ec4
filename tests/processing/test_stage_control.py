"""Control of the pipeline: what stages are at, holding one up, and who works."""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import factories
import pytest
from concurrency import in_a_thread, wait_until_blocked
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from accounts.problems import InvalidValueError, NotFoundError
from processing import ledger
from processing.models import LibraryRun, ModelSelection, RunState, StagePause, StageRun, WorkerPresence
from processing.services import stage_control
from processing.services.stage_control import StageStatus

pytestmark = pytest.mark.django_db

MakeRun = Callable[..., StageRun]
LEASED = {"state": RunState.RUNNING, "lease_token": UUID(int=1), "lease_until": Now()}
NOTHING = {"waiting": 0, "pending": 0, "running": 0, "dead": 0}
STAGES = ["exif", "place", "renditions", "face_detection", "face_embedding", "image_embedding"]
KINDS = {"edit", "people", "regroup_preview", "plan", "import", "export", "duplicates", "erase_faces", "forget"}


def by_name() -> dict[str, StageStatus]:
    return {stage.name: stage for stage in stage_control.stages()}


def claimed(stage: str = "exif") -> int:
    return len(ledger.claim(stage=stage, versions=["v1"], limit=8, task_id="t", worker="w@h"))


def test_of_a_paused_stage_nothing_is_claimed_until_it_is_resumed(make_run: MakeRun, broker: object) -> None:
    run, other = make_run(), make_run(stage="renditions")
    operator = factories.make_user()

    pause = stage_control.pause(work="exif", by=operator, reason=" The disk is full. ")

    assert (pause.work, pause.paused_by, pause.reason, pause.is_circuit) == (
        "exif", operator, "The disk is full.", False,
    )  # fmt: skip
    assert timezone.now() - pause.paused_at < timedelta(minutes=1)
    assert claimed() == 0
    assert claimed("renditions") == 1
    assert StageRun.objects.get(pk=run.pk).state == "pending"
    assert StageRun.objects.get(pk=other.pk).state == "running"

    assert stage_control.resume(work="exif") is True
    assert not StagePause.objects.exists()
    assert claimed() == 1
    assert stage_control.resume(work="exif") is False


@pytest.mark.django_db(transaction=True)
def test_whoever_resumes_rings(make_run: MakeRun, broker: object) -> None:
    make_run()
    stage_control.pause(work="exif", by=None)
    assert broker.llen("ingest") == 0

    stage_control.resume(work="renditions")
    assert broker.llen("ingest") == 0

    stage_control.resume(work="exif")
    assert broker.llen("ingest") == 8


def test_pausing_again_says_who_and_why_anew() -> None:
    stage_control.pause(work="people", by=None, reason="first")
    operator = factories.make_user()

    stage_control.pause(work="people", by=operator, reason="second")

    pause = StagePause.objects.get()
    assert (pause.work, pause.paused_by, pause.reason) == ("people", operator, "second")


def test_a_pause_of_the_circuit_becomes_a_persons() -> None:
    StagePause.objects.create(work="exif", error_code="storage_unavailable", probe_at=Now(), probes=3, reason="circuit")
    operator = factories.make_user()

    stage_control.pause(work="exif", by=operator, reason="I will look at it.")

    pause = StagePause.objects.get()
    assert (pause.is_circuit, pause.error_code, pause.probe_at, pause.probes) == (False, "", None, 0)
    assert (pause.paused_by, pause.reason) == (operator, "I will look at it.")


@pytest.mark.parametrize("control", [stage_control.pause, stage_control.resume])
def test_work_that_there_is_not_is_refused(control: Callable[..., object]) -> None:
    StagePause.objects.create(work="of another release")
    arguments = {"by": None, "reason": ""} if control is stage_control.pause else {}

    with pytest.raises(NotFoundError):
        control(work="of another release", **arguments)
    with pytest.raises(NotFoundError):
        stage_control.stage("of another release")

    assert list(StagePause.objects.values_list("work", flat=True)) == ["of another release"]


def test_a_reason_that_is_too_long_is_refused() -> None:
    with pytest.raises(InvalidValueError):
        stage_control.pause(work="exif", by=None, reason="x" * 201)
    assert not StagePause.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_two_who_pause_at_once_make_one_pause() -> None:
    with transaction.atomic():
        stage_control.pause(work="exif", by=None, reason="first")
        other = in_a_thread(lambda: stage_control.pause(work="exif", by=None, reason="second"))
        wait_until_blocked()
    other.result(10)
    assert list(StagePause.objects.values_list("work", "reason")) == [("exif", "second")]


def test_stages_say_what_they_are_at(make_run: MakeRun, django_assert_num_queries: Callable[..., object]) -> None:
    library = factories.make_library()
    now = timezone.now()
    for age in (10, 90):
        make_run(queued_at=now - timedelta(seconds=age))
    make_run(started_at=now, **LEASED)
    for minutes in (1, 4, 6):
        make_run(state=RunState.DONE, finished_at=now - timedelta(minutes=minutes))
    for minutes in (2, 59, 61):
        make_run(state=RunState.DEAD, error_code="damaged", finished_at=now - timedelta(minutes=minutes))
    make_run(stage="face_detection", state=RunState.WAITING, queued_at=None)
    LibraryRun.objects.create(library=library, kind="people", version="v", state=RunState.DONE, finished_at=now)
    pause = stage_control.pause(work="exif", by=factories.make_user(), reason="why")

    # seven for each work, each the entry or the few rows of an index; six for all
    with django_assert_num_queries(7 * len([*STAGES, *KINDS]) + 6):
        stages = stage_control.stages()

    assert [stage.name for stage in stages[: len(STAGES)]] == STAGES
    assert {stage.name for stage in stages[len(STAGES) :]} == KINDS
    assert [stage.is_library_work for stage in stages] == [False] * len(STAGES) + [True] * len(KINDS)
    found = by_name()
    exif = found["exif"]
    assert exif.counts == {"waiting": 0, "pending": 2, "running": 1, "dead": 3}
    assert 90 <= exif.oldest_pending_seconds < 120
    assert (exif.queue, exif.done_last_5_minutes, exif.done_per_minute, exif.failures_last_hour) == (
        "ingest",
        2,
        0.4,
        2,
    )
    assert (exif.pause, exif.pause.reason, exif.obstacle) == (pause, "why", "no_worker")
    assert found["face_detection"].counts == NOTHING | {"waiting": 1}
    people = found["people"]
    assert (people.counts, people.oldest_pending_seconds, people.done_last_5_minutes) == (NOTHING, None, 1)
    assert (people.pause, people.obstacle) == (None, "")
    assert stage_control.stage("people") == people


def test_workers_say_what_they_can_and_hold(
    make_run: MakeRun, django_assert_num_queries: Callable[..., object]
) -> None:
    ModelSelection.objects.create(task="face_detection", model="mtcnn", weights_hash="ab" * 32, in_use=True)
    now = timezone.now()
    WorkerPresence.objects.create(
        name="faces@host2",
        queues=["embeddings", "faces"],
        versions={
            "face_detection": ["1.aa.mtcnn.bb"],
            "face_embedding": ["1.cc.dlib-resnet-v1.dd", "1.cc.facenet-casia.ee"],
            "of another release": ["2"],
        },
        device="cpu",
        processes=2,
        memory_bytes=1000,
        started_at=now - timedelta(hours=1),
        seen_at=now,
        draining_since=now,
    )
    WorkerPresence.objects.create(
        name="plain", queues=["ingest"], versions={"exif": ["1.ff"]}, started_at=now, seen_at=now - timedelta(minutes=2)
    )
    for stage in ("face_detection", "face_embedding", "face_embedding"):
        make_run(stage=stage, started_at=now, worker="faces@host2", **LEASED)
    make_run(worker="plain")

    with django_assert_num_queries(3):
        faces, plain = stage_control.workers()

    assert (faces.name, faces.host, faces.queues) == ("faces@host2", "host2", ["embeddings", "faces"])
    assert faces.models == ["dlib-resnet-v1", "facenet-casia", "mtcnn"]
    assert (faces.device, faces.processes, faces.memory_bytes) == ("cpu", 2, 1000)
    assert (faces.running, faces.running_by_work) == (3, {"face_detection": 1, "face_embedding": 2})
    assert (faces.is_alive, faces.draining_since) == (True, now)
    assert (plain.host, plain.models, plain.running, plain.is_alive) == ("plain", [], 0, False)
    assert 120 <= plain.seen_seconds_ago < 150
