"""What a worker does beside its tasks: says that it is there, serves its metrics, limits the processes that decode.

Connected by importing this module, before Django's apps are ready: whatever needs them is imported where it is used.
"""

import ctypes
import gc
import logging
import os
from typing import TYPE_CHECKING, Any

from celery import current_app, signals
from django.conf import settings

from processing.worker_limits import DECODING_QUEUE, MODEL_QUEUES

if TYPE_CHECKING:
    from celery.worker import WorkController
    from celery.worker.consumer import Consumer

    from processing.presence import Presence, WorkerFacts

logger = logging.getLogger(__name__)

_presence: "Presence | None" = None
# of glibc alone
_malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)


@signals.setup_logging.connect
def leave_logging_alone(**_: object) -> None:
    """Keep Django's LOGGING: with a receiver for this signal Celery sets nothing up itself."""


@signals.worker_init.connect
def remember_queues(sender: "WorkController", **_: object) -> None:
    """Put the queues where spawned children find them too: a child of its own interpreter gets the app's settings."""
    sender.app.conf.darkroom_queues = sorted(sender.app.amqp.queues.consume_from)
    if DECODING_QUEUE in sender.app.conf.darkroom_queues:
        from processing.engines import imaging

        # once for all children: one that takes the place of a child that crashed is at work at once
        imaging.load_decoders()
        # what is here now stays: the pool collects garbage before each child that it forks, and a child in its own time
        gc.collect()
        gc.freeze()


@signals.worker_ready.connect
def begin_presence(sender: "Consumer", **_: object) -> None:
    """Serve metrics and say that this worker is there, once it takes messages."""
    global _presence  # noqa: PLW0603 - a process is one worker
    from processing import backlog, metrics, metrics_server, presence

    port = None
    if settings.METRICS_PORT:
        port = metrics_server.serve(host=settings.METRICS_HOST, first_port=settings.METRICS_PORT)
    consuming = _Consuming(sender)
    _presence = presence.Presence(
        name=sender.hostname, facts=lambda: _facts(sender, consuming, port), consume=consuming.switch
    )
    _presence.begin()
    metrics.begin_at_zero(backlog.queues())


@signals.worker_shutting_down.connect
def begin_stopping(**_: object) -> None:
    """Claim nothing new, and hand back soon what is in hand: nobody's photo waits for a lease to run out."""
    if _presence is not None:
        _presence.begin_stopping()


@signals.worker_shutdown.connect
def end_presence(**_: object) -> None:
    """Say that this worker has gone."""
    if _presence is not None:
        _presence.end()


@signals.worker_process_init.connect
def prepare_child(**_: object) -> None:
    """Leave the parent's connections alone, and limit a process that opens strangers' files.

    A process that could not be prepared ends: Celery would log the error and let it work without limits.
    """
    try:
        _prepare_child()
    except BaseException:
        logger.critical("a process of this worker could not be prepared for its work and ends", exc_info=True)
        os._exit(1)


def _prepare_child() -> None:
    from processing import metrics_server, publish

    publish.forget_connection()
    metrics_server.leave_to_parent()
    if DECODING_QUEUE not in current_app.conf.darkroom_queues:
        return
    from processing.engines import imaging

    imaging.load_decoders()  # a spawned child has them not
    imaging.may_end_by_signal()
    imaging.apply_limits(memory_bytes=settings.DECODE_MEMORY_BYTES, file_bytes=settings.DECODE_FILE_BYTES)


@signals.task_postrun.connect
def give_memory_back(retval: object = None, **_: object) -> None:
    """Return to the system what decoded images have left of the heap, after each task that found work.

    Pixels of many sizes leave holes in it, which glibc keeps: a child holds the most that it ever needed, and more.
    """
    # a task of a stage tells how many runs it took; a look that found none shall cost nothing
    if _malloc_trim is not None and isinstance(retval, int) and retval:
        _malloc_trim(0)


class _Consuming:
    """The queues that a worker takes messages of, and those that it leaves alone while it is drained."""

    def __init__(self, consumer: "Consumer") -> None:
        self._consumer = consumer
        self._set_aside: frozenset[str] = frozenset()

    @property
    def queues(self) -> frozenset[str]:
        """All that it serves: a remote command may have changed them since it began."""
        return frozenset(self._consumer.app.amqp.queues.consume_from) | self._set_aside

    def switch(self, is_on: bool) -> None:
        """Have the consumer's own thread do it, between two messages."""
        queues, self._set_aside = (self._set_aside, frozenset()) if is_on else (self.queues, self.queues)
        change = self._consumer.add_task_queue if is_on else self._consumer.cancel_task_queue
        for queue in sorted(queues):
            self._consumer.call_soon(change, queue)


def _facts(consumer: "Consumer", consuming: _Consuming, metrics_port: int | None) -> "WorkerFacts":
    from processing import presence

    queues = consuming.queues
    return presence.WorkerFacts(
        queues=sorted(queues),
        versions=presence.known_versions(set(queues)),
        processes=_processes(consumer.pool),
        device=presence.expected_device(settings.DEVICE) if queues & MODEL_QUEUES else "",
        metrics_port=metrics_port,
        memory_bytes=presence.memory_bytes(),
    )


def _processes(pool: Any) -> int:
    """Count a pool's processes, or its threads; a solo pool works in the one that is there."""
    return pool.num_processes or 1
