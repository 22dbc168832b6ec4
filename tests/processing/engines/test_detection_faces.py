"""The faces that are kept of real photos, and images in which there can be none."""

from collections.abc import Callable

import numpy as np
import pytest
from django.conf import settings

from processing.engines.detection import DetectedFace, Detector

PEOPLE = (
    "alex_lacamoire/alex_lacamoire1.jpg",
    "alex_lacamoire/img1.jpg",
    "angelina_jolie/1.jpg",
    "biden/biden.jpg",
    "biden/biden2.jpg",
    "kate_siegel/1.jpg",
    "kit_harington/john1.jpeg",
    "kit_harington/john2.jpeg",
    "kit_harington/johnsnow_test1.jpg",
    "obama/obama.jpg",
    "obama/obama1.jpg",
    "obama/obama2.jpg",
    "paul_rudd/1.jpg",
    "rose_leslie/img1.jpg",
    "rose_leslie/img2.jpg",
    "shea_whigham/1.jpg",
)


def _is_kept(face: DetectedFace) -> bool:
    return face.confidence >= settings.FACE_MIN_CONFIDENCE and face.quality >= settings.FACE_MIN_QUALITY


@pytest.mark.parametrize(
    ("name", "count"),
    [("multiface.jpg", 6), ("two_people.jpg", 2), ("obama_and_biden.jpg", 2), ("kit_with_rose.jpg", 2)],
)
def test_the_faces_of_groups_are_kept(
    name: str, count: int, detector: Detector, preview: Callable[[str], np.ndarray]
) -> None:
    faces = detector.detect([preview(f"groups/{name}")])[0]
    kept = [face for face in faces if _is_kept(face)]
    assert len(kept) == count
    # far from the floor: another JPEG encoder changes nothing
    assert min(face.quality for face in kept) > 3 * settings.FACE_MIN_QUALITY


def test_a_face_in_profile_is_a_candidate(detector: Detector, preview: Callable[[str], np.ndarray]) -> None:
    """Beside the two men stands a child, seen nearly from the side: a true face, surely found, that no model embeds."""
    faces = detector.detect([preview("groups/obama_and_biden.jpg")])[0]
    (child,) = [face for face in faces if not _is_kept(face)]
    assert child.confidence > 0.97
    assert child.quality < 0.09
    men = [face.box for face in faces if face is not child]
    assert child.box[0] > max(right for _, _, right, _ in men)
    assert child.box[1] > max(bottom for _, _, _, bottom in men)


@pytest.mark.parametrize("name", PEOPLE)
def test_every_portrait_shows_one_person(name: str, detector: Detector, preview: Callable[[str], np.ndarray]) -> None:
    image = preview(f"people/{name}")
    (face,) = [face for face in detector.detect([image])[0] if _is_kept(face)]
    assert face.confidence > 0.99
    assert face.quality > 5 * settings.FACE_MIN_QUALITY
    left, top, right, bottom = face.box
    assert min(right - left, bottom - top) > 100
    assert all(left < x < right and top < y < bottom for x, y in face.landmarks)
    (left_eye, right_eye, nose, left_mouth, right_mouth) = face.landmarks
    assert left_eye[0] < right_eye[0]
    assert left_mouth[0] < right_mouth[0]
    assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])


def test_an_unsharp_doubtful_face_is_a_candidate(detector: Detector, preview: Callable[[str], np.ndarray]) -> None:
    doubtful = [face for face in detector.detect([preview("people/obama/obama.jpg")])[0] if not _is_kept(face)]
    assert len([face for face in doubtful if face.confidence >= settings.FACE_CANDIDATE_CONFIDENCE]) == 1
    assert max(face.confidence for face in doubtful) < settings.FACE_MIN_CONFIDENCE


def test_images_of_a_batch_do_not_mix(detector: Detector, preview: Callable[[str], np.ndarray]) -> None:
    images = [preview("groups/kit_with_rose.jpg"), np.zeros((90, 120, 3), np.uint8), preview("groups/two_people.jpg")]
    together = detector.detect(images)
    assert together == [detector.detect([image])[0] for image in images]
    assert [len(faces) for faces in together] == [2, 0, 2]
    assert [face.confidence for face in together[0]] == sorted((f.confidence for f in together[0]), reverse=True)


@pytest.mark.parametrize("size", [(1, 1), (19, 400), (20, 20), (400, 21), (33, 1440)])
def test_there_are_no_faces_in_small_or_empty_images(size: tuple[int, int], detector: Detector) -> None:
    assert detector.detect([np.zeros((*size, 3), np.uint8)]) == [[]]
    noise = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
    assert [face for face in detector.detect([noise])[0] if _is_kept(face)] == []


def test_no_images(detector: Detector) -> None:
    assert detector.detect([]) == []
