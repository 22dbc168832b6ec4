"""Area resampling of many windows at once, from one integral image.

Equal to averaging the source pixels of each output pixel, as torch's `interpolate(mode="area")` (adaptive average
pooling) does: output pixel i of n covers the source pixels from floor(i * size / n) to ceil((i + 1) * size / n).
Integral images: Crow, Summed-area tables for texture mapping, SIGGRAPH 1984.
"""

import numpy as np

# what MTCNN's nets were trained on: pixels of 0 to 255 become -1 to 1
MEAN, SCALE = np.float32(127.5), np.float32(0.0078125)


class AreaSampler:
    """Windows of one image, scaled to what a net takes.

    `image` is uint8 (height, width, 3). Sums are exact integers; an image of up to 8 megapixels fits.
    """

    def __init__(self, image: np.ndarray) -> None:
        self.height, self.width = image.shape[:2]
        table = np.zeros((self.height + 1, self.width + 1, 3), dtype=np.uint32)
        np.cumsum(image, axis=0, dtype=np.uint32, out=table[1:, 1:])
        np.cumsum(table[1:, 1:], axis=1, out=table[1:, 1:])
        self._table = table

    def whole(self, height: int, width: int) -> np.ndarray:
        """Scale the whole image; gives normalised float32 (1, 3, height, width)."""
        top, bottom = _edges(np.array([0]), np.array([self.height]), height)
        left, right = _edges(np.array([0]), np.array([self.width]), width)
        rows = self._table[bottom[0]].astype(np.int64) - self._table[top[0]]
        sums = rows[:, right[0]] - rows[:, left[0]]
        areas = (bottom[0] - top[0])[:, None] * (right[0] - left[0])[None, :]
        return _normalised((sums / areas[..., None])[None])

    def windows(self, boxes: np.ndarray, side: int) -> np.ndarray:
        """Scale windows (n, 4) of [left, top, right, bottom) pixels; gives normalised float32 (n, 3, side, side)."""
        left, right = _edges(boxes[:, 0], boxes[:, 2], side)
        top, bottom = _edges(boxes[:, 1], boxes[:, 3], side)
        table = self._table
        upper, lower = top[:, :, None], bottom[:, :, None]
        first, last = left[:, None, :], right[:, None, :]
        # unsigned differences wrap around and come out right: the sum of a window fits
        sums = table[lower, last] - table[upper, last] - table[lower, first] + table[upper, first]
        areas = (lower - upper) * (last - first)
        return _normalised(sums / areas[..., None])


def _edges(start: np.ndarray, end: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Give the first and the last source pixel + 1 of each of `count` output pixels, for each window: (n, count)."""
    size = (end - start)[:, None]
    index = np.arange(count)[None, :]
    return start[:, None] + index * size // count, start[:, None] - (-(index + 1) * size // count)


def _normalised(means: np.ndarray) -> np.ndarray:
    pixels = (means.astype(np.float32) - MEAN) * SCALE
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
