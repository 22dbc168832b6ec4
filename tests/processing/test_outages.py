"""A database that is away for longer than a task insists: what it held comes back, no attempt is burnt."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import photo_samples
import pytest
import redis
from celery.exceptions import SoftTimeLimitExceeded
from concurrency import end_connection_of_this_thread
from django.db import OperationalError, connection, connections, transaction
from prometheus_client import REGISTRY
from pytest_django import Settings

from accounts.models import Library
from photos.models import ObjectSweep, Photo
from processing import ledger, metrics
from processing.engines.imaging import time_limits
from processing.failures import Fault, classify
from processing.kinds import plan as plan_kind
from processing.kinds.plan import PLAN
from processing.models import LibraryRun, StageRun
from processing.pipeline import giving_back, library_work, working
from processing.stages import registry
from processing.stages.exif import ExifStage
from processing.stages.face_detection import FaceDetectionStage
from processing.stages.renditions import RenditionsStage

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("photo_store")]


class Outage:
    """A database that refuses connections from `begin` on, until a task has given up insisting once."""

    def __init__(self, port: int) -> None:
        self._away, self._here = port, connections.settings["default"]["PORT"]
        self.times = 0

    def begin(self) -> None:
        self.times += 1
        if self.times == 1:
            end_connection_of_this_thread()
            self._set(self._away)

    def end(self) -> None:
        self._set(self._here)

    def _set(self, port: int) -> None:
        connection.settings_dict["PORT"] = connections.settings["default"]["PORT"] = port


@pytest.fixture
def outage(closed_port: int, monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Iterator[Outage]:
    outage = Outage(closed_port)
    settings.LEDGER_DATABASE_WAIT_SECONDS = 0.01
    monkeypatch.setattr(giving_back, "AGAIN_AFTER_SECONDS", (0.01, 0.01))
    for module in (working, library_work):

        def outlast(wait: Callable[..., None] = module.outlast, **values: Any) -> None:
            outage.end()
            wait(**values)

        monkeypatch.setattr(module, "outlast", outlast)
    yield outage
    outage.end()


def messages(broker: redis.Redis, queue: str) -> list[str]:
    return [json.loads(one)["headers"]["task"] for one in broker.lrange(queue, 0, -1)]


def states(stage: str) -> set[tuple[object, ...]]:
    return set(StageRun.objects.filter(stage=stage).values_list("state", "attempt", "error_code"))


@pytest.mark.parametrize("moment", ["load", "compute", "store"])
def test_a_batch_that_meets_an_outage_comes_back_whole(
    moment: str, face_library: Library, replaced_stage: Callable[[type], None], outage: Outage, broker: redis.Redis
) -> None:
    class Cut(FaceDetectionStage):
        def load(self, lease: Any) -> Any:
            return self._met("load") or super().load(lease)

        def compute(self, loaded: Any, *, version: str) -> list[Any]:
            return self._met("compute") or super().compute(loaded, version=version)

        def store(self, loaded: Any, result: Any, *, version: str) -> Any:
            return self._met("store") or super().store(loaded, result, version=version)

        def _met(self, here: str) -> None:
            if here == moment:
                outage.begin()
                Photo.objects.count()

    for _ in range(3):
        photo_samples.take_in(face_library, photo_samples.picture())
    photo_samples.run("renditions")
    replaced_stage(Cut)
    broker.flushdb()
    assert photo_samples.run("face_detection") == 0
    assert outage.times
    assert states("face_detection") == {("pending", 0, "database_unavailable")}
    assert messages(broker, "faces") == ["face_detection"]
    StageRun.objects.update(not_before=None)
    assert photo_samples.run("face_detection") == 3
    assert states("face_detection") == {("done", 1, "")}


def test_what_was_stored_before_the_outage_is_looked_for(
    library: Library, replaced_stage: Callable[[type], None], outage: Outage
) -> None:
    class Cut(RenditionsStage):
        def write(self, loaded: Any, stored: Any, *, version: str) -> Any:
            outage.begin()
            return super().write(loaded, stored, version=version)

    photo = photo_samples.take_in(library, photo_samples.picture())
    ObjectSweep.objects.all().delete()
    replaced_stage(Cut)
    assert photo_samples.run("renditions") == 0
    assert states("renditions") == {("pending", 0, "database_unavailable")}
    assert ObjectSweep.objects.filter(prefix__contains=str(photo.pk)).exists()


def test_a_claim_whose_answer_was_lost_comes_back(
    library: Library, outage: Outage, monkeypatch: pytest.MonkeyPatch, broker: redis.Redis
) -> None:
    photo_samples.take_in(library, photo_samples.picture())
    broker.flushdb()
    claim = ledger.claim

    def unanswered(**values: Any) -> list[ledger.Lease]:
        claim(**values)
        raise OperationalError("server closed the connection unexpectedly")

    with monkeypatch.context() as patch:
        patch.setattr(ledger, "claim", unanswered)
        assert photo_samples.run("exif") == 0
    assert states("exif") == {("pending", 0, "database_unavailable")}
    assert messages(broker, "ingest") == ["exif"]


def test_a_librarys_work_that_meets_an_outage_comes_back(
    face_library: Library, outage: Outage, monkeypatch: pytest.MonkeyPatch, broker: redis.Redis
) -> None:
    photo_samples.take_in(face_library, photo_samples.picture())
    with transaction.atomic():
        PLAN.request_for_all()
    broker.flushdb()
    plan = plan_kind.plan

    def cut(photo_ids: Any, **values: Any) -> int:
        outage.begin()
        return plan(photo_ids, **values)

    monkeypatch.setattr(plan_kind, "plan", cut)
    assert photo_samples.run_library_work("plan") == 0
    run = LibraryRun.objects.get(kind="plan")
    assert (outage.times, run.state, run.attempt, run.error_code) == (1, "pending", 0, "database_unavailable")
    assert messages(broker, "people") == ["plan"]
    LibraryRun.objects.update(not_before=None)
    assert photo_samples.run_library_work("plan") == 1
    assert LibraryRun.objects.get(kind="plan").state == "done"


def test_a_time_that_is_over_while_the_database_is_waited_for_is_the_databases(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> None:
        raise OperationalError("connection refused")

    def strike(_seconds: float) -> None:
        raise SoftTimeLimitExceeded

    monkeypatch.setattr(time, "sleep", strike)
    with pytest.raises(SoftTimeLimitExceeded) as struck:
        giving_back.insist(gone)
    failure = classify(struck.value)
    assert (failure.fault, failure.code) == (Fault.INFRASTRUCTURE, "database_unavailable")


def test_a_time_that_is_over_while_the_database_is_asked_is_the_databases(time_limit_soon: Callable[[], None]) -> None:
    time_limit_soon()
    with pytest.raises(SoftTimeLimitExceeded) as struck, connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(20)")
    failure = classify(struck.value)
    assert (failure.fault, failure.code) == (Fault.INFRASTRUCTURE, "database_unavailable")


def test_who_is_stopped_for_its_time_leaves_a_hint_for_what_it_held(
    library: Library, replaced_stage: Callable[[type], None], broker: redis.Redis
) -> None:
    class TimedOut(ExifStage):
        def compute(self, loaded: Any, *, version: str) -> list[Any]:
            raise SoftTimeLimitExceeded

    photo_samples.take_in(library, photo_samples.picture())
    replaced_stage(TimedOut)
    broker.flushdb()
    with pytest.raises(SoftTimeLimitExceeded):
        photo_samples.run("exif")
    assert states("exif") == {("pending", 1, "timed_out")}
    assert messages(broker, "ingest") == ["exif"]


def test_a_task_takes_no_file_that_could_outlast_it(library: Library, settings: Settings) -> None:
    settings.LEDGER_TASK_SECONDS, settings.STAGE_TASK_TIME_LIMIT, settings.DECODE_WALL_SECONDS = 30, 50, 30
    assert working._claiming_seconds(registry.get("renditions")) == 45 - 30 - 1
    assert working._claiming_seconds(registry.get("face_detection")) == 30
    # one that fits in nowhere is taken all the same
    settings.DECODE_WALL_SECONDS = 45
    photo_samples.take_in(library, photo_samples.picture())
    assert photo_samples.run("exif") == 1


def test_a_file_may_take_as_long_as_its_task_has_left(
    library: Library, replaced_stage: Callable[[type], None], settings: Settings
) -> None:
    settings.STAGE_TASK_TIME_LIMIT = 50
    left = []

    class Asked(ExifStage):
        def compute(self, loaded: Any, *, version: str) -> list[Any]:
            left.append(time_limits._task_ends_at - time.monotonic())
            return super().compute(loaded, version=version)

    photo_samples.take_in(library, photo_samples.picture())
    replaced_stage(Asked)
    assert photo_samples.run("exif") == 1
    assert left == [pytest.approx(44, abs=2)]
    assert time_limits._task_ends_at is None


def test_a_result_that_is_refused_is_stale_only_if_its_lease_had_run_out(
    library: Library, replaced_stage: Callable[[type], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def counted() -> tuple[float, float]:
        runs = {"stage": "exif", "outcome": "withdrawn"}
        stale = REGISTRY.get_sample_value("darkroom_fenced_commits_total", {"stage": "exif"})
        return stale or 0, REGISTRY.get_sample_value("darkroom_runs_total", runs) or 0

    class Withdrawn(ExifStage):
        def compute(self, loaded: Any, *, version: str) -> list[Any]:
            StageRun.objects.filter(stage="exif").update(lease_token=uuid4())
            return super().compute(loaded, version=version)

    replaced_stage(Withdrawn)
    before = counted()
    photo_samples.take_in(library, photo_samples.picture())
    assert photo_samples.run("exif") == 1
    assert counted() == (before[0], before[1] + 1)
    monkeypatch.setattr(ledger.Lease, "has_run_out", True)
    photo_samples.take_in(library, photo_samples.picture())
    assert photo_samples.run("exif") == 1
    assert counted() == (before[0] + 1, before[1] + 1)


def test_what_an_alert_watches_begins_at_zero() -> None:
    metrics.begin_at_zero(["work of this test"])
    assert REGISTRY.get_sample_value("darkroom_fenced_commits_total", {"stage": "work of this test"}) == 0
