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

# each is one step; a window without an end, as a new one is, is given one
_COUNT = """
local count = redis.call('INCR', KEYS[1])
local left = redis.call('PTTL', KEYS[1])
if left < 0 then
    redis.call('PEXPIRE', KEYS[1], ARGV[1])
    left = tonumber(ARGV[1])
end
return {count, left}
"""
_TAKE_BACK = """
if tonumber(redis.call('GET', KEYS[1]) or '0') > 0 then
    redis.call('DECR', KEYS[1])
end
return {0, 0}
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

    def take_back(self, key: str) -> None:
        with self._lock:
            count, ends_at = self._windows.get(key, (0, 0.0))
            if count:
                self._windows[key] = (count - 1, ends_at)

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
        self._scripts: dict[str, Script] = {}
        self._open_until = 0.0

    def count(self, key: str, *, seconds: float) -> Window | None:
        """Count in Redis; None while it does not answer."""
        found = self._run(_COUNT, key, max(1, round(seconds * 1000)))
        return None if found is None else Window(found[0], max(0, found[1]) / 1000)

    def take_back(self, key: str) -> None:
        self._run(_TAKE_BACK, key)

    def _run(self, text: str, key: str, *given: int) -> list[int] | None:
        script = self._claim(text)
        if script is None:
            return None
        try:
            found: list[int] = script(keys=[key], args=given)
        except RedisError as error:
            with self._lock:
                self._open_until = time.monotonic() + CIRCUIT_SECONDS
            logger.warning("each process counts requests for itself for %.0f s: %s", CIRCUIT_SECONDS, error)
            return None
        self._open_until = 0.0
        return found

    def _claim(self, text: str) -> Script | None:
        """Give a script to whoever may try it."""
        address = settings.CACHES["default"]["LOCATION"]
        with self._lock:
            if not self._scripts or address != self._address:
                self._scripts, self._address, self._open_until = _scripts(address), address, 0.0
            now = time.monotonic()
            if self._open_until > now:
                return None
            if self._open_until:
                self._open_until = now + CIRCUIT_SECONDS  # those who come meanwhile do not wait too
            return self._scripts[text]


def count(key: str, *, seconds: float) -> Window:
    """Count one more of `key`, in the window of so many seconds that is open or begins now. Never raises for Redis."""
    return _shared.count(key, seconds=seconds) or _memory.count(key, seconds=seconds)


def take_back(key: str) -> None:
    """Count one less of `key`, in the window that is open, if there is one. Never raises for Redis."""
    _shared.take_back(key)
    _memory.take_back(key)


def forget() -> None:
    """Forget what this process has counted, and that Redis did not answer."""
    global _shared  # noqa: PLW0603 - the one of this process
    _shared = _Shared()
    _memory.clear()


def _scripts(address: str) -> dict[str, Script]:
    patience = settings.REQUEST_BROKER_SECONDS
    once = Retry(NoBackoff(), 0)
    client = Redis.from_url(address, socket_connect_timeout=patience, socket_timeout=patience, retry=once)
    return {text: client.register_script(text) for text in (_COUNT, _TAKE_BACK)}


_shared = _Shared()
_memory = _Memory()
