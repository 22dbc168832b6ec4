"""Erasing what is known of faces after face analysis was switched off, whatever happens meanwhile."""

import random
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import factories
import photo_samples
import pytest
from celery.exceptions import SoftTimeLimitExceeded
from concurrency import in_a_thread, wait_until_blocked
from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now
from face_samples import MODEL, add_face, remove, vector
from uuid_utils.compat import uuid7

from accounts.models import Library
from photos.models import Face, FaceEmbedding, GroupLoss, ObjectSweep, Person, Photo
from photos.services import erasure
from photos.services import object_sweeps as sweep_dates
from processing import ledger
from processing.consent import is_being_erased, libraries_wanting_faces
from processing.kinds import erase_faces, erasing
from processing.kinds.base import Held
from processing.kinds.stepped import SteppedKind
from processing.models import LibraryRun, RunState, StageRun
from processing.models.ledger import Lane
from processing.pipeline.planning import plan
from processing.services import grouping, object_sweeps, reprocess
from processing.services.face_analysis import switch_face_analysis
from processing.stages import registry
from processing.stages.face_detection import FaceDetectionStage

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("photo_store")]

STAGES = ("exif", "place", "renditions", "face_detection", "face_embedding")
WITHDRAWN = {
    "exif": "done",
    "place": "skipped",
    "renditions": "done",
    "face_detection": "skipped",
    "face_embedding": "skipped",
}


def switch(library: Library, *, on: bool) -> None:
    switch_face_analysis(library=library, enabled=on, by=None)


def erase() -> int:
    return photo_samples.run_library_work("erase_faces")


def erasures(library: Library) -> list[LibraryRun]:
    return list(library.runs.filter(kind="erase_faces").order_by("id"))


def chips(store: Path) -> list[str]:
    return [name for name in photo_samples.files_below(store) if "/face." in name]


def rows_of_faces() -> dict[str, int]:
    return {model.__name__: model.objects.count() for model in (Face, FaceEmbedding, GroupLoss, Person)}


NO_ROWS = {"Face": 0, "FaceEmbedding": 0, "GroupLoss": 0, "Person": 0}


