"""Grouping a library: the partition is a function of the set of vectors, however it came to be."""

from itertools import count

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processing.engines.grouping import group, regroup

# A coarse grid: equal vectors, equal distances and distances equal to the threshold are the rule, not the exception.
GRID = st.lists(st.tuples(*[st.integers(-3, 3)] * 2), min_size=1, max_size=40)
THRESHOLDS = st.sampled_from([1.0, 1.5, 2.0, 2.5])
CAPS = st.sampled_from([2, 5, 4000])


def clusters(labels: np.ndarray) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(labels == label).tolist()) for label in range(labels.max() + 1)}


def bodies(vectors: np.ndarray, labels: np.ndarray) -> list[list[tuple[float, ...]]]:
    """The clusters as sorted lists of vectors, by label."""
    return [sorted(map(tuple, vectors[labels == label].tolist())) for label in range(labels.max() + 1)]


def test_faces_of_three_persons_and_two_strangers():
    vectors = np.array([[0, 0], [9, 0], [0, 1], [9, 1], [5, 5], [0.5, 0.5], [-7, -7], [30, 0], [30, 0]])
    labels = group(vectors, threshold=1.5, metric="euclidean")
    assert clusters(labels) == {frozenset({0, 2, 5}), frozenset({1, 3}), frozenset({7, 8})}
    assert labels[[4, 6]].tolist() == [-1, -1]
    assert labels.dtype == np.int64


def test_a_chain_is_one_component_but_not_one_cluster():
    vectors = np.arange(10.0)[:, None]
    found = regroup(vectors, np.full(10, -1), set(), threshold=1.0, metric="euclidean")
    assert len(set(found.components.tolist())) == 1
    assert [len(members) for members in clusters(found.labels)] == [2] * 5


def test_cosine_ignores_length():
    vectors = np.array([[1, 0], [50, 1], [0, 0.01], [0.2, 9]], np.float32)
    assert clusters(group(vectors, threshold=0.05, metric="cosine")) == {frozenset({0, 1}), frozenset({2, 3})}


def test_an_empty_library():
    found = regroup(np.empty((0, 128)), np.empty(0, int), {7}, threshold=0.5, metric="euclidean")
    assert [len(found.touched), len(found.components), len(found.labels)] == [0, 0, 0]


def test_equal_vectors_are_always_together():
    vectors = np.array([[1.0, 2.0], [0.0, 0.0], [1.0, 2.0], [-0.0, 0.0]])
    assert clusters(group(vectors, threshold=1e-9, metric="euclidean")) == {frozenset({0, 2}), frozenset({1, 3})}


