"""Installing models: fetch or find the weights, check their hash, convert them for the CPU, say what is there.

A model lies in a folder of its own below the models directory. Its manifest is written last, so a folder with a
manifest is whole; reading it costs one small file, imports nothing and hashes nothing.
"""

import fcntl
import hashlib
import importlib.util
import json
import os
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from processing.engines import catalogue
from processing.engines.catalogue import Model, WeightsFile
from processing.engines.errors import ModelNotInstalledError, WeightsMismatchError, WeightsUnavailableError

MANIFEST = "manifest.json"
# counted up when a conversion gives other files
FORMAT = 1
MAX_WEIGHTS_BYTES = 1024**3
FETCH_TIMEOUT_SECONDS = 20
CHUNK_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class InstalledModel:
    """A model on this host. `weights_hash` is the SHA-256 over its weights files' hashes, in hex."""

    name: str
    folder: Path
    weights_hash: str
    hashes: dict[str, str]


def installed(name: str, models_dir: Path) -> InstalledModel | None:
    """Give a model that is installed whole on this host, or None."""
    folder = models_dir / name
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
    except FileNotFoundError:
        return None
    if manifest["format"] != FORMAT:
        return None
    return InstalledModel(name, folder, manifest["weights_hash"], manifest["files"])


def installed_models(*, task: str, models_dir: Path) -> list[InstalledModel]:
    """Give the models for a task that are installed on this host."""
    found = (installed(model.name, models_dir) for model in catalogue.for_task(task))
    return [model for model in found if model is not None]


def require(name: str, models_dir: Path, *, device: str) -> InstalledModel:
    """Give an installed model whose weights have been hashed again; what a worker calls before it loads one.

    Raises ModelNotInstalledError, WeightsMismatchError. `device` is `cpu` or `cuda`.
    """
    model = installed(name, models_dir)
    if model is None:
        raise ModelNotInstalledError(f"{name} is not installed here: run `manage.py models install {name}`.")
    verify(model, also_converted=device == "cpu")
    return model


def verify(model: InstalledModel, *, also_converted: bool = True) -> None:
    """Hash a model's files and compare with what was recorded. Raises WeightsMismatchError."""
    for name, recorded in model.hashes.items():
        if name.endswith((".xml", ".bin")) and not also_converted:
            continue
        path = model.folder / name
        if not path.is_file():
            raise ModelNotInstalledError(f"{path} is missing: run `manage.py models install {model.name}`.")
        _require_hash(path, recorded)


def install(name: str, *, models_dir: Path, model: Model | None = None) -> InstalledModel:
    """Install a model; one that is there already is only verified. May run at the same time as itself.

    `model` stands in for the catalogue's entry. Imports torch where there is something to convert. Raises KeyError for
    an unknown name, WeightsUnavailableError where the weights cannot be had, WeightsMismatchError for wrong ones.
    """
    model = model or catalogue.get(name)
    models_dir.mkdir(parents=True, exist_ok=True)
    with _locked(models_dir / f".{name}.lock"):
        found = installed(name, models_dir)
        if found is not None:
            verify(found)
            return found
        building = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=models_dir))
        try:
            _build(model, building, models_dir)
            shutil.rmtree(models_dir / name, ignore_errors=True)
            building.replace(models_dir / name)
        finally:
            shutil.rmtree(building, ignore_errors=True)
    return installed(name, models_dir)


def resolve_device(setting: str) -> str:
    """Give `cuda` or `cpu` for a setting of `auto`, `cuda` or `cpu`.

    `auto` looks for NVIDIA's driver first: only where it is there is torch imported and asked.
    """
    if setting != "auto":
        return setting
    if not Path("/proc/driver/nvidia/version").exists():
        return "cpu"
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _build(model: Model, building: Path, models_dir: Path) -> None:
    from processing.engines import conversion

    for weights in model.files:
        target = building / weights.name
        _obtain(model, weights, target, models_dir)
    converted = conversion.convert(model, building)
    names = [weights.name for weights in model.files]
    hashes = {name: file_hash(building / name) for name in [*names, *converted]}
    weights_hash = hashlib.sha256("".join(hashes[name] for name in sorted(names)).encode()).hexdigest()
    manifest = {"format": FORMAT, "model": model.name, "weights_hash": weights_hash, "files": hashes}
    with (building / MANIFEST).open("w") as file:
        json.dump(manifest, file, indent=1)
        file.flush()
        os.fsync(file.fileno())


def _obtain(model: Model, weights: WeightsFile, target: Path, models_dir: Path) -> None:
    """Put a weights file in place: from its package, from where somebody laid it, or from its publisher."""
    by_hand = [models_dir / weights.name, models_dir / model.name / weights.name]
    laid = next((path for path in by_hand if path.is_file()), None)
    if weights.package:
        shutil.copyfile(_package_file(weights), target)
    elif laid is not None:
        shutil.copyfile(laid, target)
    else:
        _fetch(weights, target, by_hand[0])
    if weights.sha256 is not None:
        _require_hash(target, weights.sha256)


def _package_file(weights: WeightsFile) -> Path:
    # found, not imported: facenet-pytorch would bring torch with it, face-recognition-models an old setuptools
    spec = importlib.util.find_spec(weights.package)
    path = Path(spec.submodule_search_locations[0], weights.path) if spec else None
    if path is None or not path.is_file():
        raise WeightsUnavailableError(
            f"The Python package {weights.package} is not installed, or lacks {weights.path}."
        )
    return path


def _fetch(weights: WeightsFile, target: Path, by_hand: Path) -> None:
    advice = f"On a host without internet, fetch {weights.url} elsewhere, put it at {by_hand}, and install again."
    try:
        with urllib.request.urlopen(weights.url, timeout=FETCH_TIMEOUT_SECONDS) as answer, target.open("wb") as file:  # noqa: S310 - https, from the catalogue
            limit = weights.byte_size or MAX_WEIGHTS_BYTES
            while chunk := answer.read(CHUNK_BYTES):
                if file.tell() + len(chunk) > limit:
                    raise WeightsMismatchError(f"{weights.url} is larger than the {limit:,} bytes that it should have.")
                file.write(chunk)
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise WeightsUnavailableError(f"{weights.name} could not be fetched ({error}). {advice}") from error


def file_hash(path: Path) -> str:
    """Give the SHA-256 of a file in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _require_hash(path: Path, expected: str) -> None:
    found = file_hash(path)
    if found != expected:
        raise WeightsMismatchError(f"{path.name} has SHA-256 {found}, expected {expected}: it is not used.")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
