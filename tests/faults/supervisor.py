"""The processes of an installation, started again after a moment when they end, as a supervisor does."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

RESTART_AFTER_SECONDS = 1.0
WATCH_EVERY_SECONDS = 0.1
PATIENCE_SECONDS = 45.0
_PR_SET_PDEATHSIG = 1


@dataclass
class Managed:
    """One process, and what it takes to start it again. It leads a process group: its children are in it."""

    name: str
    command: list[str]
    environment: dict[str, str]
    directory: Path
    log: Path
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0
    ended_at: float | None = None
    is_wanted: bool = True

    @property
    def pid(self) -> int:
        """Its process id; of the last one, where it has ended."""
        assert self.process is not None
        return self.process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Start it; what it says goes to the end of its log."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.directory,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_end_with_harness,  # noqa: PLW1509 - it calls nothing but prctl
            )
        self.starts += 1
        self.ended_at = None

    def signal(self, number: signal.Signals, *, group: bool = False) -> None:
        """Send a signal to it, or to it and its children."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number) if group else os.kill(self.pid, number)

    def children(self) -> list[psutil.Process]:
        """Give the processes below it."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(self.pid).children(recursive=True)
        return []


@dataclass
class Supervisor:
    """Watches from a thread that lives as long as the harness: a child ends with the thread that started it.

    `folder` is the installation's, which a guard ends if the harness is killed.
    """

    folder: Path
    managed: dict[str, Managed] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _thread: threading.Thread | None = None
    _guard: subprocess.Popen[bytes] | None = None

    def add(self, managed: Managed) -> Managed:
        """Have a process started, soon, and kept alive."""
        with self._lock:
            self.managed[managed.name] = managed
        if self._thread is None:
            guard = [sys.executable, str(Path(__file__).with_name("guarding.py")), str(self.folder)]
            # in a session of its own: Ctrl-C is for the harness
            self._guard = subprocess.Popen(guard, stdin=subprocess.PIPE, start_new_session=True)
            self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)
            self._thread.start()
        return managed

    def remove(self, name: str) -> None:
        """Stop a process in order, and forget it."""
        with self._lock:
            managed = self.managed.pop(name)
        _end([managed])

    def restart(self, name: str, *, environment: dict[str, str] | None = None) -> None:
        """Stop a process in order; it comes back with this environment."""
        managed = self.managed[name]
        managed.environment = environment or managed.environment
        managed.signal(signal.SIGTERM)

    def close(self) -> None:
        """Stop everything that was started here, and nothing else."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        _end(list(self.managed.values()))
        if self._guard is not None:
            self._guard.communicate()

    def _run(self) -> None:
        while not self._stop.wait(WATCH_EVERY_SECONDS):
            with self._lock:
                for managed in self.managed.values():
                    self._look_after(managed)

    def _look_after(self, managed: Managed) -> None:
        if managed.process is None:
            managed.start()
        elif not managed.is_alive and managed.is_wanted:
            if managed.ended_at is None:
                managed.ended_at = time.monotonic()
                managed.signal(signal.SIGKILL, group=True)  # as a container takes its processes with it
            elif time.monotonic() - managed.ended_at >= RESTART_AFTER_SECONDS:
                managed.start()


def _end(processes: list[Managed]) -> None:
    running = [one for one in processes if one.is_alive]
    for one in running:
        one.signal(signal.SIGCONT, group=True)
        one.signal(signal.SIGTERM)
    deadline = time.monotonic() + PATIENCE_SECONDS
    for one in running:
        try:
            one.process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            one.signal(signal.SIGKILL, group=True)
            one.process.wait()


def _end_with_harness() -> None:
    """Let the kernel stop this process if the harness is killed and can stop nobody any more."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
