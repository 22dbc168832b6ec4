"""How often the password of a share may be guessed: counted in the cache, and in this process while that is away."""

import logging
from ipaddress import IPv6Address, ip_address, ip_network
from uuid import UUID

from django.core.cache import cache
from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.locmem import LocMemCache
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

WINDOW_SECONDS = 600
# of one address at one share, and of all addresses together: those who have opened it are not asked meanwhile
ADDRESS_LIMIT = 10
SHARE_LIMIT = 200

_fallback = LocMemCache("share-attempts", {"OPTIONS": {"MAX_ENTRIES": 10_000}})


class TooManyAttemptsError(Exception):
    """Another attempt may be made when the window is over, in at most WINDOW_SECONDS."""


def take(*, share_id: UUID, address: str | None) -> None:
    """Count an attempt, before the password is looked at; raises TooManyAttemptsError where there is none left.

    An address that has none left uses up none of the others'.
    """
    by_address, by_share = _keys(share_id, address)
    try:
        _take(cache, by_address, by_share)
    except RedisError as error:
        logger.warning("attempts at a share are counted in this process alone: %s", error)
        _take(_fallback, by_address, by_share)


def give_back(*, share_id: UUID, address: str | None) -> None:
    """Take back an attempt that was right: a family behind one address is no burglar."""
    for store in (cache, _fallback):
        for key in _keys(share_id, address):
            try:
                if store.get(key, 0) > 0:
                    store.decr(key)
            except (RedisError, ValueError):  # away, or the window is over
                continue


def _take(store: BaseCache, by_address: str, by_share: str) -> None:
    if _count(store, by_address) > ADDRESS_LIMIT or _count(store, by_share) > SHARE_LIMIT:
        raise TooManyAttemptsError


def _count(store: BaseCache, key: str) -> int:
    store.add(key, 0, timeout=WINDOW_SECONDS)
    try:
        return store.incr(key)
    except ValueError:  # the window ended in between
        store.set(key, 1, timeout=WINDOW_SECONDS)
        return 1


def _keys(share_id: UUID, address: str | None) -> tuple[str, str]:
    key = f"share-attempts:{share_id}"
    return f"{key}:{_origin(address)}", key


def _origin(address: str | None) -> str:
    """Name where somebody is: of IPv6 it is the network, since a single host has as many addresses as it likes."""
    if address is None:
        return "unknown"
    parsed = ip_address(address)
    return str(ip_network((parsed, 64), strict=False)) if isinstance(parsed, IPv6Address) else address