@pytest.fixture
def replaced_stage(monkeypatch: pytest.MonkeyPatch) -> Callable[[type], None]:
    """Put a stage of another class in the place of the one of its name."""

    def put(kind: type) -> None:
        stages = tuple(kind() if stage.name == kind.name else stage for stage in registry.all_stages())
        monkeypatch.setattr(registry, "all_stages", lambda: stages)

    return put


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A photo to a step, and a person."""
    monkeypatch.setattr(erase_faces, "PHOTOS_PER_STEP", 1)
    monkeypatch.setattr(erasing, "PEOPLE_PER_STEP", 1)


def test_everything_of_faces_goes_and_the_receipt_says_how_much(face_library: Library, photo_store: Path) -> None:
    crowd = photo_samples.take_through(face_library, photo_samples.portrait(faces=2))
    empty = photo_samples.take_through(face_library, photo_samples.picture())
    given_up = photo_samples.take_in(face_library, photo_samples.picture())
    discarded = {
        "state": RunState.SKIPPED,
        "skip_reason": "discarded",
        "discard_reason": "no use",
        "finished_at": Now(),
    }
    given_up.stage_runs.filter(stage="face_detection").update(**discarded)
    Person.objects.update(name="Ada")
    Person.objects.create(library=face_library, name="Nobody yet")
    GroupLoss.objects.create(library=face_library, model=MODEL, component=1)
    elsewhere = add_face(factories.make_library(), vector(1), person=None)
    assert rows_of_faces() == {"Face": 3, "FaceEmbedding": 3, "GroupLoss": 1, "Person": 2}

    switch(face_library, on=False)
    # nothing is gone yet: the switch is short
    assert rows_of_faces() == {"Face": 3, "FaceEmbedding": 3, "GroupLoss": 1, "Person": 2}
    [run] = erasures(face_library)
    assert (run.state, run.lane, run.report, is_being_erased(face_library)) == ("pending", 0, {}, True)
    assert erase() == 1

    [run] = erasures(face_library)
    assert (run.state, run.attempt, run.error_code, run.progress) == ("done", 1, "", {})
    assert run.report == {"photos": 1, "faces": 2, "embeddings": 2, "people": 2}
    assert run.work_seconds > 0
    assert not is_being_erased(face_library)
    assert list(Face.objects.values_list("pk", flat=True)) == [elsewhere.pk]
    assert rows_of_faces() == {"Face": 1, "FaceEmbedding": 1, "GroupLoss": 0, "Person": 0}
    for photo in (crowd, empty):
        assert photo_samples.states(photo) == WITHDRAWN
        runs = photo.stage_runs.filter(stage__startswith="face_")
        assert set(runs.values_list("skip_reason", "attempt", "work_seconds")) == {("face_analysis_off", 0, None)}
    # what was given up too: it could be restored
    run = photo_samples.run_of(given_up, "face_detection")
    assert (run.skip_reason, run.discard_reason) == ("face_analysis_off", "")
    # the photos themselves are as they were
    assert set(Photo.objects.filter(library=face_library)) == {crowd, empty, given_up}
    assert crowd.renditions.count() > 0


def test_what_is_to_be_swept_elsewhere_is_not_waited_for(
    face_library: Library, photo_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One library's photos go all the time, and the sweeper takes what is due longest, a prefix at a time."""
    for _ in range(2):
        photo_samples.take_through(face_library, photo_samples.portrait(brightness=random.uniform(0.8, 1.2)))
    assert len(chips(photo_store)) == 2
    sweep, calls = object_sweeps.sweep, []

    def with_more_due_elsewhere(*, limit: int, seconds: float) -> object:
        calls.append(limit)
        # up to a number: an erasure that waits for them ends as well, or nobody would see that it waited
        if len(calls) <= 20:
            request_elsewhere()
        return sweep(limit=limit, seconds=seconds)

    def request_elsewhere() -> None:
        prefix = f"{uuid7()}/{uuid7()}/"
        sweep_dates.request(alias="renditions", prefix=prefix, reason=ObjectSweep.Reason.PURGED)

    monkeypatch.setattr(erasing, "SWEEPS_AT_ONCE", 1)
    monkeypatch.setattr(erasing.object_sweeps, "sweep", with_more_due_elsewhere)
    switch(face_library, on=False)
    assert erase() == 1
    assert erasures(face_library)[0].state == "done"
    # its own two, and no other
    assert len(calls) == 2
    assert chips(photo_store) == []
    assert ObjectSweep.objects.filter(due_at__lte=Now()).count() == 2


