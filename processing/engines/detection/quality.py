"""How good a face is for recognition: large, sharp, and turned to the camera."""

from collections.abc import Sequence

import numpy as np

# the side in pixels from which more pixels help no embedding model: they take 150 or 160
FULL_SIDE = 160.0
# mean absolute Laplacian, in grey levels, of a face in focus scaled to 64 px
FULL_SHARPNESS = 8.0
SAMPLE_SIDE = 64


def face_quality(image: np.ndarray, *, box: Sequence[float], landmarks: Sequence[Sequence[float]]) -> float:
    """Give the product of size, sharpness and pose of a face, each a fraction: any one of them can spoil it.

    `image` is RGB uint8 (height, width, 3); box and the five landmarks are in its pixels.
    """
    return size_score(box) * sharpness_score(image, box) * pose_score(landmarks)


def size_score(box: Sequence[float]) -> float:
    """Score the shorter side of the box against what the embedding models take."""
    return float(np.clip(min(box[2] - box[0], box[3] - box[1]) / FULL_SIDE, 0, 1))


def sharpness_score(image: np.ndarray, box: Sequence[float]) -> float:
    """Score the mean absolute Laplacian (Pech-Pacheco et al., Diatom autofocusing, 2000, in its L1 form).

    The face is sampled at one size, so that a small face is not taken for a sharp one.
    """
    height, width = image.shape[:2]
    rows = np.linspace(max(box[1], 0), min(box[3], height) - 1, SAMPLE_SIDE).round().astype(int)
    columns = np.linspace(max(box[0], 0), min(box[2], width) - 1, SAMPLE_SIDE).round().astype(int)
    grey = image[rows.clip(0, height - 1)[:, None], columns.clip(0, width - 1)[None, :]].mean(axis=2)
    inner = grey[1:-1, 1:-1]
    laplacian = 4 * inner - grey[:-2, 1:-1] - grey[2:, 1:-1] - grey[1:-1, :-2] - grey[1:-1, 2:]
    return float(np.clip(np.abs(laplacian).mean() / FULL_SHARPNESS, 0, 1))


def pose_score(landmarks: Sequence[Sequence[float]]) -> float:
    """Score how far a face is turned to the camera: 1 for a frontal one, 0 for one whose nose lies beyond an eye.

    In the frame in which the eyes are level, the nose of a frontal face lies half-way between them (yaw). Rotation in
    the plane does not matter, since embedding models align their faces.
    """
    left, right, nose = (np.asarray(point, dtype=np.float64) for point in landmarks[:3])
    between = right - left
    distance = float(between @ between)
    if distance == 0:
        return 0.0
    along = float((nose - left) @ between) / distance
    return float(np.clip(1 - 2 * abs(along - 0.5), 0, 1))
