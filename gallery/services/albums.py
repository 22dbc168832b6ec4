"""Writes of albums."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from accounts.access import require
from accounts.models import Library, User
from accounts.problems import COMBINATION, ConflictError, InvalidValueError, NotFoundError
from accounts.roles import Permission
from gallery.models import Album, AlbumPhoto
from gallery.models.album import MAX_PHOTOS, AlbumKind
from photos.models import EventKind, Photo
from photos.services import events


class SmartAlbumError(ConflictError):
    """What is done to the photos of an album by hand was asked of one that has a filter."""

    code = "album_is_smart"


@transaction.atomic
def create_album(*, library: Library, by: User, values: Mapping[str, Any]) -> Album:
    """Make an album; one with a `filter` is smart. Raises NotPermittedError without `photos.edit`, ValidationError."""
    require(by, Permission.EDIT_PHOTOS, library_id=library.pk)
    kind = AlbumKind.SMART if values.get("filter") else AlbumKind.MANUAL
    album = Album(library=library, created_by=by, kind=kind)
    _set(album, by, values)
    album.save(force_insert=True)
    _tell(album)
    return album


@transaction.atomic
def change_album(*, album: Album, by: User, values: Mapping[str, Any]) -> Album:
    """Change title, description, cover or, of a smart one, the filter. Raises what `create_album` does."""
    require(by, Permission.EDIT_PHOTOS, library_id=album.library_id)
    locked = _locked(album)
    if "filter" in values and (locked.kind == AlbumKind.MANUAL) == bool(values["filter"]):
        detail = "An album stays what it was made as: by hand, or with a filter."
        raise InvalidValueError(detail, field="filter", reason=COMBINATION)
    _set(locked, by, values)
    locked.save()
    _tell(locked)
    return locked


@transaction.atomic
def delete_album(*, album: Album, by: User) -> None:
    """Delete an album; its photos stay. Raises NotPermittedError without `photos.edit`."""
    require(by, Permission.EDIT_PHOTOS, library_id=album.library_id)
    Album.objects.filter(pk=album.pk).delete()
    _tell(album)


@transaction.atomic
def add_photos(*, album: Album, by: User, photo_ids: Sequence[UUID]) -> int:
    """Put photos at an album's end, in this order; gives how many were not in it.

    Raises NotFoundError if one is not there for `by`, or not of the album's library, SmartAlbumError, and
    InvalidValueError where they are too many.
    """
    locked = _locked_manual(album, by)
    ordered = list(dict.fromkeys(photo_ids))
    _require_photos(locked, by, ordered)
    rows = AlbumPhoto.objects.filter(album=locked)
    there = set(rows.filter(photo__in=ordered).values_list("photo", flat=True))
    new = [one for one in ordered if one not in there]
    if rows.count() + len(new) > MAX_PHOTOS:
        raise InvalidValueError(f"An album has at most {MAX_PHOTOS:,} photos.", field="photos")
    last = rows.order_by("-position").values_list("position", flat=True).first()
    start = 0 if last is None else last + 1
    AlbumPhoto.objects.bulk_create(
        AlbumPhoto(album=locked, photo_id=photo_id, position=start + place) for place, photo_id in enumerate(new)
    )
    if new:
        _tell(locked)
    return len(new)


@transaction.atomic
def remove_photos(*, album: Album, by: User, photo_ids: Collection[UUID]) -> int:
    """Take photos out of an album; gives how many were in it. Raises SmartAlbumError."""
    locked = _locked_manual(album, by)
    count, _ = AlbumPhoto.objects.filter(album=locked, photo__in=photo_ids).delete()
    if count:
        _tell(locked)
    return count


@transaction.atomic
def move_photos(*, album: Album, by: User, photo_ids: Sequence[UUID], before: UUID | None) -> None:
    """Move photos of an album, in this order, before another one of it, or to the end.

    Raises NotFoundError for a photo that is not in the album, SmartAlbumError.
    """
    locked = _locked_manual(album, by)
    order = list(AlbumPhoto.objects.filter(album=locked).order_by("position").values_list("photo", flat=True))
    moved = list(dict.fromkeys(photo_ids))
    if not {*moved, *([before] if before else [])} <= set(order) or before in moved:
        raise NotFoundError("A photo is not in the album.")
    rest = [one for one in order if one not in set(moved)]
    place = rest.index(before) if before else len(rest)
    _write_order(locked, [*rest[:place], *moved, *rest[place:]])
    _tell(locked)


def _tell(album: Album) -> None:
    events.record_change(kind=EventKind.ALBUMS_CHANGED, library_id=album.library_id, album=str(album.pk))


def _set(album: Album, by: User, values: Mapping[str, Any]) -> None:
    for name in ("title", "description", "filter"):
        if name in values:
            setattr(album, name, values[name])
    if "cover" in values:
        if values["cover"] is not None:
            _require_photos(album, by, [values["cover"]])
        album.cover_id = values["cover"]
    album.full_clean(exclude=["cover"], validate_constraints=False)


def _locked(album: Album) -> Album:
    locked = Album.objects.select_for_update(no_key=True).filter(pk=album.pk).first()
    if locked is None:
        raise NotFoundError("The album is gone.")
    return locked


def _locked_manual(album: Album, by: User) -> Album:
    require(by, Permission.EDIT_PHOTOS, library_id=album.library_id)
    locked = _locked(album)
    if locked.kind == AlbumKind.SMART:
        raise SmartAlbumError("A filter decides which photos are in this album.")
    return locked


def _require_photos(album: Album, by: User, photo_ids: Collection[UUID]) -> None:
    # kept until this has ended: a deletion under way is waited for
    visible = Photo.objects.visible_to(by).filter(library=album.library_id, pk__in=photo_ids)
    found = visible.select_for_update(no_key=True, of=("self",)).order_by("pk").values_list("pk", flat=True)
    if len(found) != len(set(photo_ids)):
        raise NotFoundError("A photo is not there, or not in the album's library, or you may not see it.")


def _write_order(album: Album, photo_ids: Sequence[UUID]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE gallery_albumphoto AS row SET position = ordered.position - 1 "
            "FROM unnest(%s::uuid[]) WITH ORDINALITY AS ordered (photo_id, position) "
            "WHERE row.album_id = %s AND row.photo_id = ordered.photo_id",
            [list(photo_ids), album.pk],
        )
