"""Grouping under decisions: no cluster breaks one, and the partition is a function of vectors and decisions alone."""

from itertools import count

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processing.engines.grouping import NOBODY, Decisions, group, regroup
from processing.engines.grouping.limits import Limits
from processing.engines.grouping.linkage import cluster_components, upgma
from processing.engines.grouping.units import faces, squared_cut

THRESHOLDS = st.sampled_from([1.0, 1.5, 2.0, 2.5])
CAPS = st.sampled_from([2, 5, 4000])
PEOPLE = st.sampled_from([0, 1, 2])


def clusters(labels: np.ndarray) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(labels == label).tolist()) for label in range(labels.max() + 1)}


def on_a_line(*places: float, threshold: float = 1.5, **decisions: dict) -> set[frozenset[int]]:
    vectors = np.array(places, np.float32)[:, None]
    return clusters(group(vectors, threshold=threshold, metric="euclidean", decisions=Decisions(**decisions)))


def test_two_people_are_two_clusters_however_near():
    assert on_a_line(0, 1, 2, threshold=5) == {frozenset({0, 1, 2})}
    assert on_a_line(0, 1, 2.1, threshold=5, pinned={0: 0, 2: 1}) == {frozenset({0, 1})}
    assert on_a_line(0, 0, 0, 0, pinned={0: 0, 1: 1, 2: 1}) == {frozenset({0, 3}), frozenset({1, 2})}


def test_a_face_that_is_not_somebody_is_apart_from_those_that_are():
    assert on_a_line(0, 1, 2, threshold=5, pinned={0: 0, 1: 0}, barred={2: frozenset({0})}) == {frozenset({0, 1})}
    # and goes with those of whom nobody said anything
    found = on_a_line(0, 1, 2, 3, threshold=9, pinned={0: 0, 1: 0}, barred={2: frozenset({0}), 3: frozenset({0})})
    assert found == {frozenset({0, 1}), frozenset({2, 3})}


def test_a_face_of_nobody_is_in_no_cluster():
    assert on_a_line(0, 0, 0.5, pinned={0: NOBODY, 1: NOBODY}) == set()
    assert on_a_line(0, 0.5, 1, pinned={1: NOBODY}) == {frozenset({0, 2})}


def test_the_looks_of_one_person_attract_each_those_who_look_alike():
    """Must-linked faces are no single point: the mean of both would be near to neither."""
    assert on_a_line(0, 0.5, 9, 9.5, pinned={0: 0, 2: 0}) == {frozenset({0, 1}), frozenset({2, 3})}


def test_limits_of_one_person_alone_are_none():
    who = np.array([3, -1, 3, -1])
    assert not Limits(who, {})
    assert not Limits(np.full(2, -1), {0: frozenset({1})})
    assert Limits(who, {1: frozenset({3})})
    assert Limits(np.array([3, 4]), {})


@st.composite
def decided(draw):
    """Points on a coarse grid, where ties are the rule, and decisions of them."""
    points = draw(st.lists(st.tuples(*[st.integers(-3, 3)] * 2), min_size=1, max_size=25))
    indices = st.integers(0, len(points) - 1)
    pinned = draw(st.dictionaries(indices, PEOPLE | st.just(NOBODY), max_size=8))
    barred = draw(st.dictionaries(indices, st.frozensets(PEOPLE, min_size=1), max_size=6))
    barred = {face: people - {pinned.get(face)} for face, people in barred.items() if pinned.get(face) != NOBODY}
    return np.array(points, np.float32), pinned, {face: people for face, people in barred.items() if people}


def assert_obeyed(labels: np.ndarray, pinned: dict, barred: dict) -> None:
    for members in clusters(labels):
        who = {pinned[face] for face in members if face in pinned}
        assert NOBODY not in who
        assert len(who) <= 1
        assert not who & {person for face in members for person in barred.get(face, ())}


@settings(deadline=None)
@given(decided(), THRESHOLDS, CAPS, st.randoms(use_true_random=False))
def test_no_decision_is_broken_and_the_order_of_arrival_does_not_matter(given_faces, threshold, cap, random):
    vectors, pinned, barred = given_faces
    rule = {"threshold": threshold, "metric": "euclidean", "cap": cap}
    labels = group(vectors, decisions=Decisions(pinned, barred), **rule)
    assert_obeyed(labels, pinned, barred)
    random.shuffle(order := list(range(len(vectors))))
    place = {face: index for index, face in enumerate(order)}
    moved = Decisions(
        {place[face]: who for face, who in pinned.items()}, {place[face]: who for face, who in barred.items()}
    )
    # faces that are equal, of whom the same was decided, share a label: equality per face is asked for
    assert group(vectors[order], decisions=moved, **rule).tolist() == labels[order].tolist()


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.sampled_from([3, 9, 40]))
def test_splitting_large_components_changes_nothing(seed, cap):
    random = np.random.default_rng(seed)
    units = faces(random.standard_normal((120, 4)), "euclidean")
    limits = Limits(
        np.where(random.random(120) < 0.3, random.integers(0, 4, 120), -1),
        {int(unit): frozenset({4, 5}) for unit in random.integers(0, 120, 5)},
    )
    cut = squared_cut(2.0, "euclidean")
    whole = upgma(units, cut, limits)
    split = cluster_components(units, np.zeros(120, int), cut=cut, cap=cap, limits=limits)
    assert split.tolist() == whole.tolist()


