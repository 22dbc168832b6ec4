"""The two halves of an image and text model, on a device."""

from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np

from processing.engines import openvino_cpu
from processing.engines.catalogue import Model
from processing.engines.image_text.preparation import Preparation
from processing.engines.image_text.tokens import tokens
from processing.engines.torch_device import exact_device


class Tower(Protocol):
    """One half on a device: a batch of prepared pictures or tokens in, float32 (n, dimensions) of length 1 out."""

    at_once: int

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """Run the net."""


class OpenVinoTower:
    """One half as an OpenVINO file, converted once from open_clip's module. Imports no torch."""

    at_once = 8

    def __init__(self, path: Path) -> None:
        self._request = openvino_cpu.compile_net(path)

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """Run the net."""
        return openvino_cpu.infer(self._request, batch)[0]


class TorchTower:
    """One half as a torch module. Written for CUDA; the tests run it on a CPU."""

    at_once = 64

    def __init__(self, module: object, device: object) -> None:
        import torch

        self._torch, self._module, self._device = torch, module, device

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """Run the net."""
        with self._torch.inference_mode():
            return self._module(self._torch.from_numpy(batch).to(self._device)).float().cpu().numpy()


class TorchTowers:
    """Both halves of one file of weights, as open_clip's modules."""

    def __init__(self, model: Model, weights: Path, *, device: str) -> None:
        from processing.engines.image_text.modules import load_modules

        chosen = exact_device(device)
        modules = load_modules(model, weights)
        self.image = TorchTower(modules.image.to(chosen), chosen)
        self.text = TorchTower(modules.text.to(chosen), chosen)


class ImageEncoder:
    """Embeds pictures."""

    def __init__(self, tower: Tower, preparation: Preparation, *, name: str, dimensions: int) -> None:
        self.name, self.dimensions = name, dimensions
        self._tower, self._preparation = tower, preparation

    def encode(self, images: Iterable[np.ndarray]) -> np.ndarray:
        """Give float32 (n, dimensions), each of length 1, of RGB uint8 pictures (height, width, 3).

        They are taken one after the other: of those that are read on the way few are in memory.
        """
        prepared = (self._preparation.pixels(image) for image in images)
        found = [np.empty((0, self.dimensions), np.float32)]
        while batch := list(islice(prepared, self._tower.at_once)):
            found.append(self._tower(np.stack(batch)))
        return _unit(np.concatenate(found))


class TextEncoder:
    """Embeds words, in the same space."""

    def __init__(self, tower: Tower, preparation: Preparation, *, name: str, dimensions: int) -> None:
        self.name, self.dimensions = name, dimensions
        self._tower, self._preparation = tower, preparation

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Give float32 (n, dimensions), each of length 1."""
        if not texts:
            return np.empty((0, self.dimensions), np.float32)
        return _unit(self._tower(tokens(texts, context_length=self._preparation.context_length)))


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float32).tiny)
