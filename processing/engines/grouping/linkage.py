"""Average linkage (UPGMA: Sokal and Michener 1958) over squared Euclidean distance, cut at a height.

Under this linkage a union is never nearer to a third set than the nearer of its parts was ("reducible":
Bruynooghe 1978). Two consequences carry everything here. Merges up to a height never cross the components of
the threshold graph at that height, so components are clustered one by one. And clustering up to a lower
height first, then going on with the clusters as units, gives the same hierarchy, so a component too large for
a distance matrix is split by the components of a lower height until the parts fit, without any approximation.

Where people have decided who is not whom, the nearest two that may come together merge (cannot-link constraints
in agglomerative clustering: Davidson and Ravi, Using instance-level constraints in agglomerative hierarchical
clustering, 2009). Two that may not are infinitely far from each other, and so is then every union of theirs: it
is the weighted mean of the parts' distances. Both consequences hold as before: two sets may merge if all pairs
between them may, and one of these is within the height. That faces of one person must be together is no matter of
the linkage, but of `persons`: the looks of somebody that are far apart stay clusters of their own, each of which
attracts those who look like it.
"""

import numpy as np

from processing.engines.grouping.components import connected
from processing.engines.grouping.limits import Limits
from processing.engines.grouping.units import Units

RESOLUTION = 2.0**-40  # of the largest square: below it, float64 cannot tell heights apart


def cluster_components(
    units: Units, components: np.ndarray, *, cut: float, cap: int, low: float = 0.0, limits: Limits | None = None
) -> np.ndarray:
    """Cluster each component by itself: labels (m,) from 0, numbered by the first unit of each cluster.

    `components` (m,) are the components at height `cut`; `low` is a height up to which nothing is left to
    merge; `cap` is the largest number of units for which a distance matrix (cap^2 float64, twice) is made;
    `limits` say which units may not come together.
    """
    labels = np.arange(len(units))
    order = np.argsort(components, kind="stable")
    _, starts, sizes = np.unique(components[order], return_index=True, return_counts=True)
    for start, size in zip(starts[sizes > 1], sizes[sizes > 1], strict=True):
        members = order[start : start + size]
        own = None if limits is None else limits[members]
        clusters = _cluster_connected(units[members], own or None, cut=cut, cap=cap, low=low)
        _, first = np.unique(clusters, return_index=True)
        labels[members] = members[first][clusters]
    return np.unique(labels, return_inverse=True)[1]


def _cluster_connected(units: Units, limits: Limits | None, *, cut: float, cap: int, low: float) -> np.ndarray:
    largest = units.square.max()
    if len(units) <= cap or not largest or cut - low <= RESOLUTION * largest:
        return upgma(units, cut, limits)
    middle = (low + cut) / 2
    finer = cluster_components(units, connected(units, middle, limits), cut=middle, cap=cap, low=low, limits=limits)
    merged = units.merged(finer)
    merged_limits = None if limits is None else limits.merged(finer)
    coarse = connected(merged, cut, merged_limits)
    return cluster_components(merged, coarse, cut=cut, cap=cap, low=middle, limits=merged_limits)[finer]


def upgma(units: Units, cut: float, limits: Limits | None = None) -> np.ndarray:
    """Clusters (m,) from 0, numbered by first unit: the two nearest that may merge do while they are within `cut`.

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
    if limits is not None:
        every = np.arange(len(units))
        distances[limits.apart(every[:, None], every)] = np.inf
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
