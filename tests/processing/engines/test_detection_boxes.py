"""Candidates, suppression and refinement of boxes, on numbers worked out by hand and against the plain algorithm."""

import numpy as np
import pytest

from processing.engines import imaging
from processing.engines.detection import boxes as rules
from processing.engines.detection.mtcnn import MtcnnDetector


def _floats(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array(rows, dtype=np.float32)


def _greedy(boxes: np.ndarray, scores: np.ndarray, threshold: float, *, by_smaller: bool) -> list[int]:
    """Suppression as its definition says, one pair after another."""
    border = 1 if by_smaller else 0
    sides = boxes[:, 2:] - boxes[:, :2] + border
    areas = sides[:, 0] * sides[:, 1]
    kept: list[int] = []
    for one in sorted(range(len(boxes)), key=lambda place: (-scores[place], place)):
        for other in kept:
            low, high = np.maximum(boxes[one, :2], boxes[other, :2]), np.minimum(boxes[one, 2:], boxes[other, 2:])
            width, height = np.maximum(high - low + border, 0)
            shared = width * height
            base = min(areas[one], areas[other]) if by_smaller else areas[other] + areas[one] - shared
            if shared / base > np.float32(threshold):
                break
        else:
            kept.append(one)
    return kept


def test_candidates_are_cells_of_the_image() -> None:
    scores = np.zeros((3, 4), dtype=np.float32)
    scores[1, 2], scores[2, 0] = 0.6, 0.9
    offsets = np.arange(48, dtype=np.float32).reshape(4, 3, 4)
    boxes, found, moved = rules.candidates(offsets, scores, scale=0.6, threshold=0.6)
    # (2 * column + 1) / 0.6 and (2 * column + 12) / 0.6, rounded down
    np.testing.assert_array_equal(boxes, [[8, 5, 26, 23], [1, 8, 20, 26]])
    np.testing.assert_array_equal(found, _floats((0.6, 0.9))[0])
    np.testing.assert_array_equal(moved, [[6, 18, 30, 42], [8, 20, 32, 44]])


def test_the_better_of_two_that_overlap_is_kept() -> None:
    # the first two share 50 of 150, the last two 60 of 140
    boxes = _floats((0, 0, 10, 10), (5, 0, 15, 10), (100, 0, 110, 10), (104, 0, 114, 10))
    scores = _floats((0.7, 0.9, 0.8, 0.6))[0]
    np.testing.assert_array_equal(rules.suppress(boxes, scores, 0.3), [1, 2])
    np.testing.assert_array_equal(rules.suppress(boxes, scores, 0.4), [1, 2, 0])
    np.testing.assert_array_equal(rules.suppress(boxes, scores, 0.5), [1, 2, 0, 3])


def test_a_suppressed_box_suppresses_nobody() -> None:
    boxes = _floats((0, 0, 10, 10), (4, 0, 14, 10), (8, 0, 18, 10))
    scores = _floats((0.9, 0.8, 0.7))[0]
    np.testing.assert_array_equal(rules.suppress(boxes, scores, 0.4), [0, 2])


def test_of_equal_scores_the_first_is_better() -> None:
    boxes = _floats((0, 0, 10, 10), (1, 0, 11, 10), (2, 0, 12, 10))
    np.testing.assert_array_equal(rules.suppress(boxes, np.full(3, 0.8, dtype=np.float32), 0.5), [0])


def test_a_box_inside_a_larger_one_is_suppressed_by_the_smaller_area_alone() -> None:
    boxes = _floats((0, 0, 99, 99), (10, 10, 29, 29))
    scores = _floats((0.9, 0.8))[0]
    np.testing.assert_array_equal(rules.suppress(boxes, scores, 0.5), [0, 1])
    np.testing.assert_array_equal(rules.suppress_by_smaller(boxes, scores, 0.7), [0])


@pytest.mark.parametrize("threshold", [0.5, 0.7])
@pytest.mark.parametrize("by_smaller", [False, True])
@pytest.mark.parametrize("count", [0, 1, 7, 150, 400])
def test_suppression_equals_its_definition(count: int, by_smaller: bool, threshold: float) -> None:
    random = np.random.default_rng(count)
    centres = random.uniform(0, 300, (max(count // 5, 1), 2))[random.integers(0, max(count // 5, 1), count)]
    sides = 20 * np.exp(random.uniform(0, 1.5, (count, 1)))
    corners = centres + random.normal(0, 6, (count, 2))
    boxes = np.round(np.concatenate([corners, corners + sides], axis=1)).astype(np.float32)
    # few different scores, so that many are equal
    scores = np.round(random.uniform(0.6, 1, count), 2).astype(np.float32)
    suppress = rules.suppress_by_smaller if by_smaller else rules.suppress
    found = suppress(boxes, scores, threshold)
    assert found.tolist() == _greedy(boxes, scores, threshold, by_smaller=by_smaller)
    assert count < 100 or 0 < len(found) < count


def test_boxes_without_an_area_stay() -> None:
    boxes = _floats((5, 5, 5, 5), (5, 5, 5, 5), (9, 9, 3, 3))
    assert sorted(rules.suppress(boxes, _floats((0.9, 0.8, 0.7))[0], 0.5)) == [0, 1, 2]


def test_offsets_are_lengths_of_the_box() -> None:
    boxes, offsets = _floats((10, 20, 30, 60)), _floats((0.1, -0.1, 0.5, 0.25))
    np.testing.assert_array_equal(rules.shifted(boxes, offsets), _floats((12, 16, 40, 70)))
    # with the last pixel the sides are 21 and 41
    np.testing.assert_allclose(rules.refined(boxes, offsets), [[12.1, 15.9, 40.5, 70.25]], rtol=1e-6)


def test_squares_keep_their_centre() -> None:
    np.testing.assert_array_equal(
        rules.squared(_floats((10, 20, 30, 60), (0, 0, 30, 10))), _floats((0, 20, 40, 60), (0, -10, 30, 20))
    )


def test_windows_lie_in_the_image() -> None:
    boxes = _floats((1, 1, 5, 6), (-3.7, 2.9, 20.2, 5.9), (11, 0, 30, 30), (-20, -20, -5, -5))
    windows = rules.clipped_windows(boxes, width=10, height=8)
    np.testing.assert_array_equal(windows[:2], [[0, 0, 5, 6], [0, 1, 10, 5]])
    np.testing.assert_array_equal(rules.has_area(windows), [True, True, False, False])


def test_boxes_turned_inside_out_or_away_touch_no_image() -> None:
    boxes = _floats(
        (10, 10, 30, 30),
        (-5, -5, 1, 1),
        (30, 10, 10, 30),
        (10, 30, 30, 30),
        (-20, 0, -5, 30),
        (100, 0, 120, 30),
        (0, np.nan, 30, 30),
        (0, 0, np.inf, 30),
    )
    assert rules.touches(boxes, width=100, height=80).tolist() == [True, True, *[False] * 6]
    assert rules.touches(_floats().reshape(0, 4), width=100, height=80).tolist() == []


class NetsThatTurnABox:
    """Nets that see a face everywhere, and at the end put the right edge of every second one before the left."""

    crops_per_inference = 8

    def proposals(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rows, columns = ((side - rules.CELL) // rules.STRIDE + 1 for side in image.shape[2:])
        return np.zeros((1, 4, rows, columns), np.float32), np.full((1, rows, columns), 0.9, np.float32)

    def refine(self, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.zeros((len(crops), 4), np.float32), np.full(len(crops), 0.9, np.float32)

    def finish(self, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        offsets = np.zeros((len(crops), 4), np.float32)
        offsets[1::2, 2] = -1.5
        return offsets, np.full((len(crops), 10), 0.5, np.float32), np.full(len(crops), 0.9, np.float32)


def test_a_face_turned_inside_out_costs_no_other_face() -> None:
    picture = np.full((120, 160, 3), 128, np.uint8)
    (faces,) = MtcnnDetector(NetsThatTurnABox()).detect([picture])
    assert len(faces) > 1
    for face in faces:
        assert face.box[0] < face.box[2]
        chip = imaging.cut_chip(picture, box=face.box, landmarks=face.landmarks, margin=0.5, max_side=400, quality=92)
        assert chip.width > 0
