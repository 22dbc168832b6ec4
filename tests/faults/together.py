"""Doing several things at the same moment, and hearing what came of each."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Outcome:
    """What came of one of them: when it began and ended (monotonic), and its result or its error."""

    began: float = 0.0
    ended: float = 0.0
    result: Any = None
    error: Exception | None = None


def together(*works: Callable[[], object]) -> list[Outcome]:
    """Do each in a thread of its own, all let loose at once; gives an outcome for each, in their order."""
    outcomes = [Outcome() for _ in works]
    start = threading.Barrier(len(works))

    def do(work: Callable[[], object], outcome: Outcome) -> None:
        start.wait()
        outcome.began = time.monotonic()
        try:
            outcome.result = work()
        except Exception as error:  # noqa: BLE001 - whoever waits is told
            outcome.error = error
        outcome.ended = time.monotonic()

    threads = [
        threading.Thread(target=do, args=(work, outcome), daemon=True)
        for work, outcome in zip(works, outcomes, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes
