"""Boxes of the MTCNN cascade: candidates, suppression, refinement.

Zhang et al., Joint Face Detection and Alignment using Multitask Cascaded Convolutional Networks, 2016, with the
conventions of facenet-pytorch, whose weights are used. Boxes are float32 (n, 4): left, top, right, bottom in pixels.
"""

from itertools import pairwise

import numpy as np

STRIDE, CELL = 2, 12
# rows of the matrix of overlaps: it stays in the processor's cache
COMPARED_AT_ONCE = 64


def candidates(
    offsets: np.ndarray, scores: np.ndarray, *, scale: float, threshold: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Turn P-Net's maps at one scale into boxes; gives boxes (n, 4), scores (n,), offsets (n, 4).

    `offsets` is (4, rows, columns), `scores` (rows, columns).
    """
    rows, columns = np.nonzero(scores >= threshold)
    corner = np.stack([columns, rows], axis=1).astype(np.float32)
    scale32 = np.float32(scale)
    first = np.floor((STRIDE * corner + 1) / scale32)
    last = np.floor((STRIDE * corner + CELL) / scale32)
    return np.concatenate([first, last], axis=1), scores[rows, columns], offsets[:, rows, columns].T


def suppress(boxes: np.ndarray, scores: np.ndarray, threshold: float) -> np.ndarray:
    """Greedy non-maximum suppression by intersection over union; gives the kept indices, best first."""
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return _suppress(boxes, scores, areas, threshold, border=0, by_smaller=False)


def suppress_by_smaller(boxes: np.ndarray, scores: np.ndarray, threshold: float) -> np.ndarray:
    """The same by intersection over the smaller box, with boxes that include their last pixel."""
    areas = (boxes[:, 2] - boxes[:, 0] + 1) * (boxes[:, 3] - boxes[:, 1] + 1)
    return _suppress(boxes, scores, areas, threshold, border=1, by_smaller=True)


def _suppress(
    boxes: np.ndarray, scores: np.ndarray, areas: np.ndarray, threshold: float, *, border: int, by_smaller: bool
) -> np.ndarray:
    order = np.argsort(-scores, kind="stable")
    better, worse = _overlapping(boxes[order], areas[order], threshold, border=border, by_smaller=by_smaller)
    by_better = np.argsort(better, kind="stable")
    worse = worse[by_better]
    ends = np.searchsorted(better[by_better], np.arange(len(order) + 1)).tolist()
    is_kept = np.ones(len(order), dtype=bool)
    for place, (start, end) in enumerate(pairwise(ends)):
        if start < end and is_kept[place]:
            is_kept[worse[start:end]] = False
    return order[is_kept]


def _overlapping(
    boxes: np.ndarray, areas: np.ndarray, threshold: float, *, border: int, by_smaller: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Give the pairs of boxes, as places in `boxes`, that overlap by more than the threshold: smaller places, larger.

    Boxes are compared a block at a time, and only with those that begin above the block's lower end.
    """
    downwards = np.argsort(boxes[:, 1], kind="stable")
    left, top, right, bottom = np.ascontiguousarray(boxes[downwards].T)
    areas = areas[downwards]
    found = []
    for start in range(0, len(boxes), COMPARED_AT_ONCE):
        block = slice(start, start + COMPARED_AT_ONCE), None
        others = slice(start, np.searchsorted(top, bottom[block].max() + border, side="right"))
        width = np.minimum(right[block], right[others]) - np.maximum(left[block], left[others]) + border
        height = np.minimum(bottom[block], bottom[others]) - np.maximum(top[block], top[others]) + border
        shared = np.maximum(width, 0) * np.maximum(height, 0)
        one, other = areas[block], areas[others]
        base = np.minimum(one, other) if by_smaller else one + other - shared
        # a box without an area shares nothing with itself: 0 / 0 is not above any threshold
        with np.errstate(invalid="ignore"):
            found.append(np.argwhere(shared / base > np.float32(threshold)) + start)
    pairs = downwards[np.concatenate(found)] if found else np.empty((0, 2), dtype=np.int64)
    smaller, larger = pairs.min(axis=1), pairs.max(axis=1)
    differ = smaller < larger
    return smaller[differ], larger[differ]


def shifted(boxes: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Apply P-Net's offsets, in lengths of the box."""
    sides = boxes[:, 2:] - boxes[:, :2]
    return boxes + offsets * np.concatenate([sides, sides], axis=1)


def refined(boxes: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Apply R-Net's or O-Net's offsets, in lengths of the box with its last pixel."""
    sides = boxes[:, 2:] - boxes[:, :2] + 1
    return boxes + offsets * np.concatenate([sides, sides], axis=1)


def squared(boxes: np.ndarray) -> np.ndarray:
    """Make boxes square about their centres, as long as their longer side."""
    sides = boxes[:, 2:] - boxes[:, :2]
    longer = sides.max(axis=1, keepdims=True)
    first = boxes[:, :2] + sides * np.float32(0.5) - longer * np.float32(0.5)
    return np.concatenate([first, first + longer], axis=1)


def clipped_windows(boxes: np.ndarray, *, width: int, height: int) -> np.ndarray:
    """Give the pixel windows [left, top, right, bottom) of boxes inside an image: int64 (n, 4), may be empty ones."""
    whole = np.trunc(boxes).astype(np.int64)
    first = np.maximum(whole[:, :2], 1) - 1
    last = np.minimum(whole[:, 2:], [width, height])
    return np.concatenate([first, last], axis=1)


def has_area(windows: np.ndarray) -> np.ndarray:
    """Tell which windows hold at least one pixel."""
    return (windows[:, 2] > windows[:, 0]) & (windows[:, 3] > windows[:, 1])


def touches(boxes: np.ndarray, *, width: int, height: int) -> np.ndarray:
    """Tell which boxes are finite and share an area with an image: offsets may turn one inside out, or move it away."""
    inside = np.clip(boxes, 0, np.array([width, height, width, height], dtype=np.float32))
    return np.isfinite(boxes).all(axis=1) & has_area(inside)
