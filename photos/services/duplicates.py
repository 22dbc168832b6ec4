"""Near-duplicates: found photo by photo, in groups in which each is near to every other one (complete linkage).

A photo joins the nearest group all of whose members are near to it, or makes one with the nearest photo that is in
none. So a row of photos each of which is near to the next is not one group, and what has been found stays as it is
while photos come in.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Count
from pgvector.django import CosineDistance

from accounts.models import User
from accounts.problems import InvalidValueError
from photos.models import (
    DecidedPhoto,
    DuplicateDecision,
    DuplicateGroup,
    DuplicateMember,
    ImageEmbedding,
    Photo,
    PhotoFingerprint,
)

# bits of the hash. Of 308 copies of 44 real photos (scaled, encoded anew, brightened, made grey or more colourful) 307
# lay within 6, and no two different photos within 19
NEAR_BITS = 6
# of width and height
SAME_ASPECT = 0.02
# the cosine distance beyond which photos of like hashes show something else, where a model has read both
SAME_CONTENT = 0.15
# so that nobody's thousands of blank pages cost more than those of everybody else
NEIGHBOURS, MEMBERS = 200, 100
MOST_DECIDED = 100
_LOCK = 0x64757065  # "dupe": the first half of a key of our own among advisory locks


@dataclass(frozen=True, slots=True)
class _Neighbour:
    photo_id: UUID
    distance: int
    group_id: UUID | None


@transaction.atomic
def group_next(*, library_id: UUID, model: str | None, limit: int) -> dict[str, int] | None:
    """Look for near-duplicates of the next photos that were not looked at as they are now; None if there are none.

    Gives how many `photos` were looked at and how many were `grouped`. `model` is that whose vectors may object. One
    caller at a time for a library; those that write a hash or a vector wait for as long as this takes.
    """
    _lock(library_id)
    rows = PhotoFingerprint.objects.filter(library=library_id, is_grouped=False).order_by("photo_id")
    pending = list(rows.select_for_update(skip_locked=True)[:limit])
    if not pending:
        _remove_lone(library_id)
        return None
    return {"photos": len(pending), "grouped": _group(pending, model)}


@transaction.atomic
def decide(*, photos: Sequence[Photo], by: User | None, model: str | None) -> DuplicateDecision:
    """Note that photos of one library are no duplicates of each other, and take their groups apart accordingly.

    Raises InvalidValueError for fewer than two photos, more than MOST_DECIDED, or photos of several libraries.
    """
    ids = sorted({photo.pk for photo in photos})
    if not 2 <= len(ids) <= MOST_DECIDED:
        raise InvalidValueError(f"Name 2 to {MOST_DECIDED} different photos.", field="photos")
    if len({photo.library_id for photo in photos}) > 1:
        raise InvalidValueError("Photos of different libraries are no duplicates.", field="photos")
    library_id = photos[0].library_id
    _lock(library_id)
    decision = DuplicateDecision(library_id=library_id, decided_by=by)
    decision.full_clean()
    decision.save(force_insert=True)
    DecidedPhoto.objects.bulk_create(DecidedPhoto(decision=decision, photo_id=one) for one in ids)
    _regroup(ids, model)
    return decision


@transaction.atomic
def take_back(*, decision: DuplicateDecision, model: str | None) -> None:
    """Forget a decision; its photos may be duplicates again."""
    _lock(decision.library_id)
    ids = list(decision.photos.order_by("photo_id").values_list("photo_id", flat=True))
    DuplicateDecision.objects.filter(pk=decision.pk).delete()
    _regroup(ids, model)


def _regroup(photo_ids: Collection[UUID], model: str | None) -> None:
    """Group these photos anew, with all who share a group with one of them."""
    groups = DuplicateMember.objects.filter(photo__in=photo_ids).values("group")
    together = set(DuplicateMember.objects.filter(group__in=groups).values_list("photo_id", flat=True))
    DuplicateGroup.objects.filter(pk__in=list(groups.values_list("group", flat=True))).delete()
    rows = PhotoFingerprint.objects.select_for_update().filter(photo__in={*photo_ids, *together}).order_by("photo_id")
    # what is more than that is left to the library's own work
    pending = list(rows[:NEIGHBOURS])
    rows.update(is_grouped=False)
    _group(pending, model)


def _group(pending: Sequence[PhotoFingerprint], model: str | None) -> int:
    """Put photos, whose rows are locked, into groups; gives how many are in one."""
    grouped = sum(_join(row, model) for row in pending)
    PhotoFingerprint.objects.filter(photo__in=[row.photo_id for row in pending]).update(is_grouped=True)
    return grouped


def _join(row: PhotoFingerprint, model: str | None) -> bool:
    # one by one: who comes back to the others finds the group as it was
    DuplicateMember.objects.filter(photo=row.photo_id).delete()
    near = _neighbours(row, model)
    group_id = _nearest_group({one.photo_id: one.distance for one in near}, {one.group_id for one in near} - {None})
    if group_id is None:
        single = next((one for one in near if one.group_id is None), None)
        if single is None:
            return False
        group_id = DuplicateGroup.objects.create(library_id=row.library_id).pk
        DuplicateMember.objects.create(photo_id=single.photo_id, group_id=group_id)
    DuplicateMember.objects.create(photo_id=row.photo_id, group_id=group_id)
    return True


def _nearest_group(distances: dict[UUID, int], group_ids: Collection[UUID]) -> UUID | None:
    """Give the group all of whose members are near, that whose farthest member is nearest; none if there is none."""
    members: dict[UUID, list[UUID]] = {}
    for group_id, photo_id in DuplicateMember.objects.filter(group__in=group_ids).values_list("group", "photo"):
        members.setdefault(group_id, []).append(photo_id)
    possible = [
        (max(distances[one] for one in photos), group_id)
        for group_id, photos in members.items()
        if len(photos) < MEMBERS and all(one in distances for one in photos)
    ]
    return min(possible)[1] if possible else None


def _neighbours(row: PhotoFingerprint, model: str | None) -> list[_Neighbour]:
    """Give the photos of the library that are near to one, nearest first, without those that are known to be others."""
    near = PhotoFingerprint.objects.filter(library=row.library_id).near(row.hash, farthest=NEAR_BITS)
    near = near.exclude(photo=row.photo_id).order_by("distance", "photo_id")
    columns = ("photo_id", "distance", "photo__duplicate_membership__group", "photo__width", "photo__height")
    found = list(near.values_list(*columns)[:NEIGHBOURS])
    if not found:
        return []
    own = Photo.objects.filter(pk=row.photo_id).values_list("width", "height").first()
    if own is None:
        return []  # deleted at this moment
    others = {photo_id for photo_id, *_, width, height in found if not _is_same_aspect(own, (width, height))}
    others |= _decided_against(row.photo_id)
    others |= _showing_others(row.photo_id, [one[0] for one in found], model)
    return [
        _Neighbour(photo_id, distance, group_id) for photo_id, distance, group_id, *_ in found if photo_id not in others
    ]


def _is_same_aspect(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return abs(math.log(one[0] * other[1] / (one[1] * other[0]))) <= math.log1p(SAME_ASPECT)


def _decided_against(photo_id: UUID) -> set[UUID]:
    decisions = DecidedPhoto.objects.filter(photo=photo_id).values("decision")
    return set(DecidedPhoto.objects.filter(decision__in=decisions).values_list("photo_id", flat=True))


def _showing_others(photo_id: UUID, near: Sequence[UUID], model: str | None) -> set[UUID]:
    """Give those of which the model says that they show something else; nothing of what it has not read."""
    own = ImageEmbedding.objects.filter(photo=photo_id, model=model).values_list("vector", flat=True).first()
    if own is None:
        return set()
    rows = ImageEmbedding.objects.filter(photo__in=near, model=model, dimensions=len(own))
    far = rows.annotate(distance=CosineDistance("vector", own)).filter(distance__gt=SAME_CONTENT)
    return set(far.values_list("photo_id", flat=True))


def _remove_lone(library_id: UUID) -> None:
    """Delete what photos that went have left: groups of one photo or none, and decisions on as few."""
    for rows, photos in ((DuplicateGroup, "members"), (DuplicateDecision, "photos")):
        counted = rows.objects.filter(library=library_id).annotate(count=Count(photos))
        rows.objects.filter(pk__in=list(counted.filter(count__lt=2).values_list("pk", flat=True))).delete()


def _lock(library_id: UUID) -> None:
    """Keep everybody else from the groups of a library until this transaction has ended."""
    with connection.cursor() as cursor:
        # two keys of 32 bits; libraries that share one wait for each other, and that is all
        cursor.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", [_LOCK, str(library_id)])
