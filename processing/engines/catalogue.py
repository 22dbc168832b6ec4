"""The models that Darkroom knows: what for, from where, and by which hash they are recognised."""

from dataclasses import dataclass
from typing import Literal

Metric = Literal["euclidean", "cosine"]

_FACENET_RELEASE = "https://github.com/timesler/facenet-pytorch/releases/download/v2.2.9"


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """One file of weights. `sha256` is None where no publisher states one: it is recorded at the first installation.

    It lies inside an installed Python package (`package`, with `path` below it), or is fetched from `url`.
    """

    name: str
    sha256: str | None
    byte_size: int | None = None
    package: str = ""
    path: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Model:
    """Weights with a name, and what they are for.

    `threshold` is the distance, in `metric`, within which two faces are taken for one person, `lengths` the least and
    the greatest Euclidean length that a vector of it may have; these are for embedding models only. `architecture` and
    `pretrained` are what open_clip calls an image and text model, and its weights.
    """

    name: str
    task: Literal["face_detection", "face_embedding", "image_embedding"]
    files: tuple[WeightsFile, ...]
    licence: str
    about: str
    dimensions: int = 0
    metric: Metric = "euclidean"
    threshold: float = 0.0
    # unit vectors, with the rounding of half precision
    lengths: tuple[float, float] = (0.98, 1.02)
    architecture: str = ""
    pretrained: str = ""


def _image_text_model(
    name: str, *, architecture: str, pretrained: str, repository: str, licence: str, about: str, dimensions: int = 512
) -> Model:
    """Give an image and text model of the CLIP family, whose weights lie on Hugging Face.

    Each takes open_clip's own tokenizer, which comes with the package: none whose tokenizer is another program's is
    here. No publisher states a hash that was known for certain where this was written.
    """
    # all of them are called the same there, and those of two models may have one layout and other weights
    url = f"https://huggingface.co/{repository}/resolve/main/open_clip_model.safetensors"
    return Model(
        name=name,
        task="image_embedding",
        files=(WeightsFile(name=f"{name}.safetensors", sha256=None, url=url),),
        licence=licence,
        about=about,
        dimensions=dimensions,
        metric="cosine",
        architecture=architecture,
        pretrained=pretrained,
    )


