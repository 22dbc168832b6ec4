"""Run by a fixture in a process of its own: a tiny image and text model of the true layout, and what open_clip gives.

Writes `arrays.npz` and `facts.json` into a folder, and installs the model below `models/` in the place of the first of
the catalogue: a checkpoint of random weights is laid by hand where `models install` asks for it.
"""

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import open_clip
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from safetensors.torch import save_file

from processing.engines import catalogue, installation
from processing.engines.errors import EngineError
from processing.engines.image_text import modules
from processing.engines.image_text.encoders import ImageEncoder, TextEncoder, TorchTowers
from processing.engines.image_text.preparation import Preparation

NAME, TINY = "clip-vit-b-32-laion2b", "tiny"
CONFIG = {
    # as many as the model has whose place it takes
    "embed_dim": 512,
    "vision_cfg": {"image_size": 64, "layers": 2, "width": 64, "head_width": 32, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2},
}
SIZES = [(64, 64), (200, 100), (99, 140), (333, 65), (70, 71)]
TEXTS = [
    "a red car in snow",
    "Two PEOPLE  on a\tbeach!",
    "",
    "it's the dog's 1st birthday, isn't it? we'll see: 100 %",
    "Grüße aus Köln — &amp;lt;b&gt; naïve façade",
    "雪の中の赤い車 и собака 🐕‍🦺",
    "<end_of_text> and <START_of_text>",
    "ä" * 400,
    "\u0000\ud7ff\ufffe" + "x" * 3000,
    "a\u200bb\u00a0c\r\n\x0bd",
]


def main(folder: Path) -> None:
    """Make it, and ask open_clip about everything."""
    torch.manual_seed(0)
    (folder / f"{TINY}.json").write_text(json.dumps(CONFIG))
    open_clip.add_model_config(folder / f"{TINY}.json")
    whole = open_clip.create_model(TINY).eval()
    entry = dataclasses.replace(catalogue.get(NAME), architecture=TINY, pretrained="")
    laid = folder / "models" / entry.files[0].name
    laid.parent.mkdir()
    save_file(whole.state_dict(), laid)
    installed = installation.install(NAME, models_dir=folder / "models", model=entry)
    pictures = [pixels(number, size) for number, size in enumerate(SIZES)]
    prepare = image_transform_v2(PreprocessCfg(**open_clip.get_model_preprocess_cfg(whole)), is_train=False)
    batch = torch.stack([prepare(Image.fromarray(picture)) for picture in pictures])
    words = open_clip.get_tokenizer(TINY)(TEXTS)
    with torch.inference_mode():
        theirs = {
            "images": whole.encode_image(batch, normalize=True),
            "texts": whole.encode_text(words, normalize=True),
        }
    towers, preparation = TorchTowers(entry, laid, device="cpu"), modules.load_modules(entry, laid).preparation
    np.savez(
        folder / "arrays.npz",
        prepared=batch.numpy(),
        tokens=words.numpy(),
        images=theirs["images"].numpy(),
        texts_vectors=theirs["texts"].numpy(),
        torch_images=ImageEncoder(towers.image, preparation, name=NAME, dimensions=512).encode(pictures),
        torch_texts=TextEncoder(towers.text, preparation, name=NAME, dimensions=512).encode(TEXTS),
        squashed=squashed(pictures),
        **{f"picture_{number}": picture for number, picture in enumerate(pictures)},
    )
    facts = {
        "texts": TEXTS,
        "weights_hash": installed.weights_hash,
        "refused": refused(folder, entry, whole),
    }
    (folder / "facts.json").write_text(json.dumps(facts))


def pixels(number: int, size: tuple[int, int]) -> np.ndarray:
    """Draw something that is no plane and has no symmetry: RGB uint8 (height, width, 3)."""
    width, height = size
    noise = np.random.default_rng(number).integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC))


def squashed(pictures: list[np.ndarray]) -> np.ndarray:
    """Prepare pictures as those models want them that want no margin cut off: ours, then theirs."""
    stated = PreprocessCfg(size=48, mean=(0.0,) * 3, std=(1.0,) * 3, interpolation="bilinear", resize_mode="squash")
    theirs, ours = image_transform_v2(stated, is_train=False), Preparation.of(vars(stated), context_length=77)
    both = ([ours.pixels(picture), theirs(Image.fromarray(picture)).numpy()] for picture in pictures)
    return np.stack([np.stack(pair) for pair in both])


def refused(folder: Path, entry: catalogue.Model, whole: torch.nn.Module) -> dict[str, str]:
    """Give what is said to files that are not these weights, by what they are."""
    state = whole.state_dict()
    save_file({**state, "text_projection": torch.zeros(3, 4)}, folder / "other.safetensors")
    save_file({name: state[name] for name in list(state)[1:]}, folder / "lacking.safetensors")
    # what unpickling runs would be seen: it would make a file
    torch.save({"x": Trap(folder / "sprung")}, folder / "pickle.safetensors")
    torch.save(state, folder / "pickle.pt")
    (folder / "text.safetensors").write_text("<html>")
    (folder / "empty.safetensors").write_bytes(b"")
    said = {}
    for path in (*sorted(folder.glob("*.safetensors")), folder / "pickle.pt"):
        try:
            modules.load_modules(entry, path)
        except EngineError as error:
            said[path.name] = f"{error.code}: {error}"
    return said | {"sprung": str((folder / "sprung").exists())}


class Trap:
    """What makes a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
