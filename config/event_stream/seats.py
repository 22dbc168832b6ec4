"""How many streams one process keeps open, in all, of one person or key, and of one address."""

import threading
from collections import Counter
from collections.abc import Callable

from django.conf import settings

from accounts.problems import DomainError


class TooManyListenersError(DomainError):
    """Somebody, or some address, has as many streams open as one may have."""

    code = "too_many_listeners"


class StreamsFullError(DomainError):
    """This process keeps as many streams open as it may, or is about to end."""

    code = "events_full"


class Seats:
    """Counts open streams; used by the threads that let clients in."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: Counter[str] = Counter()
        self._total = 0
        self._is_open = True

    def take(self, *, who: str, address: str) -> Callable[[], None]:
        """Take a seat; gives what gives it back, which may be called more than once.

        Raises TooManyListenersError, StreamsFullError.
        """
        with self._lock:
            if not self._is_open or self._total >= settings.EVENTS_LISTENERS:
                raise StreamsFullError("No more streams can be opened here at this moment. Try again.")
            limits = {who: settings.EVENTS_LISTENERS_PER_USER, address: settings.EVENTS_LISTENERS_PER_ADDRESS}
            for one, limit in limits.items():
                if self._taken[one] >= limit:
                    raise TooManyListenersError(f"{limit} streams are open already: close one first.", limit=limit)
            self._total += 1
            self._taken.update(limits.keys())
        is_taken = True

        def leave() -> None:
            nonlocal is_taken
            with self._lock:
                if is_taken:
                    is_taken = False
                    self._total -= 1
                    self._taken.subtract(limits.keys())
                    self._taken = +self._taken

        return leave

    def close(self) -> None:
        """Let nobody in any more."""
        with self._lock:
            self._is_open = False
