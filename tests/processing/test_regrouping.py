"""Regrouping by another threshold or model: what it would change, and that exactly this is applied."""

from collections.abc import Callable
from dataclasses import replace

import factories
import numpy as np
import photo_samples
import pytest
from concurrency import in_a_thread, wait_until_blocked
from django.db import transaction
from face_samples import MODEL, add_face, embed, groups, persons_of, vector

from accounts.models import Library
from accounts.problems import ConflictError, InvalidValueError
from photos.models import Face, FaceEmbedding, LibraryThreshold, Person, Regrouping, RegroupingMove
from photos.services import people
from photos.services.regroupings import (
    RegroupingAppliedError,
    RegroupingNotComputedError,
    RegroupingOutdatedError,
)
from processing.engines.installation import InstalledModel
from processing.models import LibraryRun
from processing.services import face_analysis, grouping, regrouping, selection

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("broker")]

KIND = "regroup_preview"


def group(library: Library) -> None:
    grouping.request(library_id=library.pk, model=MODEL)
    assert photo_samples.run_people() == 1


def preview(library: Library, **wanted: object) -> Regrouping:
    asked = regrouping.ask(library=library, **wanted)
    assert photo_samples.run_library_work(KIND) == 1
    asked.refresh_from_db()
    return asked


@pytest.fixture
def grouped(face_library: Library) -> Library:
    """Two people, of two and three faces, who are one within 1.5."""
    for person, count in ((1, 2), (2, 3)):
        for variation in range(count):
            add_face(face_library, vector(person, variation))
    group(face_library)
    return face_library


def everything(library: Library) -> list:
    rows = [Face.objects.order_by("pk"), Person.objects.order_by("pk"), LibraryThreshold.objects.all()]
    return [list(one.values_list()) for one in rows]


def test_a_preview_says_what_would_change_and_changes_nothing(grouped: Library) -> None:
    before = everything(grouped)
    few, many = sorted(Person.objects.all(), key=lambda person: person.faces.count())

    asked = preview(grouped, threshold=1.5)

    assert everything(grouped) == before
    parts = [{"person": str(many.pk), "faces": 3}, {"person": str(few.pk), "faces": 2}]
    assert asked.report == {
        "faces": 5,
        "faces_moved": 2,
        "people_before": 2,
        "people_after": 1,
        "people_split": 0,
        "people_split_first": [],
        "people_merged": 1,
        "people_merged_first": [{"person": str(many.pk), "of": parts}],
        "people_made": 0,
        "people_made_first": [],
        "people_gone": 1,
        "people_gone_first": [{"person": str(few.pk), "faces": 2}],
    }
    moves = set(asked.moves.values_list("face", "person_before", "person_after", "is_new_person"))
    assert moves == {(face.pk, few.pk, many.pk, False) for face in few.faces.all()}
    run = LibraryRun.objects.get(kind=KIND)
    assert (run.state, run.report["faces_moved"], run.report["people_gone"]) == ("done", 2, 1)
    # nothing is due for having looked
    assert grouping.request_where_due() == 0


def test_what_was_shown_is_applied_and_stays(grouped: Library) -> None:
    user = factories.make_user()
    asked = preview(grouped, threshold=1.5)

    assert regrouping.apply(regrouping=asked, by=user) == 2

    after = everything(grouped)
    assert len(groups(grouped)) == 1
    assert Person.objects.count() == 1
    own = LibraryThreshold.objects.get()
    assert (own.library, own.model, own.threshold, own.changed_by) == (grouped, MODEL, 1.5, user)
    asked.refresh_from_db()
    assert (asked.applied_at is None, RegroupingMove.objects.count()) == (False, 0)
    # the grouping that notes the components finds what was applied
    assert photo_samples.run_people() == 1
    run = grouped.runs.filter(kind="people").latest("id")
    assert (run.version, run.report["faces_moved"]) == (f"2.{MODEL}.1.5.0.95-0.1", 0)
    assert everything(grouped) == after
    assert grouping.request_where_due() == 0
    # and who comes later is grouped within it
    late = add_face(grouped, vector(3))
    assert grouping.request_where_due() == 1
    assert photo_samples.run_people() == 1
    assert persons_of(late) == [Person.objects.get().pk]
    with pytest.raises(RegroupingAppliedError):
        regrouping.apply(regrouping=asked)


def test_splits_and_people_who_are_made_are_told_and_made(face_library: Library) -> None:
    for person, variation in ((1, 0), (1, 1), (2, 0), (2, 1), (2, 2)):
        add_face(face_library, vector(person, variation))
    LibraryThreshold.objects.create(library=face_library, model=MODEL, threshold=1.5)
    group(face_library)
    one = Person.objects.get()

    asked = preview(face_library, threshold=0.52)

    [made] = asked.report["people_made_first"]
    assert (asked.report["faces_moved"], made["faces"]) == (2, 2)
    assert asked.report["people_split_first"] == [
        {"person": str(one.pk), "into": [{"person": str(one.pk), "faces": 3}, {"person": made["person"], "faces": 2}]}
    ]
    regrouping.apply(regrouping=asked)
    assert {str(pk) for pk in Person.objects.values_list("pk", flat=True)} == {str(one.pk), made["person"]}
    assert Face.objects.filter(person=made["person"]).count() == 2


