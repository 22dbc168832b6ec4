"""Running a check so that nobody waits for what hangs, and that many who ask cost no more than one."""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial

from django.db import connections

from config.health.findings import Finding, Status

logger = logging.getLogger(__name__)

# what was found is told to everybody who asks within this time
FRESH_SECONDS = 1.0


class SharedCheck:
    """One check, run in a thread of its own for all who ask meanwhile. One that hangs holds one thread, not many."""

    def __init__(self, run: Callable[[], Finding], *, name: str, seconds: float) -> None:
        self._run = run
        self._name = name
        self._seconds = seconds
        self._lock = threading.Lock()
        self._started = 0.0
        self._future: Future[Finding] | None = None

    def start(self) -> Callable[[], Finding]:
        """Begin, unless it is running or its last finding is fresh; gives a function that waits for what was found.

        That function never raises: after the time of this check is over it gives a failing.
        """
        with self._lock:
            if self._future is None or (self._future.done() and self._age() > FRESH_SECONDS):
                self._future = Future()
                self._started = time.monotonic()
                name = f"health-{self._name}"
                threading.Thread(target=self._work, args=[self._future], name=name, daemon=True).start()
            return partial(self._wait, self._future, deadline=self._started + self._seconds)

    def _wait(self, future: "Future[Finding]", *, deadline: float) -> Finding:
        try:
            return future.result(timeout=max(0.0, deadline - time.monotonic()))
        except TimeoutError:
            return Finding(Status.FAILING, [f"no answer within {self._seconds:g} s"])

    def _age(self) -> float:
        return time.monotonic() - self._started

    def _work(self, future: "Future[Finding]") -> None:
        started = time.monotonic()
        try:
            finding = self._run()
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a component is its finding
            logger.warning("the check of %s failed: %s", self._name, error)
            finding = Finding(Status.FAILING, [f"{type(error).__name__}: {str(error).strip()}"])
        finally:
            connections.close_all()  # a thread's connections are its own
        finding.detail["checked_in_ms"] = round((time.monotonic() - started) * 1000, 1)
        future.set_result(finding)
