"""Deleting photos for good: every row in one transaction, and the objects' dates of deletion in the same one."""

import logging
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from uuid import UUID

from django.db import OperationalError, connection, transaction
from django.db.models import Q
from psycopg2.errors import DeadlockDetected, LockNotAvailable

from accounts.models import AuditAction, User
from accounts.problems import ConflictError
from accounts.services import audit, idempotency
from photos import storage
from photos.models import EventKind, Face, ObjectSweep, Photo
from photos.services import events, exports, faces, object_sweeps

logger = logging.getLogger(__name__)

PHOTOS_PER_TRANSACTION = 50
# far below PostgreSQL's deadlock_timeout of 1 s: of those who wait in a circle it is always the purge that yields
LOCK_TIMEOUT_MILLISECONDS = 200
ATTEMPTS = 20

Hold = Callable[[Sequence[UUID]], None]


IN_TRASH = Q(trashed_at__isnull=False)
ANY = Q()


def purge_photos(
    *, photo_ids: Iterable[UUID], only: Q = IN_TRASH, hold: Hold | None = None, by: User | None = None
) -> int:
    """Delete photos with all their rows; gives how many.

    Those go for which `only` holds when they are locked: what has been restored meanwhile stays. Some fifty go in one
    transaction, which also notes that their originals and derived objects are to be deleted now, and once more when the
    last process that might write there has ended; and that the groups of their faces have lost members. Exports that
    hold one of them are withdrawn. `hold` is
    called first in each transaction, to lock what refers to the photos from above. Others are not kept waiting: where
    rows stay locked, tries again for some seconds, and then raises ConflictError; the transactions before that one
    stand. Where `by` is given, the trail tells that they had it done.
    """
    stream = iter(photo_ids)
    count = 0
    while chunk := list(islice(stream, PHOTOS_PER_TRANSACTION)):
        count += _yielding(chunk, only, hold, by)
    return count


def _yielding(photo_ids: Sequence[UUID], only: Q, hold: Hold | None, by: User | None) -> int:
    for _ in range(ATTEMPTS):
        try:
            return _purge(photo_ids, only, hold, by)
        except OperationalError as error:
            if not isinstance(error.__cause__, LockNotAvailable | DeadlockDetected):
                raise
            logger.info("photos are in use, the purge waits: %s", error)
        time.sleep(random.uniform(0.01, 0.1))  # noqa: S311 - spreading tries, not secrets
    raise ConflictError("The photos are being worked on. Try again.")


@contextmanager
def _yielding_locks() -> Iterator[None]:
    """Wait for no lock for long within the block; what follows in the same transaction waits as it did before.

    An error takes the block's savepoint with it, and the setting too.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('lock_timeout')")
        [before] = cursor.fetchone()
        cursor.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MILLISECONDS}")
        yield
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [before])


@transaction.atomic
@_yielding_locks()
def _purge(photo_ids: Sequence[UUID], only: Q, hold: Hold | None, by: User | None) -> int:
    if hold is not None:
        hold(photo_ids)
    # looked at as they are when they are locked: an upload of the same bytes may have brought one back
    locked = list(Photo.objects.filter(only, pk__in=photo_ids).select_for_update().order_by("pk"))
    ids = [photo.pk for photo in locked]
    lost = list(Face.objects.select_for_update().filter(photo_id__in=ids).order_by("pk").values_list("pk", flat=True))
    faces.forget_faces(face_ids=lost)
    idempotency.forget(ids=ids)
    Photo.objects.filter(pk__in=ids).delete()
    exports.withdraw_holding(photo_ids=ids)
    originals = [(photo.storage_alias, photo.storage_key) for photo in locked]
    derived = [
        (storage.RENDITIONS, storage.derived_prefix(library_id=photo.library_id, photo_id=photo.pk)) for photo in locked
    ]
    gone = {photo.pk: photo.library_id for photo in locked}
    events.record_photos(kind=EventKind.PHOTO_DELETED, photos=gone)
    object_sweeps.request_all(sweeps=originals + derived, reason=ObjectSweep.Reason.PURGED)
    if by is not None:
        _tell(locked, by)
    return len(ids)


def _tell(purged: Iterable[Photo], by: User) -> None:
    gone: dict[UUID, list[str]] = defaultdict(list)
    for photo in purged:
        gone[photo.library_id].append(str(photo.pk))
    for library_id, ids in gone.items():
        audit.record(action=AuditAction.PHOTOS_PURGED, actor=by, library_id=library_id, details={"photos": ids})
