"""Models on this host, previews of real photos, and what stock facenet-pytorch makes of them."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.conf import settings
from face_photos import REFERENCE_PHOTOS
from own_process import run_python

from processing.engines import imaging, installation
from processing.engines.detection import Detector, load_detector

PREVIEW_SIDE, PREVIEW_QUALITY = 1440, 80


@pytest.fixture(scope="session")
def models_dir() -> Path:
    """A folder that is kept between sessions, with MTCNN and dlib's models: they come from installed packages."""
    for name in ("mtcnn", "dlib-resnet-v1"):
        if installation.installed(name, settings.MODELS_DIR) is None:
            # torch, which converts, stays out of the process of the tests
            run_python(
                "import pathlib, sys; from processing.engines import installation; "
                "installation.install(sys.argv[1], models_dir=pathlib.Path(sys.argv[2]))",
                name,
                settings.MODELS_DIR,
            )
    return settings.MODELS_DIR


@pytest.fixture(scope="session")
def detector(models_dir: Path) -> Detector:
    """MTCNN on this CPU."""
    return load_detector("mtcnn", models_dir=models_dir, device="cpu")


@pytest.fixture(scope="session")
def preview(shared_photos: Path) -> Callable[[str], np.ndarray]:
    """Give the pixels of a photo's preview as the pipeline makes it, by its path among the real photos."""

    @cache
    def render(name: str) -> np.ndarray:
        made = imaging.render(
            shared_photos / name, sizes={"preview": PREVIEW_SIDE}, quality=PREVIEW_QUALITY, max_pixels=100_000_000
        )
        return imaging.decode_rgb(made.renditions[0].data)

    return render


@pytest.fixture(scope="session")
def torch_reference(
    models_dir: Path, preview: Callable[[str], np.ndarray], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """What torch gives, from one process of its own, for importing it takes ten seconds: see `torch_reference.py`.

    `folder` is the one that it worked in.
    """
    folder = tmp_path_factory.mktemp("torch")
    np.savez(folder / "previews.npz", **{name: preview(name) for name in REFERENCE_PHOTOS})
    run_python(Path(__file__).with_name("torch_reference.py"), folder, models_dir)
    with np.load(folder / "arrays.npz") as arrays:
        return {"folder": folder, **json.loads((folder / "facts.json").read_text()), **arrays}
