"""Counting who looks at photos."""

import logging
from uuid import UUID

from django.core.cache import cache
from redis.exceptions import RedisError

from accounts.models import User
from photos.services import favourites

logger = logging.getLogger(__name__)

ONE_VIEW_SECONDS = 3600


def note(*, user: User, photo_id: UUID) -> None:
    """Count that somebody looks at a photo, once an hour; programs with keys do not look.

    Who looked is kept for that hour in the cache, and nowhere else. Without the cache nothing is counted.
    """
    if user.acting_key is not None:
        return
    try:
        is_first = cache.add(f"view:{user.pk}:{photo_id}", 1, timeout=ONE_VIEW_SECONDS)
    except (RedisError, OSError) as error:
        logger.warning("a view is not counted: %s", error)
        return
    if is_first:
        favourites.count_view(photo_id=photo_id)
