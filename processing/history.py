"""What happened lately: how much was finished, and what died of what."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from django.db.models import Count, DateTimeField, DurationField, F, Func, QuerySet, Value
from django.db.models.functions import Now
from django.utils import timezone

from processing.models import LibraryRun, RunState, StageRun

BIN = timedelta(minutes=5)
SPAN = timedelta(hours=1)
_ORIGIN = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ThroughputBin:
    """Runs that were finished within `BIN` of `start`: `done` by stage, and how many died."""

    start: datetime
    done: Counter[str] = field(default_factory=Counter)
    dead: int = 0


@dataclass(frozen=True, slots=True)
class DeadLetters:
    """How many runs of one stage, or of one kind of library work, are dead of one error."""

    work: str
    error_code: str
    count: int


def throughput(runs: QuerySet[StageRun] | None = None) -> list[ThroughputBin]:
    """Count the runs finished in the last hour, oldest bin first; the last one is not over yet.

    Reads the index of `finished_at` and no more of the ledger than that hour.
    """
    runs = StageRun.objects.all() if runs is None else runs
    now = timezone.now()
    first = now - (now - _ORIGIN) % BIN - SPAN
    start = Func(
        Value(BIN, DurationField()),
        F("finished_at"),
        Value(_ORIGIN, DateTimeField()),
        function="date_bin",
        output_field=DateTimeField(),
    )
    rows = runs.filter(finished_at__gte=first, state__in=[RunState.DONE, RunState.DEAD]).annotate(start=start)
    done: dict[datetime, Counter[str]] = {}
    dead: Counter[datetime] = Counter()
    for begun, stage, state, count in rows.order_by().values_list("start", "stage", "state").annotate(Count("pk")):
        if state == RunState.DEAD:
            dead[begun] += count
        else:
            done.setdefault(begun, Counter())[stage] += count
    starts = [first + number * BIN for number in range(SPAN // BIN + 1)]
    return [ThroughputBin(start=one, done=done.get(one, Counter()), dead=dead[one]) for one in starts]


def count_done(span: timedelta) -> Counter[str]:
    """Count the runs of all work that were done within `span`, by stage or kind: the index of `finished_at` serves."""
    return _count_ended(RunState.DONE, span)


def count_died(span: timedelta) -> Counter[str]:
    """Count the runs of all work that died within `span`, and still are dead, by stage or kind."""
    return _count_ended(RunState.DEAD, span)


def _count_ended(state: RunState, span: timedelta) -> Counter[str]:
    counts: Counter[str] = Counter()
    for model, work in ((StageRun, "stage"), (LibraryRun, "kind")):
        ended = model.objects.filter(state=state, finished_at__gt=Now() - span).order_by()
        counts.update(dict(ended.values_list(work).annotate(Count("pk"))))
    return counts


def dead_letters(runs: QuerySet[StageRun], library_runs: QuerySet[LibraryRun]) -> list[DeadLetters]:
    """Count dead runs by work and error, most first."""
    found = [
        DeadLetters(work=work, error_code=code, count=count)
        for ledger in (runs, library_runs)
        for work, code, count in ledger.filter(state=RunState.DEAD)
        .order_by()
        .values_list(ledger.model.WORK, "error_code")
        .annotate(Count("pk"))
    ]
    return sorted(found, key=lambda one: (-one.count, one.work, one.error_code))
