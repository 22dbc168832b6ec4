"""Erasing the faces of a library while others are at work on them."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import factories
import photo_samples
import pytest
from concurrency import in_a_thread, wait_until_blocked
from django.db import transaction
from django.db.models.functions import Now
from erasing_faces import NO_ROWS, STAGES, WITHDRAWN, erase, erasures, rows_of_faces, switch
from face_samples import MODEL, add_face, remove, vector

from accounts.models import Library
from photos.models import Face, FaceEmbedding, ObjectSweep, Person, Photo
from photos.services import erasure
from processing import ledger
from processing.kinds.base import Held
from processing.kinds.stepped import SteppedKind
from processing.models import LibraryRun, StageRun
from processing.models.ledger import Lane
from processing.pipeline.planning import plan
from processing.services import grouping, reprocess
from processing.stages import registry
from processing.stages.face_detection import FaceDetectionStage

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("photo_store")]


@pytest.fixture
def replaced_stage(monkeypatch: pytest.MonkeyPatch) -> Callable[[type], None]:
    """Put a stage of another class in the place of the one of its name."""

    def put(kind: type) -> None:
        stages = tuple(kind() if stage.name == kind.name else stage for stage in registry.all_stages())
        monkeypatch.setattr(registry, "all_stages", lambda: stages)

    return put


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
