"""How good a face is: size, sharpness and pose."""

import math

import numpy as np
import pytest

from processing.engines.detection.quality import face_quality, pose_score, sharpness_score, size_score

FRONTAL = ((30.0, 40.0), (70.0, 40.0), (50.0, 60.0), (35.0, 80.0), (65.0, 80.0))


def _with_nose_at(x: float, y: float = 60.0) -> list[tuple[float, float]]:
    return [*FRONTAL[:2], (x, y), *FRONTAL[3:]]


def _turned(points: list[tuple[float, float]], degrees: float) -> list[tuple[float, float]]:
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return [(x * cosine - y * sine, x * sine + y * cosine) for x, y in points]


def _stripes(height: int, width: int, *, period: int) -> np.ndarray:
    columns = (np.arange(width) // (period // 2) % 2 * 255).astype(np.uint8)
    return np.broadcast_to(columns[None, :, None], (height, width, 3))


def test_size_is_the_shorter_side() -> None:
    assert size_score((10, 10, 90, 210)) == 0.5
    assert size_score((0, 0, 160, 200)) == 1
    assert size_score((0, 0, 1000, 1000)) == 1


@pytest.mark.parametrize(("nose", "score"), [(50, 1.0), (40, 0.5), (60, 0.5), (30, 0.0), (75, 0.0), (20, 0.0)])
def test_pose_falls_as_the_nose_leaves_the_middle(nose: float, score: float) -> None:
    assert pose_score(_with_nose_at(nose)) == pytest.approx(score)


@pytest.mark.parametrize("degrees", [-90, -30, 15, 180])
def test_pose_does_not_mind_a_tilted_head(degrees: float) -> None:
    assert pose_score(_turned(_with_nose_at(42), degrees)) == pytest.approx(pose_score(_with_nose_at(42)))


def test_pose_of_eyes_in_one_place_is_none() -> None:
    assert pose_score([(5.0, 5.0), (5.0, 5.0), *FRONTAL[2:]]) == 0


def test_a_flat_image_has_no_sharpness() -> None:
    assert sharpness_score(np.full((100, 100, 3), 90, dtype=np.uint8), (10, 10, 80, 80)) == 0


def test_sharpness_is_full_in_focus_and_falls_with_blur() -> None:
    random = np.random.default_rng(0)
    sharp = np.repeat(random.integers(0, 256, (128, 128, 1), dtype=np.uint8), 3, axis=2)
    box = (0, 0, 128, 128)
    scores = []
    for radius in (1, 4, 16):
        kernel = np.ones(radius) / radius
        blurred = np.apply_along_axis(lambda line, k=kernel: np.convolve(line, k, "same"), 0, sharp[..., 0] / 1.0)
        blurred = np.apply_along_axis(lambda line, k=kernel: np.convolve(line, k, "same"), 1, blurred)
        scores.append(sharpness_score(np.repeat(blurred[..., None], 3, axis=2).astype(np.uint8), box))
    assert scores[0] == 1
    assert scores[0] >= scores[1] > scores[2]


def test_a_box_may_reach_beyond_the_image() -> None:
    image = _stripes(100, 100, period=10)
    assert sharpness_score(image, (-50, -50, 150, 150)) == sharpness_score(image, (0, 0, 100, 100)) > 0


def test_quality_is_the_product() -> None:
    image = _stripes(120, 120, period=12)
    box, landmarks = (10, 10, 90, 110), _with_nose_at(44)
    expected = 0.5 * sharpness_score(image, box) * 0.7
    assert face_quality(image, box=box, landmarks=landmarks) == pytest.approx(expected)
    assert 0 < expected < 1
