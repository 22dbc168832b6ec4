"""What a file may take of a process's time: each limit in a process of its own, since it ends that process."""

import io
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from processing.engines.imaging import time_limits
from processing.engines.imaging.time_limits import TimeAllowance, crowding, time_allowance, time_limited

REPOSITORY = Path(__file__).resolve().parents[3]
IMPORTS = """
import ctypes, io, signal, time
from processing.engines.imaging.time_limits import TimeAllowance, may_end_by_signal, task_ends_in, time_limited
C = ctypes.PyDLL(None)  # its functions keep the interpreter's lock: no Python runs while they do

def work(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass

"""


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", IMPORTS + textwrap.dedent(program)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("pixels", "allowance"),
    [(0, (0.75, 1.5)), (50_000_000, (7.875, 15.75)), (100_000_000, (15, 30)), (10**12, (15, 30))],
)
def test_the_allowance_grows_with_the_file(pixels: int, allowance: tuple[float, float]) -> None:
    found = time_allowance(pixels=pixels, max_pixels=100_000_000, cpu_seconds=15, wall_seconds=30)
    assert (found.cpu_seconds, found.wall_seconds) == pytest.approx(allowance)


@pytest.mark.parametrize(
    ("load", "cores", "stretch"), [(0.0, 2, 1), (4.0, 2, 1), (26.0, 2, 6.5), (26.0, 16, 1), (64.0, 16, 2)]
)
def test_a_crowded_host_gives_more_of_the_clock(load: float, cores: int, stretch: float) -> None:
    assert crowding(load=load, cores=cores) == stretch


def test_a_loop_ends_by_its_cpu_time() -> None:
    done = run(
        """
        may_end_by_signal()
        with time_limited(io.BytesIO(), TimeAllowance(1, 50)):
            print("started", flush=True)
            work(30)
        print("never")
        """
    )
    assert (done.stdout, done.returncode) == ("started\n", -signal.SIGPROF)


def test_a_hang_in_c_ends_by_the_wall_clock_although_no_python_runs() -> None:
    done = run(
        """
        may_end_by_signal()
        with time_limited(io.BytesIO(), TimeAllowance(20, 0.3)):
            print("started", flush=True)
            C.sleep(50)
        print("never")
        """
    )
    assert (done.stdout, done.returncode) == ("started\n", -signal.SIGALRM)


def test_each_file_has_its_own_time_and_nothing_runs_on_after_it() -> None:
    done = run(
        """
        may_end_by_signal()
        for end in (None, ValueError, None):
            try:
                with time_limited(io.BytesIO(), TimeAllowance(1.5, 20)):
                    work(0.8)
                    if end:
                        raise end
            except ValueError:
                print("raised")
            print(signal.getitimer(signal.ITIMER_PROF), signal.getitimer(signal.ITIMER_REAL))
        with time_limited(io.BytesIO(), TimeAllowance(0.2, 0.2)):
            pass
        work(0.4)
        """
    )
    assert done.stdout == "{0}\nraised\n{0}\n{0}\n".format("(0.0, 0.0) (0.0, 0.0)"), done.stderr
    assert done.returncode == 0


def test_a_file_has_no_more_of_the_clock_than_its_task() -> None:
    done = run(
        """
        may_end_by_signal()
        def armed(allowance):
            with time_limited(io.BytesIO(), allowance):
                return round(signal.getitimer(signal.ITIMER_REAL)[0])
        with task_ends_in(5):
            print(armed(TimeAllowance(20, 50)), armed(TimeAllowance(20, 2)) < 5, signal.getitimer(signal.ITIMER_REAL))
        print(armed(TimeAllowance(20, 50)) >= 50, flush=True)
        with task_ends_in(-1), time_limited(io.BytesIO(), TimeAllowance(20, 50)):
            C.sleep(50)
        """
    )
    assert (done.stdout, done.returncode) == ("5 True (0.0, 0.0)\nTrue\n", -signal.SIGALRM), done.stderr


def test_the_load_is_measured_against_the_processors_that_may_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_limits, "usable_cpus", lambda: 0.5)
    monkeypatch.setattr(time_limits.os, "getloadavg", lambda: (4.0, 0.0, 0.0))
    assert time_limits._stretched(2.0) == 8.0


def test_a_slow_storage_is_not_counted() -> None:
    """It takes three times what the file may; the rest of the time is still there afterwards, and still ends."""
    done = run(
        """
        class Slow(io.BytesIO):
            def read(self, length=-1):
                time.sleep(0.3)
                return super().read(length)

        may_end_by_signal()
        with time_limited(Slow(b"abcdef"), TimeAllowance(20, 0.3)) as file:
            print(file.read(1), file.seek(4), file.read(), file.seek(0, 2), file.tell(), flush=True)
            print(signal.getitimer(signal.ITIMER_REAL)[0] > 0.1, flush=True)
            C.sleep(50)
        """
    )
    assert (done.stdout, done.returncode) == ("b'a' 4 b'ef' 6 6\nTrue\n", -signal.SIGALRM), done.stderr


def test_a_storage_that_fails_leaves_the_clock_running_until_the_end_of_the_block() -> None:
    done = run(
        """
        class Broken(io.BytesIO):
            def read(self, length=-1):
                raise ConnectionError

        may_end_by_signal()
        try:
            with time_limited(Broken(), TimeAllowance(20, 10)) as file:
                try:
                    file.read()
                except ConnectionError:
                    print(signal.getitimer(signal.ITIMER_REAL)[0] > 5)
                    raise
        except ConnectionError:
            print(signal.getitimer(signal.ITIMER_REAL))
        """
    )
    assert done.stdout == "True\n(0.0, 0.0)\n", done.stderr


def test_nothing_is_armed_in_a_process_that_has_not_said_that_it_may_end() -> None:
    """A server, a command, and this process of tests, whose own timer goes on."""
    assert time_limits._ends_by_signal is False
    before = signal.setitimer(signal.ITIMER_REAL, 1000)
    try:
        with time_limited(io.BytesIO(b"abc"), TimeAllowance(0.001, 0.001)) as file:
            assert (file.read(2), file.tell()) == (b"ab", 2)
            assert signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)
            assert signal.getitimer(signal.ITIMER_REAL)[0] > 900
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 900
    finally:
        signal.setitimer(signal.ITIMER_REAL, *before)
