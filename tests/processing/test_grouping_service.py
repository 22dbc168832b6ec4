"""Grouping a library: the same people whatever the order, only what has changed recomputed, and decisions kept."""

import random
import uuid
from dataclasses import replace

import factories
import numpy as np
import photo_samples
import pytest
from face_samples import MODEL, add_face, embed, groups, persons_of, remove, vector
from pytest_django import Settings

from accounts.models import Library
from photos.models import Face, FaceEmbedding, GroupLoss, Person
from photos.services import people
from processing import ledger
from processing.engines.installation import InstalledModel
from processing.kinds import registry as kinds
from processing.kinds.base import Ended, Held
from processing.models import LibraryRun, ModelSelection
from processing.services import face_analysis, grouping, selection

pytestmark = pytest.mark.django_db


def group(library: Library) -> dict[str, int]:
    """Ask for a grouping and run it; gives its report."""
    grouping.request(library_id=library.pk, model=MODEL)
    assert photo_samples.run_people() == 1
    run = library.runs.order_by("-id").first()
    assert run.state == "done", run.error_detail
    return run.report


def from_scratch(library: Library) -> set[frozenset[uuid.UUID]]:
    """Give the groups that the library would have if nothing was known of it."""
    FaceEmbedding.objects.filter(library=library).update(component=None)
    GroupLoss.objects.filter(library=library).delete()
    Face.objects.filter(photo__library=library, person_decided=False).update(person=None)
    group(library)
    return groups(library)


def test_faces_of_one_person_are_one_group_and_a_lone_face_is_nobody(face_library: Library) -> None:
    ones = [add_face(face_library, vector(1, variation)) for variation in range(3)]
    twos = [add_face(face_library, vector(2, variation)) for variation in range(2)]
    lone = add_face(face_library, vector(3))
    elsewhere = add_face(factories.make_library(**factories.FACES_OFF), vector(3))

    assert group(face_library) == {"faces": 6, "regrouped": 6, "people_made": 2, "faces_moved": 5}

    assert groups(face_library) == {frozenset(f.pk for f in ones), frozenset(f.pk for f in twos), frozenset({lone.pk})}
    assert persons_of(lone, elsewhere) == [None, None]
    assert Person.objects.filter(library=face_library, name="").count() == 2
    assert not FaceEmbedding.objects.filter(library=face_library, component=None).exists()
    assert grouping.request_where_due() == 0


def test_only_what_a_change_touches_is_recomputed(face_library: Library) -> None:
    ones = [add_face(face_library, vector(1, variation)) for variation in range(2)]
    for variation in range(4):
        add_face(face_library, vector(2, variation))
    group(face_library)
    before = persons_of(*ones)

    new = add_face(face_library, vector(1, 5))
    assert group(face_library) == {"faces": 7, "regrouped": 3, "people_made": 0, "faces_moved": 1}
    assert persons_of(*ones, new) == [*before, before[0]]

    assert group(face_library) == {"faces": 7, "regrouped": 0, "people_made": 0, "faces_moved": 0}


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_arrival_does_not_matter(face_library: Library, seed: int) -> None:
    """A chain of likenesses, in which who belongs together is decided by all of them."""
    generator = np.random.default_rng(7)
    centres = generator.normal(size=(6, 128))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    vectors = [
        (centre * 0.35 + generator.normal(size=128) * 0.019).astype(np.float32) for centre in centres for _ in range(6)
    ]
    order = list(range(len(vectors)))
    shuffle = random.Random(seed)
    shuffle.shuffle(order)
    made: dict[int, Face] = {}
    while order:
        for number in [order.pop() for _ in range(min(len(order), shuffle.randint(1, 12)))]:
            made[number] = add_face(face_library, vectors[number])
        group(face_library)
    for number in shuffle.sample(range(36), 6):
        remove(made.pop(number))
    remaining = {face.pk: number for number, face in made.items()}
    group(face_library)
    found = {frozenset(remaining[pk] for pk in members) for members in groups(face_library)}
    scratch = {frozenset(remaining[pk] for pk in members) for members in from_scratch(face_library)}
    assert found == scratch
    assert 1 < len([members for members in found if len(members) > 1]) < 30


def test_removing_the_face_that_held_a_group_together_splits_it(face_library: Library) -> None:
    left, right = np.zeros(128, np.float32), np.zeros(128, np.float32)
    left[0], right[0] = 0.35, -0.35
    ends = [add_face(face_library, end) for end in (left, left, right, right)]
    bridge = add_face(face_library, np.zeros(128, np.float32))
    group(face_library)
    components = set(FaceEmbedding.objects.values_list("component", flat=True))
    assert len(components) == 1

    remove(bridge)

    assert grouping.request_where_due() == 1
    assert photo_samples.run_people() == 1
    assert groups(face_library) == {frozenset(f.pk for f in ends[:2]), frozenset(f.pk for f in ends[2:])}
    assert len(set(FaceEmbedding.objects.values_list("component", flat=True))) == 2
    assert GroupLoss.objects.count() == 0
    assert grouping.request_where_due() == 0


