"""Image and text models, on a tiny checkpoint of the true layout with random weights, against open_clip."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from own_process import run_python

from processing.engines import installation
from processing.engines.errors import ModelNotInstalledError, WeightsMismatchError
from processing.engines.image_text import ImageEncoder, TextEncoder, load_image_encoder, load_text_encoder
from processing.engines.image_text.preparation import Preparation
from processing.engines.image_text.tokens import tokens

NAME = "clip-vit-b-32-laion2b"


@pytest.fixture(scope="module")
def models(tiny_clip: dict[str, Any]) -> Path:
    return tiny_clip["folder"] / "models"


@pytest.fixture(scope="module")
def pictures(tiny_clip: dict[str, Any]) -> list[np.ndarray]:
    return [tiny_clip[f"picture_{number}"] for number in range(len(tiny_clip["images"]))]


@pytest.fixture(scope="module")
def image_encoder(models: Path) -> ImageEncoder:
    return load_image_encoder(NAME, models_dir=models, device="cpu")


@pytest.fixture(scope="module")
def text_encoder(models: Path) -> TextEncoder:
    return load_text_encoder(NAME, models_dir=models, device="cpu")


def test_tokens_are_those_of_open_clip(tiny_clip: dict[str, Any]) -> None:
    ours = tokens(tiny_clip["texts"], context_length=77)
    assert ours.dtype == np.int64
    np.testing.assert_array_equal(ours, tiny_clip["tokens"])
    # a text that is too long keeps its end
    assert (ours[7, 0], ours[7, -1]) == (49406, 49407)
    assert ours[2].tolist() == [49406, 49407, *[0] * 75]


def test_pictures_are_prepared_as_open_clip_does(
    tiny_clip: dict[str, Any], models: Path, pictures: list[np.ndarray]
) -> None:
    preparation = Preparation.read(models / NAME)
    assert (preparation.size, preparation.resize_mode, preparation.context_length) == (64, "shortest", 77)
    prepared = np.stack([preparation.pixels(picture) for picture in pictures])
    np.testing.assert_allclose(prepared, tiny_clip["prepared"], rtol=0, atol=1e-6)
    ours, theirs = tiny_clip["squashed"].swapaxes(0, 1)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)
    assert ours.shape == (len(pictures), 3, 48, 48)


def test_vectors_are_those_of_open_clip(
    tiny_clip: dict[str, Any], image_encoder: ImageEncoder, text_encoder: TextEncoder, pictures: list[np.ndarray]
) -> None:
    images, texts = image_encoder.encode(pictures), text_encoder.encode(tiny_clip["texts"])
    assert (images.shape, images.dtype, texts.shape, texts.dtype) == ((5, 512), np.float32, (10, 512), np.float32)
    np.testing.assert_allclose(images, tiny_clip["images"], rtol=0, atol=1e-4)
    np.testing.assert_allclose(texts, tiny_clip["texts_vectors"], rtol=0, atol=1e-4)
    # what follows the end of a text is not read: one of the others begins with it
    for vectors in (images, texts[:6]):
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=0, atol=1e-6)
        # random weights tell pictures and words apart too: an encoder that mixed them up would not pass
        others = np.linalg.norm(vectors[:, None] - vectors[None], axis=2)[~np.eye(len(vectors), dtype=bool)]
        assert others.min() > 1e-3


def test_the_torch_modules_give_the_same(tiny_clip: dict[str, Any]) -> None:
    np.testing.assert_allclose(tiny_clip["torch_images"], tiny_clip["images"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(tiny_clip["torch_texts"], tiny_clip["texts_vectors"], rtol=0, atol=1e-5)


def test_more_pictures_than_go_at_once_give_what_single_ones_give(
    image_encoder: ImageEncoder, pictures: list[np.ndarray]
) -> None:
    many = [*pictures, *pictures, *pictures]
    together = image_encoder.encode(iter(many))
    assert len(together) == 15
    alone = np.concatenate([image_encoder.encode([picture]) for picture in pictures])
    np.testing.assert_allclose(together, np.concatenate([alone] * 3), rtol=0, atol=1e-5)


def test_nothing_gives_no_vectors(image_encoder: ImageEncoder, text_encoder: TextEncoder) -> None:
    assert image_encoder.encode([]).shape == text_encoder.encode([]).shape == (0, 512)
    assert (image_encoder.name, text_encoder.dimensions) == (NAME, 512)


def test_what_is_not_these_weights_is_refused_and_nothing_is_unpickled(tiny_clip: dict[str, Any]) -> None:
    refused = dict(tiny_clip["refused"])
    assert refused.pop("sprung") == "False"
    assert refused.pop("pickle.pt").endswith("pickle.pt is no safetensors file, and no other is read.")
    assert set(refused) == {f"{name}.safetensors" for name in ("other", "lacking", "pickle", "text", "empty")}
    for name, said in refused.items():
        assert said.startswith(f"weights_mismatch: {name} does not hold weights of tiny: "), said


def test_a_worker_on_a_cpu_imports_neither_torch_nor_open_clip(models: Path) -> None:
    said = run_python(
        "import pathlib, sys, numpy; from processing.engines import image_text; "
        "images = image_text.load_image_encoder(sys.argv[1], models_dir=pathlib.Path(sys.argv[2]), device='cpu'); "
        "texts = image_text.load_text_encoder(sys.argv[1], models_dir=pathlib.Path(sys.argv[2]), device='cpu'); "
        "images.encode([numpy.zeros((9, 9, 3), numpy.uint8)]); texts.encode(['snow']); "
        "print({'torch', 'open_clip', 'timm', 'torchvision', 'django'} & set(sys.modules))",
        NAME,
        models,
    )
    assert said.strip() == "set()"


def test_damaged_files_are_not_loaded(models: Path, tmp_path: Path) -> None:
    folder = tmp_path / NAME
    folder.mkdir()
    for path in (models / NAME).iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    assert installation.require(NAME, tmp_path, device="cpu").name == NAME
    (folder / "preparation.json").write_text("{}")
    with pytest.raises(WeightsMismatchError, match=r"preparation\.json"):
        load_text_encoder(NAME, models_dir=tmp_path, device="cpu")
    (folder / "image.bin").unlink()
    with pytest.raises(ModelNotInstalledError, match=r"image\.bin is missing"):
        load_image_encoder(NAME, models_dir=tmp_path, device="cpu")
    with pytest.raises(ModelNotInstalledError, match="models install clip-vit-b-32-openai"):
        load_image_encoder("clip-vit-b-32-openai", models_dir=tmp_path, device="cpu")


@pytest.mark.parametrize(
    "stated", [{"size": (224, 256)}, {"interpolation": "random"}, {"resize_mode": "longest"}], ids=str
)
def test_pictures_that_are_prepared_otherwise_are_refused(stated: dict[str, Any]) -> None:
    known = {"size": 224, "mean": (0, 0, 0), "std": (1, 1, 1), "interpolation": "bicubic", "resize_mode": "shortest"}
    assert Preparation.of(known, context_length=77).size == 224
    with pytest.raises(ValueError, match=r"not (prepared|resized)"):
        Preparation.of({**known, **stated}, context_length=77)
