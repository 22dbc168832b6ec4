"""Face chips: small unrotated crops of a preview, from which each model makes its own alignment."""

import io
import math
from collections.abc import Sequence

import numpy as np
from PIL import Image

from processing.engines.imaging.failures import DECODER_FAILURES, translate
from processing.engines.imaging.jpeg import encode_jpeg
from processing.engines.imaging.resampling import fit, resized
from processing.engines.imaging.results import Box, FaceChip, Point


def cut_chip(
    preview: np.ndarray, *, box: Box, landmarks: Sequence[Point], margin: float, max_side: int, quality: int
) -> FaceChip:
    """Cut the face in `box` out of `preview` (H x W x 3, uint8, RGB) with the landmarks it has there.

    The crop is the square of `1 + 2 * margin` times the box's longer side around the box's centre, on whole
    pixels, clipped to the preview: what lies beyond the picture's border is left for an alignment to fill as
    it does on a whole picture. It is scaled down, never up, to at most `max_side` px. Colours keep their full
    resolution (4:4:4).

    Coordinates are continuous: 0 is the left edge of the first pixel. A box may reach beyond the border, and
    then does in the chip. Raises ValueError for a box that is not finite, has no area or does not touch the
    preview.
    """
    left, top, right, bottom = _crop_box(box, margin=margin, width=preview.shape[1], height=preview.shape[0])
    crop = Image.fromarray(preview[top:bottom, left:right])
    size = fit(crop.size, max_side)
    scale_x, scale_y = size[0] / crop.width, size[1] / crop.height

    def moved(x: float, y: float) -> Point:
        return (x - left) * scale_x, (y - top) * scale_y

    return FaceChip(
        data=encode_jpeg(resized(crop, size), quality=quality, subsampling="4:4:4"),
        width=size[0],
        height=size[1],
        box=(*moved(*box[:2]), *moved(*box[2:])),
        landmarks=tuple(moved(x, y) for x, y in landmarks),
    )


def decode_rgb(data: bytes) -> np.ndarray:
    """Decode a JPEG that Darkroom wrote (a preview or a chip) to H x W x 3, uint8, RGB.

    Raises DamagedImageError, OutOfMemoryError. Not for originals: it has no pixel limit of its own.
    """
    try:
        return np.array(Image.open(io.BytesIO(data), formats=("JPEG",)).convert("RGB"))
    except DECODER_FAILURES as failure:
        raise translate(failure) from failure


def _crop_box(box: Box, *, margin: float, width: int, height: int) -> tuple[int, int, int, int]:
    x1, y1, x2, y2 = box
    if not all(map(math.isfinite, box)) or x2 <= x1 or y2 <= y1:
        raise ValueError(f"not a box: {box}")
    half = max(x2 - x1, y2 - y1) * (0.5 + margin)
    centre_x, centre_y = (x1 + x2) / 2, (y1 + y2) / 2
    left, right = max(0, math.floor(centre_x - half)), min(width, math.ceil(centre_x + half))
    top, bottom = max(0, math.floor(centre_y - half)), min(height, math.ceil(centre_y + half))
    if left >= right or top >= bottom:
        raise ValueError(f"a box outside the picture: {box}")
    return left, top, right, bottom