MODELS: dict[str, Model] = {
    model.name: model
    for model in (
        Model(
            name="mtcnn",
            task="face_detection",
            files=(
                WeightsFile(
                    name="pnet.pt",
                    sha256="a2a71925e0b9996a42f63e47efc1ca19043e69558b5c523b978d611dfae49c8f",
                    package="facenet_pytorch",
                    path="data/pnet.pt",
                ),
                WeightsFile(
                    name="rnet.pt",
                    sha256="bbb937de72efc9ef83b186c49f5f558467a1d7e3453a8ece0d71a886633f6a86",
                    package="facenet_pytorch",
                    path="data/rnet.pt",
                ),
                WeightsFile(
                    name="onet.pt",
                    sha256="165bfbe42940416ccfb977545cf0e976d5bf321f67083ae2aaaa5c764280118d",
                    package="facenet_pytorch",
                    path="data/onet.pt",
                ),
            ),
            licence="MIT",
            about="MTCNN, three cascaded nets; weights inside the package facenet-pytorch",
        ),
        Model(
            name="facenet-vggface2",
            task="face_embedding",
            files=(
                WeightsFile(
                    name="20180402-114759-vggface2.pt",
                    sha256="281cebca8662831adb987a874bdcb36e73f5b1c6dc5ee5878f305e985625d99b",
                    byte_size=111_898_327,
                    url=f"{_FACENET_RELEASE}/20180402-114759-vggface2.pt",
                ),
            ),
            licence="MIT (code); trained on VGGFace2",
            about="InceptionResnetV1 of facenet-pytorch; 99.65 % on LFW by its publisher",
            dimensions=512,
            # unit vectors: 1.0 is a cosine of 0.5; facenet's own papers and tools use 0.9 to 1.1
            threshold=1.0,
        ),
        Model(
            name="facenet-casia",
            task="face_embedding",
            files=(
                WeightsFile(
                    name="20180408-102900-casia-webface.pt",
                    sha256=None,
                    url=f"{_FACENET_RELEASE}/20180408-102900-casia-webface.pt",
                ),
            ),
            licence="MIT (code); trained on CASIA-WebFace",
            about="InceptionResnetV1 of facenet-pytorch; 99.05 % on LFW by its publisher",
            dimensions=512,
            threshold=1.0,
        ),
        Model(
            name="dlib-resnet-v1",
            task="face_embedding",
            files=(
                WeightsFile(
                    name="dlib_face_recognition_resnet_model_v1.dat",
                    sha256="55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
                    byte_size=22_466_066,
                    package="face_recognition_models",
                    path="models/dlib_face_recognition_resnet_model_v1.dat",
                ),
                WeightsFile(
                    name="shape_predictor_5_face_landmarks.dat",
                    sha256="c4b1e9804792707d3a405c2c16a80a20269e6675021f64a41d30fffafbc41888",
                    byte_size=9_150_489,
                    package="face_recognition_models",
                    path="models/shape_predictor_5_face_landmarks.dat",
                ),
            ),
            licence="CC0 (weights), Boost (dlib)",
            about="dlib's face ResNet; weights inside the package face-recognition-models",
            dimensions=128,
            # dlib's publisher: 0.6 separates pairs at 99.38 % on LFW; a group of many needs more room on the safe side
            threshold=0.52,
            # not normalised: 1.28 to 1.53 on faces, from 1.18 on what is none
            lengths=(1.0, 1.8),
        ),
        _image_text_model(
            "clip-vit-b-32-laion2b",
            architecture="ViT-B-32",
            pretrained="laion2b_s34b_b79k",
            repository="laion/CLIP-ViT-B-32-laion2B-s34B-b79K",
            licence="MIT; trained on LAION-2B",
            about="CLIP ViT-B/32, 605 MB, the quickest; 66.6 % zero-shot on ImageNet by its publisher",
        ),
        _image_text_model(
            "clip-vit-b-32-openai",
            architecture="ViT-B-32-quickgelu",
            pretrained="openai",
            repository="timm/vit_base_patch32_clip_224.openai",
            licence="MIT; trained on data that OpenAI did not publish",
            about="CLIP ViT-B/32 of OpenAI, 605 MB; 63.3 % zero-shot on ImageNet by its publisher",
        ),
        _image_text_model(
            "clip-vit-b-16-datacomp",
            architecture="ViT-B-16",
            pretrained="datacomp_xl_s13b_b90k",
            repository="laion/CLIP-ViT-B-16-DataComp.XL-s13B-b90K",
            licence="MIT; trained on DataComp-1B",
            about="CLIP ViT-B/16, 599 MB, four times the work; 73.5 % zero-shot on ImageNet by its publisher",
        ),
        _image_text_model(
            "clip-vit-l-14-datacomp",
            architecture="ViT-L-14",
            pretrained="datacomp_xl_s13b_b90k",
            repository="laion/CLIP-ViT-L-14-DataComp.XL-s13B-b90K",
            licence="MIT; trained on DataComp-1B",
            about="CLIP ViT-L/14, 1.7 GB, for a GPU; 79.2 % zero-shot on ImageNet by its publisher",
            dimensions=768,
        ),
        _image_text_model(
            "mobileclip-s1",
            architecture="MobileCLIP-S1",
            pretrained="datacompdr",
            repository="apple/MobileCLIP-S1-OpenCLIP",
            licence="Apple's own, for the weights: read it; trained on DataCompDR-1B",
            about="MobileCLIP-S1, 340 MB; 72.6 % zero-shot on ImageNet by its publisher",
        ),
        _image_text_model(
            "mobileclip-s2",
            architecture="MobileCLIP-S2",
            pretrained="datacompdr",
            repository="apple/MobileCLIP-S2-OpenCLIP",
            licence="Apple's own, for the weights: read it; trained on DataCompDR-1B",
            about="MobileCLIP-S2, 398 MB; 74.4 % zero-shot on ImageNet by its publisher",
        ),
    )
}


def get(name: str) -> Model:
    """Give the model of this name; KeyError if it is not in the catalogue."""
    return MODELS[name]


def for_task(task: str) -> list[Model]:
    """Give the models that can do a task."""
    return [model for model in MODELS.values() if model.task == task]
