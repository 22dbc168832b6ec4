"""What happened, a JSON object a line, appended by many processes at once.

Times are the monotonic clock's: it is one for all processes of a machine, and no clock fault moves it.
"""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# what was done on purpose: a fault at a point, by the process that suffers it
INJECTIONS = "injections.jsonl"
# what the pipeline did: claims, commits, refusals, returns
HISTORY = "history.jsonl"

Event = dict[str, Any]


class EventFile:
    """A file of events. One write is one system call, so lines of two processes never mix."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def write(self, **fields: Any) -> None:
        """Append an event that happens now, or at `t` where that is given."""
        if self._descriptor is None:
            self._descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        event = {"t": time.monotonic(), "pid": os.getpid(), **fields}
        os.write(self._descriptor, json.dumps(event, default=str).encode() + b"\n")

    def read(self, *, since: float = 0.0, kind: str | None = None) -> list[Event]:
        """Give the events from `since` on, oldest first; of one kind where it is named."""
        found = [event for event in self._lines() if event["t"] >= since and kind in (None, event.get("kind"))]
        return sorted(found, key=lambda event: event["t"])

    def _lines(self) -> Iterator[Event]:
        if not self.path.is_file():
            return
        with self.path.open("rb") as file:
            for line in file:
                if line.endswith(b"\n"):  # the last one may still be on its way
                    yield json.loads(line)
