"""Nothing of an installation outlives its harness."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

# the modules of the harness, and what they import of the project
PATHS = os.pathsep.join(str(folder) for folder in (Path(__file__).parents[1], Path(__file__).parents[2]))
NOT_ALLOWED = 77
HARNESS = """
import sys, time
from pathlib import Path
from faults.supervisor import Managed, Supervisor

folder = Path(sys.argv[1])
program = "import os, signal; print(os.getpid(), flush=True); os.kill(os.getpid(), signal.SIGSTOP)"
Supervisor(folder).add(
    Managed("stopped", [sys.executable, "-c", program], {"FAULTS_DIR": str(folder)}, folder, folder / "log")
)
time.sleep(60)
"""
MOUNT = f"""
import sys
from pathlib import Path
from faults import mounts

folder = Path(sys.argv[1])
if not mounts.enter_private_namespace() or not mounts.mount_store(folder, size=1 << 20):
    sys.exit({NOT_ALLOWED})
(folder / "file").write_text("x")
with (folder / "file").open():
    mounts.unmount_store(folder)
folder.rmdir()
"""


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def start(program: str, folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", program, str(folder)], env={**os.environ, "PYTHONPATH": PATHS}, start_new_session=True
    )


def test_who_was_stopped_ends_with_a_harness_that_was_killed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    harness = start(HARNESS, tmp_path)
    try:
        wait_for(lambda: log.is_file() and log.read_text().endswith("\n"))
        stopped = psutil.Process(int(log.read_text()))
        wait_for(lambda: stopped.status() == psutil.STATUS_STOPPED)
    finally:
        harness.send_signal(signal.SIGKILL)
        harness.wait()
    wait_for(lambda: not stopped.is_running() or stopped.status() == psutil.STATUS_ZOMBIE)


def test_the_folder_of_a_store_of_its_own_can_be_deleted(tmp_path: Path) -> None:
    store = tmp_path / "photos"
    status = start(MOUNT, store).wait(30)
    if status == NOT_ALLOWED:
        pytest.skip("no file system may be mounted here")
    assert status == 0
    assert not store.exists()
