"""Orders: files that say "whoever reaches this point, do this to yourself". Each is carried out by one process."""

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path

KILL_CHILD = "kill_child"
KILL_WORKER = "kill_worker"
STOP_CHILD = "stop_child"
STOP_WORKER = "stop_worker"
SLEEP = "sleep"
RAISE = "raise"
TERMINATE_BACKEND = "terminate_backend"
ACTIONS = frozenset({KILL_CHILD, KILL_WORKER, STOP_CHILD, STOP_WORKER, SLEEP, RAISE, TERMINATE_BACKEND})

_FOLDER = "orders"
_numbers = count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What shall happen, and to whom. An empty `stage` or `worker` means any.

    `seconds` is how long to sleep, or how long after the point was reached a process is killed. `error` names what to
    raise: a builtin exception, with `errno` where it is an OSError. A run that was lost once already is left alone,
    unless `any_attempt`: three losses would make it a dead letter, which is right, and not what most faults are about.
    """

    fault: str
    point: str
    action: str
    stage: str = ""
    worker: str = ""
    seconds: float = 0.0
    error: str = "RuntimeError"
    errno: int = 0
    any_attempt: bool = False

    def __post_init__(self) -> None:
        if self.action not in ACTIONS:
            raise ValueError(f"there is no action {self.action}")


class OrderBook:
    """The folder of one installation's orders."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / _FOLDER
        self._folder.mkdir(parents=True, exist_ok=True)

    def arm(self, order: Order) -> str:
        """Lay an order out; gives its name."""
        name = f"order-{next(_numbers):06d}"
        unfinished = self._folder / f"{name}.part"
        unfinished.write_text(json.dumps(asdict(order)))
        unfinished.rename(self._folder / f"{name}.json")
        return name

    def armed(self, names: Iterable[str] | None = None) -> list[str]:
        """Give the names of the orders that nobody has taken, of all or of some."""
        lying = sorted(path.stem for path in self._folder.glob("order-*.json"))
        return lying if names is None else sorted(set(lying) & set(names))

    def disarm(self) -> list[str]:
        """Take back what nobody has taken; gives the names."""
        names = self.armed()
        for name in names:
            (self._folder / f"{name}.json").unlink(missing_ok=True)
        return names

    def take(self, *, point: str, stage: str, worker: str, attempts: Iterable[int]) -> tuple[str, Order] | None:
        """Take the first order that is for this process at this point; None if there is none."""
        is_first = all(attempt <= 1 for attempt in attempts)
        for name in self.armed():
            path = self._folder / f"{name}.json"
            try:
                order = Order(**json.loads(path.read_text()))
            except FileNotFoundError:
                continue  # another process took it
            fits = order.point == point and order.stage in ("", stage) and worker.startswith(order.worker)
            if not fits or not (is_first or order.any_attempt):
                continue
            try:
                path.rename(self._folder / f"taken-{name}-{os.getpid()}")
            except FileNotFoundError:
                continue
            return name, order
        return None
