"""The models that Darkroom knows, against the packages and publishers that they come from."""

import importlib.util
from pathlib import Path

import pytest

from processing.engines import catalogue
from processing.engines.weights import file_hash

PACKAGED = [(name, file) for name, model in catalogue.MODELS.items() for file in model.files if file.package]
FETCHED = [(name, file) for name, model in catalogue.MODELS.items() for file in model.files if file.url]


def _package(name: str) -> Path:
    return Path(importlib.util.find_spec(name).submodule_search_locations[0])


def test_the_models_are_these() -> None:
    assert {name: (model.task, model.dimensions, model.threshold) for name, model in catalogue.MODELS.items()} == {
        "mtcnn": ("face_detection", 0, 0.0),
        "facenet-vggface2": ("face_embedding", 512, 1.0),
        "facenet-casia": ("face_embedding", 512, 1.0),
        "dlib-resnet-v1": ("face_embedding", 128, 0.52),
    }
    assert [model.name for model in catalogue.for_task("face_detection")] == ["mtcnn"]
    assert len(catalogue.for_task("face_embedding")) == 3
    assert catalogue.for_task("image_embedding") == []


def test_an_unknown_model_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        catalogue.get("arcface")


@pytest.mark.parametrize(("model", "file"), PACKAGED, ids=lambda value: getattr(value, "name", value))
def test_packaged_weights_are_the_pinned_ones(model: str, file: catalogue.WeightsFile) -> None:
    path = _package(file.package) / file.path
    assert file_hash(path) == file.sha256
    assert file.byte_size in (None, path.stat().st_size)


@pytest.mark.parametrize(("model", "file"), FETCHED, ids=lambda value: getattr(value, "name", value))
def test_weights_are_fetched_from_where_facenet_pytorch_fetches_them(model: str, file: catalogue.WeightsFile) -> None:
    stated = (_package("facenet_pytorch") / "models" / "inception_resnet_v1.py").read_text()
    assert f"'{file.url}'" in stated
    assert file.url.endswith(f"/{file.name}")


def test_weights_without_a_published_hash_are_known_as_such() -> None:
    assert [model for model, file in FETCHED if file.sha256 is None] == ["facenet-casia"]
    assert all(file.package or file.url for model in catalogue.MODELS.values() for file in model.files)
