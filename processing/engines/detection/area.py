"""Area resampling of many windows at once, from one integral image.

Equal to averaging the source pixels of each output pixel, as torch's `interpolate(mode="area")` (adaptive average
pooling) does: output pixel i of n covers the source pixels from floor(i * size / n) to ceil((i + 1) * size / n).
Integral images: Crow, Summed-area tables for texture mapping, SIGGRAPH 1984.

The three channels are summed at once, side by side in one 64-bit number. Sums from the image's corner overflow into
each other there, and differences of them come out right all the same, as long as what they stand for fits its place.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

# what MTCNN's nets were trained on: pixels of 0 to 255 become -1 to 1
MEAN, SCALE = 127.5, 0.0078125
CHANNEL_BITS = 21
CHANNEL_MASK = (1 << CHANNEL_BITS) - 1
# more pixels than this in one difference could overflow their channel: such windows are summed in parts
MAX_AREA = CHANNEL_MASK // 255
# of the image, added at a time: they stay in the processor's cache
ROWS_AT_ONCE = 32


class AreaSampler:
    """Windows of one image, scaled to what a net takes. `image` is uint8 (height, width, 3)."""

    def __init__(self, image: np.ndarray) -> None:
        self.height, self.width = image.shape[:2]
        self._table = np.empty((self.height + 1, self.width + 1), dtype=np.int64)
        self._table[0], self._table[:, 0] = 0, 0
        for top in range(0, self.height, ROWS_AT_ONCE):
            packed = _packed(image[top : top + ROWS_AT_ONCE])
            bottom = top + len(packed)
            np.cumsum(packed, axis=1, out=self._table[top + 1 : bottom + 1, 1:])
            for row in range(top + 1, bottom + 1):
                self._table[row] += self._table[row - 1]

    def whole(self, height: int, width: int) -> np.ndarray:
        """Scale the whole image; gives normalised float32 (1, 3, height, width)."""
        top, bottom = (edge[0] for edge in _edges(np.array([0]), np.array([self.height]), height))
        left, right = (edge[0] for edge in _edges(np.array([0]), np.array([self.width]), width))
        rows = self._table.take(bottom, axis=0)
        rows -= self._table.take(top, axis=0)
        columns = [rows.take(cut, axis=1)[None] for cut in _cuts(left, right, height=(bottom - top).max())]
        return _normalised_means(columns, (bottom - top)[None, :, None] * (right - left))

    def windows(self, boxes: np.ndarray, side: int) -> np.ndarray:
        """Scale windows (n, 4) of [left, top, right, bottom) pixels; gives normalised float32 (n, 3, side, side)."""
        left, right = (edge[:, None, :] for edge in _edges(boxes[:, 0], boxes[:, 2], side))
        top, bottom = (edge[:, :, None] for edge in _edges(boxes[:, 1], boxes[:, 3], side))
        table, stride = self._table.ravel(), self.width + 1
        columns = [
            table.take(bottom * stride + cut) - table.take(top * stride + cut)
            for cut in _cuts(left, right, height=(bottom - top).max(initial=0))
        ]
        return _normalised_means(columns, (bottom - top) * (right - left))


def _packed(pixels: np.ndarray) -> np.ndarray:
    """Put the three channels of (rows, columns, 3) side by side: int64 (rows, columns)."""
    wide = pixels.astype(np.int64)
    packed = wide[..., 2] << CHANNEL_BITS
    packed |= wide[..., 1]
    packed <<= CHANNEL_BITS
    packed |= wide[..., 0]
    return packed


def _edges(start: np.ndarray, end: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Give the first and the last source pixel + 1 of each of `count` output pixels, for each window: (n, count)."""
    size = (end - start)[:, None]
    index = np.arange(count)
    return start[:, None] + index * size // count, start[:, None] - (-(index + 1) * size // count)


def _cuts(left: np.ndarray, right: np.ndarray, *, height: int) -> list[np.ndarray]:
    """Give the columns between which windows are summed: their edges, and more between these for very large ones."""
    widest = max(MAX_AREA // max(height, 1), 1)
    parts = max(-(-int((right - left).max(initial=0)) // widest), 1)
    return [left + (right - left) * part // parts for part in range(parts + 1)]


def _normalised_means(columns: Sequence[np.ndarray], areas: np.ndarray) -> np.ndarray:
    """Turn packed sums left of each cut, (n, height, width), into means: normalised float32 (n, 3, height, width)."""
    sums = sum(_unpacked(right - left) for left, right in pairwise(columns))
    sums *= (SCALE / areas).astype(np.float32)[:, None]
    sums -= MEAN * SCALE
    return sums


def _unpacked(packed: np.ndarray) -> np.ndarray:
    """Take packed channels apart, consuming them: float32 (n, 3, height, width)."""
    count, height, width = packed.shape
    channels = np.empty((count, 3, height, width), dtype=np.float32)
    for channel in range(3):
        channels[:, channel] = packed & CHANNEL_MASK
        packed >>= CHANNEL_BITS
    return channels