def test_a_library_whose_faces_are_all_gone_has_no_people(face_library: Library) -> None:
    ones = [add_face(face_library, vector(1, variation)) for variation in range(2)]
    group(face_library)
    for face in ones:
        remove(face)
    assert grouping.request_where_due() == 1
    assert photo_samples.run_people() == 1
    assert face_library.runs.latest("id").report == {"faces": 0, "regrouped": 0, "people_made": 0, "faces_moved": 0}
    assert (Person.objects.count(), GroupLoss.objects.count(), grouping.request_where_due()) == (0, 0, 0)


def test_a_changed_vector_leaves_its_group(face_library: Library) -> None:
    ones = [add_face(face_library, vector(1, variation)) for variation in range(3)]
    twos = [add_face(face_library, vector(2, variation)) for variation in range(2)]
    group(face_library)
    embed(ones[0], vector(2, 7))
    assert grouping.request_where_due() == 1
    photo_samples.run_people()
    assert persons_of(ones[0]) == persons_of(twos[0])
    assert groups(face_library) == from_scratch(face_library)


def test_named_people_survive_and_decided_faces_never_move(face_library: Library) -> None:
    ones = [add_face(face_library, vector(1, variation)) for variation in range(4)]
    stranger = add_face(face_library, vector(2))
    group(face_library)
    ada = Person.objects.get()
    people.rename_person(person=ada, name="Ada")
    grace = Person.objects.create(library=face_library, name="Grace")
    people.decide_face(face=ones[0], person=grace)
    people.decide_face(face=stranger, person=ada)

    new = [add_face(face_library, vector(1, 9)), add_face(face_library, vector(2, 9))]
    group(face_library)

    assert persons_of(ones[0], stranger) == [grace.pk, ada.pk]
    assert persons_of(*ones[1:]) == [ada.pk] * 3
    # beside the stranger who was said to be Ada
    assert persons_of(new[1]) == [ada.pk]
    assert set(Person.objects.values_list("name", flat=True)) == {"Ada", "Grace"}

    for face in ones[1:]:
        remove(face)
    group(face_library)
    assert set(Person.objects.values_list("name", flat=True)) == {"Ada", "Grace"}
    assert persons_of(ones[0], stranger) == [grace.pk, ada.pk]


def test_a_face_that_is_said_to_be_nobody_stays_nobody(face_library: Library) -> None:
    ones = [add_face(face_library, vector(1, variation)) for variation in range(3)]
    group(face_library)
    people.decide_face(face=ones[0], person=None)
    add_face(face_library, vector(1, 8))
    group(face_library)
    assert persons_of(ones[0]) == [None]
    assert Face.objects.filter(person=persons_of(ones[1])[0]).count() == 3


def test_candidates_are_not_grouped_and_moving_the_floor_needs_no_detection(
    face_library: Library, settings: Settings
) -> None:
    sure = [add_face(face_library, vector(1, variation), confidence=0.99) for variation in range(2)]
    doubtful = add_face(face_library, vector(1, 5), confidence=0.96)
    candidate = add_face(face_library, vector(1, 6), confidence=0.90)
    person = group(face_library) and persons_of(sure[0])[0]
    assert persons_of(*sure, doubtful, candidate) == [person, person, person, None]
    assert grouping.request_where_due() == 0

    settings.FACE_MIN_CONFIDENCE = 0.85
    assert grouping.request_where_due() == 1
    photo_samples.run_people()
    assert persons_of(*sure, doubtful, candidate) == [person] * 4
    assert grouping.request_where_due() == 0

    settings.FACE_MIN_CONFIDENCE = 0.97
    assert grouping.request_where_due() == 1
    photo_samples.run_people()
    assert persons_of(*sure, doubtful, candidate) == [person, person, None, None]
    assert FaceEmbedding.objects.filter(component=None).count() == 2
    assert grouping.request_where_due() == 0
    assert groups(face_library) == from_scratch(face_library)

    settings.FACE_MIN_CONFIDENCE = 0.995
    assert grouping.request_where_due() == 1
    photo_samples.run_people()
    assert Person.objects.count() == 0


