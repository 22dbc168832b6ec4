"""What a person does about dead letters: let them start over, or give them up.

Many are taken a thousand at a time, each thousand in a transaction of its own: workers claim the first ones while the
last are still being opened, and no lock is held for long. What an interruption leaves undone is as it was.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Count, Exists, OuterRef, QuerySet
from django.db.models.functions import Now

from accounts.models import AuditAction, User
from accounts.problems import ConflictError, InvalidValueError, NotFoundError
from accounts.services import audit
from processing.backlog import queues
from processing.consent import ERASURES
from processing.dead_letters import DeadLetterGroup, alike, find, groups
from processing.models import LibraryRun, RunState, StageRun
from processing.models.ledger import DISCARDED
from processing.pipeline.advancing import hold_runs, reopen
from processing.pipeline.discarding import await_again, skip_below
from processing.pipeline.planning import lock_plan_for_reading
from processing.publish import PHOTOS_PER_MESSAGE, ring_on_commit
from processing.telling import tell_photos

__all__ = [
    "DeadLetterGroup",
    "ErasureIsOwedError",
    "NotADeadLetterError",
    "WorkIsOpenError",
    "discard",
    "discard_alike",
    "discard_library_runs",
    "discard_one",
    "groups",
    "restore",
    "restore_library_runs",
    "retry",
    "retry_alike",
    "retry_library_runs",
    "retry_one",
]

RUNS_PER_TRANSACTION = 1000
REASON_MAX_LENGTH = StageRun._meta.get_field("discard_reason").max_length
_ONE_OPEN = "library_run_one_open"

Found = list[tuple[UUID, str, UUID]]


class NotADeadLetterError(ConflictError):
    """The run is not dead, or not any more: somebody else was faster."""

    code = "not_a_dead_letter"


class ErasureIsOwedError(ConflictError):
    """The run erases what is owed to be erased: faces without consent, somebody, or a library."""

    code = "erasure_is_owed"


class WorkIsOpenError(ConflictError):
    """The library has an open run of the same work, and may have no two."""

    code = "work_is_open"


def retry(*, runs: QuerySet[StageRun], by: User | None = None) -> int:
    """Let dead runs start over with all their attempts; gives how many. Runs in other states are left alone."""
    return _in_batches(runs, _start_over, action=AuditAction.RUNS_RETRIED, by=by, state=RunState.DEAD)


def restore(*, runs: QuerySet[StageRun], by: User | None = None) -> int:
    """Let discarded runs start over, and what was skipped for their sake wait for them; gives how many."""
    return _in_batches(runs, _start_over, action=AuditAction.RUNS_RETRIED, by=by, skip_reason=DISCARDED)


def discard(*, runs: QuerySet[StageRun], by: User | None, reason: str) -> int:
    """Give dead runs up; gives how many. What waits for their results is skipped, as `input_discarded`.

    Who and why are kept, the error too: a discarded run may be restored. Raises InvalidValueError for a reason that is
    empty or longer than REASON_MAX_LENGTH.
    """
    end = _end(by=by, reason=reason)
    told = {"action": AuditAction.RUNS_DISCARDED, "by": by}
    return _in_batches(runs, lambda locked: _give_up(locked, end), **told, state=RunState.DEAD)


@transaction.atomic
def retry_library_runs(*, run_ids: Iterable[UUID], by: User | None = None) -> int:
    """Let dead library runs start over; gives how many. Where the same work is open again already none does.

    Of several of one library and work the newest does: one run reads everything that there is.
    """
    return _reopen_library_runs(LibraryRun.objects.filter(pk__in=list(run_ids), state=RunState.DEAD), by)


@transaction.atomic
def restore_library_runs(*, run_ids: Iterable[UUID], by: User | None = None) -> int:
    """Let discarded library runs start over, as `retry_library_runs` does dead ones; gives how many."""
    return _reopen_library_runs(LibraryRun.objects.filter(pk__in=list(run_ids), skip_reason=DISCARDED), by)


@transaction.atomic
def discard_library_runs(*, run_ids: Iterable[UUID], by: User | None, reason: str) -> int:
    """Give dead library runs up; gives how many. Not erasures: nobody may keep what is owed to be erased.

    Raises InvalidValueError as `discard` does.
    """
    end = _end(by=by, reason=reason)
    dead = LibraryRun.objects.filter(pk__in=list(run_ids), state=RunState.DEAD).exclude(kind__in=ERASURES)
    locked = dict(dead.order_by("pk").select_for_update(of=("self",)).values_list("pk", "library_id"))
    _tell(AuditAction.RUNS_DISCARDED, by, Counter(locked.values()))
    return LibraryRun.objects.filter(pk__in=list(locked)).update(**end)


def retry_one(*, run_id: UUID, by: User | None = None) -> StageRun | LibraryRun:
    """Let one run start over, dead or discarded, of either ledger; gives it as it is then.

    Raises NotFoundError, NotADeadLetterError, WorkIsOpenError.
    """
    run = _existing(run_id)
    if isinstance(run, StageRun):
        chosen = StageRun.objects.filter(pk=run_id)
        count = retry(runs=chosen, by=by) or restore(runs=chosen, by=by)
    else:
        count = retry_library_runs(run_ids=[run_id], by=by) or restore_library_runs(run_ids=[run_id], by=by)
    run = _existing(run_id)
    if not count:
        if isinstance(run, LibraryRun) and (run.state == RunState.DEAD or run.skip_reason == DISCARDED):
            raise WorkIsOpenError("The library has an open run of this work already.")
        raise NotADeadLetterError(f"The run is {run.state}, neither dead nor discarded.", state=run.state)
    return run


def discard_one(*, run_id: UUID, by: User | None, reason: str) -> StageRun | LibraryRun:
    """Give up one dead run of either ledger; gives it as it is then.

    Raises NotFoundError, NotADeadLetterError, ErasureIsOwedError, InvalidValueError.
    """
    run = _existing(run_id)
    if isinstance(run, StageRun):
        count = discard(runs=StageRun.objects.filter(pk=run_id), by=by, reason=reason)
    else:
        count = discard_library_runs(run_ids=[run_id], by=by, reason=reason)
    run = _existing(run_id)
    if not count and isinstance(run, LibraryRun) and run.state == RunState.DEAD:
        raise ErasureIsOwedError("What is owed to be erased is not given up. Mend the cause, and retry.")
    if not count:
        raise NotADeadLetterError(f"The run is {run.state}, not dead.", state=run.state)
    return run


def retry_alike(*, fingerprint: str, by: User | None = None) -> int:
    """Let the dead runs of one fingerprint start over, of both ledgers; gives how many."""
    runs, library_runs = alike(fingerprint)
    return retry(runs=runs, by=by) + retry_library_runs(run_ids=library_runs.values_list("pk", flat=True), by=by)


def discard_alike(*, fingerprint: str, by: User | None, reason: str) -> int:
    """Give up the dead runs of one fingerprint, of both ledgers; gives how many. Raises as `discard` does."""
    runs, library_runs = alike(fingerprint)
    discarded = discard(runs=runs, by=by, reason=reason)
    library_run_ids = library_runs.values_list("pk", flat=True)
    return discarded + discard_library_runs(run_ids=library_run_ids, by=by, reason=reason)


def _tell(action: AuditAction, by: User | None, counts: Mapping[UUID, int]) -> None:
    """Write into the trail how many runs of which library it was, where it was somebody."""
    for library_id, count in counts.items() if by else ():
        audit.record(action=action, actor=by, library_id=library_id, details={"runs": count})


def _in_batches(
    runs: QuerySet[StageRun],
    change: Callable[[Found], int],
    *,
    action: AuditAction,
    by: User | None,
    **condition: object,
) -> int:
    """Lock, change and tell of the runs that meet a condition, batch by batch; gives how many.

    The condition is looked at again when a row is locked, so of two people who act at once one finds nothing left.
    """
    meeting = StageRun.objects.filter(pk__in=runs.values("pk"), **condition)
    count = 0
    for batch in _batches(list(meeting.order_by("pk").values_list("pk", "photo_id"))):
        with transaction.atomic():
            # before any run: whoever changes the plan takes many runs, in an order of its own
            lock_plan_for_reading()
            # all runs of the photos at once: what waits for these changes too, and comes before others of them in order
            hold_runs({photo_id for _, photo_id in batch})
            rows = StageRun.objects.filter(pk__in=[pk for pk, _ in batch], **condition)
            locked = list(rows.values_list("pk", "stage", "photo_id"))
            count += change(locked)
            if by is not None:
                told = StageRun.objects.filter(pk__in=[pk for pk, _, _ in locked]).values_list("photo__library_id")
                _tell(action, by, dict(told.annotate(Count("pk")).order_by()))
    return count


def _start_over(locked: Found) -> int:
    for stage, photo_ids in _by_stage(locked).items():
        await_again(photo_ids=photo_ids, stage=stage)
    count = reopen(StageRun.objects.filter(pk__in=[pk for pk, _, _ in locked]))
    _ring({stage: list(photo_ids) for stage, photo_ids in _by_stage(locked).items()})
    tell_photos(photo_ids={photo_id for _, _, photo_id in locked})
    return count


def _give_up(locked: Found, end: dict[str, Any]) -> int:
    count = StageRun.objects.filter(pk__in=[pk for pk, _, _ in locked]).update(**end)
    for stage, photo_ids in _by_stage(locked).items():
        skip_below(photo_ids=photo_ids, stage=stage)
    tell_photos(photo_ids={photo_id for _, _, photo_id in locked})
    return count


def _reopen_library_runs(runs: QuerySet[LibraryRun], by: User | None) -> int:
    same = {name: OuterRef(name) for name in ("library", "kind", "subject")}
    idle = runs.filter(~Exists(LibraryRun.objects.open().filter(**same)))
    locked = idle.order_by("pk").select_for_update(of=("self",)).values_list("library_id", "kind", "subject", "pk")
    newest = {(library_id, kind, subject): pk for library_id, kind, subject, pk in locked}
    reopened: dict[str, list[UUID]] = defaultdict(list)
    for (library_id, kind, _), pk in newest.items():
        if _reopen_unless_open(pk):
            reopened[kind].append(library_id)
    _ring(reopened)
    _tell(AuditAction.RUNS_RETRIED, by, Counter(chain.from_iterable(reopened.values())))
    return sum(len(library_ids) for library_ids in reopened.values())


def _reopen_unless_open(pk: UUID) -> bool:
    """Reopen a library run, unless the same work was asked for at this very moment."""
    try:
        with transaction.atomic():
            return bool(reopen(LibraryRun.objects.filter(pk=pk)))
    except IntegrityError as error:
        if _ONE_OPEN not in str(error):
            raise
        return False


def _end(*, by: User | None, reason: str) -> dict[str, Any]:
    """Give the columns of a run that is given up."""
    reason = reason.strip()
    if not reason:
        raise InvalidValueError("Say why: what is discarded keeps the reason.", field="reason")
    if len(reason) > REASON_MAX_LENGTH:
        raise InvalidValueError(f"A reason has at most {REASON_MAX_LENGTH} characters.", field="reason")
    return {
        "state": RunState.SKIPPED,
        "skip_reason": DISCARDED,
        "discarded_by": by,
        "discard_reason": reason,
        "finished_at": Now(),
        "not_before": None,
    }


def _existing(run_id: UUID) -> StageRun | LibraryRun:
    run = find(run_id)
    if run is None:
        raise NotFoundError("There is no such run.")
    return run


def _by_stage(locked: Found) -> dict[str, set[UUID]]:
    photos: dict[str, set[UUID]] = defaultdict(set)
    for _, stage, photo_id in locked:
        photos[stage].add(photo_id)
    return photos


def _ring(subjects: dict[str, list[UUID]]) -> None:
    """Ring for reopened work. Workers that find more of it ring again by themselves, so no more than a few times."""
    known = queues()  # a newer release may have work that this one does not know
    for work, ids in subjects.items():
        if work in known and ids:
            most = PHOTOS_PER_MESSAGE * settings.LEDGER_RING_MESSAGES
            ring_on_commit(task=work, queue=known[work], ids=ids[:most])


def _batches(rows: Sequence[tuple[UUID, UUID]]) -> Iterator[Sequence[tuple[UUID, UUID]]]:
    for start in range(0, len(rows), RUNS_PER_TRANSACTION):
        yield rows[start : start + RUNS_PER_TRANSACTION]
