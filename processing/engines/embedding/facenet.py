"""facenet-pytorch's InceptionResnetV1: 512 dimensions, unit vectors.

Schroff et al., FaceNet: A unified embedding for face recognition and clustering, 2015. Crop and normalisation are those
of facenet-pytorch's own `MTCNN(image_size=160, margin=0)`, which its published accuracy rests on.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from processing.engines import openvino_cpu
from processing.engines.embedding.base import AlignedInput
from processing.engines.torch_device import exact_device

SIDE = 160


class Net(Protocol):
    """The net on a device: float32 (n, 3, 160, 160) in, float32 (n, 512) out."""

    faces_per_inference: int

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """Run the net."""


class OpenVinoNet:
    """The net as an OpenVINO file, converted once from facenet-pytorch's module. Imports no torch."""

    # has nearly all of the gain of larger batches, and a fraction of their memory
    faces_per_inference = 8

    def __init__(self, path: Path) -> None:
        self._request = openvino_cpu.compile_net(path)

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """Run the net."""
        return openvino_cpu.infer(self._request, batch)[0]


class TorchNet:
    """The net as a torch module. Written for CUDA, on which it was not run; the tests run it on a CPU."""

    faces_per_inference = 64

    def __init__(self, weights: Path, *, device: str) -> None:
        import torch

        from processing.engines.conversion import facenet_module

        self._torch = torch
        self._device = exact_device(device)
        self._module = facenet_module(weights).to(self._device)

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """Run the net."""
        with self._torch.inference_mode():
            return self._module(self._torch.from_numpy(batch).to(self._device)).cpu().numpy()


class FacenetEmbedder:
    """Crops to the detected box and runs the net in batches."""

    def __init__(self, net: Net, *, name: str, dimensions: int) -> None:
        self.name = name
        self.dimensions = dimensions
        self._net = net

    def embed(self, faces: Sequence[AlignedInput]) -> np.ndarray:
        """Give float32 (n, 512), each of length 1."""
        if not faces:
            return np.empty((0, self.dimensions), dtype=np.float32)
        size = self._net.faces_per_inference
        chunks = (faces[start : start + size] for start in range(0, len(faces), size))
        vectors = np.concatenate([self._net(np.stack([_crop(face) for face in chunk])) for chunk in chunks])
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _crop(face: AlignedInput) -> np.ndarray:
    """Cut the box out, scale it to 160 px and normalise it (fixed image standardisation)."""
    height, width = face.image.shape[:2]
    left, top, right, bottom = face.box
    window = (int(max(left, 0)), int(max(top, 0)), int(min(right, width)), int(min(bottom, height)))
    pixels = Image.fromarray(face.image).crop(window).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    return ((np.asarray(pixels, dtype=np.float32) - 127.5) / 128.0).transpose(2, 0, 1)
