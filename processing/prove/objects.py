"""Stored objects that no row names (leaked)."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from uuid import UUID

from accounts.wording import counted
from photos import storage
from photos.models import ExportFile, Face, ObjectSweep, Photo, Rendition
from photos.services.object_sweeps import longest_life
from processing.models import RunState, StageRun
from processing.prove.findings import Finding
from processing.prove.listing import OBJECTS_AT_ONCE, ListedObject, Listing
from processing.prove.situation import Situation, lease, patience
from processing.prove.tally import Tally


class ObjectCheck:
    """Every object of the stores against the rows that may name it."""

    name = "objects"

    def __init__(self, listing: Listing) -> None:
        self._listing = listing

    def total(self) -> int:
        """Count the objects."""
        return self._listing.count()

    def batches(self) -> Iterator[list[ListedObject]]:
        """Give the objects, those of one photo together."""
        return self._listing.batches()

    def examine(self, objects: Sequence[ListedObject], situation: Situation, tally: Tally) -> list[Finding]:
        """Find those that no row names and no sweep is going to look at.

        One younger than a lease may be about to get its row, and so may all those of a photo that is being worked on.
        """
        tally.objects += len(objects)
        unnamed = _without_rows(objects)
        swept = _swept(unnamed, situation)
        unnamed = [one for one in unnamed if not {(one.alias, name) for name in _prefixes(one)} & swept]
        busy = _in_hand([photo_of(one) for one in unnamed])
        return [_finding(one, busy.get(photo_of(one))) for one in unnamed]

    def again(self, subjects: Sequence[str], situation: Situation) -> list[Finding]:
        """Look again at objects, given by alias and key: at those that are still there."""
        there = []
        for subject in subjects:
            alias, _, key = subject.partition("/")
            found = storage.find_object(alias=alias, key=key)
            there += [ListedObject(alias, found.key, found.size, found.modified_at)] if found else []
        return self.examine(there, situation, Tally())


def photo_of(one: ListedObject) -> UUID | None:
    """Give the photo that an object is of, by its key; none if no key of ours looks like that."""
    if one.alias == storage.ORIGINALS:
        return _photo_of_prefix(f"{one.key}/")
    prefix, _, name = one.key.rpartition("/")
    return _photo_of_prefix(f"{prefix}/") if name else None


@lru_cache(maxsize=OBJECTS_AT_ONCE)
def _photo_of_prefix(prefix: str) -> UUID | None:
    try:
        return storage.photo_of_prefix(prefix)
    except ValueError:
        return None


def names_in_rows(objects: Sequence[ListedObject]) -> set[tuple[str, str]]:
    """Give those (alias, key) of these objects that a row names at this moment."""
    named = set()
    originals = [one.key for one in objects if one.alias == storage.ORIGINALS]
    rows = Photo.objects.filter(storage_alias=storage.ORIGINALS, storage_key__in=originals)
    named |= {(storage.ORIGINALS, key) for key in rows.values_list("storage_key", flat=True)}
    photos = {photo_of(one) for one in objects if one.alias == storage.RENDITIONS} - {None}
    for rows, column in ((Rendition.objects, "storage_key"), (Face.objects, "chip_key")):
        keys = rows.filter(photo_id__in=photos).values_list(column, flat=True)
        named |= {(storage.RENDITIONS, key) for key in keys}
    packed = ExportFile.objects.filter(storage_key__in=[one.key for one in objects if one.key.endswith(".zip")])
    return named | set(packed.values_list("storage_alias", "storage_key"))


def facts_of(one: ListedObject) -> str:
    """Say how large and how old an object is."""
    return f"{counted(one.size, 'byte')}, written {one.modified_at:%Y-%m-%d %H:%M:%S} UTC"


def _without_rows(objects: Sequence[ListedObject]) -> list[ListedObject]:
    named = names_in_rows(objects)
    return [one for one in objects if (one.alias, one.key) not in named]


def _swept(objects: Sequence[ListedObject], situation: Situation) -> set[tuple[str, str]]:
    """Give the (alias, prefix) of the sweeps that are going to look at these objects, and are not long overdue."""
    found: set[tuple[str, str]] = set()
    prefixes = sorted({name for one in objects for name in _prefixes(one)})
    for start in range(0, len(prefixes), OBJECTS_AT_ONCE):
        sweeps = ObjectSweep.objects.filter(
            final_at__gt=situation.now - 2 * patience(),
            # each putting off moves the last time, and nothing moves this
            created_at__gt=situation.now - longest_life() - 2 * patience(),
            prefix__in=prefixes[start : start + OBJECTS_AT_ONCE],
        )
        found.update(sweeps.values_list("alias", "prefix"))
    return found


def _prefixes(one: ListedObject) -> tuple[str, ...]:
    """Give what a sweep that includes this object may be named by."""
    if one.alias == storage.ORIGINALS:
        return (one.key,)
    return (one.key, f"{one.key.rpartition('/')[0]}/")


def _in_hand(photo_ids: Sequence[UUID | None]) -> dict[UUID, datetime]:
    """Give until when photos are held under a lease."""
    running = StageRun.objects.filter(photo_id__in=set(photo_ids) - {None}, state=RunState.RUNNING)
    return dict(running.order_by("lease_until").values_list("photo_id", "lease_until"))


def _finding(one: ListedObject, busy_until: datetime | None) -> Finding:
    photo = photo_of(one)
    young_until = one.modified_at + lease()
    where = f"{one.alias}/{one.key}"
    return Finding(
        ObjectCheck.name,
        where,
        "object_unnamed" if photo else "object_foreign",
        facts_of(one),
        photo=str(photo or ""),
        item=where,
        modified_at=one.modified_at,
        ripe_at=max(young_until, busy_until) if busy_until else young_until,
    )
