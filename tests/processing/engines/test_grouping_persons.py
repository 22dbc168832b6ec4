"""Persons after a regrouping: ids are kept, names survive and never merge, decisions of a human stand."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from processing.engines.grouping import NewPerson, assign_persons


def assign(labels, previous, *, named=(), pinned=None, at=None):
    """Faces on a line, at 0, 1, 2, ... unless `at` says where."""
    places = range(len(labels)) if at is None else at
    return assign_persons(
        np.array(labels),
        vectors=np.array(places, float)[:, None],
        metric="euclidean",
        previous=previous,
        named=set(named),
        pinned=pinned or {},
    )


def test_first_grouping_makes_new_persons_and_a_lone_face_is_nobody():
    found = assign([1, 0, -1, 0, 1], [None] * 5)
    assert found.persons == (NewPerson(1), NewPerson(0), None, NewPerson(0), NewPerson(1))
    assert found.vacated == ()


def test_an_unnamed_person_follows_most_of_its_faces():
    found = assign([0, 0, 1, 1, 1, 0], ["u", "u", "u", "u", "u", None])
    assert found.persons == (NewPerson(0), NewPerson(0), "u", "u", "u", NewPerson(0))


def test_of_equal_overlaps_the_first_cluster_and_the_older_person_win():
    assert assign([1, 1, 0, 0], ["u"] * 4).persons == (NewPerson(0), NewPerson(0), "u", "u")
    merged = assign([0, 0, 0, 0], ["v", "v", "u", "u"])
    assert merged.persons == ("u",) * 4
    assert merged.vacated == ("v",)


def test_a_person_whose_faces_became_lone_is_vacated():
    found = assign([-1, -1], ["u", "u"])
    assert found.persons == (None, None)
    assert found.vacated == ("u",)


def test_a_name_takes_the_cluster_over_a_larger_unnamed_person():
    found = assign([0] * 6, ["u", "u", "u", "u", "ada", None], named={"ada"})
    assert found.persons == ("ada",) * 6
    assert found.vacated == ("u",)


def test_both_halves_of_a_named_person_keep_the_name():
    assert assign([0, 0, 1, 1, 1], ["ada"] * 5, named={"ada"}).persons == ("ada",) * 5


def test_a_single_misplaced_face_does_not_carry_its_name_into_a_cluster_of_strangers():
    found = assign([0, 0, 0, 1, 1, 1], ["ada", "ada", "ada", "ada", None, None], named={"ada"})
    assert found.persons == ("ada", "ada", "ada", NewPerson(0), NewPerson(0), NewPerson(0))


def test_named_persons_in_one_cluster_are_not_merged_and_newcomers_go_to_the_nearest():
    at = [0.0, 1.0, 10.0, 11.0, 3.0, 8.0]
    found = assign([0] * 6, ["ada", "ada", "bob", "bob", None, "u"], named={"ada", "bob"}, at=at)
    assert found.persons == ("ada", "ada", "bob", "bob", "ada", "bob")
    assert found.vacated == ("u",)


def test_a_named_person_without_a_cluster_keeps_its_lone_faces():
    assert assign([-1, 0, 0], ["ada", None, None], named={"ada"}).persons == ("ada", NewPerson(0), NewPerson(0))
    assert assign([-1, 0, 0], ["ada", "ada", "ada"], named={"ada"}).persons == (None, "ada", "ada")


def test_a_pinned_face_brings_its_cluster_and_keeps_its_person():
    found = assign([0, 0, 0, -1], ["u", "u", "u", None], pinned={0: "ada", 3: "bob"})
    assert found.persons == ("ada", "ada", "ada", "bob")
    assert found.vacated == ("u",)


def test_pins_of_two_persons_split_a_cluster():
    found = assign([0] * 6, ["u"] * 6, pinned={0: "ada", 5: "bob"})
    assert found.persons == ("ada", "ada", "ada", "bob", "bob", "bob")


def test_a_face_that_a_human_declared_nobody_stays_nobody_and_counts_for_nobody():
    found = assign([0, 0, 0, 1, 1], ["u", None, None, "v", "v"], pinned={0: None, 3: None})
    assert found.persons == (None, NewPerson(0), NewPerson(0), None, None)
    assert found.vacated == ("u", "v")


@st.composite
def regroupings(draw):
    size = draw(st.integers(1, 14))
    ids = st.sampled_from(["ada", "bob", "cy", "u", "v", "w"])
    labels = draw(st.lists(st.integers(-1, 3), min_size=size, max_size=size))
    previous = draw(st.lists(st.none() | ids, min_size=size, max_size=size))
    pinned = draw(st.dictionaries(st.integers(0, size - 1), st.none() | ids, max_size=3))
    at = draw(st.permutations(range(size)))
    return labels, previous, pinned, at


NAMED = {"ada", "bob", "cy"}


@settings(deadline=None)
@given(regroupings(), st.randoms(use_true_random=False))
def test_the_order_of_faces_does_not_matter(regrouping, random):
    labels, previous, pinned, at = regrouping
    random.shuffle(order := list(range(len(labels))))
    found = assign(labels, previous, named=NAMED, pinned=pinned, at=at)
    again = assign(
        [labels[face] for face in order],
        [previous[face] for face in order],
        named=NAMED,
        pinned={order.index(face): person for face, person in pinned.items()},
        at=[at[face] for face in order],
    )
    assert again.persons == tuple(found.persons[face] for face in order)
    assert again.vacated == found.vacated


@settings(deadline=None)
@given(regroupings())
def test_names_and_decisions_survive_every_regrouping(regrouping):
    labels, previous, pinned, at = regrouping
    found = assign(labels, previous, named=NAMED, pinned=pinned, at=at)
    anchored = NAMED | {person for person in pinned.values() if person is not None}
    for face, person in enumerate(found.persons):
        if face in pinned:
            assert person == pinned[face]
        elif previous[face] in anchored:
            assert person == previous[face] or person not in anchored
        elif labels[face] < 0:
            assert person is None
    held = {pinned.get(face, person) for face, person in enumerate(previous)}
    assert held & anchored <= set(found.persons)
    assert set(found.vacated) == set(previous) - set(found.persons) - {None}
    unnamed = {(person, labels[face]) for face, person in enumerate(found.persons) if person and person not in anchored}
    assert len(unnamed) == len({person for person, _ in unnamed})
