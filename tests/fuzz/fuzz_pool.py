"""A few forked children that examine files under the workers' limits, and are replaced when they die."""

import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path

import fuzz_outcomes
from django.conf import settings
from fuzz_mutations import Case
from fuzz_outcomes import Outcome

from processing.engines import imaging

# the limits of a file end long before; what lasts longer hangs where no limit holds
PATIENCE_SECONDS = 120

_forked = multiprocessing.get_context("fork")


class _Child:
    """A process that examines one file at a time."""

    def __init__(self, *, seed: int, samples: Sequence[Path]) -> None:
        self.pipe, theirs = _forked.Pipe()
        self._process = _forked.Process(target=_examine_all, args=(theirs, seed, samples), daemon=True)
        self._process.start()
        theirs.close()
        self.case: Case | None = None
        self.since = 0.0

    def give(self, case: Case) -> None:
        self.case, self.since = case, time.monotonic()
        self.pipe.send(case)

    def is_overdue(self) -> bool:
        return time.monotonic() - self.since > PATIENCE_SECONDS

    def stop(self) -> int:
        """End it and give its exit status."""
        self._process.kill()
        return self.wait_for_end()

    def wait_for_end(self) -> int:
        self._process.join()
        self.pipe.close()
        return self._process.exitcode or 0


def examine_all(
    cases: Sequence[Case], *, seed: int, samples: Sequence[Path], processes: int
) -> Iterator[tuple[Case, Outcome, float]]:
    """Give each case with what became of it and the seconds that it took, in the order in which they end."""
    imaging.load_decoders()
    waiting = list(reversed(cases))
    children: list[_Child] = []
    try:
        while waiting or children:
            while waiting and len(children) < processes:
                children.append(_Child(seed=seed, samples=samples))
                children[-1].give(waiting.pop())
            ready = wait([child.pipe for child in children], timeout=1)
            for child in list(children):
                if child.pipe in ready or child.is_overdue():
                    yield child.case, *_outcome(child, children)
                    if child in children and waiting:
                        child.give(waiting.pop())
                    elif child in children:
                        children.remove(child)
                        child.stop()
    finally:
        for child in children:
            child.stop()


def _outcome(child: _Child, children: list[_Child]) -> tuple[Outcome, float]:
    """Take a child's answer; one that has died or hangs leaves the list."""
    seconds = time.monotonic() - child.since
    if child.pipe.poll():
        try:
            return child.pipe.recv(), seconds
        except EOFError:
            children.remove(child)
            return fuzz_outcomes.of_death(child.wait_for_end()), seconds
    children.remove(child)
    child.stop()
    return Outcome(fuzz_outcomes.CRASHED, "hung", f"no answer within {PATIENCE_SECONDS} s"), seconds


def _examine_all(pipe: Connection, seed: int, samples: Sequence[Path]) -> None:
    """What a child does until its parent closes the pipe."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libtiff speaks of every broken file
    imaging.may_end_by_signal()
    imaging.apply_limits(memory_bytes=settings.DECODE_MEMORY_BYTES, file_bytes=settings.DECODE_FILE_BYTES)
    while True:
        try:
            case: Case = pipe.recv()
        except EOFError:
            os._exit(0)
        pipe.send(fuzz_outcomes.examine(case.make(seed=seed, samples=samples)))
