"""Renditions: upright, never enlarged, free of metadata, faithful, and made from one decode."""

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from imaging_samples import HEIGHT, WIDTH, encoded, exif_with_orientation, picture, samples
from PIL import Image

from processing.engines.errors import UnsupportedFormatError
from processing.engines.imaging.chips import decode_rgb
from processing.engines.imaging.renditions import _cascade, _largest, render
from processing.engines.imaging.results import RenditionSet

SIZES = {"preview": 1440, "thumb_1200": 1200, "thumb_600": 600, "thumb_300": 300}
MAX_PIXELS = 100_000_000

# What a camera held like that has done to the upright picture.
STORED_AS = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def rendered(data: bytes, sizes: Mapping[str, int] = SIZES, quality: int = 95) -> RenditionSet:
    return render(io.BytesIO(data), sizes=sizes, quality=quality, max_pixels=MAX_PIXELS)


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB."""
    error = np.mean((one.astype(float) - other.astype(float)) ** 2)
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


def hamming(one: int, other: int) -> int:
    return ((one ^ other) & (2**64 - 1)).bit_count()


def markers(jpeg: bytes) -> list[int]:
    """Return the markers of a JPEG's segments up to the start of its scan."""
    found, offset = [], 2
    while not found or found[-1] != 0xDA:
        assert jpeg[offset] == 0xFF
        found.append(jpeg[offset + 1])
        offset += 2 + int.from_bytes(jpeg[offset + 2 : offset + 4])
    return found


@pytest.mark.parametrize("orientation", STORED_AS)
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_each_orientation_stands_upright(image_format: str, orientation: int) -> None:
    upright = picture()
    turn = STORED_AS[orientation]
    stored = upright.transpose(turn) if turn is not None else upright
    options = {"exif": exif_with_orientation(orientation)}
    if image_format == "TIFF":
        options = {"tiffinfo": {274: orientation}}
    result = rendered(encoded(stored, image_format, **options))
    assert (result.width, result.height) == (WIDTH, HEIGHT)
    assert psnr(decode_rgb(result.renditions[0].data), np.asarray(upright)) > 28
    mirrored = np.asarray(upright.transpose(Image.Transpose.ROTATE_180))
    assert psnr(decode_rgb(result.renditions[0].data), mirrored) < 12


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_heif_is_turned_once(orientation: int) -> None:
    """libheif turns the pixels by the container's own rotation; the EXIF beside it says the same once more."""
    upright = picture()
    stored = upright.transpose(STORED_AS[orientation])
    data = encoded(stored, "HEIF", quality=95, exif=exif_with_orientation(orientation))
    result = rendered(data)
    assert (result.width, result.height) == (WIDTH, HEIGHT)
    assert psnr(decode_rgb(result.renditions[0].data), np.asarray(upright)) > 28


@pytest.mark.parametrize("shape", ["landscape", "portrait"])
def test_real_orientations_look_the_same(shared_photos: Path, shape: str) -> None:
    """Eight files of one scene; each bears its own number, so that they are alike and not equal."""
    folder = shared_photos / "exif" / "orientation"
    results = [
        render(folder / f"{shape}_{number}.jpg", sizes=SIZES, quality=90, max_pixels=MAX_PIXELS)
        for number in range(1, 9)
    ]
    size = (600, 450) if shape == "landscape" else (450, 600)
    first = decode_rgb(results[0].renditions[0].data)
    for result in results:
        assert (result.width, result.height) == size
        assert hamming(result.perceptual_hash, results[0].perceptual_hash) <= 2
        pixels = decode_rgb(result.renditions[0].data)
        assert psnr(pixels, first) > 24
        for turned in (pixels[::-1], pixels[:, ::-1], pixels[::-1, ::-1]):
            assert psnr(turned, first) < 15


def test_sizes_and_order() -> None:
    result = rendered(encoded(picture(2000, 1501), "JPEG"))
    assert (result.width, result.height) == (2000, 1501)
    assert [(one.kind, one.width, one.height) for one in result.renditions] == [
        ("preview", 1440, 1081),
        ("thumb_1200", 1200, 901),
        ("thumb_600", 600, 450),
        ("thumb_300", 300, 225),
    ]
    for one in result.renditions:
        assert decode_rgb(one.data).shape == (one.height, one.width, 3)
    backwards = rendered(encoded(picture(2000, 1501), "JPEG"), dict(reversed(SIZES.items())))
    assert backwards.renditions == tuple(reversed(result.renditions))


def test_a_small_photo_is_not_enlarged() -> None:
    result = rendered(encoded(picture(500, 400), "PNG"))
    sizes = [(one.width, one.height) for one in result.renditions]
    assert sizes == [(500, 400), (500, 400), (500, 400), (300, 240)]
    assert len({one.data for one in result.renditions}) == 2


@pytest.mark.parametrize("size", [(1, 1), (3000, 2), (2, 3000), (1441, 1)])
def test_extreme_shapes(size: tuple[int, int]) -> None:
    result = rendered(encoded(picture(*size), "PNG"))
    assert (result.width, result.height) == size
    assert all(max(one.width, one.height) == min(max(size), SIZES[one.kind]) for one in result.renditions)
    assert all(min(one.width, one.height) >= 1 for one in result.renditions)


def test_no_sizes_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="no sizes"):
        rendered(samples()["jpeg"][1], {})


