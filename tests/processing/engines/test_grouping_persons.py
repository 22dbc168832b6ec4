"""Persons after a regrouping: decisions stand, whatever the clusters, and ids are kept where nothing was decided."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from processing.engines.grouping import NewPerson, Verdicts, assign_persons


def assign(labels, previous, *, pinned=None, held=(), barred=None, anchored=(), cherished=(), at=None):
    """Faces on a line, at 0, 1, 2, ... unless `at` says where."""
    places = range(len(labels)) if at is None else at
    pins = pinned or {}
    return assign_persons(
        np.array(labels),
        vectors=np.array(places, float)[:, None],
        metric="euclidean",
        previous=previous,
        verdicts=Verdicts(
            pinned=pins,
            held=set(held),
            barred=barred or {},
            anchored={*anchored, *(person for person in pins.values() if person)},
            cherished=set(cherished),
        ),
    )


def test_first_grouping_makes_new_persons_and_a_lone_face_is_nobody():
    found = assign([1, 0, -1, 0, 1], [None] * 5)
    assert found == (NewPerson(1), NewPerson(0), None, NewPerson(0), NewPerson(1))


def test_who_has_no_decision_follows_most_of_the_faces():
    found = assign([0, 0, 1, 1, 1, 0], ["u", "u", "u", "u", "u", None])
    assert found == (NewPerson(0), NewPerson(0), "u", "u", "u", NewPerson(0))


def test_of_equal_overlaps_the_first_cluster_and_the_older_person_win():
    assert assign([1, 1, 0, 0], ["u"] * 4) == (NewPerson(0), NewPerson(0), "u", "u")
    assert assign([0, 0, 0, 0], ["v", "v", "u", "u"]) == ("u",) * 4


def test_a_person_whose_faces_became_lone_has_none():
    assert assign([-1, -1], ["u", "u"]) == (None, None)


def test_a_name_without_a_pinned_face_takes_a_cluster_over_a_larger_overlap():
    assert assign([0] * 6, ["u", "u", "u", "u", "ada", None], cherished={"ada"}) == ("ada",) * 6


def test_who_was_somebody_before_is_nothing_to_go_by_where_a_face_is_pinned():
    found = assign([0, 0, 0, 1, 1], ["u", "u", "ada", "ada", "ada"], pinned={0: "ada"})
    assert found == ("ada", "ada", "ada", NewPerson(0), NewPerson(0))


def test_held_faces_stay_and_bring_their_cluster():
    found = assign([0, 0, 0, 0, -1], [None] * 5, pinned={0: "ada", 1: "ada", 4: "ada"}, held={0, 1, 4})
    assert found == ("ada", "ada", "ada", "ada", "ada")


def test_a_single_held_face_does_not_carry_its_name_into_a_crowd_of_strangers():
    found = assign([0, 0, 0, 1, 1, 1], ["ada"] * 4 + [None] * 2, pinned=dict.fromkeys(range(4), "ada"), held=range(4))
    assert found == ("ada", "ada", "ada", "ada", NewPerson(0), NewPerson(0))
    assert assign([0, 0], [None, None], pinned={0: "ada"}, held={0}) == ("ada", "ada")


def test_a_single_face_on_which_somebody_decided_does():
    assert assign([0] * 9, [None] * 9, pinned={4: "ada"}) == ("ada",) * 9


def test_a_pinned_face_without_a_cluster_is_its_person():
    found = assign([0, 0, 0, -1], ["u", "u", "u", None], pinned={0: "ada", 3: "bob"})
    assert found == ("ada", "ada", "ada", "bob")


def test_a_face_that_somebody_declared_nobody_stays_nobody():
    found = assign([-1, 0, 0, -1, -1], ["u", None, None, "v", "v"], pinned={0: None, 3: None})
    assert found == (None, NewPerson(0), NewPerson(0), None, None)


def test_a_cluster_does_not_become_somebody_that_one_of_its_faces_is_not():
    found = assign([0, 0, 0], ["u", "u", "u"], barred={1: {"u"}})
    assert found == (NewPerson(0),) * 3


def test_whom_a_face_is_pinned_to_elsewhere_is_given_to_no_other_cluster():
    assert assign([0, 0], ["ada", "ada"], anchored={"ada"}, cherished={"ada"}) == (NewPerson(0), NewPerson(0))


@st.composite
def regroupings(draw):
    """Clusters as the linkage gives them: none with faces of two persons, nor with one that a face is not."""
    size = draw(st.integers(1, 14))
    ids = st.sampled_from(["ada", "bob", "cy", "u", "v", "w"])
    labels = draw(st.lists(st.integers(-1, 3), min_size=size, max_size=size))
    previous = draw(st.lists(st.none() | ids, min_size=size, max_size=size))
    of_cluster = {label: draw(st.none() | ids) for label in range(4)}
    pinned = {}
    for face in draw(st.sets(st.integers(0, size - 1), max_size=6)):
        person = of_cluster.get(labels[face]) if labels[face] >= 0 else draw(st.none() | ids)
        if labels[face] < 0 or person is not None:
            pinned[face] = person
    barred = {
        face: {person for person in draw(st.sets(ids, max_size=2)) if person != of_cluster.get(labels[face])}
        for face in draw(st.sets(st.integers(0, size - 1), max_size=3))
        if face not in pinned
    }
    held = {face for face, person in pinned.items() if person is not None and draw(st.booleans())}
    return labels, previous, pinned, held, barred, draw(st.permutations(range(size)))


@settings(deadline=None)
@given(regroupings(), st.randoms(use_true_random=False))
def test_the_order_of_faces_does_not_matter(regrouping, random):
    labels, previous, pinned, held, barred, at = regrouping
    random.shuffle(order := list(range(len(labels))))
    found = assign(labels, previous, pinned=pinned, held=held, barred=barred, at=at)
    again = assign(
        [labels[face] for face in order],
        [previous[face] for face in order],
        pinned={order.index(face): person for face, person in pinned.items()},
        held={order.index(face) for face in held},
        barred={order.index(face): people for face, people in barred.items()},
        at=[at[face] for face in order],
    )
    assert again == tuple(found[face] for face in order)


@settings(deadline=None)
@given(regroupings(), st.randoms(use_true_random=False))
def test_decisions_are_obeyed_and_who_is_together_does_not_depend_on_who_was(regrouping, random):
    labels, previous, pinned, held, barred, at = regrouping
    found = assign(labels, previous, pinned=pinned, held=held, barred=barred, cherished={"u"}, at=at)
    for face, person in enumerate(found):
        if face in pinned:
            assert person == pinned[face]
        elif labels[face] < 0:
            assert person is None
        assert person not in barred.get(face, ())
    unsaid = {(person, labels[face]) for face, person in enumerate(found) if face not in pinned and person}
    unsaid = {(person, label) for person, label in unsaid if person not in pinned.values()}
    assert len(unsaid) == len({person for person, _ in unsaid})

    random.shuffle(others := list(previous))
    again = assign(labels, others, pinned=pinned, held=held, barred=barred, at=at)
    assert together(again) == together(found)


def together(persons):
    found = {}
    for face, person in enumerate(persons):
        found.setdefault(face if person is None else person, set()).add(face)
    return {frozenset(members) for members in found.values()}
