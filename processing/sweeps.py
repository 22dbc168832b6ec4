"""When the reconciler swept last: how one sees that beat, broker and the maintenance worker are alive together."""

import logging
import time

from django.core.cache import cache
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

_KEY = "processing.last_sweep"


def note_sweep() -> None:
    """Note that a sweep has ended now. Without the cache it goes unnoted; the sweep itself needs none."""
    try:
        cache.set(_KEY, time.time(), timeout=None)
    except RedisError as error:
        logger.warning("a sweep was not noted: %s", error)


def seconds_since_last() -> float | None:
    """Give the time since the last sweep ended; none if nobody knows of one."""
    try:
        noted = cache.get(_KEY)
    except RedisError as error:
        logger.warning("nobody can say when the last sweep was: %s", error)
        return None
    return None if noted is None else max(0.0, time.time() - noted)
