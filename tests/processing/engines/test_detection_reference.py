"""The boxes of stock facenet-pytorch, which is the reference for ours."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from face_photos import REFERENCE_PHOTOS

from processing.engines.detection import Detector

TOLERANCE_PIXELS = 0.01


def _require_equal(
    ours: Sequence[Sequence[float]], our_points: Sequence[Any], theirs: np.ndarray, their_points: np.ndarray
) -> list[int]:
    """Give the place in ours of each of theirs; nearest first, since facenet-pytorch orders faces by size."""
    assert len(ours) == len(theirs)
    places = [int(np.abs(np.array(ours) - box).max(axis=1).argmin()) for box in theirs]
    assert sorted(places) == list(range(len(ours)))
    for place, box, points in zip(places, theirs, their_points, strict=True):
        np.testing.assert_allclose(ours[place], box, rtol=0, atol=TOLERANCE_PIXELS)
        np.testing.assert_allclose(our_points[place], points, rtol=0, atol=TOLERANCE_PIXELS)
    return places


@pytest.mark.parametrize("name", REFERENCE_PHOTOS)
def test_faces_are_those_of_facenet_pytorch(
    name: str, detector: Detector, preview: Callable[[str], np.ndarray], torch_reference: dict[str, Any]
) -> None:
    faces = detector.detect([preview(name)])[0]
    places = _require_equal(
        [face.box for face in faces],
        [face.landmarks for face in faces],
        torch_reference[f"{name} boxes"],
        torch_reference[f"{name} points"],
    )
    scores = [faces[place].confidence for place in places]
    np.testing.assert_allclose(scores, torch_reference[f"{name} scores"], rtol=0, atol=1e-5)


def test_the_reference_saw_faces(torch_reference: dict[str, Any]) -> None:
    counts = {name: len(torch_reference[f"{name} boxes"]) for name in REFERENCE_PHOTOS}
    assert counts["groups/multiface.jpg"] == 6
    assert counts["scenes/wood_anemones.jpg"] == 0
    assert min(count for name, count in counts.items() if not name.startswith("scenes/")) >= 1


def test_the_nets_as_torch_modules_see_the_same(torch_reference: dict[str, Any]) -> None:
    found = torch_reference["torch_nets"]
    name = found["name"]
    _require_equal(found["boxes"], found["points"], torch_reference[f"{name} boxes"], torch_reference[f"{name} points"])
    assert len(found["boxes"]) >= 2
