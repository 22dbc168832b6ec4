"""The switch of face analysis: consent, who gave it and when, and what it means for the runs."""

from collections.abc import Callable
from datetime import timedelta

import factories
import photo_samples
import pytest
from django.utils import timezone

from accounts import consent_text
from accounts.models import AuditEvent, Library
from photos.models import Face, FaceEmbedding, Person, Photo
from processing.models import LibraryRun, RunState, StageRun
from processing.models.ledger import Lane
from processing.services.face_analysis import switch_face_analysis

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("photo_store")]

MakePhoto = Callable[..., Photo]


def face_runs() -> set[tuple[str, str, str]]:
    runs = StageRun.objects.filter(stage__startswith="face_")
    return set(runs.values_list("stage", "state", "skip_reason"))


def test_who_switched_it_and_when_are_kept(library: Library) -> None:
    user = factories.make_user()
    assert (library.face_analysis, library.face_analysis_changed_at) == (False, None)

    switched = switch_face_analysis(library=library, enabled=True, by=user)

    assert (switched.face_analysis, switched.face_analysis_changed_by) == (True, user)
    assert timezone.now() - switched.face_analysis_changed_at < timedelta(minutes=1)
    # once more changes nothing, neither who nor when
    before = Library.objects.values().get()
    switch_face_analysis(library=library, enabled=True, by=None)
    assert Library.objects.values().get() == before

    record = library.consent_records.get()
    assert (record.enabled, record.by, record.text_version) == (True, user, consent_text.VERSION)
    assert switched.face_analysis_consent_version == consent_text.VERSION

    off = switch_face_analysis(library=library, enabled=False, by=None)
    assert off.face_analysis_consent_version == ""
    told = AuditEvent.objects.filter(action="face_analysis.switched").order_by("id").values_list("details", flat=True)
    assert list(told) == [
        {"enabled": True, "consent_version": consent_text.VERSION},
        {"enabled": False, "consent_version": ""},
    ]
    last = library.consent_records.order_by("id").last()
    assert (last.enabled, last.by, last.text_version) == (False, None, "")
    assert (off.face_analysis, off.face_analysis_changed_by) == (False, None)
    assert off.name == library.name


def test_another_text_than_the_current_one_is_no_consent(library: Library) -> None:
    with pytest.raises(consent_text.ConsentOutdatedError) as refused:
        switch_face_analysis(library=library, enabled=True, by=None, consent_version="1999-01")
    assert (refused.value.code, refused.value.extra) == ("consent_outdated", {"consent_version": consent_text.VERSION})
    library.refresh_from_db()
    assert (library.face_analysis, library.consent_records.count(), AuditEvent.objects.count()) == (False, 0, 0)


