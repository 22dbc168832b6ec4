"""Trying again: pauses that grow, and an end to them."""

import random
import threading
import time
from http import HTTPStatus

from darkroom_cli.problems import DarkroomError, ProblemError, StoppedError

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 30.0
# a fault of the server's own that comes each time is no outage
FAULTS_AT_MOST = 4


class Patience:
    """Waits between attempts at one thing, for `seconds` after the last sign of life at most.

    Pauses double, each by chance between half of it and all, so that many clients do not come back at once; what the
    server asks for (`Retry-After`) is waited in any case. `stopping` ends a pause.
    """

    def __init__(self, seconds: float, stopping: threading.Event) -> None:
        self._seconds, self._stopping = seconds, stopping
        self._since: float | None = None
        self._attempts = 0

    def pause(self, error: DarkroomError) -> None:
        """Wait; raises `error` when it has lasted too long, StoppedError when somebody wants to stop."""
        now = time.monotonic()
        self._since = now if self._since is None else self._since
        asked = error.retry_after if isinstance(error, ProblemError) else None
        pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2**self._attempts) * random.uniform(0.5, 1)  # noqa: S311
        # a limit on requests is no outage: it is waited for once more than there is patience
        pause = max(pause, asked or 0)
        is_fault = isinstance(error, ProblemError) and error.status == HTTPStatus.INTERNAL_SERVER_ERROR
        too_long = now - self._since + (0 if asked else pause) > self._seconds
        if too_long or (is_fault and self._attempts >= FAULTS_AT_MOST):
            raise error
        self._attempts += 1
        if self._stopping.wait(pause):
            raise StoppedError("Stopped") from error

    def reset(self) -> None:
        """Note a sign of life."""
        self._since, self._attempts = None, 0
