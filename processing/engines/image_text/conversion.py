"""Converting both halves of an image and text model to OpenVINO files. Imports torch.

Each converted net is compared with its module, for one and for several at once, before it is accepted.
"""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from processing.engines import openvino_cpu
from processing.engines.catalogue import Model
from processing.engines.errors import ConversionError
from processing.engines.image_text.modules import load_modules
from processing.engines.image_text.tokens import tokens

if TYPE_CHECKING:
    import torch

# of unit vectors of some hundred numbers: a cosine of 1 to seven digits
TOLERANCE = 1e-4
TEXTS = ("a red car in the snow", "two people", "the sea at dusk, seen from a hill above a small town")


def convert(model: Model, folder: Path) -> list[str]:
    """Convert the weights in `folder`; gives the names of the files made.

    Raises ConversionError, and WeightsMismatchError for files that are not this model's weights.
    """
    modules = load_modules(model, folder / model.files[0].name)
    size = modules.preparation.size
    pictures = np.random.default_rng(0).uniform(-1, 1, (3, 3, size, size)).astype(np.float32)
    words = tokens(TEXTS, context_length=modules.preparation.context_length)
    with _traceable():
        return [
            *_convert(modules.image, folder / "image.xml", pictures, model.dimensions),
            *_convert(modules.text, folder / "text.xml", words, model.dimensions),
            modules.preparation.write(folder),
        ]


class _traceable:  # noqa: N801 - reads as the function that it stands for
    """Have torch compute attention step by step: its fast way is one operation, which no converter knows."""

    def __enter__(self) -> None:
        import torch

        self._before = torch.backends.mha.get_fastpath_enabled()
        torch.backends.mha.set_fastpath_enabled(False)

    def __exit__(self, *_: object) -> None:
        import torch

        torch.backends.mha.set_fastpath_enabled(self._before)


def _convert(module: "torch.nn.Module", target: Path, example: np.ndarray, dimensions: int) -> list[str]:
    import torch

    openvino = openvino_cpu.import_openvino()
    with warnings.catch_warnings(), torch.no_grad():
        # OpenVINO reads what `torch.jit.trace` gives, which torch calls deprecated, and whose sizes it warns of
        warnings.simplefilter("ignore")
        net = openvino.convert_model(module, example_input=torch.from_numpy(example[:2]))
    net.reshape([-1, *example.shape[1:]])
    openvino.save_model(net, target, compress_to_fp16=False)
    _require_equal(module, target, example, dimensions)
    return [target.name, target.with_suffix(".bin").name]


def _require_equal(module: "torch.nn.Module", target: Path, example: np.ndarray, dimensions: int) -> None:
    import torch

    request: Any = openvino_cpu.compile_net(target)
    for count in (1, len(example)):
        with torch.inference_mode():
            expected = module(torch.from_numpy(example[:count])).numpy()
        [found] = openvino_cpu.infer(request, example[:count])
        if found.shape != (count, dimensions):
            raise ConversionError(f"{target.name} gives {found.shape}, and the model {dimensions} dimensions.")
        difference = float(np.abs(found - expected).max())
        if not difference <= TOLERANCE:
            raise ConversionError(f"{target.name} differs from its module by {difference:.2g}.")
