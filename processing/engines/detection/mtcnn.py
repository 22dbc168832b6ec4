"""MTCNN on one image: an image pyramid through P-Net, what is left through R-Net, what is left through O-Net.

The nets are pluggable; the steps between them are numpy. Gives the boxes of facenet-pytorch's own MTCNN to a hundredth
of a pixel, which a test holds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from processing.engines.detection import boxes as rules
from processing.engines.detection.area import AreaSampler
from processing.engines.detection.quality import face_quality

# pixels of a 1440 px preview: smaller faces have too few pixels for any embedding
MIN_FACE_SIDE = 20
PYRAMID_FACTOR = 0.709
THRESHOLDS = (0.6, 0.7, 0.7)


Net = Callable[[np.ndarray], tuple[np.ndarray, ...]]


class Nets(Protocol):
    """The three nets. Inputs are normalised float32 (n, 3, height, width)."""

    crops_per_inference: int

    def proposals(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """P-Net: offsets (n, 4, rows, columns) and face scores (n, rows, columns)."""

    def refine(self, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """R-Net on 24 px crops: offsets (n, 4) and face scores (n,)."""

    def finish(self, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """O-Net on 48 px crops: offsets (n, 4), landmarks (n, 10) as five x then five y, face scores (n,)."""


@dataclass(frozen=True, slots=True)
class DetectedFace:
    """A face in pixels of the image. `confidence` and `quality` are fractions.

    `landmarks` are left eye, right eye, nose, left and right corner of the mouth, as seen in the image.
    """

    box: tuple[float, float, float, float]
    landmarks: tuple[tuple[float, float], ...]
    confidence: float
    quality: float


class MtcnnDetector:
    """Finds faces with MTCNN on the nets that it is given."""

    def __init__(self, nets: Nets) -> None:
        self._nets = nets

    def detect(self, images: Sequence[np.ndarray]) -> list[list[DetectedFace]]:
        """Find the faces of RGB images, uint8 (height, width, 3) of any size; best first for each image."""
        return [self._detect(image) for image in images]

    def _detect(self, image: np.ndarray) -> list[DetectedFace]:
        sampler = AreaSampler(image)
        boxes = self._propose(sampler)
        boxes = self._refine(sampler, boxes)
        boxes, scores, landmarks = self._finish(sampler, boxes)
        return [
            DetectedFace(
                box=tuple(float(value) for value in box),
                landmarks=tuple((float(x), float(y)) for x, y in points),
                confidence=float(score),
                quality=face_quality(image, box=box, landmarks=points),
            )
            for box, score, points in zip(boxes, scores, landmarks, strict=True)
        ]

    def _propose(self, sampler: AreaSampler) -> np.ndarray:
        found = []
        for scale in _scales(sampler.height, sampler.width):
            image = sampler.whole(int(sampler.height * scale + 1), int(sampler.width * scale + 1))
            offsets, scores = self._nets.proposals(image)
            boxes, scores, offsets = rules.candidates(offsets[0], scores[0], scale=scale, threshold=THRESHOLDS[0])
            kept = rules.suppress(boxes, scores, 0.5)
            found.append((boxes[kept], scores[kept], offsets[kept]))
        if not found:
            return np.empty((0, 4), dtype=np.float32)
        boxes, scores, offsets = (np.concatenate(parts) for parts in zip(*found, strict=True))
        kept = rules.suppress(boxes, scores, 0.7)
        return rules.squared(rules.shifted(boxes[kept], offsets[kept]))

    def _refine(self, sampler: AreaSampler, boxes: np.ndarray) -> np.ndarray:
        boxes, windows = _windows(sampler, boxes)
        if not len(boxes):
            return boxes
        offsets, scores = self._in_chunks(self._nets.refine, sampler, windows, side=24)
        passed = scores > THRESHOLDS[1]
        boxes, scores, offsets = boxes[passed], scores[passed], offsets[passed]
        kept = rules.suppress(boxes, scores, 0.7)
        return rules.squared(rules.refined(boxes[kept], offsets[kept]))

    def _finish(self, sampler: AreaSampler, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        boxes, windows = _windows(sampler, boxes)
        if not len(boxes):
            return boxes, np.empty(0, dtype=np.float32), np.empty((0, 5, 2), dtype=np.float32)
        offsets, landmarks, scores = self._in_chunks(self._nets.finish, sampler, windows, side=48)
        passed = scores > THRESHOLDS[2]
        boxes, scores, offsets = boxes[passed], scores[passed], offsets[passed]
        # fractions of the box, five x before five y
        points = landmarks[passed].reshape(-1, 2, 5).transpose(0, 2, 1)
        sides = boxes[:, None, 2:] - boxes[:, None, :2] + 1
        points = sides * points + boxes[:, None, :2] - 1
        boxes = rules.refined(boxes, offsets)
        inside = rules.touches(boxes, width=sampler.width, height=sampler.height)
        boxes, scores, points = boxes[inside], scores[inside], points[inside]
        kept = rules.suppress_by_smaller(boxes, scores, 0.7)
        return boxes[kept], scores[kept], points[kept]

    def _in_chunks(self, net: Net, sampler: AreaSampler, windows: np.ndarray, *, side: int) -> list[np.ndarray]:
        size = self._nets.crops_per_inference
        starts = range(0, len(windows), size)
        outputs = [net(sampler.windows(windows[start : start + size], side)) for start in starts]
        return [np.concatenate(parts) for parts in zip(*outputs, strict=True)]


def _scales(height: int, width: int) -> list[float]:
    """Scales at which a face of the smallest side or larger fills P-Net's 12 px cell."""
    scale = 12.0 / MIN_FACE_SIDE
    side = min(height, width) * scale
    scales = []
    while side >= rules.CELL:
        scales.append(scale)
        scale *= PYRAMID_FACTOR
        side *= PYRAMID_FACTOR
    return scales


def _windows(sampler: AreaSampler, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give the boxes and their pixel windows; boxes that lie outside of the image are left out of both."""
    windows = rules.clipped_windows(boxes, width=sampler.width, height=sampler.height)
    inside = rules.has_area(windows)
    return boxes[inside], windows[inside]
