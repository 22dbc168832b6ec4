"""Installing models: obtain the weights, check their hashes, convert them for the CPU, say what is there.

A model lies in a folder of its own below the models directory. It is built beside it and moved there when it is whole;
its manifest is one small file, so that asking what is installed imports nothing and hashes nothing.
"""

import fcntl
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from processing.engines import catalogue, weights
from processing.engines.catalogue import Model
from processing.engines.errors import (
    DeviceUnavailableError,
    ModelNotInstalledError,
    WeightsMismatchError,
)

MANIFEST = "manifest.json"
# counted up when a conversion gives other files
FORMAT = 2
# of NVIDIA: the driver itself, its device in a container, and Windows' way to it for Linux
DRIVER_FILES = (Path("/proc/driver/nvidia/version"), Path("/dev/nvidiactl"), Path("/dev/dxg"))


@dataclass(frozen=True, slots=True)
class InstalledModel:
    """A model on this host. `weights_hash` is the SHA-256 over its weights files' hashes, in hex.

    `weights` and `converted` are the SHA-256 of the files in `folder` by their names: those of the publisher, and those
    made from them for the CPU.
    """

    name: str
    folder: Path
    weights_hash: str
    weights: Mapping[str, str]
    converted: Mapping[str, str]


def installed(name: str, models_dir: Path) -> InstalledModel | None:
    """Give a model that is installed whole on this host, or None."""
    manifest = _manifest(models_dir / name)
    if manifest.get("format") != FORMAT:
        return None
    return InstalledModel(name, models_dir / name, manifest["weights_hash"], manifest["weights"], manifest["converted"])


def installed_models(*, task: str, models_dir: Path) -> list[InstalledModel]:
    """Give the models for a task that are installed on this host."""
    found = (installed(model.name, models_dir) for model in catalogue.for_task(task))
    return [model for model in found if model is not None]


def require(name: str, models_dir: Path, *, device: str) -> InstalledModel:
    """Give an installed model whose files have been hashed again; what a worker calls before it loads one.

    `device` is `cpu` or `cuda`. Raises ModelNotInstalledError, WeightsMismatchError.
    """
    model = installed(name, models_dir)
    if model is None:
        raise ModelNotInstalledError(f"{name} is not installed here: run `manage.py models install {name}`.")
    verify(model, also_converted=device == "cpu")
    return model


def verify(model: InstalledModel, *, also_converted: bool = True) -> None:
    """Hash a model's files and compare with what was recorded. Raises ModelNotInstalledError, WeightsMismatchError."""
    recorded = {**model.weights, **(model.converted if also_converted else {})}
    for name, sha256 in recorded.items():
        path = model.folder / name
        if not path.is_file():
            raise ModelNotInstalledError(f"{path} is missing: run `manage.py models install {model.name}`.")
        weights.require_hash(path, sha256)


def install(name: str, *, models_dir: Path, model: Model | None = None) -> InstalledModel:
    """Install a model; one that is there whole stays, a damaged one is built again. May run at once with itself.

    `model` stands in for the catalogue's entry. Weights that no publisher states a hash of must be those of the first
    installation. Imports torch where there is something to convert. Raises KeyError for an unknown name,
    WeightsUnavailableError where the weights cannot be had, WeightsMismatchError for wrong ones, ConversionError.
    """
    model = model or catalogue.get(name)
    models_dir.mkdir(parents=True, exist_ok=True)
    with _locked(models_dir / f".{name}.lock"):
        _remove_unfinished(name, models_dir)
        found = installed(name, models_dir)
        if found is not None and _is_whole(found):
            return found
        building = _unfinished(name, models_dir)
        building.mkdir()
        try:
            _build(model, building, models_dir)
            if (models_dir / name).exists():
                (models_dir / name).replace(_unfinished(name, models_dir))
            building.replace(models_dir / name)
        finally:
            _remove_unfinished(name, models_dir)
    return require(name, models_dir, device="cpu")


def resolve_device(setting: str) -> str:
    """Give `cuda` or `cpu` for a setting of `auto`, `cuda` or `cpu`.

    `auto` looks for NVIDIA's driver first: only where it is there is torch imported and asked. Raises
    DeviceUnavailableError where CUDA is asked for and is not there.
    """
    if setting == "cpu" or (setting == "auto" and not any(path.exists() for path in DRIVER_FILES)):
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if setting == "auto":
        return "cpu"
    raise DeviceUnavailableError(
        "DEVICE is cuda, and torch finds no CUDA device here: mend its driver, or set DEVICE to auto or cpu."
    )


def _manifest(folder: Path) -> dict:
    """Read a folder's manifest; an empty one where it is missing or damaged."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
    except (FileNotFoundError, ValueError):
        return {}
    is_complete = isinstance(manifest, dict) and manifest.keys() >= {"format", "weights_hash", "weights", "converted"}
    return manifest if is_complete else {}


def _is_whole(model: InstalledModel) -> bool:
    try:
        verify(model)
    except (ModelNotInstalledError, WeightsMismatchError):
        return False
    return True


def _build(model: Model, building: Path, models_dir: Path) -> None:
    from processing.engines import conversion

    recorded = _manifest(models_dir / model.name).get("weights", {})
    for file in model.files:
        # beside the models, or where they will lie: also after an installation of an older format
        laid = [models_dir / file.name, models_dir / model.name / file.name]
        weights.obtain(file, building / file.name, laid=laid, sha256=file.sha256 or recorded.get(file.name))
    hashes = {file.name: weights.file_hash(building / file.name) for file in model.files}
    manifest = {
        "format": FORMAT,
        "model": model.name,
        "weights_hash": hashlib.sha256("".join(hashes[name] for name in sorted(hashes)).encode()).hexdigest(),
        "weights": hashes,
        "converted": {name: weights.file_hash(building / name) for name in conversion.convert(model, building)},
    }
    (building / MANIFEST).write_text(json.dumps(manifest, indent=1))
    for path in building.iterdir():
        _sync(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unfinished(name: str, models_dir: Path) -> Path:
    return models_dir / f".{name}.{uuid.uuid4().hex}.unfinished"


def _remove_unfinished(name: str, models_dir: Path) -> None:
    """Remove what an installation that was killed left behind; the lock says that none is running."""
    for folder in models_dir.glob(f".{name}.*.unfinished"):
        shutil.rmtree(folder)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
