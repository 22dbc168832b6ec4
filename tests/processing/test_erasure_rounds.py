"""Erasure during a run, round after round: whatever worker is at work, nothing is left, and each has its receipt.

`ERASURE_ROUNDS=100` makes as many rounds; without it each combination of subject and stage is tried once.
"""

import os
import random
import threading
import time
from pathlib import Path

import factories
import photo_samples
import pytest
from concurrency import in_a_thread
from django.db.models import F
from django.db.models.functions import Now
from face_samples import MODEL
from pytest_django import Settings

from accounts.models import ErasureReceipt, Library
from photos.models import Face, FaceEmbedding, GroupLoss, ObjectSweep, Person, Photo, Rendition
from processing.models import LibraryRun, StageRun
from processing.services import forgetting, grouping, object_sweeps, reprocess
from processing.services.face_analysis import switch_face_analysis
from processing.stages import registry

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("photo_store", "models_in_use")]

WORK = ("exif", "renditions", "face_detection", "face_embedding", "people")
SUBJECTS = ("person", "faces", "library")
COMBINATIONS = [(subject, work) for work in WORK for subject in SUBJECTS]
ROUNDS = int(os.environ.get("ERASURE_ROUNDS", "15"))
# of a stage: the forgetting comes before it, within it, and after it
LONGEST_DELAY_SECONDS = 0.2


class Round:
    """A library with a named person on one photo, whose results are about to be made anew."""

    def __init__(self, number: int, work: str) -> None:
        self.library = Library.objects.create(name=f"round {number}")
        switch_face_analysis(library=self.library, enabled=True, by=None)
        self.photo = photo_samples.take_through(self.library, photo_samples.portrait())
        self.face = Face.objects.get(photo=self.photo)
        self.person = factories.make_person(self.library, name="Ada")
        Face.objects.filter(pk=self.face.pk).update(person=self.person)
        self.work = work
        if work == "people":
            grouping.request(library_id=self.library.pk, model=MODEL)
        else:
            assert reprocess.run_again(photos=Photo.objects.filter(pk=self.photo.pk), stage=work) == 1

    def run(self, start: threading.Barrier) -> None:
        """Do the work that is pending, and all that follows from it, as a worker does."""
        start.wait(10)
        names = [stage.name for stage in registry.all_stages()]
        for name in names[names.index(self.work) :] if self.work in names else []:
            photo_samples.run(name)
        photo_samples.run_people()

    def forget(self, start: threading.Barrier, subject: str) -> None:
        """Ask for the erasure at any moment, and do it, as another worker does."""
        start.wait(10)
        time.sleep(random.uniform(0, LONGEST_DELAY_SECONDS))
        if subject == "person":
            forgetting.forget_person(person=self.person, by=None)
        elif subject == "faces":
            forgetting.forget_faces(library=self.library, by=None)
        else:
            forgetting.forget_library(library=self.library, by=None)
        photo_samples.run_library_work("erase_faces" if subject == "faces" else "forget")

    def settle(self) -> None:
        """Let everything come to its end that is pending, waits for a retry or for the end of a lease."""
        for _ in range(2):
            StageRun.objects.update(not_before=None)
            LibraryRun.objects.update(not_before=None)
            for kind in ("forget", "erase_faces"):
                photo_samples.run_library_work(kind)
            photo_samples.run_everything()
            time.sleep(0.01)
            ObjectSweep.objects.exclude(reason="upload").update(due_at=F("created_at"), final_at=Now())
            object_sweeps.sweep(seconds=60)

    def check(self, subject: str, store: Path) -> None:
        """See that nothing is left of what was to go, and that the rest is whole."""
        rows = {model.__name__: model.objects.count() for model in (Face, FaceEmbedding, Person, GroupLoss)}
        assert rows == {"Face": 0, "FaceEmbedding": 0, "Person": 0, "GroupLoss": 0}
        files = photo_samples.files_below(store)
        assert [name for name in files if "/face." in name] == []
        subject_id = self.person.pk if subject == "person" else self.library.pk
        [receipt] = ErasureReceipt.objects.all()
        assert (receipt.kind, receipt.subject_id) == (subject, subject_id)
        assert receipt.ended_at is not None
        assert {name: receipt.counts[name] for name in ("photos", "faces")} == {"photos": 1, "faces": 1}
        assert receipt.counts["people"] >= (subject != "library")
        if subject == "library":
            assert receipt.counts["libraries"] == 1
            counts = [model.objects.count() for model in (Library, Photo, Rendition, StageRun, LibraryRun)]
            assert (counts, files) == ([0, 0, 0, 0, 0], {})
            return
        assert set(StageRun.objects.values_list("state", flat=True)) <= {"done", "skipped"}
        assert set(LibraryRun.objects.values_list("state", flat=True)) <= {"done", "skipped"}
        named = set(Rendition.objects.values_list("storage_key", flat=True))
        assert {name.removeprefix("renditions/") for name in files if name.startswith("renditions/")} == named
        assert Photo.objects.get() == self.photo


@pytest.mark.timeout(60 + 3 * ROUNDS)
@pytest.mark.usefixtures("one_model_each_at_a_time")
@pytest.mark.parametrize(("subject", "work"), COMBINATIONS)
def test_nothing_is_left_and_each_has_its_receipt(
    subject: str, work: str, photo_store: Path, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.OBJECT_SWEEP_AGAIN_SECONDS = 0
    index = COMBINATIONS.index((subject, work))
    for number in range(index, max(ROUNDS, len(COMBINATIONS)), len(COMBINATIONS)):
        (photo_store / "renditions" / "of another library").mkdir(parents=True, exist_ok=True)
        one = Round(number, work)
        start = threading.Barrier(2)
        futures = [in_a_thread(one.run, start), in_a_thread(one.forget, start, subject)]
        for future in futures:
            future.result(60)
        one.settle()
        one.check(subject, photo_store)
        ErasureReceipt.objects.all().delete()
        ObjectSweep.objects.all().delete()
        Photo.objects.all().delete()
        Library.objects.all().delete()
        for path in sorted(photo_store.rglob("*"), reverse=True):
            path.unlink() if path.is_file() else None
    messages = [record.getMessage() for record in caplog.records]
    assert [text for text in messages if "deadlock" in text or "unexpected" in text or "violates" in text] == []
