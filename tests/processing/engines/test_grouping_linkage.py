"""Average linkage and its threshold graph, against SciPy and against every pair computed by itself."""

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import pdist

from processing.engines.grouping import components as components_module
from processing.engines.grouping import units as units_module
from processing.engines.grouping.components import connected, join
from processing.engines.grouping.linkage import cluster_components, upgma
from processing.engines.grouping.units import faces, squared_cut


def blobs(count: int, dimensions: int, seed: int, centres: int = 12) -> np.ndarray:
    """Vectors (count, dimensions) float16 scattered around a few centres, so that clusters overlap."""
    random = np.random.default_rng(seed)
    middle = random.standard_normal((centres, dimensions))
    scatter = random.standard_normal((count, dimensions)) * random.uniform(0.3, 0.9, (count, 1))
    return (middle[random.integers(centres, size=count)] + scatter).astype(np.float16)


def partition(labels: np.ndarray) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(labels == label).tolist()) for label in np.unique(labels)}


@pytest.mark.parametrize("quantile", [0.02, 0.1, 0.3])
@pytest.mark.parametrize(("metric", "name"), [("euclidean", "sqeuclidean"), ("cosine", "cosine")])
def test_upgma_agrees_with_scipy(metric, name, quantile):
    vectors = blobs(150, 8, seed=3).astype(np.float64)
    distances = pdist(vectors, name)
    height = np.quantile(distances, quantile)
    expected = fcluster(linkage(distances, "average"), height, "distance")
    threshold = height if metric == "cosine" else height**0.5
    labels = upgma(faces(vectors, metric), squared_cut(threshold, metric))
    assert partition(labels) == partition(expected)
    assert 1 < len(partition(labels)) < 150


@pytest.mark.parametrize("cap", [2, 9, 40])
def test_splitting_large_components_changes_nothing(cap):
    units = faces(blobs(300, 6, seed=5), "euclidean")
    cut = 4.0
    components = connected(units, cut)
    assert np.bincount(components).max() > 100
    whole = cluster_components(units, components, cut=cut, cap=4000)
    assert (cluster_components(units, components, cut=cut, cap=cap) == whole).all()
    assert (upgma(units, cut) == whole).all()


def test_equidistant_vectors_beyond_the_cap_are_one_cluster():
    units = faces(np.eye(12), "euclidean")
    labels = cluster_components(units, connected(units, 2.0), cut=2.0, cap=4)
    assert labels.tolist() == [0] * 12
    assert connected(units, 1.999).tolist() == list(range(12))


def test_merged_units_stand_for_their_members():
    vectors = blobs(7, 5, seed=1).astype(np.float64)
    merged = faces(vectors, "euclidean").merged(np.array([1, 0, 1, 1, 0, 1, 0])).merged(np.array([0, 1]))
    pairs = np.square(vectors[[1, 4, 6]][:, None] - vectors[[0, 2, 3, 5]]).sum(axis=2)
    assert merged.squared_distances(np.array([0]), np.array([1])) == pytest.approx(pairs.mean(), rel=1e-12)
    assert merged.weight.tolist() == [3, 4]


def test_components_agree_with_every_pair_computed_by_itself(monkeypatch):
    units = faces(blobs(120, 16, seed=8, centres=30), "euclidean")
    i, j = (index.ravel() for index in np.indices((120, 120)))
    squares = units.squared_distances(i, j).reshape(120, 120)
    assert (squares == squares.T).all()
    for cut in np.quantile(squares, [0.01, 0.02, 0.03]):
        count, expected = connected_components(squares <= cut, directed=False)
        whole = connected(units, cut)
        assert 1 < count < 120
        assert partition(whole) == partition(expected)
        with monkeypatch.context() as small:
            small.setattr(components_module, "BLOCK", 7)
            small.setattr(units_module, "CHUNK", 5)
            assert (connected(units, cut) == whole).all()


@pytest.mark.parametrize("dimensions", [128, 512])
def test_a_pair_at_the_very_threshold_is_decided_exactly_and_in_both_directions(dimensions):
    units = faces(blobs(40, dimensions, seed=2), "cosine")
    first = np.array([0])
    for other in range(1, 40):
        second = np.array([other])
        square = float(units.squared_distances(first, second)[0])
        assert units.squared_distances(second, first)[0] == square
        for rows, columns in ((first, second), (second, first)):
            near = join(np.arange(40), units, square, rows=rows, columns=columns)
            apart = join(np.arange(40), units, np.nextafter(square, 0), rows=rows, columns=columns)
            assert near[other] == 0
            assert apart[other] == other


def test_wrong_vectors_are_refused():
    with pytest.raises(ValueError, match="shape"):
        faces(np.zeros(3), "euclidean")
    with pytest.raises(ValueError, match="unknown metric"):
        faces(np.ones((1, 2)), "manhattan")
    with pytest.raises(ValueError, match="no direction"):
        faces(np.array([[1.0, 0.0], [0.0, -0.0]]), "cosine")
    for value in (np.nan, np.inf):
        with pytest.raises(ValueError, match="finite"):
            faces(np.array([[1.0, value]]), "euclidean")
    for threshold in (0.0, -1.0, np.inf, np.nan):
        with pytest.raises(ValueError, match="positive"):
            squared_cut(threshold, "cosine")
