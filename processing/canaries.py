"""Which queues are deaf: whose workers are there and do not take what is sent to them."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import F, Q
from django.db.models.functions import Now

from processing.models import Canary, LibraryRun, RunState, StageRun, WorkerPresence

IS_UNDER_WAY = Q(moved_at__isnull=True) | Q(moved_at__lt=F("rung_at"))


@dataclass(frozen=True, slots=True)
class CanaryStatus:
    """How long the message to one queue has been under way, in seconds; 0 if it was answered.

    It is late when that is longer than CANARY_SECONDS although live workers serve the queue, and they were not at work
    all the time: behind a backlog it may wait.
    """

    queue: str
    seconds: float
    is_late: bool


def statuses() -> list[CanaryStatus]:
    """Look at the canary of every queue that live workers take messages of, in the order of the queues."""
    workers = list(WorkerPresence.objects.taking_work().values_list("name", "queues", "started_at"))
    # aggregated apart, so that every canary is given with the database's clock
    canaries = {canary.queue: canary for canary in Canary.objects.annotate(now=Now())}
    found = []
    for queue in settings.QUEUES:
        serving = {name: started_at for name, queues, started_at in workers if queue in queues}
        if serving and queue in canaries:
            found.append(_status(canaries[queue], serving))
    return found


def late() -> list[CanaryStatus]:
    """Give the queues that are deaf."""
    return [one for one in statuses() if one.is_late]


def _status(canary: Canary, workers: dict[str, datetime]) -> CanaryStatus:
    if canary.moved_at is not None and canary.moved_at >= canary.rung_at:
        return CanaryStatus(canary.queue, seconds=0.0, is_late=False)
    # it may have been rung before anybody was there to answer
    since = max(canary.rung_at, min(workers.values()))
    seconds = max(0.0, (canary.now - since).total_seconds())
    is_late = seconds > settings.CANARY_SECONDS and not _have_worked(workers)
    return CanaryStatus(canary.queue, seconds=seconds, is_late=is_late)


def _have_worked(workers: dict[str, datetime]) -> bool:
    """Tell whether any of these workers holds a lease, or has ended a run lately: then it takes messages."""
    lately = Now() - timedelta(seconds=settings.CANARY_SECONDS)
    is_at_work = Q(state=RunState.RUNNING, lease_until__gt=Now()) | Q(finished_at__gt=lately)
    return any(model.objects.filter(is_at_work, worker__in=workers).exists() for model in (StageRun, LibraryRun))
