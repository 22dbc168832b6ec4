"""Area resampling against the average that it stands for."""

from itertools import product

import numpy as np
import pytest

from processing.engines.detection.area import MAX_AREA, AreaSampler


def _averaged(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Average the source pixels of each output pixel; float64 (3, height, width) of normalised pixels."""
    found = np.empty((3, height, width))
    rows, columns = pixels.shape[:2]
    for row, column in product(range(height), range(width)):
        top, bottom = row * rows // height, -(-(row + 1) * rows // height)
        left, right = column * columns // width, -(-(column + 1) * columns // width)
        found[:, row, column] = pixels[top:bottom, left:right].mean(axis=(0, 1))
    return (found - 127.5) / 128


def _noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (50, 37), (64, 90)])
def test_a_whole_image_is_averaged(size: tuple[int, int]) -> None:
    pixels = _noise(50, 37)
    scaled = AreaSampler(pixels).whole(*size)
    assert (scaled.shape, scaled.dtype) == ((1, 3, *size), np.float32)
    np.testing.assert_allclose(scaled[0], _averaged(pixels, *size), rtol=0, atol=1e-6)


@pytest.mark.parametrize("side", [24, 48])
def test_windows_are_averaged(side: int) -> None:
    pixels = _noise(200, 150)
    boxes = np.array([[0, 0, 150, 200], [10, 20, 34, 44], [3, 5, 4, 6], [100, 100, 150, 117]])
    scaled = AreaSampler(pixels).windows(boxes, side)
    assert (scaled.shape, scaled.dtype) == ((4, 3, side, side), np.float32)
    assert scaled.flags.c_contiguous
    for window, (left, top, right, bottom) in zip(scaled, boxes, strict=True):
        np.testing.assert_allclose(window, _averaged(pixels[top:bottom, left:right], side, side), rtol=0, atol=1e-6)


def test_no_windows() -> None:
    assert AreaSampler(_noise(30, 30)).windows(np.empty((0, 4), dtype=np.int64), 24).shape == (0, 3, 24, 24)


def test_sums_that_fill_their_place_do_not_run_into_each_other() -> None:
    # white red and blue around a black green: a sum that overflows would show in its neighbour
    pixels = np.full((1500, 1300, 3), 255, dtype=np.uint8)
    pixels[..., 1] = 0
    sampler = AreaSampler(pixels)
    sides = [(1, 1), (12, 11), (16, 14)]
    assert all(-(-1500 // height) * -(-1300 // width) > MAX_AREA for height, width in sides)
    expected = np.array([127.5, -127.5, 127.5]) / 128
    for height, width in sides:
        scaled = sampler.whole(height, width)[0]
        np.testing.assert_allclose(scaled, np.broadcast_to(expected[:, None, None], scaled.shape), rtol=0, atol=1e-5)
    window = sampler.windows(np.array([[0, 0, 1300, 1500]]), 2)[0]
    np.testing.assert_allclose(window, np.broadcast_to(expected[:, None, None], window.shape), rtol=0, atol=1e-5)


def test_any_memory_layout_gives_the_same() -> None:
    pixels = _noise(40, 60)
    mirrored = pixels[:, ::-1]
    np.testing.assert_array_equal(
        AreaSampler(mirrored).whole(13, 17), AreaSampler(np.ascontiguousarray(mirrored)).whole(13, 17)
    )