def test_of_pairs_that_may_merge_the_nearest_does():
    """Against the definition: every pair's mean distance computed anew after each merge."""
    random = np.random.default_rng(4)
    points = random.standard_normal((40, 3))
    who = np.where(random.random(40) < 0.4, random.integers(0, 3, 40), -1)
    barred = {3: frozenset({0}), 7: frozenset({1, 2}), 11: frozenset({0, 1})}
    who[[3, 7, 11]] = -1
    cut = squared_cut(1.8, "euclidean")
    sets = [[unit] for unit in range(40)]

    def may(one: list[int], other: list[int]) -> bool:
        both = [*one, *other]
        people = {int(who[unit]) for unit in both} - {-1}
        return len(people) < 2 and not people & {person for unit in both for person in barred.get(unit, ())}

    def distance(one: list[int], other: list[int]) -> float:
        return float(np.square(points[one][:, None] - points[other]).sum(axis=2).mean())

    while True:
        pairs = [(distance(one, other), i, j) for i, one in enumerate(sets) for j, other in enumerate(sets[:i])
                 if may(one, other)]  # fmt: skip
        height, i, j = min(pairs)
        if height > cut:
            break
        sets[j] += sets.pop(i)
    found = upgma(faces(points, "euclidean"), cut, Limits(who, barred))
    assert {frozenset(np.flatnonzero(found == label).tolist()) for label in set(found.tolist())} == {
        frozenset(members) for members in sets
    }
    assert 3 < len(sets) < 40


class Library:
    """A library that is regrouped after each change, as a service would: links that change note their component."""

    def __init__(self, threshold: float, cap: int) -> None:
        self.rule = {"threshold": threshold, "metric": "euclidean", "cap": cap}
        self.vectors: dict[int, tuple[float, ...]] = {}
        self.component: dict[int, int] = {}
        self.cluster: dict[int, object] = {}
        self.pinned: dict[int, int] = {}
        self.barred: dict[int, frozenset[int]] = {}
        self.keys, self.runs = count(), count()

    def change(self, added: list, removed: list[int], decided: dict[int, tuple], random) -> None:
        lost = set()
        for key in removed:
            lost.add(self.component.pop(key))
            for columns in (self.vectors, self.cluster, self.pinned, self.barred):
                columns.pop(key, None)
        for key, (who, not_whom) in decided.items():
            if key in self.vectors:
                lost.add(self.component[key])
                self.pinned.pop(key, None)
                self.barred.pop(key, None)
                if who is not None:
                    self.pinned[key] = who
                if not_whom - {who} and who != NOBODY:
                    self.barred[key] = not_whom - {who}
        for vector in added:
            self.vectors[next(self.keys)] = vector
        random.shuffle(order := list(self.vectors))
        if not order:
            return
        found = self.grouped(order, np.array([self.component.get(key, -1) for key in order]), lost)
        run = next(self.runs)
        for index, component, label in zip(found.touched, found.components, found.labels, strict=True):
            self.component[order[index]] = component
            self.cluster[order[index]] = (run, label) if label >= 0 else None

    def grouped(self, order: list[int], components: np.ndarray, lost: set[int]):
        place = {key: index for index, key in enumerate(order)}
        decisions = Decisions(
            {place[key]: who for key, who in self.pinned.items()},
            {place[key]: who for key, who in self.barred.items()},
        )
        vectors = np.array([self.vectors[key] for key in order], np.float32)
        return regroup(vectors, components, lost, decisions=decisions, **self.rule)

    def assert_equals_scratch(self) -> None:
        order = list(self.vectors)
        if not order:
            return
        found = self.grouped(order, np.full(len(order), -1), set())
        assert [self.component[key] for key in order] == found.components.tolist()
        assert [self.cluster[key] is None for key in order] == (found.labels < 0).tolist()
        pairs = {(self.cluster[key], label) for key, label in zip(order, found.labels, strict=True) if label >= 0}
        assert len(pairs) == len({mine for mine, _ in pairs}) == len({theirs for _, theirs in pairs})


@settings(deadline=None)
@given(st.data(), THRESHOLDS, CAPS, st.randoms(use_true_random=False))
def test_regrouping_after_decisions_equals_grouping_from_scratch(data, threshold, cap, random):
    library = Library(threshold, cap)
    said = st.tuples(st.none() | PEOPLE | st.just(NOBODY), st.frozensets(PEOPLE))
    for _ in range(data.draw(st.integers(1, 5))):
        added = data.draw(st.lists(st.tuples(*[st.integers(-3, 3)] * 2), max_size=12))
        keys = sorted(library.vectors)
        removed = data.draw(st.lists(st.sampled_from(keys), unique=True, max_size=4)) if keys else []
        decided = data.draw(st.dictionaries(st.sampled_from(keys), said, max_size=5)) if keys else {}
        library.change(added, removed, decided, random)
        library.assert_equals_scratch()


def test_a_decision_touches_its_component_alone():
    library = Library(1.0, 4000)
    random = np.random.default_rng(0)
    library.change([(x,) for x in (0.0, 1.0, 10.0, 11.0)], [], {}, random)
    before = dict(library.cluster)
    library.change([], [], {0: (0, frozenset()), 1: (1, frozenset())}, random)
    assert (library.cluster[0], library.cluster[1]) == (None, None)
    assert (library.cluster[2], library.cluster[3]) == (before[2], before[3])


@pytest.mark.parametrize("people", [1, 5])
def test_many_pinned_faces_beyond_the_cap(people):
    """All equal but for whom they are: nothing that a lower height could part."""
    vectors = np.zeros((60, 3), np.float32)
    pinned = {face: face % people for face in range(50)}
    labels = group(vectors, threshold=1.0, metric="euclidean", cap=4, decisions=Decisions(pinned, {}))
    sizes = sorted(len(members) for members in clusters(labels))
    assert sizes == {1: [60], 5: [10, 10, 10, 10, 20]}[people]
