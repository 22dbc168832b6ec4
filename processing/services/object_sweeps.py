"""Deleting stored objects that no row names: after deletions, repetitions, losses, and uploads that were cut off."""

import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from uuid import UUID

from botocore.exceptions import BotoCoreError, ClientError
from django.db import InterfaceError, OperationalError, connection, transaction
from psycopg2.errors import LockNotAvailable

from photos import storage
from photos.models import ExportFile, Face, ObjectSweep, Photo, Rendition
from photos.services import object_sweeps
from photos.services.object_sweeps import TakenSweep
from processing import publish
from processing.failures import describe
from processing.ledger import Loss
from processing.metrics import SWEPT_OBJECTS
from processing.models import RunState, StageRun
from processing.publish import ring_on_commit
from processing.stages import registry

logger = logging.getLogger(__name__)

TASK = "sweep_objects"
TAKEN_AT_ONCE = 20
# after it others take up what a dead sweeper had in hand; two who have the same in hand do no harm
LEASE = timedelta(minutes=1)
# a stage is at work on the photo, or somebody plans it: either takes seconds
BUSY_WAIT = timedelta(seconds=10)
TROUBLE_WAIT = timedelta(seconds=30)
# of one prefix that cannot be swept though its store answers: each wait doubles the time since its first try
LONGEST_WAIT = timedelta(minutes=10)
# nothing at all has been stored yet, or somebody has to mount a disk
EMPTY_WAIT = timedelta(minutes=5)
# of temporary files: longer than any write, and than any two clocks are apart
INCOMING_AGE = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep did: how many prefixes it ended, and how many objects it deleted."""

    prefixes: int = 0
    objects_deleted: int = 0


class _PhotoBusyError(Exception):
    """A stage may name the photo's objects at any moment."""


class _StoreEmptyError(Exception):
    """Nothing at all lies in the store: a disk that is not mounted looks like this."""


def sweep(*, limit: int = 1000, seconds: float = 15) -> Swept:
    """Delete the objects below prefixes that are due, unless a row names them.

    Ends after `limit` prefixes or so many seconds. Any number of sweeps may run at once, and each may be killed at any
    line: what it had in hand is taken up again. Where a stage that stores objects is at work on the photo, or the store
    is in trouble, the prefix is left for another time; one that cannot be swept keeps no other one waiting.
    """
    deadline = time.monotonic() + seconds
    troubled: dict[str, timedelta] = {}
    prefixes = objects_deleted = taken_up = 0
    while taken_up < limit and time.monotonic() < deadline:
        taken = object_sweeps.take(limit=min(TAKEN_AT_ONCE, limit - taken_up), lease=LEASE)
        if not taken:
            break
        taken_up += len(taken)
        for one in taken:
            if time.monotonic() >= deadline:
                object_sweeps.put_off(one, wait=timedelta(0))
                continue
            if one.alias in troubled:
                object_sweeps.put_off(one, wait=troubled[one.alias])
                continue
            count = _sweep(one, troubled)
            if count is None:
                continue
            object_sweeps.finish(one)
            prefixes += 1
            objects_deleted += count
    return Swept(prefixes=prefixes, objects_deleted=objects_deleted)


def sweep_incoming() -> int:
    """Delete what writers that were killed have left in the stores a day ago and longer; gives how many."""
    return storage.sweep_incoming(older_than=INCOMING_AGE)


def request_for(*, photo_id: UUID, library_id: UUID, reason: ObjectSweep.Reason) -> None:
    """Have the derived objects of a photo looked at, in the caller's transaction."""
    prefix = storage.derived_prefix(library_id=library_id, photo_id=photo_id)
    object_sweeps.request(alias=storage.RENDITIONS, prefix=prefix, reason=reason)


def ring() -> None:
    """Have what is due swept when the transaction has committed, and not only at the next beat."""
    ring_on_commit(task=TASK, queue="maintenance")


def request_for_lost(loss: Loss) -> None:
    """Have the photos looked at whose runs were lost: their holders may have stored objects that nobody will name.

    Call it in the transaction that returns the runs.
    """
    if _storing() & {*loss.returned, *loss.dead}:
        request_for_lost_photos(loss.photo_ids)


def request_for_held(*, worker: str) -> None:
    """Have the photos looked at whose runs a worker holds that is being stopped, before they are taken from it."""
    held = StageRun.objects.filter(worker=worker, state=RunState.RUNNING, stage__in=_storing())
    request_for_lost_photos(held.values_list("photo_id", flat=True))


def _storing() -> set[str]:
    return {stage.name for stage in registry.all_stages() if stage.stores_objects}


def request_for_lost_photos(photo_ids: Iterable[UUID]) -> None:
    """Have photos looked at from whose runs a lease was taken. Call it last in the transaction that takes it."""
    lost = list(photo_ids)
    photos = Photo.objects.filter(pk__in=lost).values_list("library_id", "pk") if lost else []
    prefixes = [storage.derived_prefix(library_id=library_id, photo_id=photo_id) for library_id, photo_id in photos]
    sweeps = [(storage.RENDITIONS, prefix) for prefix in prefixes]
    object_sweeps.request_all(sweeps=sweeps, reason=ObjectSweep.Reason.LOST)


