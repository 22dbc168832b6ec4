"""How many bytes of originals a library and a user may have, and how many they have.

The database counts with every photo that comes or goes (triggers of photos' migration 0004), so no way of writing a
photo can forget to. Whoever inserts one holds the counters until the end of the transaction: those who race are counted
one after the other, and the one that is too much sees it.
"""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from django.db import connection, transaction
from django.db.models import OuterRef, Subquery, Sum
from django.db.models.functions import Coalesce

from accounts.models import Library, LibraryUsage, User, UserUsage
from photos.models import Photo
from photos.problems import RefusedFileError

CODE = "quota_exceeded"
Of = Literal["library", "user"]
_OWNER = {"library": Library, "user": User}
_USAGE = {"library": LibraryUsage, "user": UserUsage}
# of a photo
_COLUMN = {"library": "library_id", "user": "uploader_id"}


@dataclass(frozen=True, slots=True)
class Drift:
    """A counter that said `counted` bytes where the photos have `actual`; `subject_id` names the library or user."""

    of: Of
    subject_id: UUID
    counted: int
    actual: int


def require_room(*, library_id: UUID, uploader_id: UUID | None, byte_size: int) -> None:
    """Raise RefusedFileError (`quota_exceeded`) where so many bytes more are too many, before they are stored.

    Others may be about to fill the room: `require_within` has the last word.
    """
    _require(library_id, uploader_id, more=byte_size)


def require_within(*, library_id: UUID, uploader_id: UUID | None, byte_size: int) -> None:
    """Raise RefusedFileError (`quota_exceeded`) where the photo that was just inserted, of so many bytes, is too much.

    Call it in the transaction that inserts it, and roll back then.
    """
    _require(library_id, uploader_id, more=byte_size, counted=byte_size)


def recount(*, mend: bool) -> list[Drift]:
    """Compare every counter with the photos; gives those that drifted, and with `mend` sets them right.

    To mend, uploads of one library or user wait while it is counted; to compare, nobody does.
    """
    libraries = Library.objects.order_by("pk").values_list("pk", flat=True)
    users = User.objects.order_by("pk").values_list("pk", flat=True)
    found = [_recount("library", one, mend=mend) for one in libraries.iterator()]
    found += [_recount("user", one, mend=mend) for one in users.iterator()]
    return [drift for drift in found if drift is not None]


def _require(library_id: UUID, uploader_id: UUID | None, *, more: int, counted: int = 0) -> None:
    """Raise where `more` bytes do not fit; as many of them as `counted` are in the counters already."""
    room = Library.objects.filter(pk=library_id, quota_bytes__isnull=False)
    _refuse_beyond("library", room.values_list("quota_bytes", "usage__used_bytes").first(), more, counted)
    if uploader_id is not None:
        own = User.objects.filter(pk=uploader_id, quota_bytes__isnull=False)
        _refuse_beyond("user", own.values_list("quota_bytes", "usage__used_bytes").first(), more, counted)


def _refuse_beyond(of: Of, quota: tuple[int, int | None] | None, more: int, counted: int) -> None:
    if quota is None:
        return
    # of what was just inserted nothing stays: before it there was less
    limit, used = quota[0], (quota[1] or 0) - counted
    if used + more <= limit:
        return
    whose = "The library" if of == "library" else "Your account"
    detail = (
        f"{whose} may hold {limit:,} bytes of originals, trash included; it holds {used:,}, and the file does not fit. "
        "Delete photos for good, or ask for a larger quota."
    )
    raise RefusedFileError(CODE, detail, of=of, used=used, limit=limit)


@transaction.atomic
def _recount(of: Of, subject_id: UUID, *, mend: bool) -> Drift | None:
    """Compare one counter; none too where its owner has gone since it was listed."""
    if mend and not _hold_counter(of, subject_id):
        return None
    photos = Photo.objects.filter(**{_COLUMN[of]: OuterRef("pk")}).order_by().values(_COLUMN[of])
    total = Subquery(photos.annotate(total=Sum("byte_size")).values("total"))
    # both in one statement: a photo and its count are committed together. After the lock: whoever counted before it has
    # committed, and is seen
    owner = _OWNER[of].objects.filter(pk=subject_id)
    found = owner.values_list(Coalesce("usage__used_bytes", 0), Coalesce(total, 0)).first()
    if found is None or found[0] == found[1]:
        return None
    counted, actual = found
    if mend:
        _USAGE[of].objects.filter(pk=subject_id).update(used_bytes=actual)
    return Drift(of=of, subject_id=subject_id, counted=counted, actual=actual)


def _hold_counter(of: Of, subject_id: UUID) -> bool:
    """Lock a counter, made where it is missing; False where its owner is gone, who is kept from going otherwise."""
    table = connection.ops.quote_name(_OWNER[of]._meta.db_table)
    with connection.cursor() as cursor:
        # the weakest lock that a deletion respects
        cursor.execute(f"SELECT FROM {table} WHERE id = %s FOR KEY SHARE", [subject_id])
        if cursor.fetchone() is None:
            return False
    usage = _USAGE[of]
    usage.objects.bulk_create([usage(pk=subject_id)], ignore_conflicts=True)
    return usage.objects.select_for_update().filter(pk=subject_id).exists()
