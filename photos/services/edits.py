"""What people say about photos: corrections, tags, who may see them; each act with its history, and taken back at will.

The original is never touched: a correction is kept beside what the file says, and taken away it gives way to that.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

from django.db import transaction

from accounts.models import User
from accounts.problems import ConflictError
from photos.models import Edit, EventKind, Photo, PhotoTag, Revision, Tag
from photos.services import events, shown, tags

# the fields of a correction, and the columns that show it
CORRECTIONS: Mapping[str, tuple[str, ...]] = {
    "title": ("title",),
    "caption": ("caption",),
    "rating": ("rating",),
    "taken_at": ("taken_at", "taken_at_offset"),
    "position": ("latitude", "longitude"),
}


class AlreadyUndoneError(ConflictError):
    """The edit has been taken back."""

    code = "already_undone"


@dataclass(frozen=True, slots=True)
class Changes:
    """What is to be said of photos.

    `corrections`: {field: what is true}; a field of `restored` goes back to what the file says. A `taken_at` is a
    datetime, with its offset where that is known; a position (latitude, longitude), or None for "none". `shift_seconds`
    moves the time of photos that have one.
    """

    corrections: Mapping[str, Any] = field(default_factory=dict)
    restored: frozenset[str] = frozenset()
    shift_seconds: int = 0
    is_hidden: bool | None = None
    add_tags: Sequence[str] = ()
    remove_tags: Sequence[str] = ()
    # instead of the two above: exactly these
    tags: Sequence[str] | None = None


@dataclass(slots=True)
class Draft:
    """What one photo's edit comes to: the corrections that it has then, and what changes, by field."""

    photo: Photo
    corrections: dict[str, Any]
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)


@transaction.atomic
def apply(*, edit: Edit, photo_ids: Collection[UUID], changes: Changes) -> list[UUID]:
    """Say something of photos of the edit's library; gives those of which anything changed.

    In one transaction, under the photos' locks; what was so already makes no history. Doing it again changes nothing.
    """
    wanted = _held(edit.library_id, photo_ids, changes)
    drafts = [_said(Draft(photo, dict(photo.corrections)), changes) for photo in _locked(edit.library_id, photo_ids)]
    worn = _worn([draft.photo.pk for draft in drafts])
    for draft in drafts:
        own = worn.get(draft.photo.pk, {})
        only = {tag.pk for tag in wanted["only"]} if changes.tags is not None else None
        on = [tag for tag in (*wanted["on"], *wanted["only"]) if tag.pk not in own]
        off = [tag for tag in own.values() if tag in wanted["off"] or (only is not None and tag.pk not in only)]
        _note_tags(draft, own, on=on, off=off)
    return _write(edit, drafts)


@transaction.atomic
def undo(*, edit: Edit, by: User | None) -> tuple[Edit, list[UUID], int]:
    """Take an edit back, where nobody has said otherwise since; gives the edit that does, its photos, and those left.

    Field by field: what was changed again stays as it is. Raises AlreadyUndoneError.
    """
    locked = Edit.objects.select_for_update().get(pk=edit.pk)
    if Edit.objects.filter(undoes=locked).exists():
        raise AlreadyUndoneError("This edit has been taken back. Take that back to have it again.")
    back = Edit.objects.create(library_id=locked.library_id, by=by, undoes=locked, changes=locked.changes)
    revisions = {one.photo_id: one for one in Revision.objects.filter(edit=locked)}
    tags.hold(tag_ids=_named(revisions.values()), worn_by=revisions)
    drafts = [Draft(photo, dict(photo.corrections)) for photo in _locked(locked.library_id, revisions)]
    worn = _worn([draft.photo.pk for draft in drafts])
    left = 0
    for draft in drafts:
        kept = _taken_back(draft, revisions[draft.photo.pk], worn.get(draft.photo.pk, {}))
        left += bool(kept)
    return back, _write(back, drafts), left


def _held(library_id: UUID, photo_ids: Collection[UUID], changes: Changes) -> dict[str, list[Tag]]:
    """Give the tags that changes name, made where there are none; they stay, as do those that the photos wear."""
    keys = {tags.key_of(tags.clean_name(name)) for name in changes.remove_tags}
    while True:
        wanted = {
            name: tags.find_or_make(library_id=library_id, names=names or ())
            for name, names in (("on", changes.add_tags), ("only", changes.tags))
        }
        ids = {tag.pk for tag in (*wanted["on"], *wanted["only"])}
        # one that was merged or deleted at this moment is looked for anew
        if tags.hold(tag_ids=ids, worn_by=photo_ids) == ids:
            return {**wanted, "off": list(Tag.objects.filter(library_id=library_id, key__in=keys))}


