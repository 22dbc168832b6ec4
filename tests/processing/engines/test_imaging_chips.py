"""Face chips: the crop's place, its scale, and coordinates that stay on the same spot of the face."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from imaging_samples import picture
from PIL import Image

from processing.engines.imaging.chips import cut_chip, decode_rgb
from processing.engines.imaging.results import FaceChip

REPOSITORY = Path(__file__).resolve().parents[3]
LANDMARKS = ((110.0, 120.0), (140.0, 121.0), (125.5, 135.0), (112.0, 150.0), (138.0, 149.5))


def preview(width: int = 400, height: int = 300) -> np.ndarray:
    return np.array(picture(width, height))


def chip_of(box: tuple[float, float, float, float], **options: object) -> FaceChip:
    settings = {"landmarks": LANDMARKS, "margin": 0.75, "max_side": 320, "quality": 92, **options}
    return cut_chip(settings.pop("preview", preview()), box=box, **settings)


def test_a_chip_within_the_picture() -> None:
    """A box of 60 x 80 with a margin of 0.75: a square of 200 around (130, 140)."""
    chip = chip_of((100.0, 100.0, 160.0, 180.0))
    assert (chip.width, chip.height) == (200, 200)
    assert chip.box == (70.0, 60.0, 130.0, 140.0)
    assert chip.landmarks == tuple((x - 30, y - 40) for x, y in LANDMARKS)
    pixels = decode_rgb(chip.data)
    expected = preview()[40:240, 30:230]
    assert pixels.shape == (200, 200, 3)
    assert np.abs(pixels.astype(int) - expected.astype(int)).mean() < 2


def test_a_fractional_box_takes_whole_pixels() -> None:
    chip = chip_of((100.25, 100.5, 160.25, 180.5))
    assert (chip.width, chip.height) == (201, 201)
    assert chip.box == (70.25, 60.5, 130.25, 140.5)


def test_the_border_clips_and_coordinates_follow() -> None:
    chip = chip_of((-10.0, 5.0, 50.0, 85.0))
    # the square is x -80..120, y -55..145, of which 0..120 and 0..145 lie in the picture
    assert (chip.width, chip.height) == (120, 145)
    assert chip.box == (-10.0, 5.0, 50.0, 85.0)
    assert np.abs(decode_rgb(chip.data).astype(int) - preview()[:145, :120].astype(int)).mean() < 2
    chip = chip_of((360.0, 230.0, 420.0, 310.0))
    assert (chip.width, chip.height) == (110, 130)
    assert chip.box == (70.0, 60.0, 130.0, 140.0)


def test_a_large_face_is_scaled_down() -> None:
    big = preview(2000, 1500)
    chip = chip_of((600.0, 300.0, 1000.0, 900.0), preview=big, landmarks=((700.0, 500.0),), margin=0.5)
    # a square of 1200 around (800, 600), which is 0..1200 of y and 200..1400 of x
    assert (chip.width, chip.height) == (320, 320)
    scale = 320 / 1200
    assert chip.box == pytest.approx((400 * scale, 300 * scale, 800 * scale, 900 * scale))
    assert chip.landmarks[0] == pytest.approx((500 * scale, 500 * scale))
    shrunk = Image.fromarray(big[0:1200, 200:1400]).resize((320, 320), Image.Resampling.LANCZOS)
    assert np.abs(decode_rgb(chip.data).astype(int) - np.asarray(shrunk).astype(int)).mean() < 2


def test_a_small_face_is_not_scaled_up() -> None:
    chip = chip_of((100.0, 100.0, 110.0, 120.0))
    assert (chip.width, chip.height) == (50, 50)


def test_a_landmark_stays_on_its_spot() -> None:
    """A bright dot is found where the chip says the landmark is, also after scaling."""
    dark = np.zeros((1000, 1000, 3), dtype=np.uint8)
    dark[500:520, 300:320] = 255
    chip = cut_chip(
        dark,
        box=(200.0, 400.0, 600.0, 900.0),
        landmarks=[(310.0, 510.0)],
        margin=0.4,
        max_side=300,
        quality=95,
    )
    light = decode_rgb(chip.data).sum(axis=2).astype(float)
    light[light < 100] = 0
    rows, columns = np.indices(light.shape) + 0.5
    found = (columns * light).sum() / light.sum(), (rows * light).sum() / light.sum()
    assert found == pytest.approx(chip.landmarks[0], abs=0.1)


def test_colours_keep_their_resolution_and_nothing_else_is_written() -> None:
    chip = chip_of((100.0, 100.0, 160.0, 180.0))
    with Image.open(io.BytesIO(chip.data)) as image:
        assert image.format == "JPEG"
        assert [layer[1:3] for layer in image.layer] == [(1, 1), (1, 1), (1, 1)]
        assert set(image.info) == {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


def test_quality_is_the_setting() -> None:
    noisy = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    sizes = [len(chip_of((100, 100, 160, 180), preview=noisy, quality=quality).data) for quality in (50, 75, 95)]
    assert sizes[0] < sizes[1] < sizes[2]


@pytest.mark.parametrize(
    "box",
    [
        (100.0, 100.0, 100.0, 180.0),
        (160.0, 100.0, 100.0, 180.0),
        (float("nan"), 100.0, 160.0, 180.0),
        (100.0, 100.0, float("inf"), 180.0),
        (-900.0, 100.0, -800.0, 180.0),
        (100.0, 900.0, 160.0, 980.0),
    ],
)
def test_a_box_that_is_none(box: tuple[float, float, float, float]) -> None:
    with pytest.raises(ValueError, match="box"):
        chip_of(box)


def test_decoding_gives_an_array_of_its_own() -> None:
    pixels = decode_rgb(chip_of((100.0, 100.0, 160.0, 180.0)).data)
    assert (pixels.dtype, pixels.flags.c_contiguous, pixels.flags.writeable) == (np.uint8, True, True)


def test_no_decoder_of_strangers_files_is_loaded() -> None:
    """The processes that detect and embed faces read our own JPEG files only."""
    program = (
        "import sys\n"
        "import processing.engines.imaging.chips\n"
        "names = ('pillow_heif', 'PIL.AvifImagePlugin', 'imagehash', 'scipy', 'django')\n"
        "print([name for name in names if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
