"""One running Darkroom for the tests of this folder."""

import signal
import subprocess
from collections.abc import Iterator

import pytest
from darkroom_process import STOP_TIMEOUT_SECONDS, Installation, start
from real_photos import REAL_PHOTOS


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A running Darkroom into which the folder of real photos was imported, or else the sample photos."""
    folder = tmp_path_factory.mktemp("e2e") / "var"
    running = start(var_dir=folder, photos=REAL_PHOTOS if REAL_PHOTOS.is_dir() else None)
    yield running
    if running.process.poll() is None:
        running.process.send_signal(signal.SIGINT)
        try:
            running.process.wait(timeout=STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            running.process.kill()