@settings(deadline=None)
@given(GRID, THRESHOLDS, CAPS, st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(points, threshold, cap, random):
    vectors = np.array(points, np.float32)
    random.shuffle(order := list(range(len(points))))
    shuffled = vectors[order]
    labels = group(vectors, threshold=threshold, metric="euclidean", cap=cap)
    again = group(shuffled, threshold=threshold, metric="euclidean", cap=cap)
    # Equal vectors always share a label, so equality per face is asked for, numbering included.
    assert again.tolist() == labels[order].tolist()
    assert all(len(body) > 1 for body in bodies(vectors, labels))


class Library:
    """A library that is regrouped after each change, as a service would: it stores components and clusters."""

    def __init__(self, threshold: float, metric: str, cap: int) -> None:
        self.rule = {"threshold": threshold, "metric": metric, "cap": cap}
        self.vectors: dict[int, tuple[float, ...]] = {}
        self.component: dict[int, int] = {}
        self.cluster: dict[int, object] = {}
        self.keys, self.runs = count(), count()

    def change(self, added: list[tuple[float, ...]], removed: list[int], random) -> set[int]:
        lost = {self.component.pop(key) for key in removed}
        for key in removed:
            del self.vectors[key], self.cluster[key]
        for vector in added:
            self.vectors[next(self.keys)] = vector
        random.shuffle(order := list(self.vectors))
        if not order:
            return set()
        stored = np.array([self.component.get(key, -1) for key in order])
        found = regroup(self.array(order), stored, lost, **self.rule)
        run = next(self.runs)
        for index, component, label in zip(found.touched, found.components, found.labels, strict=True):
            self.component[order[index]] = component
            self.cluster[order[index]] = (run, label) if label >= 0 else None
        return {order[index] for index in found.touched}

    def array(self, order: list[int]) -> np.ndarray:
        return np.array([self.vectors[key] for key in order], np.float32)

    def assert_equals_scratch(self) -> None:
        order = list(self.vectors)
        if not order:
            return
        found = regroup(self.array(order), np.full(len(order), -1), set(), **self.rule)
        assert [self.component[key] for key in order] == found.components.tolist()
        assert [self.cluster[key] is None for key in order] == (found.labels < 0).tolist()
        pairs = {(self.cluster[key], label) for key, label in zip(order, found.labels, strict=True) if label >= 0}
        assert len(pairs) == len({mine for mine, _ in pairs}) == len({theirs for _, theirs in pairs})


@settings(deadline=None)
@given(st.data(), THRESHOLDS, CAPS, st.randoms(use_true_random=False))
def test_regrouping_equals_grouping_from_scratch(data, threshold, cap, random):
    library = Library(threshold, "euclidean", cap)
    for _ in range(data.draw(st.integers(1, 5))):
        added = data.draw(st.lists(st.tuples(*[st.integers(-3, 3)] * 2), max_size=15))
        removed = data.draw(st.lists(st.sampled_from(sorted(library.vectors)), unique=True)) if library.vectors else []
        library.change(added, removed, random)
        library.assert_equals_scratch()


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 2**32 - 1), st.sampled_from([("euclidean", 1.6), ("cosine", 0.25)]), st.sampled_from([9, 4000]))
def test_regrouping_equals_grouping_from_scratch_in_many_dimensions(seed, rule, cap):
    metric, threshold = rule
    random = np.random.default_rng(seed)
    centres = random.standard_normal((8, 24))
    library = Library(threshold, metric, cap)
    for _ in range(4):
        who, scatter = random.integers(8, size=20), random.uniform(0.1, 0.35, (20, 1))
        added = (centres[who] + random.standard_normal((20, 24)) * scatter).astype(np.float16)
        removed = [key for key in library.vectors if random.random() < 0.15]
        library.change([tuple(vector) for vector in added], removed, random)
        library.assert_equals_scratch()
    assert any(cluster is not None for cluster in library.cluster.values())


@pytest.fixture
def three_islands() -> Library:
    """Faces 0-2, 3-5 and 6-7 on a line; 1 is the bridge between 0 and 2, 4 between 3 and 5."""
    library = Library(1.0, "euclidean", 4000)
    library.change([(x,) for x in (0.0, 1.0, 2.0, 10.0, 11.0, 12.0, 20.0, 21.0)], [], np.random.default_rng(0))
    return library


def test_only_the_component_that_a_new_face_joins_is_touched(three_islands):
    assert three_islands.change([(13.0,)], [], np.random.default_rng(1)) == {3, 4, 5, 8}
    three_islands.assert_equals_scratch()


def test_only_the_component_that_lost_a_face_is_touched(three_islands):
    assert three_islands.change([], [1], np.random.default_rng(1)) == {0, 2}
    assert three_islands.cluster[0] is three_islands.cluster[2] is None
    assert three_islands.component[0] != three_islands.component[2]
    three_islands.assert_equals_scratch()


def test_a_new_face_that_joins_two_components(three_islands):
    random = np.random.default_rng(1)
    assert three_islands.change([(x,) for x in range(3, 10)], [], random) == {*range(6), *range(8, 15)}
    assert len({three_islands.component[key] for key in (0, 5, 11)}) == 1
    three_islands.assert_equals_scratch()


def test_nothing_changed_touches_nothing(three_islands):
    before = dict(three_islands.cluster)
    assert three_islands.change([], [], np.random.default_rng(1)) == set()
    assert three_islands.cluster == before


def test_a_face_that_links_no_one_touches_itself_alone(three_islands):
    assert three_islands.change([(50.0,)], [], np.random.default_rng(1)) == {8}
    assert three_islands.cluster[8] is None
