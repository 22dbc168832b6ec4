"""How many bytes of originals a library and a user may have, and how many they have.

The database counts with every photo that comes or goes (triggers of photos' migration 0004), so no way of writing a
photo can forget to. Whoever inserts one holds the counters until the end of the transaction: those who race are counted
one after the other, and the one that is too much sees it.
"""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from django.db import transaction
from django.db.models import F, Sum

from accounts.models import Library, LibraryUsage, User, UserUsage
from photos.models import Photo
from photos.problems import RefusedFileError

CODE = "quota_exceeded"
Of = Literal["library", "user"]


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


def require_within(*, library_id: UUID, uploader_id: UUID | None) -> None:
    """Raise RefusedFileError (`quota_exceeded`) where the photo that was just inserted is too much.

    Call it in the transaction that inserts it, and roll back then.
    """
    _require(library_id, uploader_id, more=0)


def recount(*, mend: bool) -> list[Drift]:
    """Compare every counter with the photos; gives those that drifted, and with `mend` sets them right.

    Uploads of one library wait while it is counted.
    """
    libraries = Library.objects.order_by("pk").values_list("pk", flat=True)
    users = User.objects.order_by("pk").values_list("pk", flat=True)
    found = [_recount("library", one, mend=mend) for one in libraries.iterator()]
    found += [_recount("user", one, mend=mend) for one in users.iterator()]
    return [drift for drift in found if drift is not None]


def _require(library_id: UUID, uploader_id: UUID | None, *, more: int) -> None:
    room = Library.objects.filter(pk=library_id, quota_bytes__isnull=False)
    _refuse_beyond("library", room.values_list("quota_bytes", "usage__used_bytes").first(), more)
    if uploader_id is not None:
        own = User.objects.filter(pk=uploader_id, quota_bytes__isnull=False)
        _refuse_beyond("user", own.values_list("quota_bytes", "usage__used_bytes").first(), more)


def _refuse_beyond(of: Of, quota: tuple[int, int | None] | None, more: int) -> None:
    if quota is None:
        return
    limit, used = quota[0], quota[1] or 0
    if used + more <= limit:
        return
    whose = "The library" if of == "library" else "Your account"
    # of what was just inserted nothing stays: before it there was less
    detail = f"{whose} may hold {limit:,} bytes of originals, trash included, and the file does not fit."
    raise RefusedFileError(CODE, detail, of=of, used=used, limit=limit)


@transaction.atomic
def _recount(of: Of, subject_id: UUID, *, mend: bool) -> Drift | None:
    usage, name = (LibraryUsage, "library_id") if of == "library" else (UserUsage, "user_id")
    # made first where it is missing, so that there is something to hold
    usage.objects.bulk_create([usage(**{name: subject_id})], ignore_conflicts=True)
    counted = usage.objects.select_for_update().values_list("used_bytes", flat=True).get(pk=subject_id)
    # a statement of its own: whoever counted before the lock has committed, and is seen
    photos = Photo.objects.filter(**{"library_id" if of == "library" else "uploader_id": subject_id})
    actual = photos.aggregate(total=Sum("byte_size"))["total"] or 0
    if counted == actual:
        return None
    if mend:
        usage.objects.filter(pk=subject_id).update(used_bytes=F("used_bytes") + actual - counted)
    return Drift(of=of, subject_id=subject_id, counted=counted, actual=actual)
