"""Weights files: where they come from, and the hash by which they are recognised."""

import hashlib
import http.client
import importlib.util
import shutil
import urllib.request
from pathlib import Path

from processing.engines.catalogue import WeightsFile
from processing.engines.errors import WeightsMismatchError, WeightsUnavailableError

# of a file whose size no publisher states
MAX_WEIGHTS_BYTES = 4 * 1024**3
FETCH_TIMEOUT_SECONDS = 20
CHUNK_BYTES = 1024 * 1024


def obtain(weights: WeightsFile, target: Path, *, laid: list[Path], sha256: str | None) -> None:
    """Put a weights file at `target`: from its package, from where somebody may have laid it, or from its publisher.

    The first of `laid` that is there is taken. Without `sha256` any file is. Raises WeightsUnavailableError,
    WeightsMismatchError.
    """
    by_hand = next((path for path in laid if path.is_file()), None)
    if weights.package:
        shutil.copyfile(_package_file(weights), target)
    elif by_hand is not None:
        shutil.copyfile(by_hand, target)
    else:
        _fetch(weights, target, by_hand=laid[0])
    if sha256 is not None:
        require_hash(target, sha256)


def file_hash(path: Path) -> str:
    """Give the SHA-256 of a file in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def require_hash(path: Path, expected: str) -> None:
    """Raise WeightsMismatchError unless the file has this SHA-256."""
    found = file_hash(path)
    if found != expected:
        raise WeightsMismatchError(f"{path.name} has SHA-256 {found}, expected {expected}: it is not used.")


def _package_file(weights: WeightsFile) -> Path:
    # found, not imported: facenet-pytorch would bring torch with it, face-recognition-models an old setuptools
    spec = importlib.util.find_spec(weights.package)
    path = Path(spec.submodule_search_locations[0], weights.path) if spec else None
    if path is None or not path.is_file():
        raise WeightsUnavailableError(
            f"The Python package {weights.package} is not installed, or lacks {weights.path}."
        )
    return path


def _fetch(weights: WeightsFile, target: Path, *, by_hand: Path) -> None:
    try:
        with urllib.request.urlopen(weights.url, timeout=FETCH_TIMEOUT_SECONDS) as answer:  # noqa: S310 - of the catalogue
            _save(answer, target, weights)
    except (OSError, http.client.HTTPException) as error:
        raise WeightsUnavailableError(
            f"{weights.name} could not be fetched ({error}). On a host without internet, fetch {weights.url} "
            f"elsewhere, put it at {by_hand}, and install again."
        ) from error


def _save(answer: http.client.HTTPResponse, target: Path, weights: WeightsFile) -> None:
    """Write an answer to a file, unless it is too long, breaks off, or comes from an address less safe than asked."""
    limit, announced = weights.byte_size or MAX_WEIGHTS_BYTES, answer.length
    if weights.url.startswith("https:") and not answer.url.startswith("https:"):
        raise http.client.HTTPException(f"sent on to {answer.url}, which is not protected")
    with target.open("wb") as file:
        while chunk := answer.read(CHUNK_BYTES):
            if file.tell() + len(chunk) > limit:
                raise WeightsMismatchError(f"{weights.url} is larger than the {limit:,} bytes that it should have.")
            file.write(chunk)
        if announced not in (None, file.tell()):
            raise http.client.HTTPException(f"the answer broke off after {file.tell():,} of {announced:,} bytes")
