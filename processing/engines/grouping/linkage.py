"""Average linkage (UPGMA: Sokal and Michener 1958) over squared Euclidean distance, cut at a height.

Under this linkage a union is never nearer to a third set than the nearer of its parts was ("reducible":
Bruynooghe 1978). Two consequences carry everything here. Merges up to a height never cross the components of
the threshold graph at that height, so components are clustered one by one. And clustering up to a lower
height first, then going on with the clusters as units, gives the same hierarchy, so a component too large for
a distance matrix is split by the components of a lower height until the parts fit, without any approximation.
"""

import numpy as np

from processing.engines.grouping.components import connected
from processing.engines.grouping.units import Units

RESOLUTION = 2.0**-40  # of the largest square: below it, float64 cannot tell heights apart


def cluster_components(units: Units, components: np.ndarray, *, cut: float, cap: int, low: float = 0.0) -> np.ndarray:
    """Cluster each component by itself: labels (m,) from 0, numbered by the first unit of each cluster.

    `components` (m,) are the components at height `cut`; `low` is a height up to which nothing is left to
    merge; `cap` is the largest number of units for which a distance matrix (cap^2 float64, twice) is made.
    """
    labels = np.arange(len(units))
    order = np.argsort(components, kind="stable")
    _, starts, sizes = np.unique(components[order], return_index=True, return_counts=True)
    for start, size in zip(starts[sizes > 1], sizes[sizes > 1], strict=True):
        members = order[start : start + size]
        clusters = _cluster_connected(units[members], cut=cut, cap=cap, low=low)
        _, first = np.unique(clusters, return_index=True)
        labels[members] = members[first][clusters]
    return np.unique(labels, return_inverse=True)[1]


def _cluster_connected(units: Units, *, cut: float, cap: int, low: float) -> np.ndarray:
    if len(units) <= cap or cut - low <= RESOLUTION * units.square.max():
        return upgma(units, cut)
    middle = (low + cut) / 2
    finer = cluster_components(units, connected(units, middle), cut=middle, cap=cap, low=low)
    merged = units.merged(finer)
    return cluster_components(merged, connected(merged, cut), cut=cut, cap=cap, low=middle)[finer]


def upgma(units: Units, cut: float) -> np.ndarray:
    """Clusters (m,) from 0, numbered by first unit: the two nearest merge while they are within `cut`.

    The generic algorithm of Müllner (Modern hierarchical, agglomerative clustering algorithms, 2011): each
    unit keeps a lower bound on the distance to its nearest, made exact only when it comes up. Of equal
    distances the lowest indices win, so the result depends on the order of the units in nothing but ties.
    SciPy's linkage does not take weights, and computes the whole hierarchy.
    """
    mean = units.mean.astype(np.float64)
    products = mean @ mean.T
    products *= 2
    distances = np.add.outer(units.square, units.square)
    distances -= products
    del products
    np.fill_diagonal(distances, np.inf)
    bounds = distances.min(axis=1)
    weight = units.weight.copy()
    owner = np.arange(len(units))
    while bounds[i := int(bounds.argmin())] <= cut:
        j = int(distances[i].argmin())
        if distances[i, j] > bounds[i]:
            bounds[i] = distances[i, j]
            continue
        i, j = min(i, j), max(i, j)
        row = (weight[i] * distances[i] + weight[j] * distances[j]) / (weight[i] + weight[j])
        weight[i] += weight[j]
        distances[j] = distances[:, j] = np.inf
        row[[i, j]] = np.inf
        distances[i] = distances[:, i] = row
        bounds[j] = np.inf
        bounds[i] = row.min()
        # Rounding may bring the union nearer than its parts were, by a last bit: a bound must stay below.
        np.minimum(bounds, row, out=bounds)
        owner[owner == j] = i
    return np.unique(owner, return_inverse=True)[1]
