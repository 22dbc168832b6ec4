"""How a model wants its pictures and its words: kept beside the converted nets, so that nobody imports open_clip."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from PIL import Image

FILE = "preparation.json"
_RESAMPLING = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


@dataclass(frozen=True, slots=True)
class Preparation:
    """Of pictures: `size` in pixels a side, `mean` and `std` of each colour (0 to 1), `resize_mode` `shortest` (scaled
    and cut to a square) or `squash`. Of words: at most `context_length` tokens.
    """

    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str
    resize_mode: str
    context_length: int

    @classmethod
    def of(cls, stated: Mapping[str, Any], *, context_length: int) -> Self:
        """Read what open_clip states of a model. Raises ValueError for what is not done here."""
        size = stated["size"]
        height, width = (size, size) if isinstance(size, int) else size
        if height != width or stated["interpolation"] not in _RESAMPLING:
            raise ValueError(f"pictures of {size} by {stated['interpolation']} are not prepared here")
        if stated["resize_mode"] not in {"shortest", "squash"}:
            raise ValueError(f"pictures are not resized by {stated['resize_mode']} here")
        colours = {name: tuple(float(value) for value in stated[name]) for name in ("mean", "std")}
        return cls(
            size=int(height),
            interpolation=stated["interpolation"],
            resize_mode=stated["resize_mode"],
            context_length=int(context_length),
            **colours,
        )

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read what an installation has written."""
        values = json.loads((folder / FILE).read_text())
        return cls(**{**values, "mean": tuple(values["mean"]), "std": tuple(values["std"])})

    def write(self, folder: Path) -> str:
        """Write it into a model's folder; gives the file's name."""
        (folder / FILE).write_text(json.dumps(asdict(self), indent=1))
        return FILE

    def pixels(self, image: np.ndarray) -> np.ndarray:
        """Prepare a picture, RGB uint8 (height, width, 3), as open_clip does: float32 (3, size, size)."""
        picture = self._resized(Image.fromarray(image))
        values = np.asarray(picture, dtype=np.float32) / 255
        values = (values - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)
        return np.ascontiguousarray(values.transpose(2, 0, 1))

    def _resized(self, picture: Image.Image) -> Image.Image:
        filtering, side = _RESAMPLING[self.interpolation], self.size
        if self.resize_mode == "squash":
            return picture.resize((side, side), filtering)
        # torchvision's Resize and CenterCrop: the long side rounded down, the margins rounded
        short, long = sorted(picture.size)
        longer = int(side * long / short)
        width, height = (side, longer) if picture.width <= picture.height else (longer, side)
        left, top = round((width - side) / 2.0), round((height - side) / 2.0)
        scaled = picture.resize((width, height), filtering)
        return scaled.crop((left, top, left + side, top + side))
