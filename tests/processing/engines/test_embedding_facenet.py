"""The facenet embedder on a checkpoint of the true layout with random weights, against torch."""

from typing import Any

import numpy as np
import pytest

from processing.engines.embedding import AlignedInput, Embedder, load_embedder

NAME = "facenet-vggface2"


@pytest.fixture(scope="module")
def embedder(torch_reference: dict[str, Any]) -> Embedder:
    return load_embedder(NAME, models_dir=torch_reference["folder"] / "models", device="cpu")


@pytest.fixture(scope="module")
def faces(torch_reference: dict[str, Any]) -> list[AlignedInput]:
    pairs = zip(torch_reference["images"], torch_reference["image_boxes"], strict=True)
    return [AlignedInput(image=image, box=box, landmarks=()) for image, box in pairs]


def test_embeddings_are_those_of_facenet_pytorch(
    embedder: Embedder, faces: list[AlignedInput], torch_reference: dict[str, Any]
) -> None:
    vectors = embedder.embed(faces)
    assert (vectors.shape, vectors.dtype) == ((9, 512), np.float32)
    np.testing.assert_allclose(vectors, torch_reference["embeddings"], rtol=0, atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=0, atol=1e-6)
    # random weights tell pictures apart too: an embedder that mixed faces up would not pass
    others = np.linalg.norm(vectors[:, None] - vectors[None], axis=2)[~np.eye(9, dtype=bool)]
    assert others.min() > 1e-3


def test_embeddings_of_the_torch_module_are_the_same(torch_reference: dict[str, Any]) -> None:
    ours = torch_reference["torch_embeddings"]
    np.testing.assert_allclose(ours, torch_reference["embeddings"], rtol=0, atol=1e-5)


def test_a_batch_gives_what_single_faces_give(embedder: Embedder, faces: list[AlignedInput]) -> None:
    together = embedder.embed(faces)
    alone = np.concatenate([embedder.embed([face]) for face in faces])
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-5)


def test_no_faces_give_no_vectors(embedder: Embedder) -> None:
    assert embedder.embed([]).shape == (0, 512)


def test_the_embedder_says_what_it_is(embedder: Embedder) -> None:
    assert (embedder.name, embedder.dimensions) == (NAME, 512)


def test_files_of_other_things_are_refused(torch_reference: dict[str, Any]) -> None:
    no_weights, other_weights = torch_reference["refused"]
    assert no_weights.startswith("no-weights.pt is not a file of weights:")
    assert other_weights == "other-weights.pt holds other weights than InceptionResnetV1's."
