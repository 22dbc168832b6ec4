"""What every embedder takes and gives."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True, slots=True)
class AlignedInput:
    """A face chip, RGB uint8 (height, width, 3), unrotated, with the face's box and five landmarks in its pixels.

    Each model makes its own alignment from it.
    """

    image: np.ndarray
    box: Sequence[float]
    landmarks: Sequence[Sequence[float]]


class Embedder(Protocol):
    """Embeds faces with one model."""

    name: str
    dimensions: int

    def embed(self, faces: Sequence[AlignedInput]) -> np.ndarray:
        """Give float32 (n, dimensions), a row per face."""
