"""The guard: ends the processes of an installation whose harness was killed and could end nobody.

The kernel tells each of them that its parent has ended, but one that is stopped by a fault does not hear it.

python guarding.py FOLDER    FOLDER is the installation's, as its processes are told it; waits for the end of its input
"""

import contextlib
import os
import sys

import psutil


def main(folder: str) -> None:
    """Wait until nobody holds the other end of the input any more, and kill what is left of that installation."""
    sys.stdin.buffer.read()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("FAULTS_DIR") == folder and process.pid != os.getpid():
                process.kill()


if __name__ == "__main__":
    main(sys.argv[1])
