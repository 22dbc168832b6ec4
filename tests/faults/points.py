"""The named points: places in the pipeline where an order may strike, and where history is written.

Wrapped from outside when Django starts with `faults.settings`. A name that is gone is an error there and then.

    before_claim  after_claim  after_read  decoding  detecting  embedding  after_store  before_commit  after_commit
"""

import functools
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import psutil
from django.db import transaction

from faults import actions, held, sabotage
from faults.events import HISTORY, INJECTIONS, EventFile
from faults.orders import OrderBook
from faults.storing import Misbehaving

POINTS = (
    "before_claim",
    "after_claim",
    "after_read",
    "decoding",
    "detecting",
    "embedding",
    "after_store",
    "before_commit",
    "after_commit",
)
# the point that computing is, by stage
COMPUTING = {"exif": "decoding", "renditions": "decoding", "face_detection": "detecting", "face_embedding": "embedding"}

_book: OrderBook
_injections: EventFile
_history: EventFile
_last_committed: Any = None
# what this process computes at the moment; and whether somebody is on the way to kill it in the midst of that
_computing = ""
_is_doomed = False


def begin(folder: Path) -> None:
    """Look for orders in `folder` from now on, and write events there."""
    global _book, _injections, _history
    _book, _injections, _history = OrderBook(folder), EventFile(folder / INJECTIONS), EventFile(folder / HISTORY)


def install(folder: Path) -> None:
    """Wrap every point of this process; orders lie and events are written in `folder`."""
    from processing import ledger, sweeps
    from processing.pipeline import working

    begin(folder)
    # innermost: what is sabotaged is seen by every point
    sabotage.install(folder, wrap)
    wrap(ledger, "claim", _around_claim)
    wrap(ledger, "claim_library_run", _around_library_claim)
    wrap(ledger, "mark_done", _around_mark)
    wrap(ledger, "mark_skipped", _around_mark)
    wrap(ledger, "fail", _around_giving_back)
    wrap(ledger, "hand_back", _around_giving_back)
    wrap(ledger, "hand_back_all", _around_return)
    wrap(ledger, "release_lost", _around_return)
    wrap(ledger, "expire_leases", _around_return)
    wrap(ledger, "release_worker", _around_return)
    wrap(sweeps, "begin", _around_begin)
    wrap(working, "work", _around_work)
    wrap(working, "advance", _around_advance)
    wrap(working, "_commit", _around_commit)
    wrap_stages()
    wrap_store(folder)
    _history.write(kind="ready", seconds=round(time.time() - psutil.Process().create_time(), 2))


def wrap_stages() -> None:
    """Wrap what every pipeline calls of a stage."""
    from photos import integrity
    from processing.stages import registry

    for stage in {type(stage) for stage in registry.all_stages()}:
        wrap(stage, "load", _around_load)
        wrap(stage, "compute", _around_compute)
        wrap(stage, "store", _around_store)
    wrap(integrity, "open_original", _around_open_original)


def wrap_store(folder: Path) -> None:
    """Let every read and write of the store go through one that may misbehave."""
    from photos import storage
    from photos.storage import objects

    store = Misbehaving(folder, _injections, worker=lambda: held.described()["worker"])
    # where every request of a backend begins and ends, and where what was read comes out
    wrap(objects, "storage_operation", store.operation)
    for name in ("open_object", "open_whole_object", "read_object"):
        wrap(storage, name, store.reading)


def reach(point: str, *, stage: str, then: Callable[[], Any] | None = None) -> Any:
    """Carry out an order for this point, if there is one. With `then`, a deadly one strikes in the midst of it."""
    global _is_doomed  # noqa: PLW0603 - of this process, and it does not get rid of it
    holding = held.described()
    attempts = held.attempts()
    # who is killed already takes no second order with him
    taken = None if _is_doomed else _book.take(point=point, stage=stage, worker=holding["worker"], attempts=attempts)
    if taken is None:
        return then() if then else None
    name, order = taken
    is_delayed = then is not None and actions.is_deadly(order)
    note = {"order": name, "fault": order.fault, "point": point, "stage": stage, "action": order.action, **holding}
    _injections.write(t=time.monotonic() + (order.seconds if is_delayed else 0), **note)
    if not is_delayed:
        actions.carry_out(order)
        return then() if then else None
    _is_doomed = True
    actions.kill_from_outside(order)
    then()
    return actions.wait_for_death()


def wrap(owner: Any, name: str, around: Callable[..., Any]) -> None:
    original = getattr(owner, name)

    @functools.wraps(original)
    def wrapped(*arguments: Any, **keywords: Any) -> Any:
        return around(original, *arguments, **keywords)

    setattr(owner, name, wrapped)


def _around_begin(begin: Callable[..., bool], *arguments: Any, **keywords: Any) -> bool:
    """Sweep for every message: what spares a sweep that has just begun elsewhere would keep sweepers from racing."""
    begin(*arguments, **keywords)
    return True


