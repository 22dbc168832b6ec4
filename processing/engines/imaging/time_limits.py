"""How long a stranger's file may keep a process: CPU time and wall clock, armed for each file and disarmed after it.

Both limits end the process by a signal at its default action, so that a decoder that hangs in C is ended without any
Python having to run: the parent sees exit by SIGPROF or SIGALRM. (RLIMIT_CPU would do for the first if it did not count
whole seconds from the start of the process, on another clock than `getrusage` reads.) The limits hold only in a process
that has said that it may be ended; everywhere else (a server's threads, a command, a test) nothing is armed.
"""

import io
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from processing.engines.cpus import usable_cpus

# of the largest file's time, what the smallest one has: what a photo of one megapixel needs several times over, and no
# more, because everything else waits for a file that hangs
LEAST_SHARE = 1 / 20

# up to so many processes that want to run for each core, a host is not called crowded
FREE_LOAD_PER_CORE = 2

_BUFFER_BYTES = 64 << 10
_LEAST_SECONDS = 1e-3  # a timer of 0 would be off
_ends_by_signal = False
_task_ends_at: float | None = None  # by the monotonic clock


@dataclass(frozen=True, slots=True)
class TimeAllowance:
    """Seconds of CPU time, of all threads together, and of the wall clock, without what the storage takes."""

    cpu_seconds: float
    wall_seconds: float


def may_end_by_signal() -> None:
    """Say that this process may be ended for the time that a file takes: a parent replaces it. For good.

    Called from the main thread, because signals are put at their default action.
    """
    global _ends_by_signal  # noqa: PLW0603 - limits are a matter of the process
    for number in (signal.SIGALRM, signal.SIGPROF):
        signal.signal(number, signal.SIG_DFL)
    _ends_by_signal = True


def time_allowance(*, pixels: int, max_pixels: int, cpu_seconds: float, wall_seconds: float) -> TimeAllowance:
    """Give what a file of `pixels` may take: from LEAST_SHARE of the seconds on, up to all of them at `max_pixels`."""
    share = LEAST_SHARE + (1 - LEAST_SHARE) * min(1.0, pixels / max_pixels)
    return TimeAllowance(cpu_seconds=cpu_seconds * share, wall_seconds=wall_seconds * share)


@contextmanager
def task_ends_in(seconds: float) -> Iterator[None]:
    """Say how many seconds the task that works here has left: inside the block no file's wall clock goes beyond them.

    A file that reaches the end of its task is then ended by its own limit, and named for it.
    """
    global _task_ends_at  # noqa: PLW0603 - as above: a process works on one task at a time
    _task_ends_at = time.monotonic() + seconds
    try:
        yield
    finally:
        _task_ends_at = None


def crowding(*, load: float, cores: float) -> float:
    """Give how many times longer everything takes than on a host that is just busy; `load` is a number of processes."""
    return max(1.0, load / (FREE_LOAD_PER_CORE * cores))


@contextmanager
def time_limited(file: BinaryIO, allowance: TimeAllowance) -> Iterator[BinaryIO]:
    """Allow this process so much time inside the block; gives `file` with reads that stop the wall clock.

    A storage that is slow or hangs is not the file's fault, and has time limits of its own; nor is a crowded host, on
    which the wall clock is given as much more as its load says, up to what `task_ends_in` leaves. One block at a time.
    """
    try:
        if _ends_by_signal:
            signal.setitimer(signal.ITIMER_PROF, allowance.cpu_seconds)
            signal.setitimer(signal.ITIMER_REAL, _stretched(allowance.wall_seconds))
        # decoders read byte by byte where a file is broken: only what goes to the storage is worth stopping a clock
        yield io.BufferedReader(_ClockedReads(file), _BUFFER_BYTES)
    finally:
        if _ends_by_signal:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.setitimer(signal.ITIMER_PROF, 0)


def _stretched(seconds: float) -> float:
    stretched = seconds * crowding(load=os.getloadavg()[0], cores=usable_cpus())
    if _task_ends_at is None:
        return stretched
    return max(_LEAST_SECONDS, min(stretched, _task_ends_at - time.monotonic()))


class _ClockedReads(io.RawIOBase):
    """A file whose reads do not count as the decoder's time. Closing it leaves the file behind open."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: memoryview) -> int:
        if not _ends_by_signal:
            return self._read(buffer)
        left, _ = signal.setitimer(signal.ITIMER_REAL, 0)
        try:
            return self._read(buffer)
        finally:
            signal.setitimer(signal.ITIMER_REAL, max(left, _LEAST_SECONDS))

    def _read(self, buffer: memoryview) -> int:
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
