"""dlib's embeddings of real people, from chips as the pipeline cuts them."""

from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from django.conf import settings

from processing.engines import catalogue, imaging
from processing.engines.detection import Detector
from processing.engines.embedding import AlignedInput, Embedder, load_embedder

NAME = "dlib-resnet-v1"


@pytest.fixture(scope="module")
def embedder(models_dir: Path) -> Embedder:
    return load_embedder(NAME, models_dir=models_dir, device="cpu")


@pytest.fixture(scope="module")
def faces(
    shared_photos: Path, detector: Detector, preview: Callable[[str], np.ndarray]
) -> list[tuple[str, AlignedInput]]:
    """The person's face of each different photo below `people`, with the person's name."""
    found = []
    seen: set[bytes] = set()
    for path in sorted((shared_photos / "people").glob("*/*")):
        if path.read_bytes() in seen:
            continue
        seen.add(path.read_bytes())
        image = preview(str(path.relative_to(shared_photos)))
        best = max(detector.detect([image])[0], key=lambda face: face.confidence * face.quality)
        chip = imaging.cut_chip(
            image,
            box=best.box,
            landmarks=best.landmarks,
            margin=settings.FACE_CHIP_MARGIN,
            max_side=settings.FACE_CHIP_MAX_SIDE,
            quality=settings.FACE_CHIP_QUALITY,
        )
        pixels = imaging.decode_rgb(chip.data)
        found.append((path.parent.name, AlignedInput(image=pixels, box=chip.box, landmarks=chip.landmarks)))
    return found


def test_people_lie_on_either_side_of_the_threshold(embedder: Embedder, faces: list[tuple[str, AlignedInput]]) -> None:
    vectors = embedder.embed([face for _, face in faces])
    assert (vectors.shape, vectors.dtype) == ((16, 128), np.float32)
    people = [name for name, _ in faces]
    assert len(set(people)) == 9
    pairs = list(combinations(range(len(people)), 2))
    distance = {pair: float(np.linalg.norm(vectors[pair[0]] - vectors[pair[1]])) for pair in pairs}
    same = [distance[one, other] for one, other in pairs if people[one] == people[other]]
    different = [distance[one, other] for one, other in pairs if people[one] != people[other]]
    assert (len(same), len(different)) == (9, 111)
    assert 0.38 < max(same) < 0.47
    assert 0.60 < min(different) < 0.69
    assert max(same) < catalogue.get(NAME).threshold == 0.52 < min(different)


def test_a_batch_gives_what_single_faces_give(embedder: Embedder, faces: list[tuple[str, AlignedInput]]) -> None:
    some = [face for _, face in faces[:3]]
    together = embedder.embed(some)
    np.testing.assert_allclose(together, np.concatenate([embedder.embed([face]) for face in some]), rtol=0, atol=1e-6)


def test_no_faces_give_no_vectors(embedder: Embedder) -> None:
    assert embedder.embed([]).shape == (0, 128)


def test_the_embedder_says_what_it_is(embedder: Embedder) -> None:
    assert (embedder.name, embedder.dimensions) == (NAME, 128)
