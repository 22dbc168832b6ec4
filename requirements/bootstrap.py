"""Make a virtual environment with uv in it: `python3.11 requirements/bootstrap.py .venv`. Standard library only.

Debian splits pip's installer off into python3-venv, which a user without root rights cannot add. Where it is
missing, pip itself is fetched: its wheel runs without being installed.
"""

# ruff: noqa: INP001 - a script beside the locks, not a package

import hashlib
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
OLDEST_PYTHON = (3, 11)

PIP_WHEEL = "pip-26.3-py3-none-any.whl"
PIP_SHA256 = "f3b60b20ffaadd4415ed7957212a38ac63fa4c5fa375bd0f4a797777940fad13"
INDEX = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple")
FETCH_ATTEMPTS = 5
FETCH_SECONDS = 60


def main(folder: Path) -> None:
    """Make the environment, or complete one that an interrupted call left behind."""
    if sys.version_info < OLDEST_PYTHON:
        sys.exit(
            f"Darkroom needs Python {'.'.join(map(str, OLDEST_PYTHON))} or newer; this is {sys.version.split()[0]}"
        )
    python = folder / "bin" / "python"
    if has_ensurepip():
        venv.create(folder, with_pip=True, symlinks=True)
        install_uv([str(python), "-m", "pip"])
        return
    venv.create(folder, with_pip=False, symlinks=True)
    with tempfile.TemporaryDirectory() as temporary:
        wheel = fetch_pip(Path(temporary))
        install_uv([str(python), f"{wheel}/pip"])


def has_ensurepip() -> bool:
    """Tell whether this Python can put pip into an environment by itself."""
    try:
        import ensurepip  # noqa: F401 - only whether it is there
    except ImportError:
        return False
    return True


def install_uv(pip: list[str]) -> None:
    """Install the pinned uv; ends the process with pip's status where that fails."""
    options = ["--disable-pip-version-check", "--retries=10", "--timeout=60", "--require-hashes"]
    finished = subprocess.run([*pip, "install", "--quiet", *options, "-r", str(HERE / "uv.txt")], check=False)
    if finished.returncode != 0:
        sys.exit(finished.returncode)


def fetch_pip(folder: Path) -> Path:
    """Fetch pip's wheel from the package index and check its hash."""
    page = f"{INDEX.rstrip('/')}/pip/"
    found = re.search(rf'href="([^"#]*{re.escape(PIP_WHEEL)})', fetch(page).decode())
    if found is None:
        sys.exit(f"{page} has no {PIP_WHEEL}: install python3-venv, or set PIP_INDEX_URL to an index that has it")
    content = fetch(urllib.parse.urljoin(page, found.group(1)))
    if hashlib.sha256(content).hexdigest() != PIP_SHA256:
        sys.exit(f"{PIP_WHEEL} from {page} is not the published file: its SHA-256 differs")
    wheel = folder / PIP_WHEEL
    wheel.write_bytes(content)
    return wheel


def fetch(url: str) -> bytes:
    """Fetch a small file, trying again while the network or the index has trouble."""
    for attempt in range(1, FETCH_ATTEMPTS + 1):
        try:
            with urllib.request.urlopen(url, timeout=FETCH_SECONDS) as answer:  # noqa: S310 - the package index
                content: bytes = answer.read()
                return content
        except OSError as error:
            if attempt == FETCH_ATTEMPTS:
                sys.exit(f"{url} cannot be fetched: {error}")
            time.sleep(2**attempt)
    raise AssertionError


if __name__ == "__main__":
    main(Path(sys.argv[1]))
