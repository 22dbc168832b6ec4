"""Planning all photos of libraries in the background: in steps, beside uploads, and never forgotten."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import factories
import photo_samples
import pytest
import redis
from celery.exceptions import SoftTimeLimitExceeded
from concurrency import in_a_thread, wait_until_blocked
from django.conf import settings
from django.db import connection, transaction
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from accounts.models import Library
from photos.models import Photo
from processing import ledger, overview
from processing.engines.installation import InstalledModel
from processing.kinds import plan as plan_kind
from processing.kinds import stepped
from processing.kinds.plan import PLAN
from processing.models import LibraryRun, RunState, StageRun
from processing.models.ledger import Lane
from processing.pipeline.planning import plan
from processing.services import dead_letters, selection
from processing.services.face_analysis import switch_face_analysis

pytestmark = pytest.mark.django_db(transaction=True)

MakePhoto = Callable[..., Photo]


def work() -> int:
    return photo_samples.run_library_work("plan")


def plans(library: Library) -> list[LibraryRun]:
    return list(library.runs.filter(kind="plan").order_by("id"))


@transaction.atomic
def request(library: Library) -> None:
    PLAN.request_for_all(libraries=[library.pk])


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two photos to a step."""
    monkeypatch.setattr(plan_kind, "PHOTOS_PER_TRANSACTION", 2)


