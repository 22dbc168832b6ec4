"""When what beat asks for was done last, by the database's clock: of messages that have piled up one is enough.

Celery's `expires` cannot see to that: beat writes it by its own clock, and a worker whose clock is ahead throws all of
them away. And when the reconciler swept last is how one sees that beat, broker and the maintenance worker are alive
together.
"""

from datetime import timedelta

from django.db import connection
from django.db.models import F
from django.db.models.functions import Now

from processing.models import Sweep

RECONCILE = "reconcile"

# a clock that was set back would hold everything up until it has caught up
_BEGIN = """
INSERT INTO processing_sweep AS sweep (name, began_at) VALUES (%(name)s, now())
ON CONFLICT (name) DO UPDATE SET began_at = now()
WHERE sweep.began_at <= now() - %(pause)s OR sweep.began_at > now()
"""


def begin(name: str, *, every: float) -> bool:
    """Note that a task of beat's begins, which comes `every` so many seconds; False, and nothing noted, where one has
    begun less than half of them ago: then this message is one of several that have waited.
    """
    with connection.cursor() as cursor:
        cursor.execute(_BEGIN, {"name": name, "pause": timedelta(seconds=every / 2)})
        return bool(cursor.rowcount)


def note_sweep() -> None:
    """Note that the reconciler has swept now."""
    row = Sweep(name=RECONCILE, began_at=Now(), ended_at=Now())
    Sweep.objects.bulk_create([row], update_conflicts=True, unique_fields=["name"], update_fields=["ended_at"])


def seconds_since_last() -> float | None:
    """Give the time since the reconciler's last sweep ended; none if it never did."""
    ended = Sweep.objects.filter(name=RECONCILE, ended_at__isnull=False)
    age = ended.annotate(age=Now() - F("ended_at")).values_list("age", flat=True).first()
    return None if age is None else max(0.0, age.total_seconds())
