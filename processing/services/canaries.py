"""Canaries: messages that do nothing but show that a queue's workers take messages."""

from datetime import timedelta
from functools import partial

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from processing import publish
from processing.canaries import IS_UNDER_WAY
from processing.models import Canary, WorkerPresence

TASK = "canary"
# a message that is not answered and lies in no queue was lost, and is sent again
LOST_AFTER = timedelta(seconds=60)


@transaction.atomic
def ring() -> list[str]:
    """Send a canary to every queue that live workers serve, where none is under way; gives the queues.

    Sent when the transaction has committed. The time of one that is under way stays as it is, or it were never late.
    """
    serving = WorkerPresence.objects.taking_work().values_list("queues", flat=True)
    queues = {queue for served in serving for queue in served}
    under_way = Canary.objects.filter(IS_UNDER_WAY)
    waiting = set(under_way.values_list("queue", flat=True))
    old = set(under_way.filter(rung_at__lt=Now() - LOST_AFTER).values_list("queue", flat=True))
    due = [queue for queue in settings.QUEUES if queue in queues - waiting]
    rows = [Canary(queue=queue, rung_at=Now()) for queue in due]
    Canary.objects.bulk_create(rows, update_conflicts=True, unique_fields=["queue"], update_fields=["rung_at"])
    for queue in due:
        transaction.on_commit(partial(_send, queue), robust=True)
    for queue in sorted(queues & old):
        transaction.on_commit(partial(_send_again, queue), robust=True)
    return due


def move(*, queue: str, worker: str) -> bool:
    """Note that a worker has taken the canary of a queue; False if nobody has sent one."""
    return bool(Canary.objects.filter(queue=queue).update(moved_at=Now(), worker=worker))


def _send(queue: str) -> None:
    publish.send(task=TASK, queue=queue, values={"queue": queue})


def _send_again(queue: str) -> None:
    # where messages lie it lies among them
    if not publish.count_waiting(queue):
        _send(queue)