def _around_claim(claim: Callable[..., Any], *, stage: str, **keywords: Any) -> Any:
    held.take([])
    reach("before_claim", stage=stage)
    started = time.monotonic()
    leases = claim(stage=stage, **keywords)
    _note_claim(stage, leases, since=started, **keywords)
    if leases:
        reach("after_claim", stage=stage)
    return leases


def _around_library_claim(claim: Callable[..., Any], *, kind: str, **keywords: Any) -> Any:
    held.take([])
    reach("before_claim", stage=kind)
    started = time.monotonic()
    lease = claim(kind=kind, **keywords)
    _note_claim(kind, [lease] if lease else [], since=started, **keywords)
    if lease:
        reach("after_claim", stage=kind)
    return lease


def _note_claim(work: str, leases: list[Any], *, since: float, worker: str, task_id: str, **_: Any) -> None:
    held.take(leases)
    runs = [held.described_lease(lease) for lease in leases]
    seconds = round(time.monotonic() - since, 5)
    # what this process takes for the time of day
    wall = round(time.time(), 1)
    _history.write(kind="claim", stage=work, worker=worker, task=task_id, runs=runs, seconds=seconds, wall=wall)


def _around_load(load: Callable[..., Any], stage: Any, lease: Any) -> Any:
    loaded = load(stage, lease)
    # of an original nothing is read before it is computed with
    if stage.needs:
        reach("after_read", stage=stage.name)
    return loaded


def _around_compute(compute: Callable[..., Any], stage: Any, loaded: Any, *, version: str) -> Any:
    global _computing  # noqa: PLW0603 - a process computes one thing at a time
    point = COMPUTING.get(stage.name, "computing")
    _computing = stage.name
    try:
        return reach(point, stage=stage.name, then=lambda: compute(stage, loaded, version=version))
    finally:
        _computing = ""


def _around_open_original(open_original: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
    file = open_original(*arguments, **keywords)
    if _computing:  # a stage reads it, and no page or check
        reach("after_read", stage=_computing)
    return file


def _around_store(store: Callable[..., Any], stage: Any, loaded: Any, result: Any, *, version: str) -> Any:
    stored = store(stage, loaded, result, version=version)
    reach("after_store", stage=stage.name)
    return stored


def _around_advance(advance: Callable[..., Any], *, photo_id: Any, stage: str, **keywords: Any) -> Any:
    result = advance(photo_id=photo_id, stage=stage, **keywords)
    reach("before_commit", stage=stage)  # all is written, nothing is committed
    return result


def _around_commit(commit: Callable[..., Any], stage: Any, lease: Any, *arguments: Any, **keywords: Any) -> Any:
    result = commit(stage, lease, *arguments, **keywords)
    if _last_committed == lease.run_id:
        reach("after_commit", stage=stage.name)  # of one run of the batch: the message is not acknowledged yet
    return result


def _around_mark(mark: Callable[..., Any], lease: Any, **keywords: Any) -> Any:
    try:
        result = mark(lease, **keywords)
    except Exception as error:
        _note_end("refused", lease, reason=type(error).__name__)
        raise
    transaction.on_commit(lambda: _note_end("commit", lease))
    if hasattr(lease.ledger, "kind"):
        reach("before_commit", stage=lease.work)
    return result


def _around_giving_back(give_back: Callable[..., Any], lease: Any, *arguments: Any, **keywords: Any) -> Any:
    given = give_back(lease, *arguments, **keywords)
    _note_end(give_back.__name__, lease, code=_code_of([*arguments, *keywords.values()]), is_held=bool(given))
    return given


def _around_return(give_back: Callable[..., Any], **keywords: Any) -> Any:
    loss = give_back(**keywords)
    returned = getattr(loss, "returned", loss)
    if returned or getattr(loss, "dead", None):
        code = _code_of(keywords.values())
        _history.write(kind=give_back.__name__, returned=returned, dead=getattr(loss, "dead", {}), code=code)
    elif give_back.__name__ == "expire_leases" and keywords["ledger"].WORK == "stage":
        _history.write(kind="nothing_expired")
    return loss


def _around_work(work: Callable[..., Any], *, stage_name: str, **keywords: Any) -> Any:
    started, worked = time.monotonic(), time.process_time()
    taken = work(stage_name=stage_name, **keywords)
    spent = {"seconds": round(time.monotonic() - started, 5), "cpu_seconds": round(time.process_time() - worked, 5)}
    _history.write(kind="look", stage=stage_name, taken=taken, task=keywords["task_id"], **spent)
    return taken


def _code_of(values: Iterable[Any]) -> str:
    return next((value.code for value in values if hasattr(value, "code")), "")


def _note_end(kind: str, lease: Any, **more: Any) -> None:
    global _last_committed  # noqa: PLW0603 - a process commits one run after another
    held.let_go(lease)
    if kind == "commit":
        _last_committed = lease.run_id
    worker = held.described()["worker"]
    _history.write(kind=kind, stage=lease.work, worker=worker, **held.described_lease(lease), **more)
