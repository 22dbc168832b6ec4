"""Editing photos, and what follows from it for their processing; many photos are edited by a library run."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import transaction

from accounts.access import require
from accounts.models import User
from accounts.roles import Permission
from photos.models import Edit
from photos.services import edits
from processing.kinds.edit import EDIT, apply_part
from processing.pipeline.positions import follow_positions

# as many are edited while somebody waits
AT_ONCE = 500


@transaction.atomic
def edit_photos(*, photos: Sequence[tuple[UUID, UUID]], said: Mapping[str, Any], by: User) -> list[Edit]:
    """Say something of photos, given as (library, photo); gives an edit for each library, the acts that can be undone.

    Up to AT_ONCE are edited at once, more by library runs, one for each library; then the edits are there, and their
    photos follow. Raises NotPermittedError without `photos.edit` in each library (`photos.moderate`, to hide).
    """
    by_library: dict[UUID, list[UUID]] = defaultdict(list)
    for library_id, photo_id in photos:
        by_library[library_id].append(photo_id)
    for library_id in sorted(by_library):
        for permission in takes(said):
            require(by, permission, library_id=library_id)
    if len(photos) <= AT_ONCE:
        made = [_edit(library_id, ids, said, by) for library_id, ids in sorted(by_library.items())]
        return [edit for edit in made if edit is not None]
    return [_edit_in_background(library_id, ids, said, by) for library_id, ids in sorted(by_library.items())]


@transaction.atomic
def undo_edit(*, edit: Edit, by: User) -> tuple[Edit, int, int]:
    """Take an edit back; gives the edit that does, how many photos it changed, and of how many something was left.

    Raises NotPermittedError without what the edit took, AlreadyUndoneError.
    """
    for permission in takes(edit.changes):
        require(by, permission, library_id=edit.library_id)
    back, changed, left = edits.undo(edit=edit, by=by)
    if "position" in edit.changes:
        follow_positions(changed)
    return back, len(changed), left


def takes(said: Mapping[str, Any]) -> list[Permission]:
    """Give the permissions that changes take."""
    moderating = [Permission.MODERATE_PHOTOS] if "is_hidden" in said else []
    return moderating if moderating and len(said) == 1 else [Permission.EDIT_PHOTOS, *moderating]


def _edit(library_id: UUID, photo_ids: Collection[UUID], said: Mapping[str, Any], by: User) -> Edit | None:
    edit = edits.begin(library_id=library_id, by=by, changes=said)
    if apply_part(edit, photo_ids):
        return edit
    # what was so already is no act
    edit.delete()
    return None


def _edit_in_background(library_id: UUID, photo_ids: Sequence[UUID], said: Mapping[str, Any], by: User) -> Edit:
    edit = edits.begin(library_id=library_id, by=by, changes=said, selection=sorted(photo_ids))
    EDIT.request(library_ids=[library_id], subject=str(edit.pk))
    return edit
