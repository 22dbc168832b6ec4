"""Image and text models: a vector of a picture and a vector of words that lie near each other where they say the same.

Radford et al., Learning transferable visual models from natural language supervision (CLIP), 2021; by open_clip.
"""

from functools import cache
from pathlib import Path

from processing.engines import catalogue, installation
from processing.engines.image_text.encoders import ImageEncoder, OpenVinoTower, TextEncoder, TorchTowers
from processing.engines.image_text.preparation import Preparation

__all__ = ["ImageEncoder", "TextEncoder", "load_image_encoder", "load_text_encoder"]


def load_image_encoder(name: str, *, models_dir: Path, device: str) -> ImageEncoder:
    """Load the image half of an installed model for a device, `cpu` or `cuda`.

    Raises ModelNotInstalledError, WeightsMismatchError.
    """
    folder = installation.require(name, models_dir, device=device).folder
    tower = _towers(folder, name).image if device == "cuda" else OpenVinoTower(folder / "image.xml")
    return ImageEncoder(tower, Preparation.read(folder), name=name, dimensions=catalogue.get(name).dimensions)


def load_text_encoder(name: str, *, models_dir: Path, device: str) -> TextEncoder:
    """Load the text half of an installed model, as above."""
    folder = installation.require(name, models_dir, device=device).folder
    tower = _towers(folder, name).text if device == "cuda" else OpenVinoTower(folder / "text.xml")
    return TextEncoder(tower, Preparation.read(folder), name=name, dimensions=catalogue.get(name).dimensions)


@cache
def _towers(folder: Path, name: str) -> TorchTowers:
    """Load both halves at once, which lie in one file."""
    entry = catalogue.get(name)
    return TorchTowers(entry, folder / entry.files[0].name, device="cuda")