def _locked(library_id: UUID, photo_ids: Iterable[UUID]) -> list[Photo]:
    photos = Photo.objects.present().filter(library_id=library_id, pk__in=list(photo_ids))
    return list(photos.select_for_update(no_key=True, of=("self",)).order_by("pk"))


def _named(revisions: Iterable[Revision]) -> set[UUID]:
    """Give the tags that revisions put on or took off."""
    said = [one.after["tags"] for one in revisions if "tags" in one.after]
    return {UUID(key) for one in said for key in (*one["on"], *one["off"])}


def _worn(photo_ids: Collection[UUID]) -> dict[UUID, dict[UUID, Tag]]:
    found: dict[UUID, dict[UUID, Tag]] = {}
    rows = PhotoTag.objects.worn().filter(photo__in=photo_ids).select_related("tag").order_by("tag__key")
    for row in rows:
        found.setdefault(row.photo_id, {})[row.tag_id] = row.tag
    return found


def _said(draft: Draft, changes: Changes) -> Draft:
    """Work the corrections into a draft, and note what they change."""
    photo = draft.photo
    for name, value in changes.corrections.items():
        draft.corrections |= _stored(name, value)
    for name in changes.restored:
        for key in _keys(name):
            draft.corrections.pop(key, None)
    there = _moved(photo, seconds=changes.shift_seconds)
    if there is not None:
        draft.corrections |= {"taken_at": there.isoformat(), "taken_at_offset": photo.taken_at_offset}
    for name in CORRECTIONS:
        old = {key: photo.corrections[key] for key in _keys(name) if key in photo.corrections}
        new = {key: draft.corrections[key] for key in _keys(name) if key in draft.corrections}
        if old != new:
            draft.before[name], draft.after[name] = {"said": old, "shown": _shown(photo, name)}, {"said": new}
    if changes.is_hidden is not None and changes.is_hidden != photo.is_hidden:
        draft.before["is_hidden"], draft.after["is_hidden"] = photo.is_hidden, changes.is_hidden
    return draft


def _moved(photo: Photo, *, seconds: int) -> datetime | None:
    """Give a photo's time, moved; None where it has none, or would leave the calendar, be it on its own clock alone."""
    if photo.taken_at is None or not seconds:
        return None
    try:
        there = photo.taken_at + timedelta(seconds=seconds)
        there.astimezone(timezone(timedelta(minutes=photo.taken_at_offset or 0)))
    except OverflowError:
        return None
    return there


def _note_tags(draft: Draft, own: Mapping[UUID, Tag], *, on: Sequence[Tag], off: Sequence[Tag]) -> None:
    if not on and not off:
        return
    gone = {tag.pk for tag in off}
    left = [tag for tag in own.values() if tag.pk not in gone]
    draft.before["tags"] = {"shown": [tag.name for tag in own.values()]}
    draft.after["tags"] = {
        "on": [str(tag.pk) for tag in on],
        "off": [str(tag.pk) for tag in off],
        "shown": sorted((tag.name for tag in (*left, *on)), key=tags.key_of),
    }


def _taken_back(draft: Draft, revision: Revision, own: Mapping[UUID, Tag]) -> list[str]:
    """Work the return of a revision into a draft; gives the fields that somebody has changed since."""
    photo, kept = draft.photo, []
    for name, after in revision.after.items():
        if name == "tags":
            _tags_taken_back(draft, after, own)
        elif name == "is_hidden":
            if photo.is_hidden == after:
                draft.before[name], draft.after[name] = after, revision.before[name]
            else:
                kept.append(name)
        else:
            now = {key: photo.corrections[key] for key in _keys(name) if key in photo.corrections}
            if now != after["said"]:
                kept.append(name)
                continue
            for key in _keys(name):
                draft.corrections.pop(key, None)
            draft.corrections |= revision.before[name]["said"]
            draft.before[name] = {"said": now, "shown": _shown(photo, name)}
            draft.after[name] = {"said": revision.before[name]["said"]}
    return kept


def _tags_taken_back(draft: Draft, after: Mapping[str, Any], own: Mapping[UUID, Tag]) -> None:
    """Put on what was taken off, and take off what was put on, as far as it is so still and the tags are there."""
    off = [own[one] for one in map(UUID, after["on"]) if one in own]
    there = Tag.objects.filter(pk__in=after["off"], is_removed=False)
    _note_tags(draft, own, on=[tag for tag in there if tag.pk not in own], off=off)


