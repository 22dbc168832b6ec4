"""The one place where a Celery task gets its queue, limits and acknowledgement. `shared_task` is used nowhere else.

A message is a hint, so it is acknowledged late and never redelivered on purpose: what a dead process held is returned
to the ledger by its parent, at once, or by the reconciler.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from billiard.exceptions import WorkerLostError
from celery import Task, shared_task
from celery.worker.request import Request
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection, transaction

from processing import backlog, ledger
from processing.losses import describe_loss
from processing.models import LibraryRun, StageRun
from processing.publish import ring, ring_sparingly, send
from processing.services import object_sweeps

logger = logging.getLogger(__name__)

SOFT_SHARE = 0.9

# set in a message that stands for one whose reader died
PASSED_ON = "passed_on"

# task name -> queue, filled where the tasks are defined
_queues: dict[str, str] = {}


class LedgerRequest(Request):
    """Runs in the worker's parent process: it sees its child die or time out, and returns that child's runs."""

    def on_timeout(self, soft: bool, timeout: float) -> None:
        """Return the runs of a child that was killed for its time."""
        super().on_timeout(soft, timeout)
        if not soft:
            self._release(code="timed_out", detail=f"The process was stopped after {timeout:.0f} s.")

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> None:
        """Return the runs of a child that died."""
        super().on_failure(exc_info, send_failed_event=send_failed_event, return_ok=return_ok)
        # billiard wraps what it carries from one process to another
        error = getattr(exc_info.exception, "exc", exc_info.exception)
        if isinstance(error, WorkerLostError | SystemExit):
            code, detail = describe_loss(error)
            self._release(code=code, detail=detail)

    def _release(self, *, code: str, detail: str) -> None:
        try:
            holder = ledger.Holder(task_id=self.id, worker=self.hostname, process_id=self.worker_pid)
            for model in (StageRun, LibraryRun):
                with transaction.atomic():
                    loss = ledger.release_lost(ledger=model, holder=holder, error=ledger.RunError(code, detail))
                    object_sweeps.request_for_lost(loss)
                ring_for(loss.returned, was_lost=True)
            self._ring_again()
        except DatabaseError:
            logger.exception("the runs of task %s stay leased until the reconciler returns them", self.id)
        finally:
            connection.close()  # a child forked later must not inherit it

    def _ring_again(self) -> None:
        """Pass the hint on: its message is used up, be it that the child died before it had claimed anything.

        Once: children that die of what is on this host would else kill each other's successors without a pause.
        """
        if self.name in backlog.queues() and not self.kwargs.get(PASSED_ON):
            send(task=self.name, queue=_queues[self.name], values={"ids": self.kwargs.get("ids", []), PASSED_ON: True})


class LedgerTask(Task):
    """A task whose work is in the ledger."""

    Request = LedgerRequest


def stage_task(*, name: str, queue: str) -> Callable[[Callable[..., Any]], Task]:
    """Make the task of a photo stage. Its hard limit lies below the lease, so no live child outlives its lease."""
    return _task(name=name, queue=queue, hard_limit=settings.STAGE_TASK_TIME_LIMIT)


def library_task(*, name: str, queue: str = "people") -> Callable[[Callable[..., Any]], Task]:
    """Make the task of a library's work, which renews its lease and may take long."""
    return _task(name=name, queue=queue, hard_limit=settings.LIBRARY_TASK_TIME_LIMIT)


def any_queue_task(*, name: str) -> Callable[[Callable[..., Any]], Task]:
    """Make a task that is sent to any queue, which its sender names."""
    return _task(name=name, queue=None, hard_limit=settings.MAINTENANCE_TASK_TIME_LIMIT)


def maintenance_task(*, name: str) -> Callable[[Callable[..., Any]], Task]:
    """Make a task that beat sends."""
    return _task(name=name, queue="maintenance", hard_limit=settings.MAINTENANCE_TASK_TIME_LIMIT)


def ring_for(work: Mapping[str, int], *, was_lost: bool = False) -> None:
    """Send hints for work that has become pending: {stage or kind of library run: how many runs}.

    Where as many lie in the queue already, none is sent, but for work that `was_lost`: what lies there may be for
    others, and nobody would tell of it before the next sweep. Work that only another release knows is left to it.
    """
    queues = {name: queue for name, queue in backlog.queues().items() if name in work}
    messages = {
        name: min(-(-work[name] // settings.LEDGER_TASK_RUNS), settings.LEDGER_RING_MESSAGES) for name in queues
    }
    for name, queue in queues.items():
        # tasks that share a queue do not take each other's messages for their own
        enough = sum(count for other, count in messages.items() if queues[other] == queue)
        if was_lost:
            ring(task=name, queue=queue, messages=messages[name])
        else:
            ring_sparingly(task=name, queue=queue, messages=messages[name], enough=enough)


def ring_for_many(works: Iterable[str]) -> None:
    """Send as many hints for each as one sweep may: for work of which any number may be pending.

    A worker that finds nothing has lost a millisecond.
    """
    ring_for(dict.fromkeys(works, settings.LEDGER_TASK_RUNS * settings.LEDGER_RING_MESSAGES))


def route(name: str, *_args: object, **_kwargs: object) -> dict[str, str] | None:
    """Tell Celery the queue of a task of ours, by its name: what `task_routes` asks for every message."""
    return {"queue": _queues[name]} if name in _queues else None


def _task(*, name: str, queue: str | None, hard_limit: float) -> Callable[[Callable[..., Any]], Task]:
    if queue is not None:
        _queues[name] = queue
    return shared_task(
        name=name,
        bind=True,
        base=LedgerTask,
        time_limit=hard_limit,
        soft_time_limit=hard_limit * SOFT_SHARE,
        acks_late=True,
        reject_on_worker_lost=False,
        ignore_result=True,
        max_retries=0,
    )
