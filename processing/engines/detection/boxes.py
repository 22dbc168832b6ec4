"""Boxes of the MTCNN cascade: candidates, suppression, refinement.

Zhang et al., Joint Face Detection and Alignment using Multitask Cascaded Convolutional Networks, 2016, with the
conventions of facenet-pytorch, whose weights are used. Boxes are float32 (n, 4): left, top, right, bottom in pixels.
"""

import numpy as np

STRIDE, CELL = 2, 12


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
    boxes, areas = boxes[order], areas[order]
    alive = np.arange(len(order))
    kept = []
    while alive.size:
        best, rest = alive[0], alive[1:]
        kept.append(best)
        low = np.maximum(boxes[best, :2], boxes[rest, :2])
        high = np.minimum(boxes[best, 2:], boxes[rest, 2:])
        sides = np.maximum(high - low + border, 0)
        shared = sides[:, 0] * sides[:, 1]
        base = np.minimum(areas[best], areas[rest]) if by_smaller else areas[best] + areas[rest] - shared
        alive = rest[shared / base <= np.float32(threshold)]
    return order[np.array(kept, dtype=np.int64)]


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
