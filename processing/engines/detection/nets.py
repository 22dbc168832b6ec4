"""P-Net, R-Net and O-Net on a device: as OpenVINO files on a CPU, as facenet-pytorch's torch modules on CUDA."""

from pathlib import Path
from typing import Any

import numpy as np

from processing.engines import openvino_cpu

# crops in one inference: larger chunks gain nothing on a CPU, and keep their memory
CROPS_PER_INFERENCE = 64


class OpenVinoNets:
    """The nets as OpenVINO files, converted once from facenet-pytorch's own modules and weights. Imports no torch."""

    def __init__(self, folder: Path, *, threads: int = 1) -> None:
        self._pnet = openvino_cpu.compile_net(folder / "pnet.xml", threads=threads)
        self._rnet = openvino_cpu.compile_net(folder / "rnet.xml", threads=threads)
        self._onet = openvino_cpu.compile_net(folder / "onet.xml", threads=threads)

    def proposals(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Run P-Net on a whole image."""
        offsets, scores = openvino_cpu.infer(self._pnet, image)
        return offsets, scores[:, 1]

    def refine(self, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Run R-Net on 24 px crops."""
        offsets, scores = openvino_cpu.infer_in_chunks(self._rnet, crops, CROPS_PER_INFERENCE)
        return offsets, scores[:, 1]

    def finish(self, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Run O-Net on 48 px crops."""
        offsets, landmarks, scores = openvino_cpu.infer_in_chunks(self._onet, crops, CROPS_PER_INFERENCE)
        return offsets, landmarks, scores[:, 1]


class TorchNets:
    """The nets as facenet-pytorch's torch modules. Written for CUDA; on a CPU it gives the reference, slowly.

    Run on the CPU by the tests; it was not run on a CUDA device.
    """

    def __init__(self, *, device: str) -> None:
        import torch
        from facenet_pytorch.models.mtcnn import ONet, PNet, RNet

        self._torch = torch
        self._device = torch.device(device)
        self._pnet, self._rnet, self._onet = (net().eval().to(self._device) for net in (PNet, RNet, ONet))

    def proposals(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Run P-Net on a whole image."""
        offsets, scores = self._run(self._pnet, image)
        return offsets, scores[:, 1]

    def refine(self, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Run R-Net on 24 px crops."""
        offsets, scores = self._run(self._rnet, crops)
        return offsets, scores[:, 1]

    def finish(self, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Run O-Net on 48 px crops."""
        offsets, landmarks, scores = self._run(self._onet, crops)
        return offsets, landmarks, scores[:, 1]

    def _run(self, net: Any, batch: np.ndarray) -> list[np.ndarray]:
        with self._torch.inference_mode():
            return [part.cpu().numpy() for part in net(self._torch.from_numpy(batch).to(self._device))]
