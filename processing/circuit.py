"""The circuit: work whose recent runs all fail for one reason that is the infrastructure's is paused, and lifts itself.

Without it a backlog is handed back run by run for as long as the storage is gone. A pause that a person made is never
touched.
"""

import logging
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.db import transaction
from django.db.models import Max
from django.db.models.functions import Now

from processing.models import LibraryRun, RunState, StagePause, StageRun
from processing.models.ledger import Run, RunQuerySet
from processing.task_policy import ring_for_many

logger = logging.getLogger(__name__)

# what is the same for every run of a stage. Not the database's trouble: while it lasts no pause can be written, and
# when it is over the runs that were at work come back together, which is no reason to wait. Not `wrong_bytes`: that is
# one object's.
TRIPPING_CODES = frozenset({"storage_unavailable", "device_unavailable", "model_not_installed", "weights_mismatch"})
# of an error that says nothing of the reason that is looked at
_SILENT_CODES = ("", "database_unavailable", "broker_unavailable")
# states that a run reaches only by work that got through to its input
_ENDED_BY_WORK = (RunState.DONE, RunState.DEAD)


def consider(*, ledger: type[Run], work: str, code: str) -> bool:
    """Pause work if its recent runs were all handed back for `code` and none has ended since; tells whether it did.

    Call it when a run has been handed back. Asks the database nothing for codes that never pause.
    """
    if code not in TRIPPING_CODES or not _only_fails(ledger, work, code):
        return False
    values = {
        "paused_at": Now(),
        "reason": f"Paused by itself: its runs fail with {code}.",
        "error_code": code,
        "probe_at": Now() + timedelta(seconds=settings.CIRCUIT_FIRST_WAIT_SECONDS),
    }
    # a pause that is there stays as it is, a person's above all
    _, is_new = StagePause.objects.get_or_create(work=work, defaults=values)
    if is_new:
        logger.warning("%s is paused until one of its runs succeeds: %s", work, code)
    return is_new


@transaction.atomic
def close(*, work: str) -> bool:
    """Lift the circuit's pause of work, since a run got through; tells whether there was one. Rings for what waits."""
    lifted, _ = StagePause.objects.filter(work=work, error_code__gt="").delete()
    if lifted:
        logger.warning("%s goes on: a run got through", work)
        transaction.on_commit(partial(ring_for_many, [work]), robust=True)
    return bool(lifted)


def review() -> None:
    """Do in a sweep what nobody did at the time: lift where a run has ended since, pause where all fail."""
    for model in (StageRun, LibraryRun):
        for work, since in StagePause.objects.filter(error_code__gt="").values_list("work", "paused_at"):
            if _has_ended(model.objects.filter(**{model.WORK: work}), since):
                close(work=work)
        failing = _handed_back(model.objects.all()).filter(error_code__in=TRIPPING_CODES)
        for work, code in failing.order_by().values_list(model.WORK, "error_code").distinct():
            consider(ledger=model, work=work, code=code)


def _only_fails(ledger: type[Run], work: str, code: str) -> bool:
    runs = ledger.objects.filter(**{ledger.WORK: work})
    handed_back = _handed_back(runs)
    times = list(handed_back.filter(error_code=code).order_by("queued_at").values_list("queued_at", flat=True))
    ended = runs.filter(state__in=_ENDED_BY_WORK, finished_at__gt=_window()).aggregate(last=Max("finished_at"))["last"]
    times = [one for one in times if ended is None or one > ended]
    if len(times) < settings.CIRCUIT_RUNS:
        return False
    # a hiccup of the network hands back what was at work in one moment
    if times[-1] - times[0] < timedelta(seconds=settings.CIRCUIT_SECONDS):
        return False
    others = handed_back.filter(queued_at__gte=times[0]).exclude(error_code__in=[code, *_SILENT_CODES])
    return not others.exists()


def _handed_back(runs: RunQuerySet) -> RunQuerySet:
    """Filter runs that came back with an error lately: an index of such runs alone serves."""
    return runs.filter(state=RunState.PENDING, queued_at__gt=_window(), error_code__gt="")


def _has_ended(runs: RunQuerySet, since: datetime) -> bool:
    return runs.filter(state__in=_ENDED_BY_WORK, finished_at__gt=since).exists()


def _window() -> object:
    return Now() - timedelta(seconds=settings.CIRCUIT_WINDOW_SECONDS)
