"""Converting torch modules to OpenVINO files, once per host, so that CPU workers need not import torch.

Imports torch. Every converted net is compared with its module on random input before it is accepted.
"""

from pathlib import Path
from typing import Any

import numpy as np

from processing.engines import openvino_cpu
from processing.engines.catalogue import Model
from processing.engines.errors import EngineError

# of float32 outputs of order 1
TOLERANCE = 1e-4


class ConversionError(EngineError):
    """A converted net does not give what its module gives."""

    code = "conversion_failed"


def convert(model: Model, folder: Path) -> list[str]:
    """Convert the weights in `folder`; gives the names of the files made, none where the model needs no conversion."""
    if model.task == "face_detection":
        return _convert_mtcnn(folder)
    if model.name.startswith("facenet-"):
        return _convert_facenet(model, folder)
    return []


def facenet_module(weights: Path) -> Any:
    """Load facenet-pytorch's InceptionResnetV1 with a checkpoint of its release; the classifier's part is left out."""
    import torch
    from facenet_pytorch import InceptionResnetV1

    state = torch.load(weights, map_location="cpu", weights_only=True)
    module = InceptionResnetV1(classify=False)
    module.load_state_dict({name: value for name, value in state.items() if not name.startswith("logits.")})
    return module.eval()


def _convert_mtcnn(folder: Path) -> list[str]:
    import torch
    from facenet_pytorch.models.mtcnn import ONet, PNet, RNet

    names = []
    for name, module_class, side, free in (
        ("pnet", PNet, 64, True),
        ("rnet", RNet, 24, False),
        ("onet", ONet, 48, False),
    ):
        module = module_class(pretrained=False)
        module.load_state_dict(torch.load(folder / f"{name}.pt", map_location="cpu", weights_only=True))
        shape = [-1, 3, -1, -1] if free else [-1, 3, side, side]
        names += _convert_module(module.eval(), folder / f"{name}.xml", side=side, shape=shape)
    return names


def _convert_facenet(model: Model, folder: Path) -> list[str]:
    module = facenet_module(folder / model.files[0].name)
    return _convert_module(module, folder / "net.xml", side=160, shape=[-1, 3, 160, 160])


def _convert_module(module: Any, target: Path, *, side: int, shape: list[int]) -> list[str]:
    import openvino
    import torch

    example = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (2, 3, side, side)).astype(np.float32))
    net = openvino.convert_model(module, example_input=example)
    net.reshape(shape)
    openvino.save_model(net, target, compress_to_fp16=False)
    with torch.inference_mode():
        expected = module(example)
    expected = expected if isinstance(expected, tuple) else (expected,)
    found = openvino_cpu.infer(openvino_cpu.compile_net(target, threads=1), example.numpy())
    for ours, theirs in zip(found, expected, strict=True):
        difference = float(np.abs(ours - theirs.numpy()).max())
        if difference > TOLERANCE:
            raise ConversionError(f"{target.name} differs from its module by {difference:.2g}.")
    return [target.name, target.with_suffix(".bin").name]
