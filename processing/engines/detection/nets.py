"""P-Net, R-Net and O-Net on a device: as OpenVINO files on a CPU, as facenet-pytorch's torch modules on CUDA."""

from pathlib import Path

import numpy as np

from processing.engines import openvino_cpu
from processing.engines.torch_device import exact_device


class OpenVinoNets:
    """The nets as OpenVINO files, converted once from facenet-pytorch's own modules and weights. Imports no torch."""

    # larger chunks gain nothing on a CPU, and keep their memory
    crops_per_inference = 64

    def __init__(self, folder: Path) -> None:
        self._pnet = openvino_cpu.compile_net(folder / "pnet.xml")
        self._rnet = openvino_cpu.compile_net(folder / "rnet.xml")
        self._onet = openvino_cpu.compile_net(folder / "onet.xml")

    def proposals(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Run P-Net on a whole image."""
        (maps,) = openvino_cpu.infer(self._pnet, image)
        # what overflows is divided by, and gives 0
        with np.errstate(over="ignore"):
            scores = 1 / (1 + np.exp(-maps[:, 0]))
        return maps[:, 1:], scores

    def refine(self, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Run R-Net on 24 px crops."""
        offsets, scores = openvino_cpu.infer(self._rnet, crops)
        return offsets, scores[:, 1]

    def finish(self, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Run O-Net on 48 px crops."""
        offsets, landmarks, scores = openvino_cpu.infer(self._onet, crops)
        return offsets, landmarks, scores[:, 1]


class TorchNets:
    """The nets as facenet-pytorch's torch modules.

    Written for CUDA, on which they were not run; the tests run them on a CPU.
    """

    # the outputs of more of them would crowd a small device; facenet-pytorch takes as many
    crops_per_inference = 512

    def __init__(self, folder: Path, *, device: str) -> None:
        import torch

        from processing.engines.conversion import mtcnn_modules

        self._torch = torch
        self._device = exact_device(device)
        self._modules = {name: module.to(self._device) for name, module in mtcnn_modules(folder).items()}

    def proposals(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Run P-Net on a whole image."""
        offsets, scores = self._run("pnet", image)
        return offsets, scores[:, 1]

    def refine(self, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Run R-Net on 24 px crops."""
        offsets, scores = self._run("rnet", crops)
        return offsets, scores[:, 1]

    def finish(self, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Run O-Net on 48 px crops."""
        offsets, landmarks, scores = self._run("onet", crops)
        return offsets, landmarks, scores[:, 1]

    def _run(self, net: str, batch: np.ndarray) -> list[np.ndarray]:
        with self._torch.inference_mode():
            outputs = self._modules[net](self._torch.from_numpy(batch).to(self._device))
            return [output.cpu().numpy() for output in outputs]
