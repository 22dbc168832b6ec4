"""What leaving the trash means for runs: a photo that comes back is planned, one that goes for good is swept."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Q
from django.db.models.functions import Now

from accounts.models import AuditAction, User
from accounts.services import audit
from photos.models import Photo
from photos.services import purge as photo_purge
from photos.services import trash
from processing.models.ledger import Lane
from processing.pipeline.advancing import hold_runs
from processing.pipeline.planning import batched_ids, lock_plan_for_reading, plan
from processing.services import object_sweeps

# of one beat: the rest goes with the next
PURGED_AT_ONCE = 5000


def restore(
    *, photo_ids: Iterable[UUID], lane: int = Lane.BACKFILL, announce: bool = True, by: User | None = None
) -> int:
    """Bring photos back from the trash; gives how many were there.

    They are planned anew, since new versions and new stages leave out what lies in the trash.
    """
    return sum(_restore(chunk, lane=lane, announce=announce, by=by) for chunk in batched_ids(photo_ids))


@transaction.atomic
def _restore(photo_ids: Sequence[UUID], *, lane: int, announce: bool, by: User | None) -> int:
    # both before the photos: a change of the plan waits for commits, and a commit that holds a run writes the photo
    lock_plan_for_reading()
    hold_runs(photo_ids)
    restored = trash.restore(photo_ids=photo_ids)
    plan(restored, lane=lane, announce=announce)
    if by is not None:
        _tell(restored, by)
    return len(restored)


def _tell(photo_ids: Sequence[UUID], by: User) -> None:
    counted = Photo.objects.filter(pk__in=photo_ids).values_list("library_id").annotate(Count("pk")).order_by()
    for library_id, count in counted:
        audit.record(action=AuditAction.PHOTOS_RESTORED, actor=by, library_id=library_id, details={"photos": count})


def purge(*, photo_ids: Iterable[UUID], also_present: bool = False, by: User | None = None) -> int:
    """Delete photos that lie in the trash for good, with everything that is known of them; gives how many.

    With `also_present` those too that do not lie there. Their objects are deleted right after, by a worker. Raises
    ConflictError as `purge_photos` does.
    """
    only = photo_purge.ANY if also_present else photo_purge.IN_TRASH
    count = photo_purge.purge_photos(photo_ids=photo_ids, only=only, hold=hold_runs, by=by)
    object_sweeps.ring()
    return count


def purged_after(trashed_at: datetime) -> datetime | None:
    """Give when a photo that lies in the trash since then expires; None where nothing does."""
    age = timedelta(days=settings.TRASH_RETENTION_DAYS)
    return trashed_at + age if age else None


def purge_expired(*, older_than: timedelta | None = None) -> int:
    """Delete for good what has been in the trash for longer than TRASH_RETENTION_DAYS, or `older_than`.

    Gives how many; a part of them where there are many. With TRASH_RETENTION_DAYS = 0 nothing expires.
    """
    age = timedelta(days=settings.TRASH_RETENTION_DAYS) if older_than is None else older_than
    if older_than is None and not age:
        return 0
    # by the database's clock: by that of a host which is ahead photos would go too early
    expired = Q(trashed_at__lt=Now() - age)
    photo_ids = Photo.objects.filter(expired).order_by("trashed_at").values_list("pk", flat=True)
    count = photo_purge.purge_photos(photo_ids=photo_ids[:PURGED_AT_ONCE], only=expired, hold=hold_runs)
    object_sweeps.ring()
    return count
