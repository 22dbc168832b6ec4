"""dlib's face ResNet: 128 dimensions, compared by Euclidean distance.

King, High quality face recognition with deep metric learning, dlib blog, 2017.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from processing.engines.embedding.base import AlignedInput

NET = "dlib_face_recognition_resnet_model_v1.dat"
LANDMARKS = "shape_predictor_5_face_landmarks.dat"
# what the net was trained on
CHIP_SIDE, CHIP_PADDING = 150, 0.25


class DlibEmbedder:
    """Aligns by dlib's own five points, found inside the detected box, as the net was trained."""

    def __init__(self, folder: Path, *, name: str, dimensions: int) -> None:
        import dlib

        self.name = name
        self.dimensions = dimensions
        self._dlib = dlib
        self._net = dlib.face_recognition_model_v1(str(folder / NET))
        self._predictor = dlib.shape_predictor(str(folder / LANDMARKS))

    def embed(self, faces: Sequence[AlignedInput]) -> np.ndarray:
        """Give float32 (n, 128); not normalised."""
        if not faces:
            return np.empty((0, self.dimensions), dtype=np.float32)
        # one by one: a batch is no faster on a CPU, and the net keeps 4 MB for each face of its largest batch
        return np.array([self._net.compute_face_descriptor(self._align(face)) for face in faces], dtype=np.float32)

    def _align(self, face: AlignedInput) -> Any:
        box = self._dlib.rectangle(*(round(value) for value in face.box))
        points = self._predictor(face.image, box)
        return self._dlib.get_face_chip(face.image, points, size=CHIP_SIDE, padding=CHIP_PADDING)
