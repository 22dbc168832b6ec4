"""Run by a fixture in a process of its own: what torch and stock facenet-pytorch give for the previews in a folder.

Writes `arrays.npz` and `facts.json`, and installs the model `facenet-vggface2` of random weights below `models/`.
"""

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import torch
from facenet_pytorch import MTCNN, InceptionResnetV1, fixed_image_standardization
from facenet_pytorch.models.utils.detect_face import extract_face
from PIL import Image

from processing.engines import catalogue, installation
from processing.engines.conversion import facenet_module
from processing.engines.detection.mtcnn import MtcnnDetector
from processing.engines.detection.nets import TorchNets
from processing.engines.embedding import AlignedInput
from processing.engines.embedding.facenet import FacenetEmbedder, TorchNet
from processing.engines.errors import WeightsMismatchError
from processing.engines.weights import file_hash

CLASSES_OF_VGGFACE2 = 8631
FACENET = "facenet-vggface2"
# the embedder's own batch is smaller, so that it needs two
FACES = 9


def main(folder: Path, models_dir: Path) -> None:
    """Ask torch about everything."""
    torch.manual_seed(0)
    with np.load(folder / "previews.npz") as arrays:
        previews = dict(arrays)
    detected = _stock_detections(previews)
    name, image = next(iter(previews.items()))
    ours = MtcnnDetector(TorchNets(models_dir / "mtcnn", device="cpu")).detect([image])[0]
    weights = folder / catalogue.get(FACENET).files[0].name
    torch.save(InceptionResnetV1(classify=True, num_classes=CLASSES_OF_VGGFACE2).state_dict(), weights)
    _install(folder, weights)
    facts = {
        "torch_nets": {"name": name, "boxes": [face.box for face in ours], "points": [f.landmarks for f in ours]},
        "refused": _refused(folder),
    }
    (folder / "facts.json").write_text(json.dumps(facts))
    np.savez(folder / "arrays.npz", **detected, **_embeddings(weights))


def _stock_detections(previews: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    mtcnn = MTCNN(keep_all=True, device="cpu")
    found = {}
    for name, image in previews.items():
        boxes, scores, points = mtcnn.detect(Image.fromarray(image), landmarks=True)
        none = boxes is None
        found[f"{name} boxes"] = np.empty((0, 4)) if none else boxes.astype(float)
        found[f"{name} scores"] = np.empty(0) if none else scores.astype(float)
        found[f"{name} points"] = np.empty((0, 5, 2)) if none else points.astype(float)
    return found


def _install(folder: Path, weights: Path) -> None:
    entry = catalogue.get(FACENET)
    file = dataclasses.replace(entry.files[0], sha256=file_hash(weights), byte_size=None)
    models_dir = folder / "models"
    models_dir.mkdir()
    # as on a closed network: laid there by hand, where the error tells
    weights = weights.rename(models_dir / weights.name)
    installation.install(FACENET, models_dir=models_dir, model=dataclasses.replace(entry, files=(file,)))
    weights.rename(folder / weights.name)


def _refused(folder: Path) -> list[str]:
    """Give what is said to files that are not the net's weights."""
    said = []
    (folder / "no-weights.pt").write_bytes(b"no weights at all")
    torch.save({"conv2d_1a.conv.weight": torch.zeros(32, 3, 3, 3)}, folder / "other-weights.pt")
    for name in ("no-weights.pt", "other-weights.pt"):
        try:
            facenet_module(folder / name)
        except WeightsMismatchError as error:
            said.append(str(error))
    return said


def _embeddings(weights: Path) -> dict[str, np.ndarray]:
    """Embed random pictures with facenet-pytorch's own crop, normalisation and net, and with our torch embedder."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (FACES, 240, 200, 3), dtype=np.uint8)
    lows = random.uniform(-5, 60, (FACES, 2))
    boxes = np.concatenate([lows, lows + random.uniform(60, 170, (FACES, 2))], axis=1)
    state = torch.load(weights, weights_only=True)
    net = InceptionResnetV1(classify=True, num_classes=CLASSES_OF_VGGFACE2)
    net.load_state_dict(state)
    net.classify = False
    net.eval()
    crops = [extract_face(Image.fromarray(image), box, 160, 0) for image, box in zip(images, boxes, strict=True)]
    with torch.inference_mode():
        expected = net(fixed_image_standardization(torch.stack(crops))).numpy()
    faces = [AlignedInput(image=image, box=box, landmarks=()) for image, box in zip(images, boxes, strict=True)]
    ours = FacenetEmbedder(TorchNet(weights, device="cpu"), name=FACENET, dimensions=512).embed(faces)
    return {"images": images, "image_boxes": boxes, "embeddings": expected, "torch_embeddings": ours}


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
