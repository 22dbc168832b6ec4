"""The processes of a run: web server, events, workers, beat. Started together, watched, and stopped together."""

import ctypes
import errno
import fcntl
import http.client
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

RESTART_AFTER_SECONDS = 3.0
# a log that is longer is put aside when its process starts: one that decodes may write no file beyond DECODE_FILE_BYTES
LOG_MAX_BYTES = 32 << 20
PATIENCE_SECONDS = 45.0
ANSWER_SECONDS = 5.0
_PR_SET_PDEATHSIG = 1


class CannotListenError(Exception):
    """The web server could not listen where it should: somebody else does, or this host does not let it."""


class AlreadyRunningError(Exception):
    """Another run keeps its data in the same folder."""


@dataclass
class Child:
    """One process and what it takes to start it again."""

    name: str
    command: list[str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    restarts: int = 0
    restart_at: float | None = None


@dataclass
class Children:
    """The processes that one run started; it stops these and no others."""

    directory: Path
    log_folder: Path
    _children: list[Child] = field(default_factory=list)

    def start(self, name: str, command: list[str]) -> None:
        """Start a process whose output goes to a log of its own."""
        self.log_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        child = Child(name=name, command=command, log=self.log_folder / f"{name}.log")
        self._children.append(child)
        self._launch(child)

    def watch(self) -> list[str]:
        """Start again, after a moment, what has ended by itself; gives what to tell about it."""
        messages = []
        for child in self._children:
            if child.process is None or child.process.poll() is None:
                continue
            if child.restart_at is None:
                child.restart_at = time.monotonic() + RESTART_AFTER_SECONDS * (1 + child.restarts)
                messages.append(f"{child.name} ended with status {child.process.returncode}: see {child.log}")
            elif time.monotonic() >= child.restart_at:
                child.restarts += 1
                child.restart_at = None
                self._launch(child)
                messages.append(f"{child.name} was started again")
        return messages

    def stop(self) -> list[str]:
        """Ask every process to finish what it has in hand; after some patience kill it. Gives who had to be killed."""
        running = [child for child in self._children if child.process and child.process.poll() is None]
        for child in running:
            child.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + PATIENCE_SECONDS
        killed = []
        for child in running:
            try:
                child.process.wait(timeout=max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()
                killed.append(child.name)
        return killed

    def _launch(self, child: Child) -> None:
        if child.log.exists() and child.log.stat().st_size > LOG_MAX_BYTES:
            child.log.replace(child.log.with_suffix(".log.1"))
        with child.log.open("ab") as log:
            child.process = subprocess.Popen(
                child.command,
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C goes to the terminal's group: the run alone hears it, and stops the others in order
                start_new_session=True,
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - no thread yet
            )


@contextmanager
def only_run_of(var_dir: Path) -> Iterator[None]:
    """Hold a folder against a second run, which would start every worker twice. Raises AlreadyRunningError."""
    with (var_dir / "run.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AlreadyRunningError(f"Darkroom runs already with its data in {var_dir}.") from error
        yield


def require_free_port(host: str, port: int, *, setting: str = "PORT") -> None:
    """Raise CannotListenError, with the setting that names another port, if nobody could listen there."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                reason = f"Port {port} is in use: stop what listens there, or set {setting}."
            else:
                reason = f"Nothing can listen on port {port} of {host}: {error.strerror}. Set {setting}, or "
                reason += "DARKROOM_HOST."
            raise CannotListenError(reason) from error


def answers(host: str, port: int, *, within: float = ANSWER_SECONDS) -> bool:
    """Whether a web server answers there within so many seconds, whatever it says.

    It listens before it has loaded what answers, so that a connection alone tells nothing.
    """
    connection = http.client.HTTPConnection(host, port, timeout=within)
    try:
        connection.request("GET", "/live")
        connection.getresponse()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True


def _end_with_parent() -> None:
    """Let the kernel stop this child if the run is killed and can stop nobody any more."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
