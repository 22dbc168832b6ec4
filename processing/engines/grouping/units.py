"""What is clustered: faces, and sets of faces that a mean, a mean square and a weight stand for."""

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np

Metric = Literal["euclidean", "cosine"]

CHUNK = 4096  # rows that are held in float64 at a time


@dataclass(frozen=True)
class Units:
    """m sets of vectors, each a face or a cluster of faces.

    The mean squared distance between the members of two sets is `square_a + square_b - 2 mean_a . mean_b`: a
    cluster can go on as a unit, and its members are not needed again.

    mean: (m, d) float32 for faces, float64 for clusters; square: (m,) float64, the mean squared norm of the
    members; weight: (m,) float64, how many they are.
    """

    mean: np.ndarray
    square: np.ndarray
    weight: np.ndarray

    def __len__(self) -> int:
        return len(self.square)

    def __getitem__(self, index: np.ndarray) -> Self:
        return type(self)(self.mean[index], self.square[index], self.weight[index])

    def squared_distances(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Mean squared distances (k,) of the pairs `left[i], right[i]`.

        Each pair is one float64 sum in a fixed order, so its value depends on the two units alone: not on
        which came first, nor on the pairs that are asked for beside it. For values of float16 precision
        and a norm of 1 or so it is even exact.
        """
        result = np.empty(len(left))
        for start in range(0, len(left), CHUNK):
            part = slice(start, start + CHUNK)
            i, j = left[part], right[part]
            dots = (self.mean[i].astype(np.float64) * self.mean[j].astype(np.float64)).sum(axis=1)
            result[part] = (self.square[i] + self.square[j]) - 2 * dots
        return result

    def merged(self, labels: np.ndarray) -> Self:
        """The units of each label as one unit; `labels` (m,) are 0 to k-1."""
        order = np.argsort(labels, kind="stable")
        starts = np.searchsorted(labels[order], np.arange(labels.max() + 1))
        weight = np.add.reduceat(self.weight[order], starts)
        shares = self.weight[order] / weight[labels[order]]
        mean = np.add.reduceat(self.mean[order] * shares[:, None], starts, axis=0)
        return type(self)(mean, np.add.reduceat(self.square[order] * shares, starts), weight)


def faces(vectors: np.ndarray, metric: Metric) -> Units:
    """Face embeddings (n, d), any float type, as units in which squared Euclidean distance decides.

    Cosine distance is half the squared Euclidean distance of unit vectors, so under "cosine" the vectors are
    normalised (and rounded to float32, which fixes the distance of a pair once and for all). Raises
    ValueError for a wrong shape or metric, a value that is not finite, and a zero vector under "cosine".
    """
    if vectors.ndim != 2:
        raise ValueError(f"vectors must be (n, d), not of shape {vectors.shape}")
    if metric not in ("euclidean", "cosine"):
        raise ValueError(f"unknown metric {metric!r}")
    mean = np.empty(vectors.shape, np.float32)
    square = np.empty(len(vectors))
    for start in range(0, len(vectors), CHUNK):
        part = slice(start, start + CHUNK)
        rows = vectors[part].astype(np.float64)
        if metric == "cosine":
            norms = np.sqrt((rows * rows).sum(axis=1, keepdims=True))
            if not norms.all():
                raise ValueError("a zero vector has no direction")
            rows /= norms
        mean[part] = rows
        rounded = mean[part].astype(np.float64)
        square[part] = (rounded * rounded).sum(axis=1)
    if not np.isfinite(square).all():
        raise ValueError("vectors must be finite")
    return Units(mean, square, np.ones(len(vectors)))


def squared_cut(threshold: float, metric: Metric) -> float:
    """The distance `threshold` of the metric as a squared Euclidean distance between units."""
    if not 0 < threshold < np.inf:
        raise ValueError("threshold must be positive and finite")
    return 2 * threshold if metric == "cosine" else threshold * threshold


def by_content(rows: np.ndarray) -> np.ndarray:
    """Rows (n, d) of floats as n opaque values that sort by their bytes: only content decides the order."""
    contiguous = np.ascontiguousarray(rows)
    return contiguous.view(np.dtype((np.void, contiguous.itemsize * contiguous.shape[1]))).ravel()
