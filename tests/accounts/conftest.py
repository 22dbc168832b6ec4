"""Fixtures of the tests of accounts."""

from collections.abc import Iterator

import pytest
from pytest_django import Settings
from redis import Redis

from accounts import windows


@pytest.fixture
def fresh_windows(settings: Settings) -> Iterator[None]:
    """Count attempts and requests from none on, in Redis and in this process, and leave none behind."""
    settings.REQUEST_BROKER_SECONDS = 5  # a busy machine is no dead Redis
    windows.forget()
    with Redis.from_url(settings.CACHES["default"]["LOCATION"]) as redis:
        redis.flushdb()
        yield
        redis.flushdb()
    windows.forget()
