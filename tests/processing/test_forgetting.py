"""Forgetting a person, all faces of a library, and a library: rows, vectors, chips, names, and who comes back."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import factories
import photo_samples
import pytest
from celery.exceptions import SoftTimeLimitExceeded
from concurrency import in_a_thread, wait_until_blocked
from django.db.models.functions import Now
from face_samples import MODEL, add_face, vector

from accounts.models import AuditEvent, ErasureReceipt, Library
from accounts.problems import NotFoundError
from accounts.services import erasure as receipts
from photos.models import Face, FaceEmbedding, FaceSuppression, GroupLoss, ObjectSweep, Person, Photo
from photos.services import erasure, purge
from photos.services import people as people_rows
from processing import ingest
from processing.kinds import forget as forget_kind
from processing.models import LibraryRun, StageRun
from processing.services import dead_letters, forgetting, grouping, object_sweeps, reprocess
from processing.services.face_analysis import switch_face_analysis
from processing.stages.face_detection import FaceDetectionStage
from processing.stages.face_embedding import FaceEmbeddingStage

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("photo_store")]


def forget() -> int:
    return photo_samples.run_library_work("forget")


def chips(store: Path) -> list[str]:
    return [name for name in photo_samples.files_below(store) if "/face." in name]


def name_them(library: Library, name: str) -> Person:
    """Say that all faces are one person's: a grouping makes none of a single one."""
    person = factories.make_person(library, name=name)
    Face.objects.update(person=person)
    return person


def receipt(kind: str) -> ErasureReceipt:
    return ErasureReceipt.objects.get(kind=kind)


def test_a_person_goes_and_does_not_come_back(face_library: Library, photo_store: Path) -> None:
    by = factories.make_member(face_library, "admin")
    ada = photo_samples.take_through(face_library, photo_samples.portrait())
    person = name_them(face_library, "Ada")
    other = add_face(face_library, vector(1), person=factories.make_person(face_library, name="Bob"))
    assert len(chips(photo_store)) == 1

    asked = forgetting.forget_person(person=person, by=by)
    # the name goes at once
    assert (Person.objects.get(pk=person.pk).name, asked.ended_at) == ("", None)
    assert (asked.kind, asked.subject_id, asked.library_id) == ("person", person.pk, face_library.pk)
    assert forgetting.forget_person(person=person, by=None).pk == asked.pk
    assert forget() == 1

    found = receipt("person")
    assert found.counts == {"photos": 1, "faces": 1, "embeddings": 1, "people": 1}
    assert (found.pk, found.requested_by, found.ended_at > found.begun_at) == (asked.pk, by.pk, True)
    assert list(Person.objects.values_list("name", flat=True)) == ["Bob"]
    assert list(Face.objects.values_list("pk", flat=True)) == [other.pk]
    assert FaceEmbedding.objects.count() == 1
    assert chips(photo_store) == []
    event = AuditEvent.objects.get(action="erased")
    assert (event.actor_id, event.subject_type, event.subject_id) == (by.pk, "person", str(person.pk))
    assert "Ada" not in str(event.details)
    assert photo_samples.states(ada)["face_embedding"] == "skipped"
    with pytest.raises(NotFoundError):
        forgetting.forget_person(person=person, by=by)
    assert ErasureReceipt.objects.count() == 1

    # the same face is found again by a later run, and dropped
    assert reprocess.run_again(photos=Photo.objects.filter(pk=ada.pk), stage="face_detection") == 1
    photo_samples.run_everything()
    assert photo_samples.run_of(ada, "face_detection").state == "done"
    assert photo_samples.run_of(ada, "face_embedding").skip_reason == "no_faces"
    assert list(Face.objects.values_list("pk", flat=True)) == [other.pk]
    assert chips(photo_store) == []
    # a place, and nothing that says whose
    [place] = FaceSuppression.objects.all()
    assert {field.name for field in place._meta.fields} == {
        "id", "photo", "left", "top", "right", "bottom", "created_at",
    }  # fmt: skip


