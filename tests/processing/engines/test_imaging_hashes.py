"""The two fingerprints: exact values of known pictures, and near copies that stay near."""

import io

import imagehash
import numpy as np
import pytest
from imaging_samples import encoded, picture
from PIL import Image
from thumbhash import thumb_hash_to_approximate_aspect_ratio, thumb_hash_to_average_rgba

from processing.engines.imaging.hashes import perceptual_hash, thumb_hash
from processing.engines.imaging.renditions import render


def distance(one: Image.Image, other: Image.Image) -> int:
    return ((perceptual_hash(one) ^ perceptual_hash(other)) & (2**64 - 1)).bit_count()


def textured(seed: int) -> Image.Image:
    """Return a picture of soft blobs."""
    small = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((300, 225), Image.Resampling.BICUBIC)


def test_perceptual_hash_is_imagehash_as_a_signed_integer() -> None:
    for seed in range(8):
        found = perceptual_hash(textured(seed))
        assert f"{found & (2**64 - 1):016x}" == str(imagehash.phash(textured(seed)))
        # the highest bit is the mean's, which all but black pictures have
        assert -(2**63) <= found < 0
    assert perceptual_hash(Image.new("RGB", (300, 200))) == 0


def test_near_copies_are_near_and_others_far() -> None:
    for seed in range(4):
        image = textured(seed)
        shrunk = image.resize((200, 150))
        recompressed = Image.open(io.BytesIO(encoded(image, "JPEG", quality=40)))
        assert distance(image, shrunk) <= 4
        assert distance(image, recompressed) <= 4
        assert distance(image, textured(seed + 100)) >= 16


def test_hash_does_not_depend_on_the_container() -> None:
    image = textured(1)
    found = set()
    for image_format in ("PNG", "TIFF", "WEBP"):
        options = {"lossless": True} if image_format == "WEBP" else {}
        result = render(
            io.BytesIO(encoded(image, image_format, **options)),
            sizes={"small": 100},
            quality=80,
            max_pixels=1_000_000,
        )
        found.add((result.perceptual_hash, result.thumbhash))
    assert len(found) == 1


@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 128, 255), (0, 0, 0), (255, 255, 255)])
def test_thumb_hash_of_one_colour(colour: tuple[int, int, int]) -> None:
    red, green, blue, alpha = thumb_hash_to_average_rgba(list(thumb_hash(Image.new("RGB", (40, 30), colour))))
    assert np.abs(np.array([red, green, blue]) * 255 - colour).max() <= 6
    assert alpha == 1.0


@pytest.mark.parametrize(
    ("width", "height", "ratio", "length"), [(300, 300, 1, 24), (300, 129, 7 / 3, 17), (129, 300, 3 / 7, 17)]
)
def test_thumb_hash_keeps_the_shape(width: int, height: int, ratio: float, length: int) -> None:
    found = thumb_hash(picture(width, height))
    assert len(found) == length
    assert thumb_hash_to_approximate_aspect_ratio(list(found)) == ratio


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (2, 3)])
def test_tiny_pictures(size: tuple[int, int]) -> None:
    image = picture(*size)
    assert len(thumb_hash(image)) >= 5
    assert perceptual_hash(image) == perceptual_hash(image.copy())
