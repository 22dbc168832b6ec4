"""Erasing what is known of faces after face analysis was switched off, whatever happens meanwhile."""

import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import factories
import photo_samples
import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db.models.functions import Now
from erasing_faces import NO_ROWS, STAGES, WITHDRAWN, chips, erase, erasures, rows_of_faces, switch
from face_samples import MODEL, add_face, vector
from uuid_utils.compat import uuid7

from accounts.models import Library
from photos.models import Face, GroupLoss, ObjectSweep, Person, Photo
from photos.services import erasure
from photos.services import object_sweeps as sweep_dates
from processing import ledger
from processing.consent import is_being_erased, libraries_wanting_faces
from processing.kinds import erasing
from processing.kinds.base import Held
from processing.kinds.stepped import SteppedKind
from processing.models import LibraryRun, RunState
from processing.services import object_sweeps
from processing.stages import registry

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("photo_store")]


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