def test_others_on_the_same_photo_stay(face_library: Library, photo_store: Path) -> None:
    photo = photo_samples.take_through(face_library, photo_samples.portrait(faces=2))
    left, right = Face.objects.order_by("left")
    gone, kept = (factories.make_person(face_library, name=name) for name in ("Ada", "Bob"))
    people_rows.decide_face(face=left, person=gone)
    people_rows.decide_face(face=right, person=kept)
    forgetting.forget_person(person=gone, by=None)
    assert forget() == 1
    for _ in range(2):
        assert list(Face.objects.values_list("pk", "person_id")) == [(right.pk, kept.pk)]
        assert FaceEmbedding.objects.get().face_id == right.pk
        assert len(chips(photo_store)) == 1
        assert photo_samples.states(photo)["face_embedding"] == "done"
        reprocess.run_again(photos=Photo.objects.all(), stage="face_detection")
        photo_samples.run_everything()
        object_sweeps.sweep()


@pytest.mark.parametrize("kind", [FaceDetectionStage, FaceEmbeddingStage])
def test_a_stage_at_work_writes_nothing_of_the_person(
    face_library: Library, photo_store: Path, replaced_stage: Callable[[type], None], kind: type
) -> None:
    photo_samples.take_through(face_library, photo_samples.portrait())
    person, stored = name_them(face_library, "Ada"), []

    class Interrupted(kind):
        def store(self, loaded: Any, result: Any, *, version: str) -> Any:
            found = super().store(loaded, result, version=version)
            if not stored:
                stored.append(True)
                forgetting.forget_person(person=person, by=None)
                assert forget() == 1
            return found

    replaced_stage(Interrupted)
    reprocess.run_again(photos=Photo.objects.all(), stage=kind.name)
    photo_samples.run_everything()
    photo_samples.run_everything()
    object_sweeps.sweep()
    assert stored
    assert (Face.objects.count(), FaceEmbedding.objects.count(), Person.objects.count()) == (0, 0, 0)
    assert chips(photo_store) == []
    assert set(StageRun.objects.values_list("state", flat=True)) == {"done", "skipped"}