def _write(edit: Edit, drafts: Sequence[Draft]) -> list[UUID]:
    changed = [draft for draft in drafts if draft.after]
    ids = [draft.photo.pk for draft in changed]
    _write_tags(changed)
    for draft in changed:
        draft.photo.corrections = draft.corrections
        draft.photo.is_hidden = draft.after.get("is_hidden", draft.photo.is_hidden)
    Photo.objects.bulk_update([draft.photo for draft in changed], ["corrections", "is_hidden"], batch_size=500)
    shown.refresh(photo_ids=ids)
    events.record_photos(kind=EventKind.PHOTO_CHANGED, photos=dict.fromkeys(ids, edit.library_id))
    _note_what_is_shown(changed)
    Revision.objects.bulk_create(
        Revision(edit=edit, photo=draft.photo, before=draft.before, after=draft.after) for draft in changed
    )
    return ids


def _write_tags(drafts: Iterable[Draft]) -> None:
    """Put on and take off, all photos of the same tags at once."""
    for name, act in (("on", tags.put_on), ("off", tags.take_off)):
        photos_of: dict[str, list[UUID]] = {}
        for draft in drafts:
            for tag in draft.after.get("tags", {}).get(name, ()):
                photos_of.setdefault(tag, []).append(draft.photo.pk)
        known = {str(tag.pk): tag for tag in Tag.objects.filter(pk__in=photos_of)}
        for tag in sorted(known):
            act(photo_ids=photos_of[tag], tags=[known[tag]])


def _note_what_is_shown(drafts: Sequence[Draft]) -> None:
    """Note, for people who read the history, what the corrections came to."""
    now = {photo.pk: photo for photo in Photo.objects.filter(pk__in=[draft.photo.pk for draft in drafts])}
    for draft in drafts:
        for name in CORRECTIONS.keys() & draft.after.keys():
            draft.after[name]["shown"] = _shown(now[draft.photo.pk], name)


def _keys(name: str) -> tuple[str, ...]:
    return ("taken_at", "taken_at_offset") if name == "taken_at" else (name,)


def _stored(name: str, value: Any) -> dict[str, Any]:
    """Give a correction as it is kept: a time in UTC, with the offset in minutes beside it."""
    if name != "taken_at":
        return {name: list(value) if isinstance(value, tuple) else value}
    offset = value.utcoffset()
    if offset is None:
        # a clock whose zone nobody knows is kept as if it were UTC, as that of a file is
        return {"taken_at": value.replace(tzinfo=UTC).isoformat(), "taken_at_offset": None}
    return {"taken_at": value.astimezone(UTC).isoformat(), "taken_at_offset": int(offset / timedelta(minutes=1))}


def _shown(photo: Photo, name: str) -> Any:
    """Give what is shown of a field, as JSON."""
    if name == "taken_at":
        return photo.taken_at and {"at": photo.taken_at.isoformat(), "offset": photo.taken_at_offset}
    if name == "position":
        return None if photo.latitude is None else [photo.latitude, photo.longitude]
    return getattr(photo, name)


def begin(*, library_id: UUID, by: User | None, changes: Mapping[str, Any], selection: Sequence[UUID] = ()) -> Edit:
    """Begin an edit: the act that revisions are of. `changes` is what was asked for, as JSON that `read` reads."""
    return Edit.objects.create(library_id=library_id, by=by, changes=dict(changes), selection=list(selection))


def read(said: Mapping[str, Any]) -> Changes:
    """Read changes from JSON that was validated: what a client sent, or what an edit keeps.

    A field that is null goes back to what the file says; a position of two nulls is none at all.
    """
    corrections = {name: said[name] for name in CORRECTIONS if said.get(name) is not None}
    if "taken_at" in corrections:
        corrections["taken_at"] = datetime.fromisoformat(corrections["taken_at"])
    if "position" in corrections:
        place = corrections["position"]
        corrections["position"] = None if place["latitude"] is None else (place["latitude"], place["longitude"])
    return Changes(
        corrections=corrections,
        restored=frozenset(name for name in CORRECTIONS if name in said and said[name] is None),
        shift_seconds=said.get("shift_taken_at") or 0,
        is_hidden=said.get("is_hidden"),
        add_tags=said.get("add_tags") or (),
        remove_tags=said.get("remove_tags") or (),
        tags=said.get("tags"),
    )