def test_another_threshold_groups_everything_anew(face_library: Library, settings: Settings) -> None:
    faces_of_two = [add_face(face_library, vector(person, v)) for person in (1, 2) for v in range(2)]
    group(face_library)
    assert len(groups(face_library)) == 2
    settings.FACE_CLUSTER_THRESHOLD = 3.0
    assert grouping.request_where_due() == 1
    photo_samples.run_people()
    assert face_library.runs.latest("id").report["regrouped"] == 4
    assert groups(face_library) == {frozenset(face.pk for face in faces_of_two)}
    settings.FACE_CLUSTER_THRESHOLD = None
    assert grouping.request_where_due() == 1
    photo_samples.run_people()
    assert len(groups(face_library)) == 2
    versions = list(face_library.runs.order_by("id").values_list("version", flat=True))
    assert versions == [f"2.{MODEL}.{threshold}.0.95-0.1" for threshold in (0.52, 3, 0.52)]


def test_a_run_that_was_asked_for_under_another_rule_is_done_under_this_one(
    face_library: Library, settings: Settings
) -> None:
    add_face(face_library, vector(1))
    group(face_library)
    settings.FACE_CLUSTER_THRESHOLD = 0.4
    assert grouping.request_where_due() == 1
    # back before anybody grouped: nothing is due, and what was asked for must not stay for ever
    settings.FACE_CLUSTER_THRESHOLD = None
    assert grouping.request_where_due() == 0
    assert photo_samples.run_people() == 1
    assert face_library.runs.open().count() == 0


def test_another_model_groups_by_its_own_vectors(
    face_library: Library, installed_models: dict[str, InstalledModel]
) -> None:
    a, b, c = (add_face(face_library, vector(person)) for person in (1, 1, 2))
    ours = installed_models[MODEL]
    for face, person in ((a, 3), (b, 4), (c, 4)):
        other = np.zeros(512, np.float32)
        other[person] = 1.0
        embed(face, other, model="facenet-vggface2")
    group(face_library)
    assert frozenset({a.pk, b.pk}) in groups(face_library)
    facenet = replace(ours, name="facenet-vggface2", weights_hash="ab" * 32)

    selection.select_model(installed=facenet, in_use=True)
    assert photo_samples.run_people() == 1
    assert frozenset({b.pk, c.pk}) in groups(face_library)

    selection.select_model(installed=ours, in_use=True)
    assert photo_samples.run_people() == 1
    assert frozenset({a.pk, b.pk}) in groups(face_library)


def test_one_request_is_open_at_a_time_and_only_for_the_model_in_use(face_library: Library) -> None:
    grouping.request(library_id=face_library.pk, model="facenet-casia")
    assert LibraryRun.objects.count() == 0
    for _ in range(3):
        grouping.request(library_id=face_library.pk, model=MODEL)
    run = LibraryRun.objects.get()
    assert (run.kind, run.state, run.library, run.version) == (
        "people",
        "pending",
        face_library,
        f"2.{MODEL}.0.52.0.95-0.1",
    )


def test_without_a_model_in_use_nothing_is_asked_for(face_library: Library) -> None:
    add_face(face_library, vector(1))
    ModelSelection.objects.filter(task="face_embedding").delete()
    assert grouping.request_where_due() == 0
    assert grouping.perform(face_library.pk) == grouping.NothingToDo("no_model_in_use")
    assert photo_samples.run_people() == 0


def test_a_model_that_a_newer_release_uses_is_left_to_it(face_library: Library) -> None:
    add_face(face_library, vector(1))
    grouping.request(library_id=face_library.pk, model=MODEL)
    kind = kinds.get("people")
    lease = ledger.claim_library_run(kind="people", versions=kind.known_versions(), task_id="t", worker="w")
    ModelSelection.objects.filter(task="face_embedding").update(model="facenet-of-tomorrow")

    assert grouping.rule_in_use() is None
    assert grouping.request_where_due() == 0
    # claimed before the newer release changed the model
    assert kind.attempt(Held(lease=lease, until=0)) is Ended.INTERRUPTED

    run = LibraryRun.objects.get()
    assert (run.state, run.attempt, run.error_code, run.version) == ("pending", 0, "", lease.version)
    assert photo_samples.run_people() == 0


def test_where_face_analysis_is_off_nobody_is_grouped(face_library: Library) -> None:
    ones = [add_face(face_library, vector(1, variation)) for variation in range(2)]
    group(face_library)
    people_before = persons_of(*ones)
    add_face(face_library, vector(1, 4))
    remove(ones[0])
    face_analysis.switch_face_analysis(library=face_library, enabled=False, by=None)
    assert grouping.request_where_due() == 0
    # asked for by a transaction that the switch could not see
    grouping.request(library_id=face_library.pk, model=MODEL)
    assert photo_samples.run_people() == 1
    run = face_library.runs.latest("id")
    assert (run.state, run.skip_reason) == ("skipped", "face_analysis_off")
    assert persons_of(ones[1]) == people_before[1:]