class Paused:
    """Makes planning wait after a number of steps, between two of them, until it is told to go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, after: int) -> None:
        self.is_waiting, self.go_on = threading.Event(), threading.Event()
        steps, step = [], stepped.SteppedKind._step

        def slow(kind: stepped.SteppedKind, held: Any) -> bool:
            is_more = step(kind, held)
            steps.append(is_more)
            if len(steps) == after:
                self.is_waiting.set()
                assert self.go_on.wait(60), "nobody said to go on"
            return is_more

        monkeypatch.setattr(stepped.SteppedKind, "_step", slow)


def test_photos_are_planned_in_steps_and_the_report_counts_them(
    make_photo: MakePhoto, library: Library, small_steps: None, broker: redis.Redis
) -> None:
    photos = [make_photo() for _ in range(5)]
    elsewhere = factories.make_photo(factories.make_library())
    plan([photos[0].pk], lane=Lane.UPLOAD)
    broker.flushdb()
    request(library)
    assert broker.llen("people") == 1
    [run] = plans(library)
    assert (run.state, run.lane, run.version, run.report) == ("pending", Lane.BACKFILL, "1", {})
    assert not overview.overview().is_settled
    assert StageRun.objects.count() == 3

    assert work() == 1

    [run] = plans(library)
    assert (run.state, run.attempt, run.commits, run.progress) == ("done", 1, 1, {})
    assert run.report == {"photos": 5, "of": 5, "runs": 12}
    assert run.work_seconds > 0
    for photo in photos:
        assert photo_samples.states(photo) == {"exif": "pending", "place": "waiting", "renditions": "pending"}
    assert set(StageRun.objects.exclude(photo=photos[0]).values_list("lane", flat=True)) == {Lane.BACKFILL}
    assert not elsewhere.stage_runs.exists()
    # two messages for each step that made runs
    assert broker.llen("ingest") == 6


def test_a_library_without_photos_is_not_planned(library: Library, models_in_use: None) -> None:
    switch_face_analysis(library=library, enabled=True, by=None)
    assert not LibraryRun.objects.exists()


def test_it_goes_on_where_it_was_killed(
    make_photo: MakePhoto, library: Library, small_steps: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = [make_photo() for _ in range(5)]
    request(library)
    planned, chunks = plan_kind.plan, []

    def dies(photo_ids: list[Any], *, lane: int) -> int:
        chunks.append(photo_ids)
        if len(chunks) == 2:
            raise SoftTimeLimitExceeded
        return planned(photo_ids, lane=lane)

    monkeypatch.setattr(plan_kind, "plan", dies)
    with pytest.raises(SoftTimeLimitExceeded):
        work()
    [run] = plans(library)
    assert (run.state, run.attempt, run.error_code) == ("pending", 1, "timed_out")
    assert run.report == {"photos": 2, "of": 5, "runs": 6}
    assert StageRun.objects.count() == 6

    # and then the whole worker, without a word
    LibraryRun.objects.update(not_before=None)
    lease = ledger.claim_library_run(kind="plan", versions=["1"], task_id="gone", worker="gone")
    assert lease.attempt == 2
    LibraryRun.objects.update(lease_until=Now() - timedelta(minutes=1))
    assert ledger.expire_leases(ledger=LibraryRun).returned == {"plan": 1}
    assert work() == 1
    [run] = plans(library)
    assert (run.state, run.report) == ("done", {"photos": 5, "of": 5, "runs": 15})
    # the first two were not planned twice
    assert chunks[2:] == [[one.pk for one in photos[2:4]], [photos[4].pk]]


def test_a_second_request_goes_over_everything_again(
    make_photo: MakePhoto,
    face_library: Library,
    small_steps: None,
    installed_models: dict[str, InstalledModel],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    photos = [make_photo(library=face_library) for _ in range(4)]
    request(face_library)
    paused = Paused(monkeypatch, after=1)
    working = in_a_thread(work)
    assert paused.is_waiting.wait(60)
    facenet = replace(installed_models["dlib-resnet-v1"], name="facenet-vggface2", weights_hash="ab" * 32)
    selection.select_model(installed=facenet, in_use=False)
    assert [run.progress["again"] for run in plans(face_library)] == [True]
    paused.go_on.set()
    assert working.result(60) == 1
    [run] = plans(face_library)
    assert (run.state, run.report) == ("done", {"photos": 4, "of": 4, "runs": 24})
    for photo in photos:
        assert photo.stage_runs.filter(stage="face_embedding").count() == 2


def test_a_second_request_for_what_has_not_begun_is_the_first(make_photo: MakePhoto, library: Library) -> None:
    make_photo()
    request(library)
    request(library)
    [run] = plans(library)
    assert (run.state, run.progress) == ("pending", {})


def test_a_request_that_meets_the_end_is_a_new_run(
    make_photo: MakePhoto, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_photo()
    request(library)
    ending, requests = ledger.mark_done, []

    def end_slowly(lease: ledger.Lease, **values: Any) -> None:
        ending(lease, **values)
        if not requests:
            requests.append(in_a_thread(request, library))
            wait_until_blocked()

    monkeypatch.setattr(ledger, "mark_done", end_slowly)
    assert work() >= 1
    requests[0].result(60)
    work()
    assert [(run.state, run.report["runs"]) for run in plans(library)] == [("done", 3), ("done", 0)]


def test_an_upload_goes_on_beside_it_and_is_planned_by_what_holds_then(
    make_photo: MakePhoto,
    face_library: Library,
    small_steps: None,
    installed_models: dict[str, InstalledModel],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    early = [make_photo(library=face_library) for _ in range(3)]
    facenet = replace(installed_models["dlib-resnet-v1"], name="facenet-vggface2", weights_hash="ab" * 32)
    with transaction.atomic():
        # an upload that has read the old plan, and is not there yet for whoever plans
        late = make_photo(library=face_library)
        plan([late.pk], lane=Lane.UPLOAD)
        selecting = in_a_thread(selection.select_model, installed=facenet, in_use=True)
        wait_until_blocked()
    selecting.result(60)
    assert late.stage_runs.filter(stage="face_embedding").count() == 1
    paused = Paused(monkeypatch, after=1)
    working = in_a_thread(work)
    assert paused.is_waiting.wait(60)
    # nobody waits for the planning
    new = make_photo(library=face_library)
    plan([new.pk], lane=Lane.UPLOAD)
    assert set(new.stage_runs.values_list("lane", flat=True)) == {Lane.UPLOAD}
    paused.go_on.set()
    assert working.result(60) == 1
    for photo in (*early, late, new):
        assert photo.stage_runs.filter(stage="face_embedding").count() == 2
    assert new.stage_runs.filter(lane=Lane.UPLOAD).count() == 6


def test_a_change_of_the_plan_and_a_step_of_it_do_not_deadlock(
    make_photo: MakePhoto, library: Library, models_in_use: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_photo()
    request(library)
    planned, switches = plan_kind.plan, []

    def plan_slowly(photo_ids: list[Any], *, lane: int) -> int:
        if not switches:
            switches.append(in_a_thread(switch_face_analysis, library=library, enabled=True, by=None))
            wait_until_blocked()
        return planned(photo_ids, lane=lane)

    monkeypatch.setattr(plan_kind, "plan", plan_slowly)
    assert work() == 1
    assert switches[0].result(60).face_analysis
    work()
    assert set(StageRun.objects.values_list("stage", "state")) == {
        ("exif", "pending"),
        ("place", "waiting"),
        ("renditions", "pending"),
        ("face_detection", "waiting"),
        ("face_embedding", "waiting"),
    }
    assert not library.runs.open().exists()
    assert not library.runs.exclude(error_code="").exists()


def test_a_change_costs_the_same_however_many_photos_there_are(
    make_photo: MakePhoto, library: Library, models_in_use: None
) -> None:
    def queries(*, on: bool) -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            switch_face_analysis(library=library, enabled=on, by=None)
        return len(captured)

    make_photo()
    first = queries(on=True)
    queries(on=False)
    LibraryRun.objects.all().delete()
    for _ in range(5):
        make_photo()
    assert queries(on=True) == first
    assert StageRun.objects.count() == 0


def test_others_have_their_turn(
    make_photo: MakePhoto, library: Library, small_steps: None, monkeypatch: pytest.MonkeyPatch, broker: redis.Redis
) -> None:
    other = factories.make_library()
    for one in (library, other):
        for _ in range(3):
            make_photo(library=one)
        request(one)
    broker.flushdb()
    monkeypatch.setattr(settings, "LEDGER_TASK_SECONDS", 0.0001)
    assert work() == 1
    [run] = plans(library)
    assert (run.state, run.attempt, run.report["photos"], run.lease_token) == ("pending", 0, 2, None)
    # it is rung for, and the other library is first
    assert broker.llen("people") == 1
    assert work() == 1
    assert [run.report["photos"] for run in plans(other)] == [2]


def test_a_dead_planning_is_retried_from_where_it_stood(
    make_photo: MakePhoto, library: Library, small_steps: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        make_photo()
    request(library)
    planned = plan_kind.plan

    def broken(photo_ids: list[Any], *, lane: int) -> int:
        if len(photo_ids) == 1:
            raise ZeroDivisionError("a bug")
        return planned(photo_ids, lane=lane)

    with monkeypatch.context() as patch:
        patch.setattr(plan_kind, "plan", broken)
        for _ in range(3):
            LibraryRun.objects.update(not_before=None)
            work()
    [run] = plans(library)
    assert (run.state, run.attempt, run.error_code) == ("dead", 3, "unexpected_error")
    assert (run.exception, run.report["photos"]) == ("ZeroDivisionError", 2)
    assert dead_letters.retry_library_runs(run_ids=[run.pk]) == 1
    assert work() == 1
    [run] = plans(library)
    assert (run.state, run.report) == (RunState.DONE, {"photos": 3, "of": 3, "runs": 9})
