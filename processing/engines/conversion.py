"""Converting torch modules to OpenVINO files, once per host, so that CPU workers need not import torch.

Imports torch. Every converted net is compared with its module on random input before it is accepted.
"""

import warnings
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import numpy as np

from processing.engines import openvino_cpu
from processing.engines.catalogue import Model
from processing.engines.errors import ConversionError, WeightsMismatchError

if TYPE_CHECKING:
    import torch

# of float32 outputs of order 1
TOLERANCE = 1e-4
FACENET_SIDE = 160


def convert(model: Model, folder: Path) -> list[str]:
    """Convert the weights in `folder`; gives the names of the files made, none where the model needs no conversion.

    Raises ConversionError, and WeightsMismatchError for files that are not this model's weights.
    """
    if model.name == "mtcnn":
        modules = mtcnn_modules(folder)
        return [
            # P-Net takes whole images, of any size
            *_convert(_with_one_head(modules["pnet"]), folder / "pnet.xml", None),
            *_convert(modules["rnet"], folder / "rnet.xml", 24),
            *_convert(modules["onet"], folder / "onet.xml", 48),
        ]
    if model.name.startswith("facenet-"):
        return _convert(facenet_module(folder / model.files[0].name), folder / "net.xml", FACENET_SIDE)
    if model.task == "image_embedding":
        from processing.engines.image_text import conversion

        return conversion.convert(model, folder)
    return []


def mtcnn_modules(folder: Path) -> "Mapping[str, torch.nn.Module]":
    """Load facenet-pytorch's PNet, RNet and ONet with the weights in a folder, as `pnet`, `rnet` and `onet`."""
    from facenet_pytorch.models.mtcnn import ONet, PNet, RNet

    modules = {"pnet": PNet(pretrained=False), "rnet": RNet(pretrained=False), "onet": ONet(pretrained=False)}
    for name, module in modules.items():
        _load(module, _state(folder / f"{name}.pt"), folder / f"{name}.pt")
        module.eval()
    return modules


def facenet_module(weights: Path) -> "torch.nn.Module":
    """Load facenet-pytorch's InceptionResnetV1 with a checkpoint of its release; the classifier's part is left out."""
    from facenet_pytorch import InceptionResnetV1

    state = _state(weights)
    module = InceptionResnetV1(classify=False)
    _load(module, {name: value for name, value in state.items() if not name.startswith("logits.")}, weights)
    return module.eval()


def _with_one_head(pnet: Any) -> "torch.nn.Module":
    """Give P-Net with one output, (n, 5, rows, columns): how much likelier a face is than none, and four offsets.

    The first is a difference of logits, whose logistic function is the softmax of the two. One head in the place of
    two and a softmax saves a tenth, and more where the image has a new size, for which each layer is prepared anew.
    """
    import torch

    head = torch.nn.Conv2d(pnet.conv4_1.in_channels, 5, kernel_size=1)
    with torch.no_grad():
        for joined, score, offsets in (
            (head.weight, pnet.conv4_1.weight, pnet.conv4_2.weight),
            (head.bias, pnet.conv4_1.bias, pnet.conv4_2.bias),
        ):
            joined.copy_(torch.cat([score[1:] - score[:1], offsets]))
    trunk = (pnet.conv1, pnet.prelu1, pnet.pool1, pnet.conv2, pnet.prelu2, pnet.conv3, pnet.prelu3)
    return torch.nn.Sequential(*trunk, head).eval()


def _state(weights: Path) -> dict[str, Any]:
    import torch

    try:
        return torch.load(weights, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, UnpicklingError) as error:
        raise WeightsMismatchError(f"{weights.name} is not a file of weights: {error}") from error


def _load(module: "torch.nn.Module", state: dict[str, Any], weights: Path) -> None:
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise WeightsMismatchError(f"{weights.name} holds other weights than {type(module).__name__}'s.") from error


def _convert(module: "torch.nn.Module", target: Path, side: int | None) -> list[str]:
    import torch

    openvino = openvino_cpu.import_openvino()
    size = side or 64
    example = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (2, 3, size, size)).astype(np.float32))
    with warnings.catch_warnings():
        # OpenVINO reads what `torch.jit.trace` gives, which torch calls deprecated
        warnings.simplefilter("ignore", FutureWarning)
        net = openvino.convert_model(module, example_input=example)
    net.reshape([-1, 3, side or -1, side or -1])
    _pool_without_indices(net)
    openvino.save_model(net, target, compress_to_fp16=False)
    _convolve_colours_directly(target)
    _require_equal(module, target, example)
    return [target.name, target.with_suffix(".bin").name]


def _pool_without_indices(net: Any) -> None:
    """Replace max pooling that also says where each maximum lay, which nobody asks here: it costs a twentieth."""
    from openvino import opset1

    for pool in net.get_ordered_ops():
        if pool.get_type_name() != "MaxPool":
            continue
        shape = pool.get_attributes()
        plain = opset1.max_pool(
            pool.input_value(0),
            strides=shape["strides"],
            pads_begin=shape["pads_begin"],
            pads_end=shape["pads_end"],
            kernel_shape=shape["kernel"],
            # without padding torch's way of rounding up is the ordinary one
            rounding_type=shape["rounding_type"].removesuffix("_torch"),
        )
        plain.set_friendly_name(pool.get_friendly_name())
        pool.output(0).replace(plain.output(0))
    net.validate_nodes_and_infer_types()


def _convolve_colours_directly(path: Path) -> None:
    """Ask for OpenVINO's direct kernel in the convolution that takes the image's three channels.

    By itself it takes the one that is best for many channels, with which these nets take a fifth longer. Where a CPU
    lacks the kernel, OpenVINO chooses as before. The attribute can be set in the file alone.
    """
    tree = ET.parse(path)  # noqa: S314 - written a moment ago
    for layer in tree.iterfind(".//layer[@type='Convolution']"):
        _pixels, kernel = layer.iterfind("input/port")
        _outputs, channels, *_sides = (int(dim.text) for dim in kernel.iterfind("dim"))
        if channels == 3:
            info = layer.find("rt_info")
            info = ET.SubElement(layer, "rt_info") if info is None else info
            ET.SubElement(info, "attribute", name="primitives_priority", version="0", value="cpu:jit_avx512")
    tree.write(path)


def _require_equal(module: "torch.nn.Module", target: Path, example: "torch.Tensor") -> None:
    import torch

    with torch.inference_mode():
        expected = module(example)
    expected = expected if isinstance(expected, tuple) else (expected,)
    found = openvino_cpu.infer(openvino_cpu.compile_net(target), example.numpy())
    for ours, theirs in zip(found, expected, strict=True):
        difference = float(np.abs(ours - theirs.numpy()).max())
        if difference > TOLERANCE:
            raise ConversionError(f"{target.name} differs from its module by {difference:.2g}.")
