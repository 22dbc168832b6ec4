"""open_clip's modules with weights that lie on this host. Imports torch; reaches no network, and unpickles nothing."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from processing.engines.catalogue import Model
from processing.engines.errors import WeightsMismatchError
from processing.engines.image_text.preparation import Preparation

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Modules:
    """Both halves, each of which gives vectors of length 1, and how they want to be asked."""

    image: "torch.nn.Module"
    text: "torch.nn.Module"
    preparation: Preparation


def load_modules(model: Model, weights: Path) -> Modules:
    """Load a model's weights, a safetensors file of open_clip's layout. Raises WeightsMismatchError."""
    # before open_clip is imported, which asks Hugging Face's library, which asks the network
    os.environ["HF_HUB_OFFLINE"] = "1"
    import open_clip
    from open_clip.transform import PreprocessCfg, merge_preprocess_dict
    from safetensors import SafetensorError

    if weights.suffix != ".safetensors":
        raise WeightsMismatchError(f"{weights.name} is no safetensors file, and no other is read.")
    try:
        module = open_clip.create_model(model.architecture, pretrained=str(weights), precision="fp32", device="cpu")
    except (RuntimeError, SafetensorError, KeyError) as error:
        raise WeightsMismatchError(f"{weights.name} does not hold weights of {model.architecture}: {error}") from error
    stated = merge_preprocess_dict(PreprocessCfg(), open_clip.get_pretrained_cfg(model.architecture, model.pretrained))
    preparation = Preparation.of({**stated, "size": module.visual.image_size}, context_length=module.context_length)
    module.eval()
    return Modules(_half(module, "encode_image"), _half(module, "encode_text"), preparation)


def _half(module: "torch.nn.Module", method: str) -> "torch.nn.Module":
    import torch

    class Half(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.whole = module

        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            return getattr(self.whole, method)(batch, normalize=True)

    return Half().eval()
