"""The models that Darkroom knows, against the packages and publishers that they come from."""

import importlib.util
import json
import re
from pathlib import Path

import pytest
from pgvector.django import HnswIndex

from photos.models import FaceEmbedding, ImageEmbedding
from processing.engines import catalogue
from processing.engines.weights import file_hash

PACKAGED = [(name, file) for name, model in catalogue.MODELS.items() for file in model.files if file.package]
FACENETS = [
    (name, file) for name, model in catalogue.MODELS.items() for file in model.files if name.startswith("facenet-")
]
FETCHED = [(name, file) for name, model in catalogue.MODELS.items() for file in model.files if file.url]


def _package(name: str) -> Path:
    return Path(importlib.util.find_spec(name).submodule_search_locations[0])


def test_the_models_are_these() -> None:
    assert {name: (model.task, model.dimensions, model.threshold) for name, model in catalogue.MODELS.items()} == {
        "mtcnn": ("face_detection", 0, 0.0),
        "facenet-vggface2": ("face_embedding", 512, 1.0),
        "facenet-casia": ("face_embedding", 512, 1.0),
        "dlib-resnet-v1": ("face_embedding", 128, 0.52),
        "clip-vit-b-32-laion2b": ("image_embedding", 512, 0.0),
        "clip-vit-b-32-openai": ("image_embedding", 512, 0.0),
        "clip-vit-b-16-datacomp": ("image_embedding", 512, 0.0),
        "clip-vit-l-14-datacomp": ("image_embedding", 768, 0.0),
        "mobileclip-s1": ("image_embedding", 512, 0.0),
        "mobileclip-s2": ("image_embedding", 512, 0.0),
    }
    assert [model.name for model in catalogue.for_task("face_detection")] == ["mtcnn"]
    assert len(catalogue.for_task("face_embedding")) == 3
    assert len(catalogue.for_task("image_embedding")) == 6


def test_an_unknown_model_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        catalogue.get("arcface")


@pytest.mark.parametrize(("model", "file"), PACKAGED, ids=lambda value: getattr(value, "name", value))
def test_packaged_weights_are_the_pinned_ones(model: str, file: catalogue.WeightsFile) -> None:
    path = _package(file.package) / file.path
    assert file_hash(path) == file.sha256
    assert file.byte_size in (None, path.stat().st_size)


@pytest.mark.parametrize(("model", "file"), FACENETS, ids=lambda value: getattr(value, "name", value))
def test_weights_are_fetched_from_where_facenet_pytorch_fetches_them(model: str, file: catalogue.WeightsFile) -> None:
    stated = (_package("facenet_pytorch") / "models" / "inception_resnet_v1.py").read_text()
    assert f"'{file.url}'" in stated
    assert file.url.endswith(f"/{file.name}")


def test_weights_without_a_published_hash_are_known_as_such() -> None:
    assert {model for model, file in FETCHED if file.sha256 is None} == {
        "facenet-casia",
        *(model.name for model in catalogue.for_task("image_embedding")),
    }
    assert all(file.package or file.url for model in catalogue.MODELS.values() for file in model.files)


@pytest.mark.parametrize("model", catalogue.for_task("image_embedding"), ids=lambda model: model.name)
def test_image_models_are_those_that_open_clip_knows(model: catalogue.Model) -> None:
    config = json.loads((_package("open_clip") / "model_configs" / f"{model.architecture}.json").read_text())
    assert config["embed_dim"] == model.dimensions
    # a tokenizer of another program, whose files are none of these, would be named here
    assert not {"hf_tokenizer_name", "hf_model_name"} & config["text_cfg"].keys()
    stated = (_package("open_clip") / "pretrained.py").read_text()
    repository = model.files[0].url.removeprefix("https://huggingface.co/").partition("/resolve/")[0]
    assert re.search(rf"{model.pretrained}=_\w+\((?:[^()]|\([^()]*\))*hf_hub=['\"]{repository}/", stated)


def test_every_embedding_model_has_an_index_of_its_own() -> None:
    indexed = {
        (
            dict(index.condition.children)["model"],
            index.expressions[0].get_source_expressions()[0].output_field.dimensions,
        )
        for rows in (FaceEmbedding, ImageEmbedding)
        for index in rows._meta.indexes
        if isinstance(index, HnswIndex)
    }
    tasks = ("face_embedding", "image_embedding")
    models = [model for model in catalogue.MODELS.values() if model.task in tasks]
    assert indexed == {(model.name, model.dimensions) for model in models}
