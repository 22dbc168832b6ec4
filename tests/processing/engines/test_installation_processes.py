"""Installations that run at once, that are killed, and what one does on the network."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from own_process import PATIENCE_SECONDS, REPOSITORY, run_python

from processing.engines import installation

DLIB = "dlib-resnet-v1"
INSTALL = """
import pathlib, sys
from processing.engines import installation
print(installation.install(sys.argv[1], models_dir=pathlib.Path(sys.argv[2])).weights_hash)
"""
# stops for good in the middle: the first file is there, the second and the manifest are not
STUCK = """
import pathlib, sys, time
from processing.engines import installation, weights
obtain = weights.obtain
def slow(file, target, **how):
    if target.parent.exists() and any(target.parent.iterdir()):
        print("half", flush=True)
        time.sleep(600)
    obtain(file, target, **how)
weights.obtain = slow
installation.install(sys.argv[1], models_dir=pathlib.Path(sys.argv[2]))
"""
WATCHED = """
import json, pathlib, sys
events = []
WATCHED = ("socket.connect", "socket.getaddrinfo", "socket.sendto", "os.fork", "os.posix_spawn")
sys.addaudithook(lambda event, _: events.append(event) if event in WATCHED else None)
from processing.engines import installation
installation.install("mtcnn", models_dir=pathlib.Path(sys.argv[1]))
print(json.dumps({"events": events, "has_imported_torch": "torch" in sys.modules}))
"""
NO_DEVICE = """
from processing.engines import installation
from processing.engines.errors import DeviceUnavailableError
try:
    installation.resolve_device("cuda")
except DeviceUnavailableError as error:
    print(f"{error.code}: {error}")
"""


def _start(script: str, models_dir: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, DLIB, str(models_dir)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_two_at_once_make_one_whole_model(tmp_path: Path) -> None:
    both = [_start(INSTALL, tmp_path), _start(INSTALL, tmp_path)]
    printed = [process.communicate(timeout=PATIENCE_SECONDS)[0].strip() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    model = installation.require(DLIB, tmp_path, device="cpu")
    assert printed == [model.weights_hash] * 2
    assert {path.name for path in tmp_path.iterdir()} == {DLIB, f".{DLIB}.lock"}


def test_one_that_was_killed_is_cleared_away_by_the_next(tmp_path: Path) -> None:
    killed = _start(STUCK, tmp_path)
    assert killed.stdout is not None
    assert killed.stdout.readline() == "half\n"
    (unfinished,) = tmp_path.glob(f".{DLIB}.*.unfinished")
    waiting = _start(INSTALL, tmp_path)
    time.sleep(1)
    # the lock holds, and half a model is none
    assert waiting.poll() is None
    assert installation.installed(DLIB, tmp_path) is None
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    printed, _ = waiting.communicate(timeout=PATIENCE_SECONDS)
    assert waiting.returncode == 0
    assert printed.strip() == installation.require(DLIB, tmp_path, device="cpu").weights_hash
    assert not unfinished.exists()
    assert {path.name for path in tmp_path.iterdir()} == {DLIB, f".{DLIB}.lock"}


def test_a_conversion_calls_nobody(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    found = json.loads(run_python(WATCHED, tmp_path / "models", HOME=str(home)))
    assert found["has_imported_torch"]
    # torch asks ldconfig for libraries, by a fork or a spawn; OpenVINO's telemetry would look a name up from a thread
    assert not [event for event in found["events"] if event.startswith("socket.")]
    assert not (home / "intel").exists()
    assert installation.require("mtcnn", tmp_path / "models", device="cpu").name == "mtcnn"


def test_cuda_that_is_not_there_is_refused() -> None:
    said = run_python(NO_DEVICE, CUDA_VISIBLE_DEVICES="")
    assert said == (
        "device_unavailable: DEVICE is cuda, and torch finds no CUDA device here: "
        "mend its driver, or set DEVICE to auto or cpu.\n"
    )
