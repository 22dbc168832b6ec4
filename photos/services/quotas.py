"""How many bytes of originals a library and a user may have, and how many they have.

The database counts with every photo that comes or goes (triggers of photos' migration 0004), so no way of writing a
photo can forget to. Whoever inserts one holds the counters until the end of the transaction: those who race are counted
one after the other, and the one that is too much sees it.
"""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Sum

from accounts.models import Library, LibraryUsage, User, UserUsage
from photos.models import Photo
from photos.problems import RefusedFileError

CODE = "quota_exceeded"
Of = Literal["library", "user"]
_OWNER = {"library": Library, "user": User}
_USAGE = {"library": LibraryUsage, "user": UserUsage}
# of a photo
_COLUMN = {"library": "library_id", "user": "uploader_id"}

# One statement, hence one snapshot: counters and photos that are committed together are seen together, whatever is
# uploaded meanwhile. The photos are read once for both kinds of counter.
_DRIFTED = """
WITH sizes AS MATERIALIZED (
    SELECT library_id, uploader_id, sum(byte_size) AS bytes FROM photos_photo
    WHERE %(library)s::uuid IS NULL OR library_id = %(library)s GROUP BY library_id, uploader_id
), said AS (
    SELECT 'library' AS kind, library_id AS id, used_bytes AS counted, 0 AS actual FROM accounts_libraryusage
        WHERE %(library)s::uuid IS NULL OR library_id = %(library)s
    UNION ALL SELECT 'library', library_id, 0, bytes FROM sizes
    UNION ALL SELECT 'user', user_id, used_bytes, 0 FROM accounts_userusage WHERE %(library)s::uuid IS NULL
    UNION ALL SELECT 'user', uploader_id, 0, bytes FROM sizes
        WHERE uploader_id IS NOT NULL AND %(library)s::uuid IS NULL
)
SELECT kind, id, sum(counted)::bigint, sum(actual)::bigint FROM said
GROUP BY kind, id HAVING sum(counted) <> sum(actual) ORDER BY kind, id
"""


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


def drifted(*, library_id: UUID | None = None) -> list[Drift]:
    """Give the counters that differ from the photos at one moment, libraries first; holds nobody up.

    Of one library if it is named, without users: these have photos in others too.
    """
    with connection.cursor() as cursor:
        cursor.execute(_DRIFTED, {"library": library_id})
        return [Drift(*row) for row in cursor.fetchall()]


@transaction.atomic
def mend_counter(*, of: Of, subject_id: UUID) -> Drift | None:
    """Set one counter right, and give what it was; None where it is right, or its library or user is gone.

    Uploads of that library or user wait while it is counted.
    """
    if not _hold_counter(of, subject_id):
        return None
    usage = _USAGE[of].objects.filter(pk=subject_id)
    counted = usage.values_list("used_bytes", flat=True).get()
    photos = Photo.objects.filter(**{_COLUMN[of]: subject_id})
    # a statement of its own: whoever counted before the lock has committed, and is seen
    actual = photos.aggregate(total=Sum("byte_size"))["total"] or 0
    if counted == actual:
        return None
    usage.update(used_bytes=actual)
    return Drift(of=of, subject_id=subject_id, counted=counted, actual=actual)


def recount(*, mend: bool) -> list[Drift]:
    """Compare every counter with the photos; gives those that drifted, and with `mend` sets them right."""
    found = drifted()
    if not mend:
        return found
    mended = [mend_counter(of=one.of, subject_id=one.subject_id) for one in found]
    return [drift for drift in mended if drift is not None]


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
