"""Codes of dead children, from deaths of real processes, in the words of the pool."""

import os
import signal
import sys

import pytest
from billiard.common import human_status
from billiard.exceptions import WorkerLostError

from processing.losses import describe_loss


def death(act: str) -> WorkerLostError:
    """Let a process die, and put it as billiard's pool does."""
    status = os.waitstatus_to_exitcode(os.waitpid(os.spawnv(os.P_NOWAIT, sys.executable, ["python", "-c", act]), 0)[1])
    return WorkerLostError(f"Worker exited prematurely: {human_status(status)} Job: 7.")


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [
        (signal.SIGALRM, "decode_timed_out", "longer than a file of its size may"),
        (signal.SIGPROF, "decode_cpu_exceeded", "more CPU time than a file of its size may"),
        (signal.SIGSEGV, "process_crashed", "crashed"),
        (signal.SIGBUS, "process_crashed", "crashed"),
        (signal.SIGABRT, "process_crashed", "crashed"),
        (signal.SIGFPE, "process_crashed", "crashed"),
        (signal.SIGILL, "process_crashed", "crashed"),
        (signal.SIGKILL, "process_killed", "killed from outside"),
        (signal.SIGUSR2, "worker_lost", "ended by a signal"),
    ],
)
def test_deaths_by_signal(number: signal.Signals, code: str, word: str) -> None:
    found, detail = describe_loss(death(f"import os; os.kill(os.getpid(), {number})"))
    assert found == code
    assert word in detail
    assert detail.endswith(f"It ended by {number.name}.")


def test_other_deaths() -> None:
    assert describe_loss(death("import os; os._exit(7)")) == (
        "worker_lost",
        "The process ended itself, with exit status 7.",
    )
    assert describe_loss(SystemExit("bye")) == ("worker_lost", "The process died: bye")
    assert describe_loss(WorkerLostError("signal 63")) == (
        "worker_lost",
        "The process was ended by a signal. It ended by signal 63.",
    )
