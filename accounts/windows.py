"""Counting how often something happened within a window of time: in Redis, for all web servers together.

A window begins with the first count and ends by itself. While Redis does not answer, each process counts for itself:
nobody is refused or kept waiting because Redis is away, and nobody has a free run for longer than a window either.
"""

import logging
import threading
import time
from dataclasses import dataclass

from django.conf import settings
from redis import Redis
from redis.backoff import NoBackoff
from redis.commands.core import Script
from redis.exceptions import RedisError
from redis.retry import Retry

# one step; a window without an end, as a new one is, is given one
_SCRIPT = """
local count = redis.call('INCR', KEYS[1])
local left = redis.call('PTTL', KEYS[1])
if left < 0 then
    redis.call('PEXPIRE', KEYS[1], ARGV[1])
    left = tonumber(ARGV[1])
end
return {count, left}
"""
# after Redis did not answer; one request tries it again then, and the others do not wait for that
CIRCUIT_SECONDS = 5.0
# a process remembers no more than this: strangers may have any number of addresses
MEMORY_ENTRIES = 10_000

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Window:
    """How many were counted in the window that is open, this one too, and how many seconds it has left."""

    count: int
    seconds_left: float


class _Memory:
    """The windows of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._windows: dict[str, tuple[int, float]] = {}

    def count(self, key: str, *, seconds: float) -> Window:
        now = time.monotonic()
        with self._lock:
            count, ends_at = self._windows.pop(key, (0, 0.0))
            if ends_at <= now:
                count, ends_at = 0, now + seconds
            self._make_room(now)
            self._windows[key] = (count + 1, ends_at)
        return Window(count + 1, ends_at - now)

    def clear(self) -> None:
        with self._lock:
            self._windows.clear()

    def _make_room(self, now: float) -> None:
        if len(self._windows) < MEMORY_ENTRIES:
            return
        self._windows = {key: window for key, window in self._windows.items() if window[1] > now}
        while len(self._windows) >= MEMORY_ENTRIES:
            del self._windows[next(iter(self._windows))]  # the one that was quiet for the longest time


class _Shared:
    """The windows in Redis, and the circuit: tried once, for as long as a request may wait, and then left alone."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._address = ""
        self._script: Script | None = None
        self._open_until = 0.0

    def count(self, key: str, *, seconds: float) -> Window | None:
        """Count in Redis; None while it does not answer."""
        script = self._claim()
        if script is None:
            return None
        try:
            count, milliseconds = script(keys=[key], args=[max(1, round(seconds * 1000))])
        except RedisError as error:
            with self._lock:
                self._open_until = time.monotonic() + CIRCUIT_SECONDS
            logger.warning("each process counts requests for itself for %.0f s: %s", CIRCUIT_SECONDS, error)
            return None
        self._open_until = 0.0
        return Window(count, max(0, milliseconds) / 1000)

    def _claim(self) -> Script | None:
        """Give the script to whoever may try it."""
        address = settings.CACHES["default"]["LOCATION"]
        with self._lock:
            if self._script is None or address != self._address:
                self._script, self._address, self._open_until = _script(address), address, 0.0
            now = time.monotonic()
            if self._open_until > now:
                return None
            if self._open_until:
                self._open_until = now + CIRCUIT_SECONDS  # those who come meanwhile do not wait too
            return self._script


def count(key: str, *, seconds: float) -> Window:
    """Count one more of `key`, in the window of so many seconds that is open or begins now. Never raises for Redis."""
    return _shared.count(key, seconds=seconds) or _memory.count(key, seconds=seconds)


def forget() -> None:
    """Forget what this process has counted, and that Redis did not answer."""
    global _shared  # noqa: PLW0603 - the one of this process
    _shared = _Shared()
    _memory.clear()


def _script(address: str) -> Script:
    patience = settings.REQUEST_BROKER_SECONDS
    once = Retry(NoBackoff(), 0)
    client = Redis.from_url(address, socket_connect_timeout=patience, socket_timeout=patience, retry=once)
    return client.register_script(_SCRIPT)


_shared = _Shared()
_memory = _Memory()
