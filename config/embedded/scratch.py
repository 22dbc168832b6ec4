"""Services of one process's own, for a test session: they end with it, however it ends, and leave nothing.

Run as a program, this module is the guard: it waits for the end of the process that holds its standard input,
then stops the services and deletes their folder. A killed test session leaves no server behind either.
"""

import atexit
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from config import embedded

REPOSITORY = Path(__file__).resolve().parents[2]


def make_folder() -> Path:
    """Make a folder that is deleted, with every service below it, when this process ends."""
    folder = Path(tempfile.mkdtemp(prefix="darkroom-"))
    folder.chmod(0o711)  # as root the servers run as somebody else, who must pass through
    guard = subprocess.Popen(
        [sys.executable, "-m", "config.embedded.scratch", str(folder)],
        stdin=subprocess.PIPE,
        cwd=REPOSITORY,
        start_new_session=True,  # Ctrl-C ends the tests, not their guard
    )
    atexit.register(guard.communicate)
    return folder


def _guard(folder: Path) -> None:
    sys.stdin.buffer.read()
    embedded.remove(folder)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    _guard(Path(sys.argv[1]))
