"""Ringing for workers: a message says "come and look". By task name, so that the pipeline never imports tasks.

Publishing is never in anybody's way: no retries, sub-second timeouts, and a breaker that stops trying while the broker
is down. A hint that is not sent costs nothing but time: the reconciler sends it again.
"""

import logging
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from uuid import UUID

from celery import current_app
from django.conf import settings
from django.db import transaction
from kombu import Connection
from kombu.exceptions import ChannelError

from processing.metrics import HINTS

logger = logging.getLogger(__name__)

PHOTOS_PER_MESSAGE = 32
MESSAGE_VERSION = 1
BREAKER_SECONDS = 5.0
# a worker's messages may take longer than those of a request, which somebody waits for: see `wait_at_most`
PATIENCE_SECONDS = 0.5


class _Publisher:
    """One connection of a process for its hints, with timeouts of its own, and the breaker."""

    def __init__(self) -> None:
        self.patience = PATIENCE_SECONDS
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._closed_until = 0.0

    def send(self, *, task: str, queue: str, kwargs: dict[str, object]) -> bool:
        """Send one message; False if the broker is down or was down a moment ago."""
        with self._lock:
            if time.monotonic() < self._closed_until:
                return False
            try:
                connection = self._connect()
                current_app.send_task(task, kwargs=kwargs, queue=queue, retry=False, connection=connection)
            except Exception as error:  # noqa: BLE001 - whatever the transport raises, the caller's work is done
                self._trip(error)
                return False
            return True

    def waiting(self, queue: str) -> int:
        """Count the messages that lie in a queue; 0 if the broker cannot say."""
        with self._lock:
            if time.monotonic() < self._closed_until:
                return 0
            try:
                return self._connect().default_channel.queue_declare(queue=queue, passive=True).message_count
            except ChannelError:
                return 0  # Redis keeps no empty list
            except Exception as error:  # noqa: BLE001 - as in `send`
                self._trip(error)
                return 0

    def forget(self) -> None:
        """Drop the connection without closing it: after a fork it belongs to the parent."""
        self._lock = threading.Lock()
        self._connection = None

    def _connect(self) -> Connection:
        if self._connection is None:
            self._connection = hurried_connection(self.patience)
        return self._connection

    def _trip(self, error: Exception) -> None:
        logger.warning("hints are held back for %.0f s: %s", BREAKER_SECONDS, error)
        self._closed_until = time.monotonic() + BREAKER_SECONDS
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.release()
            except Exception:
                logger.debug("the broken connection did not close", exc_info=True)


_publisher = _Publisher()
forget_connection = _publisher.forget


def hurried_connection(seconds: float) -> Connection:
    """Make a connection to the broker that tries once, and waits for so many seconds for each answer."""
    # the options of consumers stay out of it: they wait for longer, and try again
    options = {
        "socket_connect_timeout": seconds,
        "socket_timeout": seconds,
        "retry_on_timeout": False,
        "max_retries": 0,
    }
    return Connection(settings.CELERY_BROKER_URL, transport_options=options, connect_timeout=seconds)


def wait_at_most(seconds: float) -> None:
    """Have this process wait for so long for each answer of the broker, before it holds its hints back for a while."""
    _publisher.patience = seconds
    _publisher.forget()


def send(*, task: str, queue: str, values: Mapping[str, object]) -> bool:
    """Send one message with values of its own at once; False if it was held back."""
    is_sent = _publisher.send(task=task, queue=queue, kwargs={"v": MESSAGE_VERSION, **values})
    HINTS.labels(task, "sent" if is_sent else "held_back").inc()
    return is_sent


def count_waiting(queue: str) -> int:
    """Count the messages that lie in a queue; 0 if the broker cannot say."""
    return _publisher.waiting(queue)


def ring(*, task: str, queue: str, ids: Sequence[UUID] = (), messages: int = 1) -> int:
    """Send hints at once; gives how many went out. `ids` name who rang, for the trace."""
    chunks: list[Sequence[UUID]] = [
        ids[start : start + PHOTOS_PER_MESSAGE] for start in range(0, len(ids), PHOTOS_PER_MESSAGE)
    ] or [()] * messages
    sent = 0
    for chunk in chunks:
        kwargs = {"v": MESSAGE_VERSION, "ids": [str(one) for one in chunk]}
        if not _publisher.send(task=task, queue=queue, kwargs=kwargs):
            break
        sent += 1
    HINTS.labels(task, "sent").inc(sent)
    HINTS.labels(task, "held_back").inc(len(chunks) - sent)
    return sent


def ring_sparingly(*, task: str, queue: str, messages: int, enough: int | None = None) -> int:
    """Send hints for work that is overdue, unless as many lie in the queue: workers are busy, or gone.

    `enough` is how many may lie there for all tasks of the queue together, where several share it.
    """
    missing = min(messages, (messages if enough is None else enough) - _publisher.waiting(queue))
    return ring(task=task, queue=queue, messages=missing) if missing > 0 else 0


def ring_on_commit(*, task: str, queue: str, ids: Iterable[UUID] = ()) -> None:
    """Send hints when the transaction has committed."""
    transaction.on_commit(partial(ring, task=task, queue=queue, ids=list(ids)), robust=True)
