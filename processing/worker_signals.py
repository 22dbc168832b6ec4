"""What a worker does beside its tasks: says that it is there, serves its metrics, limits the processes that decode.

Connected by importing this module, before Django's apps are ready: whatever needs them is imported where it is used.
"""

import ctypes
import logging
from typing import TYPE_CHECKING, Any

from billiard import current_process
from celery import current_app, signals
from django.conf import settings

if TYPE_CHECKING:
    from celery.worker import WorkController
    from celery.worker.consumer import Consumer

    from processing.presence import Presence, WorkerFacts

logger = logging.getLogger(__name__)

DECODING_QUEUE = "ingest"
MODEL_QUEUES = frozenset({"faces", "embeddings"})

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


@signals.worker_ready.connect
def begin_presence(sender: "Consumer", **_: object) -> None:
    """Serve metrics and say that this worker is there, once it takes messages."""
    global _presence  # noqa: PLW0603 - a process is one worker
    from processing import metrics_server, presence

    port = None
    if settings.METRICS_PORT:
        port = metrics_server.serve(host=settings.METRICS_HOST, first_port=settings.METRICS_PORT)
    _presence = presence.Presence(name=sender.hostname, facts=lambda: _facts(sender, port))
    _presence.begin()
    queues = frozenset(sender.app.conf.darkroom_queues)
    if DECODING_QUEUE in queues and queues & MODEL_QUEUES:
        logger.warning(
            "This worker serves %s and models: files of strangers are decoded without limits beside them. Start one "
            "worker with -Q %s and another for the rest.",
            DECODING_QUEUE,
            DECODING_QUEUE,
        )


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
    """Leave the parent's connections alone, and limit a process that opens strangers' files."""
    from processing import metrics_server, publish

    publish.forget_connection()
    metrics_server.leave_to_parent()
    queues = frozenset(current_app.conf.darkroom_queues)
    if DECODING_QUEUE not in queues:
        return
    from processing.engines import imaging

    imaging.load_decoders()  # a spawned child has them not
    # a solo worker works in the process that is the worker: nobody would replace it
    if current_process().daemon:
        imaging.may_end_by_signal()
    # torch and CUDA reserve more address space than a decoder may have
    if not queues & MODEL_QUEUES:
        imaging.apply_limits(memory_bytes=settings.DECODE_MEMORY_BYTES, file_bytes=settings.DECODE_FILE_BYTES)


@signals.task_postrun.connect
def give_memory_back(retval: object = None, **_: object) -> None:
    """Return to the system what decoded images have left of the heap, after each task that found work.

    Pixels of many sizes leave holes in it, which glibc keeps: a child holds the most that it ever needed, and more.
    """
    # a task of a stage tells how many runs it took; a look that found none shall cost nothing
    if _malloc_trim is not None and isinstance(retval, int) and retval:
        _malloc_trim(0)


def _facts(consumer: "Consumer", metrics_port: int | None) -> "WorkerFacts":
    from processing import presence

    queues = frozenset(consumer.app.amqp.queues.consume_from)  # a remote command may have changed them since
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
