"""The threshold graph, an edge wherever two units lie within a squared distance, and its components.

Distances are computed blockwise, so memory is bounded by the blocks and not by the number of edges. Blocks
are float32 matrix products, whose last bits depend on the shape of the block and on the BLAS; therefore they
decide only what lies outside their own rounding error, and pairs inside it are decided by
`Units.squared_distances`. The graph is thereby the same whichever blocks it was found in.
"""

from collections.abc import Iterator

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from processing.engines.grouping.limits import Limits
from processing.engines.grouping.units import Units

BLOCK = 2048  # units to a side: 16 MiB of float32, and at most twelve times that for the pairs found in it


def connected(units: Units, cut: float, limits: Limits | None = None) -> np.ndarray:
    """Components of the threshold graph: labels (m,), each the smallest index of its component.

    With `limits`, pairs that may not come together are no edges.
    """
    labels = np.arange(len(units))
    return join(labels, units, cut, rows=labels.copy(), limits=limits)


def join(
    labels: np.ndarray,
    units: Units,
    cut: float,
    *,
    rows: np.ndarray,
    columns: np.ndarray | None = None,
    limits: Limits | None = None,
) -> np.ndarray:
    """Labels (m,) in which components with an edge between them, from `rows` to `columns`, are united.

    `labels` are components known so far, each named by one of its indices; `rows` and `columns` are indices
    of units; without `columns` the edges among `rows` themselves are meant.
    """
    for left, right, certain in _near_pairs(units, cut, rows, columns):
        if limits is not None:
            may = ~limits.apart(left, right)
            left, right, certain = left[may], right[may], certain[may]  # noqa: PLW2901 - the pairs that are left
        apart = certain & (labels[left] != labels[right])
        labels = _united(labels, left[apart], right[apart])
        # Only the uncertain that no other edge has joined are worth a float64 sum.
        apart = ~certain & (labels[left] != labels[right])
        doubtful = left[apart], right[apart]
        near = units.squared_distances(*doubtful) <= cut
        labels = _united(labels, doubtful[0][near], doubtful[1][near])
    return labels


def _near_pairs(
    units: Units, cut: float, rows: np.ndarray, columns: np.ndarray | None
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Blocks of pairs (left, right, certain): all that may lie within `cut`; a pair that is certain does.

    The product of the extended rows is minus half the squared distance. Its error is at most (d + 2) u times
    the sum of the absolute terms (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1, any
    order of summation), u being 2^-24, and those are at most twice the largest square; the rest of `slack`
    covers rounding the inputs.
    """
    if not len(rows) or (columns is not None and not len(columns)):
        return
    slack = (units.mean.shape[1] + 8) * 2.0**-23 * units.square.max()
    for top in range(0, len(rows), BLOCK):
        strip = rows[top : top + BLOCK]
        left = _extended(units, strip, ones_first=False)
        others = rows[top:] if columns is None else columns
        for start in range(0, len(others), BLOCK):
            block = others[start : start + BLOCK]
            products = left @ _extended(units, block, ones_first=True).T
            # flatnonzero: on a matrix, nonzero is twenty times slower
            found = np.flatnonzero(products >= np.float32(-cut / 2 - slack))
            i, j = np.divmod(found, len(block))
            yield strip[i], block[j], products.ravel()[found] > -cut / 2 + slack


def _extended(units: Units, index: np.ndarray, *, ones_first: bool) -> np.ndarray:
    """Rows (k, d + 2) float32: the means, then minus half the squares and ones, or the other way round."""
    rows = np.empty((len(index), units.mean.shape[1] + 2), np.float32)
    rows[:, :-2] = units.mean[index]
    rows[:, -1 if ones_first else -2] = units.square[index] / -2
    rows[:, -2 if ones_first else -1] = 1
    return rows


def _united(labels: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    if not len(left):
        return labels
    ends = labels[left], labels[right]
    seen = np.zeros(len(labels), bool)
    for end in ends:
        seen[end] = True
    involved = np.flatnonzero(seen)
    position = np.empty(len(labels), np.int64)
    position[involved] = np.arange(len(involved))
    i, j = (position[end] for end in ends)
    graph = coo_array((np.ones(len(i), bool), (i, j)), shape=(len(involved), len(involved)))
    _, merged = connected_components(graph, directed=False)
    # `involved` ascends, so the first of each component is its smallest label.
    _, first = np.unique(merged, return_index=True)
    names = np.arange(len(labels))
    names[involved] = involved[first][merged]
    return names[labels]