def test_a_grouping_at_work_moves_no_face_away(face_library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    person, elsewhere = factories.make_person(face_library), factories.make_person(face_library, name="Bob")
    for variation in range(3):
        add_face(face_library, vector(1, variation), person=person)
    add_face(face_library, vector(2), person=elsewhere)
    grouping.request(library_id=face_library.pk, model=MODEL)
    perform = grouping.perform

    def perform_late(library_id: Any) -> Any:
        made = perform(library_id)
        monkeypatch.setattr(grouping, "perform", perform)
        moved = dict.fromkeys(made.persons, elsewhere.pk)
        forgetting.forget_person(person=person, by=None)
        return grouping.Grouped(**{name: getattr(made, name) for name in made.__slots__} | {"persons": moved})

    monkeypatch.setattr(grouping, "perform", perform_late)
    assert photo_samples.run_people() == 1
    assert LibraryRun.objects.get(kind="people").skip_reason == "person_being_forgotten"
    assert Face.objects.filter(person=person).count() == 3
    # one that begins while it goes on
    grouping.request(library_id=face_library.pk, model=MODEL)
    photo_samples.run_people()
    assert Face.objects.filter(person=person).count() == 3
    assert forget() == 1
    assert Face.objects.get().person == elsewhere
    # put off, and asked for again
    assert LibraryRun.objects.filter(kind="people", state="pending").count() == 1
    photo_samples.run_people()
    assert GroupLoss.objects.count() == 0


def test_a_face_that_is_given_to_the_person_meanwhile_goes_too(
    face_library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = factories.make_person(face_library, name="Ada")
    late = add_face(face_library, vector(2), person=None)
    delete, given = erasure.delete_person, []

    def delete_late(*, person_id: Any) -> bool:
        if not given:
            # by who looked whether the person is to be forgotten before anybody asked for it
            given.append(in_a_thread(Face.objects.filter(pk=late.pk).update, person=person).result(10))
        return delete(person_id=person_id)

    monkeypatch.setattr(erasure, "delete_person", delete_late)
    forgetting.forget_person(person=person, by=None)
    assert forget() == 1
    assert (Face.objects.count(), Person.objects.count()) == (0, 0)
    assert receipt("person").counts["faces"] == 1


def test_all_faces_of_a_library_go_and_face_analysis_is_off(face_library: Library, photo_store: Path) -> None:
    photo = photo_samples.take_through(face_library, photo_samples.portrait())
    name_them(face_library, "Ada")
    by = factories.make_member(face_library, "admin")
    asked = forgetting.forget_faces(library=face_library, by=by)
    assert photo_samples.run_library_work("erase_faces") == 1
    face_library.refresh_from_db()
    found = receipt("faces")
    assert (found.pk, found.requested_by, face_library.face_analysis) == (asked.pk, by.pk, False)
    assert found.counts == {"photos": 1, "faces": 1, "embeddings": 1, "people": 1}
    assert found.ended_at is not None
    assert (Face.objects.count(), Person.objects.count(), chips(photo_store)) == (0, 0, [])
    # once more where it is off: another receipt, of nothing
    again = forgetting.forget_faces(library=face_library, by=by)
    photo_samples.run_library_work("erase_faces")
    again.refresh_from_db()
    assert (again.pk != found.pk, set(again.counts.values()), again.ended_at is not None) == (True, {0}, True)
    assert Photo.objects.get() == photo


def test_a_library_goes_with_everything_in_it(face_library: Library, photo_store: Path) -> None:
    photos = [photo_samples.take_through(face_library, photo_samples.portrait(brightness=one)) for one in (1, 0.8)]
    photos[1].refresh_from_db()
    Photo.objects.filter(pk=photos[1].pk).update(trashed_at=photos[1].uploaded_at)
    admin = factories.make_member(face_library, "admin")
    kept = photo_samples.take_in(factories.make_library(), photo_samples.picture())
    size, runs = sum(photo.byte_size for photo in photos), face_library.runs.count()

    asked = forgetting.forget_library(library=face_library, by=admin)
    assert not Library.objects.visible_to(admin).exists()
    assert not Library.objects.visible_to(factories.make_user(is_superuser=True)).filter(pk=face_library.pk).exists()
    with pytest.raises(NotFoundError):
        photo_samples.take_in(face_library, photo_samples.picture())
    assert forget() == 1

    asked.refresh_from_db()
    assert asked.counts == {
        "photos": 2, "bytes": size, "renditions": 8, "faces": 2, "embeddings": 2, "stage_runs": 10, "people": 1,
        "members": 1, "api_keys": 0, "shares": 0, "uploads": 0, "exports": 0, "imported_files": 0,
        "library_runs": runs + 1, "libraries": 1,
    }  # fmt: skip
    assert asked.ended_at is not None
    assert not Library.objects.filter(pk=face_library.pk).exists()
    assert list(Photo.objects.all()) == [kept]
    assert (Face.objects.count(), Person.objects.count(), LibraryRun.objects.count()) == (0, 0, 0)
    left = [name for name in photo_samples.files_below(photo_store) if str(face_library.pk) in name]
    # of the upload that was refused, which goes by its own date
    assert [name for name in left if "renditions" in name] == []
    assert set(ObjectSweep.objects.filter(prefix__in=[one.removeprefix("originals/") for one in left]).values_list(
        "reason", flat=True
    )) <= {"upload"}  # fmt: skip
    assert set(ErasureReceipt.objects.visible_to(admin)) == {asked}
    with pytest.raises(NotFoundError):
        forgetting.forget_library(library=face_library, by=admin)


def test_an_upload_that_was_first_goes_too(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, futures = ingest.plan, []

    def ask_and_do() -> int:
        forgetting.forget_library(library=library, by=None)
        return forget()

    def plan_late(*arguments: Any, **named: Any) -> int:
        # the photo is there, its library is kept, and nothing is committed
        futures.append(in_a_thread(ask_and_do))
        wait_until_blocked()
        return plan(*arguments, **named)

    monkeypatch.setattr(ingest, "plan", plan_late)
    photo_samples.take_in(library, photo_samples.picture())
    assert futures[0].result(30) == 1
    assert (Photo.objects.count(), Library.objects.count()) == (0, 0)
    assert receipt("library").counts["photos"] == 1


def test_an_erasure_is_not_given_up(library: Library) -> None:
    run = LibraryRun.objects.create(
        library=library, kind="forget", version="1", state="dead", error_code="x", finished_at=library.created_at
    )
    assert dead_letters.discard_library_runs(run_ids=[run.pk], by=None, reason="no") == 0


def test_a_library_goes_on_where_it_was_killed(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(4):
        photo_samples.take_in(library, photo_samples.picture())
    asked = forgetting.forget_library(library=library, by=None)
    monkeypatch.setattr(forget_kind, "PHOTOS_PER_STEP", 1)
    purge_photos, calls = purge.purge_photos, []

    def dies(**values: Any) -> int:
        purged = purge_photos(**values)
        calls.append(purged)
        if len(calls) == 3:
            # after the rows are gone, before it is committed
            raise SoftTimeLimitExceeded
        return purged

    with monkeypatch.context() as patch:
        patch.setattr(purge, "purge_photos", dies)
        with pytest.raises(SoftTimeLimitExceeded):
            forget()
    asked.refresh_from_db()
    assert (Photo.objects.count(), asked.counts["photos"], asked.ended_at) == (2, 2, None)

    LibraryRun.objects.update(not_before=None)
    with monkeypatch.context() as patch:
        patch.setattr(receipts, "end", lambda **_: 1 / 0)
        assert forget() == 1
    # the last transaction is all there or all gone
    asked.refresh_from_db()
    assert (Photo.objects.count(), Library.objects.count(), asked.ended_at) == (0, 1, None)
    [run] = LibraryRun.objects.filter(kind="forget")
    assert (run.state, run.error_code) == ("pending", "unexpected_error")

    LibraryRun.objects.update(not_before=None)
    assert forget() == 1
    asked.refresh_from_db()
    assert (asked.counts["photos"], asked.counts["libraries"], asked.ended_at is not None) == (4, 1, True)
    assert Library.objects.count() == 0


def test_a_dead_erasure_is_asked_for_again_under_the_same_receipt(face_library: Library) -> None:
    person = factories.make_person(face_library, name="Ada")
    add_face(face_library, vector(1), person=person)
    asked = forgetting.forget_person(person=person, by=None)
    dead = {"state": "dead", "error_code": "unexpected_error", "finished_at": asked.begun_at}
    LibraryRun.objects.filter(kind="forget").update(**dead)
    # nobody moves faces meanwhile
    grouping.request(library_id=face_library.pk, model=MODEL)
    photo_samples.run_people()
    assert LibraryRun.objects.get(kind="people").skip_reason == "person_being_forgotten"
    assert forgetting.forget_person(person=person, by=None).pk == asked.pk
    assert forget() == 1
    assert receipt("person").ended_at is not None
    assert set(LibraryRun.objects.filter(kind="forget").values_list("state", "skip_reason")) == {
        ("skipped", "superseded"), ("done", ""),
    }  # fmt: skip


def test_faces_that_were_forgotten_stay_so_when_face_analysis_is_switched(face_library: Library) -> None:
    photo_samples.take_through(face_library, photo_samples.portrait())
    person = name_them(face_library, "Ada")
    forgetting.forget_person(person=person, by=None)
    forget()
    for on in (False, True):
        switch_face_analysis(library=face_library, enabled=on, by=None)
        photo_samples.run_library_work("erase_faces")
        photo_samples.run_everything()
    assert StageRun.objects.get(stage="face_detection").state == "done"
    assert (Face.objects.count(), FaceSuppression.objects.count()) == (0, 1)


def test_what_was_to_go_of_a_library_that_goes_is_over_with_it(face_library: Library) -> None:
    person = factories.make_person(face_library, name="Ada")
    add_face(face_library, vector(1), person=person)
    forgetting.forget_person(person=person, by=None)
    # somebody has that in hand, and is slow
    lease = {"state": "running", "lease_token": person.pk, "lease_until": Now(), "started_at": Now()}
    LibraryRun.objects.filter(kind="forget").update(**lease)
    forgetting.forget_faces(library=face_library, by=None)
    forgetting.forget_library(library=face_library, by=None)
    assert forget() == 1
    assert (Library.objects.count(), ErasureReceipt.objects.count()) == (0, 3)
    assert not ErasureReceipt.objects.open().exists()
