"""Face detection: boxes, landmarks, confidence and quality from an RGB image."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from processing.engines import installation
from processing.engines.detection.mtcnn import DetectedFace, MtcnnDetector
from processing.engines.detection.nets import OpenVinoNets, TorchNets

__all__ = ["DetectedFace", "Detector", "load_detector"]


class Detector(Protocol):
    """Finds faces."""

    def detect(self, images: Sequence[np.ndarray]) -> list[list[DetectedFace]]:
        """Find the faces of RGB images, uint8 (height, width, 3) of any size; best first for each image."""


def load_detector(name: str, *, models_dir: Path, device: str) -> Detector:
    """Load an installed detector for a device, `cpu` or `cuda`.

    Raises ModelNotInstalledError, WeightsMismatchError.
    """
    model = installation.require(name, models_dir, device=device)
    if device == "cuda":
        return MtcnnDetector(TorchNets(model.folder, device=device))
    return MtcnnDetector(OpenVinoNets(model.folder))