def test_the_chips_get_a_date_in_the_same_transaction(
    face_library: Library, photo_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = photo_samples.take_through(face_library, photo_samples.portrait())
    photo_samples.take_through(face_library, photo_samples.picture())
    assert len(chips(photo_store)) == 1
    switch(face_library, on=False)
    ObjectSweep.objects.all().delete()
    with monkeypatch.context() as patch:
        patch.setattr(erasure.object_sweeps, "request_all", lambda **_: 1 / 0)
        assert erase() == 1
    assert (Face.objects.count(), ObjectSweep.objects.count()) == (1, 0)
    assert erasures(face_library)[0].error_code == "unexpected_error"
    LibraryRun.objects.update(not_before=None)
    assert erase() == 1
    [sweep] = ObjectSweep.objects.all()
    assert (sweep.alias, sweep.prefix, sweep.reason) == ("renditions", f"{face_library.pk}/{photo.pk}/", "faces_off")
    # they are gone, and it is looked once more when whoever might still write some has lost the lease
    assert chips(photo_store) == []
    found = {name.removeprefix("renditions/") for name in photo_samples.files_below(photo_store)}
    assert set(photo.renditions.values_list("storage_key", flat=True)) <= found
    assert sweep.due_at == sweep.final_at
    assert sweep.final_at - sweep.created_at >= timedelta(seconds=settings.LEDGER_LEASE_SECONDS)


def test_a_photo_whose_detection_was_in_hand_is_swept_too(face_library: Library) -> None:
    photo = photo_samples.take_in(face_library, photo_samples.portrait())
    untouched = photo_samples.take_in(face_library, photo_samples.picture())
    for stage in STAGES[:3]:
        photo_samples.run(stage)
    versions = registry.get("face_detection").known_versions()
    leases = ledger.claim(stage="face_detection", versions=versions, limit=1, task_id="t", worker="w")
    assert [lease.subject_id for lease in leases] == [photo.pk]
    ObjectSweep.objects.all().delete()
    switch(face_library, on=False)
    erase()
    assert list(ObjectSweep.objects.values_list("prefix", flat=True)) == [f"{face_library.pk}/{photo.pk}/"]
    assert photo_samples.states(untouched)["face_detection"] == "skipped"


def test_it_goes_on_where_it_was_killed(
    face_library: Library, small_steps: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variation in range(4):
        add_face(face_library, vector(1, variation), person=Person.objects.create(library=face_library))
    switch(face_library, on=False)
    erase_photos, calls = erasure.erase_faces, []

    def dies(**values: Any) -> dict[str, int]:
        calls.append(values["photo_ids"])
        if len(calls) == 3:
            raise SoftTimeLimitExceeded
        return erase_photos(**values)

    with monkeypatch.context() as patch:
        patch.setattr(erasure, "erase_faces", dies)
        with pytest.raises(SoftTimeLimitExceeded):
            erase()
    [run] = erasures(face_library)
    assert (run.state, run.attempt, run.error_code) == ("pending", 1, "timed_out")
    assert run.report == {"photos": 2, "faces": 2, "embeddings": 2, "people": 0}
    assert rows_of_faces() == {**NO_ROWS, "Face": 2, "FaceEmbedding": 2, "Person": 4}

    LibraryRun.objects.update(not_before=None)
    assert erase() == 1
    [run] = erasures(face_library)
    assert (run.state, run.report) == ("done", {"photos": 4, "faces": 4, "embeddings": 4, "people": 4})
    assert rows_of_faces() == NO_ROWS


def test_attempts_are_counted_where_it_gets_nowhere(
    face_library: Library, small_steps: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variation in range(3):
        add_face(face_library, vector(1, variation))
    switch(face_library, on=False)
    erase_photos, fatal = erasure.erase_faces, Photo.objects.order_by("pk")[2].pk

    def poisoned(**values: Any) -> dict[str, int]:
        if fatal in values["photo_ids"]:
            raise ZeroDivisionError("a bug")
        return erase_photos(**values)

    with monkeypatch.context() as patch:
        patch.setattr(erasure, "erase_faces", poisoned)
        for state in ("pending", "pending", "dead"):
            LibraryRun.objects.update(not_before=None)
            assert erase() == 1
            [run] = erasures(face_library)
            assert (run.state, run.report["photos"], Face.objects.count()) == (state, 2, 1)
    # face work waits for it, on or off
    assert is_being_erased(face_library)
    switch(face_library, on=True)
    assert not libraries_wanting_faces().filter(pk=face_library.pk).exists()
    switch(face_library, on=False)
    assert erase() == 1
    assert [(one.state, one.skip_reason) for one in erasures(face_library)] == [("skipped", "superseded"), ("done", "")]
    assert (Face.objects.count(), is_being_erased(face_library)) == (0, False)


def test_others_have_their_turn(face_library: Library, small_steps: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "LEDGER_TASK_SECONDS", 0.0001)
    for variation in range(2):
        add_face(face_library, vector(1, variation))
    switch(face_library, on=False)
    taken = 0
    while erasures(face_library)[0].state != "done":
        [run] = erasures(face_library)
        assert (run.state, run.attempt, run.error_code, run.lease_token) == ("pending", 0, "", None)
        taken += erase()
        assert taken < 10
    assert taken >= 2
    assert rows_of_faces() == NO_ROWS


def test_a_worker_that_is_stopped_leaves_it_after_the_step_at_hand(
    face_library: Library, small_steps: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variation in range(3):
        add_face(face_library, vector(1, variation))
    switch(face_library, on=False)
    step, released = SteppedKind._step, []

    def step_and_stop(self: SteppedKind, held: Held) -> bool:
        is_more = step(self, held)
        released.append(ledger.release_worker(ledger=LibraryRun, worker="worker@test"))
        return is_more

    with monkeypatch.context() as patch:
        patch.setattr(SteppedKind, "_step", step_and_stop)
        # a worker that is being stopped would claim nothing more
        patch.setattr(settings, "LEDGER_TASK_SECONDS", 0.0001)
        assert erase() == 1
    assert released == [{"erase_faces": 1}]
    [run] = erasures(face_library)
    assert (run.state, run.attempt, run.error_code, run.report["faces"]) == ("pending", 0, "", 1)
    assert Face.objects.count() == 2
    assert erase() == 1
    [run] = erasures(face_library)
    assert (run.state, run.attempt, run.report["faces"]) == ("done", 1, 3)


def test_a_commit_that_came_first_is_erased_too(face_library: Library, replaced_stage: Callable[[type], None]) -> None:
    switches = []

    class Slow(FaceDetectionStage):
        def write(self, loaded: Any, stored: Any, *, version: str) -> Any:
            written = super().write(loaded, stored, version=version)
            switches.append(in_a_thread(switch, face_library, on=False))
            wait_until_blocked()
            return written

    replaced_stage(Slow)
    photo = photo_samples.take_in(face_library, photo_samples.portrait())
    for name in STAGES:
        photo_samples.run(name)
    switches[0].result(60)
    assert Face.objects.count() == 1
    assert erase() == 1
    assert rows_of_faces() == NO_ROWS
    assert photo_samples.states(photo) == WITHDRAWN


def test_a_commit_that_comes_too_late_writes_nothing(
    face_library: Library, replaced_stage: Callable[[type], None]
) -> None:
    class Interrupted(FaceDetectionStage):
        def store(self, loaded: Any, result: Any, *, version: str) -> Any:
            stored = super().store(loaded, result, version=version)
            switch(face_library, on=False)
            assert erase() == 1
            return stored

    replaced_stage(Interrupted)
    photo = photo_samples.take_through(face_library, photo_samples.portrait())
    assert rows_of_faces() == NO_ROWS
    assert photo_samples.states(photo) == WITHDRAWN
    # its chips have a date
    assert f"{face_library.pk}/{photo.pk}/" in ObjectSweep.objects.values_list("prefix", flat=True)


class Paused:
    """Makes an erasure wait within a step, once its rows are gone, until it is told to go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_waiting, self.go_on = threading.Event(), threading.Event()
        erase_photos = erasure.erase_faces

        def slow(**values: Any) -> dict[str, int]:
            erased = erase_photos(**values)
            self.is_waiting.set()
            assert self.go_on.wait(60), "nobody said to go on"
            return erased

        monkeypatch.setattr(erasure, "erase_faces", slow)


def test_switched_on_again_it_ends_first_and_then_everything_is_planned(
    face_library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = photo_samples.take_through(face_library, photo_samples.portrait())
    before = Face.objects.get().pk
    switch(face_library, on=False)
    step, is_waiting, go_on = SteppedKind._step, threading.Event(), threading.Event()

    def step_and_wait(self: SteppedKind, held: Held) -> bool:
        is_more = step(self, held)
        if self.name == "erase_faces" and is_more:
            is_waiting.set()
            assert go_on.wait(60), "nobody said to go on"
        return is_more

    monkeypatch.setattr(SteppedKind, "_step", step_and_wait)
    erasing = in_a_thread(erase)
    assert is_waiting.wait(60)

    switch(face_library, on=True)
    assert [run.kind for run in face_library.runs.open()] == ["erase_faces"]
    late = photo_samples.take_in(face_library, photo_samples.portrait(brightness=0.8))
    assert photo_samples.states(late) == {"exif": "pending", "place": "waiting", "renditions": "pending"}
    assert reprocess.run_again(photos=Photo.objects.all(), stage="face_detection") == 0
    assert photo_samples.run("face_detection") == 0
    grouping.request(library_id=face_library.pk, model=MODEL)
    assert photo_samples.run_people() == 1
    assert face_library.runs.get(kind="people", state="skipped").skip_reason == "face_analysis_off"
    go_on.set()
    assert erasing.result(60) == 1

    assert rows_of_faces() == NO_ROWS
    assert set(face_library.runs.open().values_list("kind", "state")) == {("plan", "pending")}
    photo_samples.run_everything()
    for one in (photo, late):
        assert photo_samples.states(one) == {**dict.fromkeys(STAGES, "done"), "place": "skipped"}
    assert (Face.objects.count(), FaceEmbedding.objects.count(), Person.objects.count()) == (2, 2, 1)
    assert not Face.objects.filter(pk=before).exists()


def test_an_upload_that_read_that_faces_are_erased_is_planned_after_it(face_library: Library) -> None:
    switch(face_library, on=False)
    switch(face_library, on=True)
    with transaction.atomic():
        photo = factories.make_photo(face_library)
        plan([photo.pk], lane=Lane.UPLOAD)
        # it is not there yet for whoever plans after the erasure
        erasing = in_a_thread(erase)
        wait_until_blocked()
    assert erasing.result(60) == 1
    assert photo_samples.states(photo) == {"exif": "pending", "place": "waiting", "renditions": "pending"}
    assert photo_samples.run_library_work("plan") == 1
    assert photo_samples.states(photo)["face_detection"] == "waiting"


def test_off_once_more_while_it_runs_goes_over_everything_again(
    face_library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_face(face_library, vector(1))
    switch(face_library, on=False)
    paused = Paused(monkeypatch)
    erasing = in_a_thread(erase)
    assert paused.is_waiting.wait(60)
    switch(face_library, on=True)
    switching = in_a_thread(switch, face_library, on=False)
    wait_until_blocked()
    # written behind the step by somebody who knows nothing of consent
    behind = factories.make_face(Photo.objects.get(), is_counted=False)
    paused.go_on.set()
    switching.result(60)
    assert erasing.result(60) == 1
    [run] = erasures(face_library)
    assert (run.state, run.report["faces"]) == ("done", 2)
    assert not Face.objects.filter(pk=behind.pk).exists()
    assert not face_library.runs.open().exists()


def test_a_regrouping_leaves_no_trace(face_library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    ones = [add_face(face_library, vector(1, variation)) for variation in range(3)]
    grouping.request(library_id=face_library.pk, model=MODEL)
    photo_samples.run_people()
    remove(ones[0])
    grouping.request(library_id=face_library.pk, model=MODEL)
    perform = grouping.perform

    def perform_late(library_id: Any) -> Any:
        made = perform(library_id)
        switch(face_library, on=False)
        assert erase() == 1
        return made

    with monkeypatch.context() as patch:
        patch.setattr(grouping, "perform", perform_late)
        assert photo_samples.run_people() == 1
    assert rows_of_faces() == NO_ROWS
    assert grouping.request_where_due() == 0


def test_an_erasure_and_a_purge_of_the_same_photos(face_library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    add_face(face_library, vector(1))
    switch(face_library, on=False)
    paused = Paused(monkeypatch)
    erasing = in_a_thread(erase)
    assert paused.is_waiting.wait(60)
    purging = in_a_thread(Photo.objects.get().delete)
    wait_until_blocked()
    paused.go_on.set()
    assert erasing.result(60) == 1
    purging.result(60)
    assert (Photo.objects.count(), StageRun.objects.count()) == (0, 0)
    assert rows_of_faces() == NO_ROWS


def test_a_version_that_nobody_knows_is_left_for_whoever_does(face_library: Library) -> None:
    switch(face_library, on=False)
    LibraryRun.objects.update(version="2")
    assert erase() == 0
    assert erasures(face_library)[0].state == "pending"


def test_a_lease_that_was_taken_away_ends_it_between_two_steps(
    face_library: Library, small_steps: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variation in range(3):
        add_face(face_library, vector(1, variation))
    switch(face_library, on=False)
    note = ledger.note_progress

    def note_and_lose(lease: ledger.Lease, run: LibraryRun) -> ledger.Lease:
        noted = note(lease, run)
        # as when the next step finds somebody else's token
        return replace(noted, token=lease.run_id)

    with monkeypatch.context() as patch:
        patch.setattr(ledger, "note_progress", note_and_lose)
        assert erase() == 1
    [run] = erasures(face_library)
    assert (run.state, run.report["faces"], Face.objects.count()) == ("running", 1, 2)
    LibraryRun.objects.update(lease_until=Now() - timedelta(minutes=1))
    assert ledger.expire_leases(ledger=LibraryRun).returned == {"erase_faces": 1}
    assert erase() == 1
    assert rows_of_faces() == NO_ROWS