@pytest.mark.parametrize("width", [2880, 2881, 3100, 5760, 6001])
def test_a_jpeg_is_decoded_at_a_reduced_scale(width: int) -> None:
    """The smallest scale that leaves the preview's size, also where it is not a whole fraction."""
    image = picture(width, 200)
    result = rendered(encoded(image, "JPEG", quality=95, subsampling=0))
    assert (result.width, result.height) == (width, 200)
    expected = image.resize((1440, round(200 * 1440 / width)), Image.Resampling.LANCZOS)
    assert psnr(decode_rgb(result.renditions[0].data), np.asarray(expected)) > 30


def test_nothing_but_pixels_is_written() -> None:
    exif = exif_with_orientation(1)
    exif[0x010E] = "a secret description"
    exif.get_ifd(0x8825)[2] = (52.0, 31.0, 12.0)
    data = encoded(
        picture(),
        "JPEG",
        exif=exif,
        comment=b"a secret remark",
        icc_profile=b"a secret profile",
        xmp=b"<x:xmpmeta>a secret packet</x:xmpmeta>",
        dpi=(301, 301),
    )
    assert data.count(b"a secret") == 4
    for one in rendered(data + b"a secret behind the end").renditions:
        assert b"secret" not in one.data
        assert markers(one.data) == [0xE0, 0xDB, 0xDB, 0xC0, 0xC4, 0xC4, 0xC4, 0xC4, 0xDA]
        assert one.data[:20] == b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
        assert one.data.endswith(b"\xff\xd9")


def test_quality_is_the_setting() -> None:
    data = encoded(picture(600, 400).effect_spread(9), "PNG")
    tables = []
    for quality in (60, 90):
        with Image.open(io.BytesIO(rendered(data, quality=quality).renditions[0].data)) as image:
            tables.append(image.quantization)
    with Image.open(io.BytesIO(encoded(picture(), "JPEG", quality=60))) as image:
        assert tables[0] == image.quantization
    with Image.open(io.BytesIO(encoded(picture(), "JPEG", quality=90))) as image:
        assert tables[1] == image.quantization


def test_the_same_file_gives_the_same_bytes(tmp_path: Path) -> None:
    for name, (_, data) in samples().items():
        path = tmp_path / name
        path.write_bytes(data)
        from_path = render(path, sizes=SIZES, quality=80, max_pixels=MAX_PIXELS)
        assert from_path == rendered(data, quality=80), name


@pytest.mark.parametrize("image_format", ["GIF", "WEBP", "PNG", "TIFF", "MPO"])
def test_the_first_frame_counts(image_format: str) -> None:
    first, second = picture(), picture().transpose(Image.Transpose.ROTATE_180)
    data = encoded(first, image_format, save_all=True, append_images=[second])
    with Image.open(io.BytesIO(data)) as image:
        assert image.n_frames == 2
    pixels = decode_rgb(rendered(data).renditions[0].data)
    assert psnr(pixels, np.asarray(first)) > 25
    assert psnr(pixels, np.asarray(second)) < 12


@pytest.mark.parametrize("photo", ["craft-beer.jpg", "book-beside-flowers.jpg"])
def test_fidelity_to_a_full_decode(shared_photos: Path, photo: str) -> None:
    """24 MP, decoded at a quarter, 4 % above the preview's size: the least favourable case; and 12 MP, at a half."""
    path = shared_photos / "scenes" / photo
    largest, full_size = _largest(path, long_side=max(SIZES.values()), max_pixels=MAX_PIXELS)
    with Image.open(path) as image:
        whole = image.convert("RGB")
    floors = {"preview": 45, "thumb_1200": 45, "thumb_600": 50, "thumb_300": 50}
    for kind, shrunk in _cascade(largest, SIZES, full_size):
        reference = whole.resize(shrunk.size, Image.Resampling.LANCZOS)
        assert psnr(np.asarray(shrunk), np.asarray(reference)) >= floors[kind], kind


@pytest.mark.parametrize("folder", ["formats", "exif", "broken_exif", "scenes", "groups", "people"])
def test_real_photos(shared_photos: Path, folder: str) -> None:
    for path in sorted((shared_photos / folder).rglob("*")):
        if not path.is_file():
            continue
        if path.suffix == ".jxl":
            with pytest.raises(UnsupportedFormatError):
                render(path, sizes=SIZES, quality=80, max_pixels=MAX_PIXELS)
            continue
        result = render(path, sizes=SIZES, quality=80, max_pixels=MAX_PIXELS)
        longer = max(result.width, result.height)
        assert [max(one.width, one.height) for one in result.renditions] == [
            min(longer, side) for side in SIZES.values()
        ], path.name
        preview = decode_rgb(result.renditions[0].data)
        assert preview.std() > 5, path.name


def test_real_heic_is_upright_and_srgb(shared_photos: Path) -> None:
    """Two phones' portraits, whose containers turn them; the second is in Display P3."""
    samsung = render(
        shared_photos / "formats" / "samsung-one-ui-6.heic", sizes=SIZES, quality=80, max_pixels=MAX_PIXELS
    )
    assert (samsung.width, samsung.height) == (3000, 4000)
    apple = render(shared_photos / "formats" / "iphone_13_pro_max.HEIC", sizes=SIZES, quality=80, max_pixels=MAX_PIXELS)
    assert (apple.width, apple.height) == (3024, 4032)
    assert b"ICC_PROFILE" not in apple.renditions[0].data
