"""What a pause means for a claim: nothing of that work is taken, but for the one run by which a circuit tries again."""

from datetime import timedelta

from django.conf import settings
from django.db.models import Case, DurationField, F, Value, When
from django.db.models.functions import Now

from processing.models import StagePause

# part of a claim's WHERE; `kind` is the name of the work
NOT_PAUSED = "NOT EXISTS (SELECT FROM processing_stagepause AS pause WHERE pause.work = %(kind)s)"


def take_probe(*, work: str) -> bool:
    """Take the right to claim one run of work that a circuit has paused; False where none may be tried now.

    Call it in the transaction of that claim, and roll back if there is no run to take. It puts the next try off, for
    twice as long each time, so a failure needs nothing more. Of two at once the second waits for the first and gets
    False.
    """
    circuits = StagePause.objects.filter(work=work, error_code__gt="", probe_at__lte=Now())
    return bool(circuits.update(probe_at=Now() + _next_wait(), probes=F("probes") + 1))


def _next_wait() -> Case:
    """Give the wait after the try that is about to be made, by how many were made before it."""
    longest = settings.CIRCUIT_MAX_WAIT_SECONDS
    waits = [settings.CIRCUIT_FIRST_WAIT_SECONDS]
    while waits[-1] < longest:
        waits.append(min(2 * waits[-1], longest))
    branches = [When(probes=before, then=_seconds(wait)) for before, wait in enumerate(waits[1:])]
    return Case(*branches, default=_seconds(waits[-1]))


def _seconds(seconds: float) -> Value:
    return Value(timedelta(seconds=seconds), output_field=DurationField())