def _sweep(taken: TakenSweep, troubled: dict[str, timedelta]) -> int | None:
    """Sweep one prefix; gives how many objects it deleted, or none where it was put off."""
    try:
        count = _delete_unnamed(taken)
    except _PhotoBusyError:
        object_sweeps.put_off(taken, wait=BUSY_WAIT)
        return None
    except (OperationalError, InterfaceError):
        raise  # the database's trouble: what is in hand is taken up again when it is over
    except _StoreEmptyError:
        logger.warning("the store %r is empty, or not mounted: %s waits", taken.alias, taken.prefix)
        troubled[taken.alias] = EMPTY_WAIT
        object_sweeps.put_off(taken, wait=EMPTY_WAIT)
        return None
    except Exception as error:
        logger.exception("%s/%s was not swept (%s)", taken.alias, taken.prefix, describe(error).code)
        if _is_store_in_trouble(error):
            troubled[taken.alias] = TROUBLE_WAIT
        # also where nothing answers: the next sweep of this store begins with another prefix
        object_sweeps.put_off(taken, wait=min(LONGEST_WAIT, max(TROUBLE_WAIT, taken.tried_for)))
        return None
    if count:
        SWEPT_OBJECTS.labels(taken.reason).inc(count)
        logger.info("%d objects below %s/%s deleted (%s)", count, taken.alias, taken.prefix, taken.reason)
    return count


def _is_store_in_trouble(error: Exception) -> bool:
    """Tell whether the store does not answer, so that no other prefix fares better."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return isinstance(error, BotoCoreError | ConnectionError | TimeoutError)


def _delete_unnamed(taken: TakenSweep) -> int:
    found = _found(taken)
    if not found and storage.is_store_empty(alias=taken.alias):
        raise _StoreEmptyError
    if not taken.prefix.endswith("/"):
        # no lock: what was to name it can no longer be committed, since this was taken up
        unnamed = set(found) - _named_whole(taken)
        storage.delete_objects(alias=taken.alias, keys=unnamed)
        return len(unnamed)
    photo_id = storage.photo_of_prefix(taken.prefix)
    if not set(found) - _named_derived(photo_id):
        return 0
    with _photo_at_rest(photo_id):
        unnamed = sorted(set(found) - _named_derived(photo_id))
        for key in unnamed:
            _see_that_locks_hold()
            storage.delete_objects(alias=taken.alias, keys=[key])
    return len(unnamed)


def _found(taken: TakenSweep) -> list[str]:
    if taken.prefix.endswith("/"):
        return [one.key for one in storage.list_objects(alias=taken.alias, prefix=taken.prefix)]
    found = storage.find_object(alias=taken.alias, key=taken.prefix)
    return [found.key] if found else []


def _see_that_locks_hold() -> None:
    """Raise OperationalError where the connection is gone, and with it the locks: a stage may store anew by now."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _named_whole(taken: TakenSweep) -> set[str]:
    """Give the key of an original, or of an export's file, if a row names it."""
    rows = (model.objects.filter(storage_alias=taken.alias, storage_key=taken.prefix) for model in (Photo, ExportFile))
    return {key for found in rows for key in found.values_list("storage_key", flat=True)}


def _named_derived(photo_id: UUID) -> set[str]:
    renditions = Rendition.objects.filter(photo_id=photo_id).values_list("storage_key", flat=True)
    chips = Face.objects.filter(photo_id=photo_id).values_list("chip_key", flat=True)
    return {*renditions, *chips}


@contextmanager
def _photo_at_rest(photo_id: UUID) -> Iterator[None]:
    """Keep stages from working on a photo while the block runs; raises _PhotoBusyError where one does.

    Claims pass the locked runs by, and the photo's row keeps new runs from being planned. Nothing is waited for, so
    nobody waits in a circle. Whoever came for a run and passed it by has used its hint up: it is rung for again.
    """
    pending: set[str] = set()
    try:
        with _locked_at_rest(photo_id) as states:
            pending = {stage for stage, state in states if state == RunState.PENDING}
            yield
    finally:
        for name in sorted(pending & {stage.name for stage in registry.all_stages()}):
            publish.ring(task=name, queue=registry.get(name).queue, ids=[photo_id])


@contextmanager
def _locked_at_rest(photo_id: UUID) -> Iterator[set[tuple[str, str]]]:
    with transaction.atomic():
        try:
            list(Photo.objects.select_for_update(nowait=True).filter(pk=photo_id).values_list("pk"))
            runs = StageRun.objects.select_for_update(nowait=True).filter(photo_id=photo_id)
            states = set(runs.values_list("stage", "state"))
        except OperationalError as error:
            if isinstance(error.__cause__, LockNotAvailable):
                raise _PhotoBusyError from error
            raise
        harmless = {stage.name for stage in registry.all_stages() if not stage.stores_objects}
        if any(state == RunState.RUNNING and stage not in harmless for stage, state in states):
            raise _PhotoBusyError
        yield states
