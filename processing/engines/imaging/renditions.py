"""Every rendition of a photo from one decode: upright, sRGB, re-encoded from its pixels alone."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from processing.engines.errors import OutOfMemoryError
from processing.engines.imaging.colour import to_srgb
from processing.engines.imaging.decoding import decode
from processing.engines.imaging.hashes import perceptual_hash, thumb_hash
from processing.engines.imaging.jpeg import encode_jpeg
from processing.engines.imaging.resampling import fit, resized
from processing.engines.imaging.results import EncodedRendition, RenditionSet

# What each EXIF orientation needs to stand upright (CIPA DC-008, 4.6.5.1.6), as Pillow names it.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def render(file: BinaryIO | Path, *, sizes: Mapping[str, int], quality: int, max_pixels: int) -> RenditionSet:
    """Decode `file` once and return a JPEG for each kind in `sizes` (kind -> longer side in px).

    `quality` is JPEG's, 1 to 95. No rendition is larger than the original. Of animations and multi-page files
    the first frame counts. Peak memory, measured: up to 10 bytes a pixel of the original, of a WebP 18,
    of a JPEG 3. Raises EmptyFileError, UnsupportedFormatError, TooManyPixelsError, DamagedImageError,
    OutOfMemoryError; errors of the storage behind `file` pass through.
    """
    if not sizes:
        raise ValueError("no sizes to render")
    try:
        largest, (width, height) = _largest(file, long_side=max(sizes.values()), max_pixels=max_pixels)
        encoded = {}
        for kind, image in _cascade(largest, sizes, (width, height)):
            smallest = image
            same = next((one for one in encoded.values() if (one.width, one.height) == image.size), None)
            data = same.data if same else encode_jpeg(image, quality=quality)
            encoded[kind] = EncodedRendition(kind, *image.size, data)
        return RenditionSet(
            width=width,
            height=height,
            renditions=tuple(encoded[kind] for kind in sizes),
            thumbhash=thumb_hash(smallest),
            perceptual_hash=perceptual_hash(smallest),
        )
    except MemoryError as error:
        raise OutOfMemoryError from error


def _largest(file: BinaryIO | Path, *, long_side: int, max_pixels: int) -> tuple[Image.Image, tuple[int, int]]:
    """Return the upright sRGB image of at most `long_side` px, and the original's upright width and height.

    Colours and orientation are put right after the shrinking, on a fraction of the pixels.
    """
    photo = decode(file, long_side=long_side, max_pixels=max_pixels)
    image = to_srgb(resized(photo.image, fit(photo.size, long_side), photo.box), photo.icc_profile)
    turn = _UPRIGHT.get(photo.orientation)
    if turn is None:
        return image, photo.size
    swaps = photo.orientation >= 5
    return image.transpose(turn), photo.size[::-1] if swaps else photo.size


def _cascade(
    largest: Image.Image, sizes: Mapping[str, int], full_size: tuple[int, int]
) -> Iterator[tuple[str, Image.Image]]:
    """Yield kind and image from the largest to the smallest, each resampled from the one before."""
    image = largest
    for kind, long_side in sorted(sizes.items(), key=lambda item: item[1], reverse=True):
        image = resized(image, fit(full_size, long_side))
        yield kind, image
