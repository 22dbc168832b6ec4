"""Celery's pool of processes, that replaces each one as soon as it is dead.

Celery is told of a death by the end of the child's pipe, which the kernel closes a moment before the child can be
waited for. A parent that looks in between finds it alive, forgets the pipe and looks again only at its timer, every 5 s
(https://github.com/celery/celery/issues/9588 has it of recycled children): for so long one process less works, and what
the child held is not returned.
"""

from typing import Any

from celery.concurrency import prefork
from celery.concurrency.asynpool import AsynPool
from kombu.asynchronous import Hub

LOOK_AGAIN_SECONDS = 0.05


class _Processes(AsynPool):
    def _event_process_exit(self, hub: Hub, proc: Any) -> None:
        super()._event_process_exit(hub, proc)
        if proc in self._pool:
            # not on the way of the loop: a decoder may have closed the pipe itself, and go on for as long as it may
            hub.call_later(LOOK_AGAIN_SECONDS, self._event_process_exit, hub, proc)


class TaskPool(prefork.TaskPool):
    """The pool that workers have who are told no other."""

    Pool = _Processes
