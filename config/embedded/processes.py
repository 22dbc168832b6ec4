"""Programs run as another user, and server processes found again by what they serve."""

import os
import pwd
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Account:
    """The unprivileged user that servers run as when we are root."""

    uid: int
    gid: int

    @classmethod
    def named(cls, name: str) -> "Account":
        """Look a user up; raises KeyError where there is none of that name."""
        entry = pwd.getpwnam(name)
        return cls(uid=entry.pw_uid, gid=entry.pw_gid)


def run_program(
    arguments: Sequence[str | Path], *, account: Account | None, directory: Path, standard_input: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, as `account` where one is given, and collect what it says.

    Its output goes to files and not to pipes: a server that the program leaves behind would hold a pipe open.
    Raises PermissionError where the account may not run the program.
    """
    with tempfile.TemporaryFile("w+", errors="replace") as output, tempfile.TemporaryFile("w+") as given:
        given.write(standard_input)
        given.seek(0)
        finished = subprocess.run(
            [str(argument) for argument in arguments],
            stdin=given,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=directory,
            # nothing of ours: PGPORT or PGOPTIONS in a developer's shell would steer the server
            env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
            umask=0o077,
            check=False,
        )
        output.seek(0)
        return subprocess.CompletedProcess(finished.args, finished.returncode, output.read())


def serves(pid: int | None, marker: Path) -> bool:
    """Tell whether this process is alive and was started on `marker`, one of its arguments.

    A process id alone proves nothing: after a reboot it may belong to anything.
    """
    if pid is None:
        return False
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and str(marker) in process.cmdline()
    except psutil.Error:
        return False


def find_servers(marker: Path, *, program: str) -> list[psutil.Process]:
    """Find the processes of this program that were started on `marker`, whoever recorded them."""
    # the list of names and arguments is read once per process: one that ends meanwhile has None there
    return [
        process
        for process in psutil.process_iter(["cmdline", "status"])
        if (arguments := process.info["cmdline"])
        and Path(arguments[0]).name == program
        and str(marker) in arguments
        and process.info["status"] != psutil.STATUS_ZOMBIE
    ]


def end_process(process: psutil.Process, *, by: signal.Signals = signal.SIGTERM, patience: float) -> bool:
    """Send a signal and wait until the process has ended; False where it has not after `patience` seconds.

    A zombie has ended: where the container's first process does not reap, it would stay for ever.
    """
    try:
        process.send_signal(by)
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
                return True
            time.sleep(0.02)
    except psutil.NoSuchProcess:
        return True
    return False


def free_port(preferred: int | None = None) -> int:
    """Give a free TCP port of the loopback interface: the preferred one where nobody listens there."""
    for candidate in (preferred, 0):
        if candidate is None:
            continue
        with socket.socket() as probe:
            # connections of a former run in TIME_WAIT do not make a port taken
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, candidate))
            except OSError:
                continue
            port: int = probe.getsockname()[1]
            return port
    raise OSError("no free TCP port on the loopback interface")


def last_lines(log: Path, count: int = 15) -> str:
    """Give the end of a log file; empty where there is none."""
    if not log.is_file():
        return ""
    return "\n".join(log.read_text(errors="replace").splitlines()[-count:])