def test_a_newer_text_is_agreed_to_while_it_is_on(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    photo_samples.take_in(library, photo_samples.picture())
    switch_face_analysis(library=library, enabled=True, by=None)
    monkeypatch.setattr(consent_text, "VERSION", "2030-01")
    user = factories.make_user()
    again = switch_face_analysis(library=library, enabled=True, by=user, consent_version="2030-01")
    assert (again.face_analysis_consent_version, again.face_analysis_changed_by) == ("2030-01", user)
    versions = library.consent_records.order_by("id").values_list("text_version", flat=True)
    assert len(set(versions)) == len(versions) == 2
    # nothing is planned anew, nothing is erased
    assert [run.kind for run in library.runs.all()] == ["plan"]


def test_on_plans_the_photos_that_are_there(library: Library, models_in_use: None) -> None:
    photo_samples.take_through(library, photo_samples.portrait())
    photo_samples.take_in(library, photo_samples.picture())
    elsewhere = factories.make_library(**factories.FACES_OFF)
    photo_samples.take_in(elsewhere, photo_samples.picture())
    assert face_runs() == set()

    switch_face_analysis(library=library, enabled=True, by=None)
    assert face_runs() == set()
    assert photo_samples.run_library_work("plan") == 1

    assert set(StageRun.objects.filter(stage__startswith="face_").values_list("photo__library", "stage", "state")) == {
        (library.pk, "face_detection", "pending"),  # of the photo whose renditions are there
        (library.pk, "face_detection", "waiting"),
        (library.pk, "face_embedding", "waiting"),
    }
    assert StageRun.objects.filter(stage__startswith="face_").count() == 4
    assert set(StageRun.objects.filter(stage__startswith="face_").values_list("lane", flat=True)) == {Lane.BACKFILL}
    photo_samples.run_everything()
    assert Face.objects.count() == 1


def test_off_withdraws_what_is_open_at_once(face_library: Library) -> None:
    done = photo_samples.take_through(face_library, photo_samples.portrait())
    photo_samples.take_through(face_library, photo_samples.portrait(brightness=0.8))
    waiting = photo_samples.take_in(face_library, photo_samples.picture())
    dead = photo_samples.take_in(face_library, photo_samples.picture())
    final = {"state": RunState.DEAD, "error_code": "unexpected_error", "attempt": 3, "finished_at": timezone.now()}
    dead.stage_runs.filter(stage="face_detection").update(**final)
    lease = {"lease_token": waiting.pk, "lease_until": timezone.now(), "started_at": timezone.now()}
    waiting.stage_runs.filter(stage="face_detection").update(state=RunState.RUNNING, **lease)
    people, vectors = list(Person.objects.values()), FaceEmbedding.objects.count()
    assert (len(people), vectors) == (1, 2)

    switch_face_analysis(library=face_library, enabled=False, by=None)

    # what is known goes in the background
    assert photo_samples.states(done) == dict.fromkeys(
        ("exif", "renditions", "face_detection", "face_embedding"), "done"
    ) | {"place": "skipped"}
    for photo in (waiting, dead):
        for run in photo.stage_runs.filter(stage__startswith="face_"):
            assert (run.state, run.skip_reason, run.error_code, run.attempt) == ("skipped", "face_analysis_off", "", 0)
            assert (run.lease_token, run.lease_until) == (None, None)
            assert run.finished_at is not None
        assert set(photo.stage_runs.exclude(stage__startswith="face_").values_list("state", flat=True)) == {
            "pending",
            "waiting",
        }
    assert (list(Person.objects.values()), FaceEmbedding.objects.count()) == (people, vectors)


def test_off_withdraws_a_grouping(face_library: Library) -> None:
    values = {"kind": "people", "version": "v", "queued_at": timezone.now()}
    mine = LibraryRun.objects.create(library=face_library, **values)
    other = LibraryRun.objects.create(library=factories.make_library(), **values)
    switch_face_analysis(library=face_library, enabled=False, by=None)
    mine.refresh_from_db()
    other.refresh_from_db()
    assert (mine.state, mine.skip_reason, other.state) == ("skipped", "face_analysis_off", "pending")


def test_while_it_is_off_new_photos_get_no_face_work(face_library: Library) -> None:
    switch_face_analysis(library=face_library, enabled=False, by=None)
    photo_samples.take_through(face_library, photo_samples.portrait())
    assert face_runs() == set()
    assert Face.objects.count() == 0


def test_on_again_starts_what_was_withdrawn_where_the_photo_is_now(face_library: Library) -> None:
    early = photo_samples.take_in(face_library, photo_samples.picture())
    photo = photo_samples.take_in(face_library, photo_samples.portrait())
    switch_face_analysis(library=face_library, enabled=False, by=None)
    # meanwhile the renditions of one are made
    StageRun.objects.filter(photo=early, stage="renditions").update(queued_at=timezone.now() + timedelta(hours=1))
    StageRun.objects.filter(photo=early, stage="renditions").update(not_before=timezone.now() + timedelta(hours=1))
    photo_samples.run_everything()
    assert face_runs() == {
        ("face_detection", "skipped", "face_analysis_off"),
        ("face_embedding", "skipped", "face_analysis_off"),
    }

    switch_face_analysis(library=face_library, enabled=True, by=None)
    assert photo_samples.run_library_work("erase_faces") == 1
    assert photo_samples.run_library_work("plan") == 1

    assert photo_samples.run_of(early, "face_detection").state == "waiting"
    assert photo_samples.run_of(photo, "face_detection").state == "pending"
    StageRun.objects.update(not_before=None)
    photo_samples.run_everything()
    assert face_runs() == {
        ("face_detection", "done", ""),
        ("face_embedding", "done", ""),
        ("face_embedding", "skipped", "no_faces"),
    }
    # of each photo: exif, place, renditions and the two of faces
    assert StageRun.objects.count() == 10