def test_decisions_hold_under_every_rule(grouped: Library) -> None:
    few, many = sorted(Person.objects.all(), key=lambda person: person.faces.count())
    people.rename_person(person=few, name="Ada")
    people.rename_person(person=many, name="Bob")
    asked = preview(grouped, threshold=1.9)
    assert (asked.report["faces_moved"], asked.report["people_merged"], asked.report["people_gone"]) == (0, 0, 0)
    assert regrouping.apply(regrouping=asked) == 0


CHANGES: dict[str, Callable[[Library], object]] = {
    "a new face": lambda library: add_face(library, vector(1, 9)),
    "a changed vector": lambda library: embed(Face.objects.first(), vector(5)),
    "a face that is gone": lambda library: Face.objects.first().delete(),
    "a name": lambda library: people.rename_person(person=Person.objects.first(), name="Ada"),
    "a rejection": lambda library: people.reject_face(face=Face.objects.first()),
    "a move": lambda library: people.decide_face(face=Face.objects.first(), person=None),
    "another regrouping": lambda library: Regrouping.objects.all().delete(),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_is_outdated_is_not_applied(grouped: Library, name: str) -> None:
    asked = preview(grouped, threshold=1.5)
    CHANGES[name](grouped)
    before = everything(grouped)
    with pytest.raises(RegroupingOutdatedError):
        regrouping.apply(regrouping=asked)
    assert everything(grouped) == before


def test_what_happens_elsewhere_does_not_outdate_it(grouped: Library) -> None:
    asked = preview(grouped, threshold=1.5)
    add_face(factories.make_library(), vector(1))
    factories.make_face(factories.make_photo(grouped), confidence=0.5)
    group(grouped)
    assert regrouping.apply(regrouping=asked) == 2


def test_a_regrouping_that_is_not_computed_is_not_applied(grouped: Library) -> None:
    asked = regrouping.ask(library=grouped, threshold=1.5)
    with pytest.raises(RegroupingNotComputedError):
        regrouping.apply(regrouping=asked)
    assert len(groups(grouped)) == 2


def test_the_last_one_asked_for_is_computed(grouped: Library) -> None:
    first = regrouping.ask(library=grouped, threshold=1.5)
    assert regrouping.ask(library=grouped, threshold=1.5) == first
    second = regrouping.ask(library=grouped, threshold=1.4)
    assert list(Regrouping.objects.all()) == [second]
    assert LibraryRun.objects.filter(kind=KIND).count() == 1
    assert photo_samples.run_library_work(KIND) == 1
    second.refresh_from_db()
    assert (second.threshold, second.computed_at is None) == (1.4, False)


def test_one_that_was_asked_for_while_another_was_computed_is_computed_next(
    grouped: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    regrouping.ask(library=grouped, threshold=1.5)
    perform = regrouping.perform

    def meanwhile(library_id: object) -> object:
        made = perform(library_id)
        regrouping.ask(library=grouped, threshold=1.4)
        monkeypatch.setattr(regrouping, "perform", perform)
        return made

    monkeypatch.setattr(regrouping, "perform", meanwhile)
    assert photo_samples.run_library_work(KIND) == 2
    asked = Regrouping.objects.get()
    assert (asked.threshold, asked.computed_at is None) == (1.4, False)


def test_the_sweep_asks_for_what_nobody_computes(grouped: Library) -> None:
    asked = regrouping.ask(library=grouped, threshold=1.5)
    assert regrouping.request_where_due() == 0
    LibraryRun.objects.filter(kind=KIND).delete()
    assert regrouping.request_where_due() == 1
    assert photo_samples.run_library_work(KIND) == 1
    asked.refresh_from_db()
    assert asked.computed_at is not None
    assert regrouping.request_where_due() == 0


def test_what_cannot_be_asked_for_is_refused(grouped: Library) -> None:
    for wrong in (0, -1, 2.1, float("inf"), float("nan")):
        with pytest.raises(InvalidValueError):
            regrouping.ask(library=grouped, threshold=wrong)
    for name in ("mtcnn", "unheard-of"):
        with pytest.raises(InvalidValueError):
            regrouping.ask(library=grouped, model=name)
    with pytest.raises(ConflictError, match="backfill it first"):
        regrouping.ask(library=grouped, model="facenet-vggface2")
    face_analysis.switch_face_analysis(library=grouped, enabled=False, by=None)
    with pytest.raises(regrouping.NotGroupedError) as refused:
        regrouping.ask(library=grouped)
    assert refused.value.code == "face_analysis_off"
    assert Regrouping.objects.count() == 0


def test_faces_that_are_to_be_erased_are_not_looked_at(grouped: Library) -> None:
    asked = regrouping.ask(library=grouped, threshold=1.5)
    face_analysis.switch_face_analysis(library=grouped, enabled=False, by=None)
    assert photo_samples.run_library_work(KIND) == 1
    asked.refresh_from_db()
    assert (asked.report, asked.computed_at is None) == ({"refused": "face_analysis_off"}, False)
    with pytest.raises(ConflictError):
        regrouping.apply(regrouping=asked)


def test_another_model_is_looked_at_before_it_is_put_to_use(
    grouped: Library, installed_models: dict[str, InstalledModel]
) -> None:
    ones = list(Face.objects.order_by("pk"))
    for face, person in zip(ones, (1, 2, 1, 2, 2), strict=True):
        other = np.zeros(512, np.float32)
        other[person] = 1
        embed(face, other, model="facenet-vggface2")

    asked = preview(grouped, model="facenet-vggface2")
    assert asked.threshold == 1.0
    assert asked.report["faces_moved"] == 2
    before = everything(grouped)
    with pytest.raises(regrouping.ModelNotInUseError):
        regrouping.apply(regrouping=asked)
    assert everything(grouped) == before
    shown = dict(asked.moves.values_list("face", "person_after"))

    facenet = replace(installed_models[MODEL], name="facenet-vggface2", weights_hash="ab" * 32)
    selection.select_model(installed=facenet, in_use=True)
    assert photo_samples.run_people() == 1
    # what was shown is what came of it
    assert {face: person for face, person in Face.objects.values_list("pk", "person") if face in shown} == shown


def test_a_threshold_of_its_own_is_a_librarys_alone(grouped: Library) -> None:
    other = face_analysis.switch_face_analysis(library=Library.objects.create(name="another"), enabled=True, by=None)
    for variation in range(2):
        add_face(other, vector(1, variation))
    regrouping.apply(regrouping=preview(grouped, threshold=1.5))
    assert grouping.request_where_due() == 2
    # runs of both rules are claimed
    assert photo_samples.run_people() == 2
    versions = dict(LibraryRun.objects.filter(kind="people").order_by("id").values_list("library", "version"))
    assert versions == {grouped.pk: f"2.{MODEL}.1.5.0.95-0.1", other.pk: f"2.{MODEL}.0.52.0.95-0.1"}
    assert grouping.request_where_due() == 0
    LibraryThreshold.objects.all().delete()
    assert grouping.request_where_due() == 1


@pytest.mark.django_db(transaction=True)
def test_a_grouping_that_was_read_before_does_not_take_it_back(
    face_library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    for person, variation in ((1, 0), (1, 1), (2, 0), (2, 1), (2, 2)):
        add_face(face_library, vector(person, variation))
    group(face_library)
    asked = preview(face_library, threshold=1.5)
    grouping.request(library_id=face_library.pk, model=MODEL)
    perform = grouping.perform

    def meanwhile(library_id: object) -> object:
        made = perform(library_id)
        regrouping.apply(regrouping=asked)
        monkeypatch.setattr(grouping, "perform", perform)
        return made

    monkeypatch.setattr(grouping, "perform", meanwhile)
    assert photo_samples.run_people() >= 2
    assert len(groups(face_library)) == 1
    versions = set(LibraryRun.objects.filter(kind="people", state="done").values_list("version", flat=True))
    assert versions == {f"2.{MODEL}.0.52.0.95-0.1", f"2.{MODEL}.1.5.0.95-0.1"}
    assert LibraryRun.objects.filter(kind="people").exclude(state="done").count() == 0


@pytest.mark.django_db(transaction=True)
def test_a_decision_waits_for_it_and_has_the_last_word(face_library: Library) -> None:
    for person, variation in ((1, 0), (1, 1), (2, 0), (2, 1), (2, 2)):
        add_face(face_library, vector(person, variation))
    group(face_library)
    asked = preview(face_library, threshold=1.5)
    face = Face.objects.order_by("pk").first()
    with transaction.atomic():
        regrouping.apply(regrouping=asked)
        reject = in_a_thread(people.reject_face, face=face)
        wait_until_blocked()
    decision = reject.result()
    # of whom the face is by then
    assert decision.person == Person.objects.get()
    assert persons_of(face) == [None]


@pytest.mark.django_db(transaction=True)
def test_it_waits_for_a_decision_and_is_outdated_then(face_library: Library) -> None:
    for variation in range(2):
        add_face(face_library, vector(1, variation))
    group(face_library)
    asked = preview(face_library, threshold=1.5)
    with transaction.atomic():
        people.rename_person(person=Person.objects.get(), name="Ada")
        applied = in_a_thread(regrouping.apply, regrouping=asked)
        wait_until_blocked()
    with pytest.raises(RegroupingOutdatedError):
        applied.result()
    assert FaceEmbedding.objects.count() == 2
