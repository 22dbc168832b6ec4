"""Whether the broker takes messages. One that is full answers every question and refuses every write."""

from django.conf import settings
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import OutOfMemoryError, RedisError, ResponseError
from redis.retry import Retry

SECONDS = 1.0
# a key of our own, gone by itself
_KEY = "darkroom:takes-writes"
_KEY_SECONDS = 60


def hurried_client(url: str) -> Redis:
    """Make a client that waits for a second, and tries once."""
    return Redis.from_url(
        url,
        socket_connect_timeout=SECONDS,
        socket_timeout=SECONDS,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
    )


def refusal(client: Redis) -> str:
    """Say why a server that answers takes no writes: full, a replica, or its disk; nothing if it takes them.

    Raises RedisError if it does not answer.
    """
    try:
        client.set(_KEY, "1", ex=_KEY_SECONDS)
    except OutOfMemoryError:
        return "it is full (maxmemory, noeviction)"
    except ResponseError as error:
        return str(error)
    return ""


def trouble() -> str:
    """Say why the broker takes no messages at this moment; nothing if it takes them."""
    try:
        with hurried_client(settings.CELERY_BROKER_URL) as client:
            return refusal(client)
    except RedisError as error:
        return f"it does not answer: {str(error).rstrip('.')}"
