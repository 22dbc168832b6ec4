"""What the engines of this package return. Needs no library, so that a signature may name it anywhere."""

from dataclasses import dataclass

Box = tuple[float, float, float, float]
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """`format` is one of JPEG (MPO too), PNG, WEBP, GIF, AVIF, TIFF, HEIF (HEIC too).

    `width` and `height` are pixels of the first frame or page, upright where the orientation stands before
    the pixels (JPEG, TIFF, HEIF, AVIF).
    """

    format: str
    mime_type: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class EncodedRendition:
    """A JPEG of `width` x `height` pixels, sRGB, upright, without metadata."""

    kind: str
    width: int
    height: int
    data: bytes


@dataclass(frozen=True, slots=True)
class RenditionSet:
    """`width` and `height` are the original's, upright; `perceptual_hash` is a signed 64-bit integer."""

    width: int
    height: int
    renditions: tuple[EncodedRendition, ...]
    thumbhash: bytes
    perceptual_hash: int


@dataclass(frozen=True, slots=True)
class FaceChip:
    """A JPEG of a face and its surroundings; box (x1, y1, x2, y2) and landmarks are in the chip's pixels."""

    data: bytes
    width: int
    height: int
    box: Box
    landmarks: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class PixelWarning:
    """Damage that the decoder passed over. `code` is stable, `detail` is for a person."""

    code: str
    field: str
    detail: str
