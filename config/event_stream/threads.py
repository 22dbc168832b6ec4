"""Work that may block, done in threads beside the event loop."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from django.db import close_old_connections

Result = TypeVar("Result")
# awaits what a thread does
InThread = Callable[[Callable[[], Any]], Awaitable[Any]]


def with_connection(work: Callable[[], Result]) -> Result:
    """Do something in a thread whose database connection may have been closed by the server meanwhile."""
    close_old_connections()
    try:
        return work()
    finally:
        close_old_connections()
