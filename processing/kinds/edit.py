"""Kind `edit`: what somebody said of many photos is said of each."""

from collections.abc import Collection
from uuid import UUID

from photos.models import Edit
from photos.services import edits
from processing.kinds.stepped import SteppedKind
from processing.models import LibraryRun
from processing.models.ledger import Lane
from processing.pipeline.positions import follow_positions

DONE = "done"
# each locked for as long as a step takes
PHOTOS_PER_STEP = 200


class EditKind(SteppedKind):
    """Goes through the selection of an edit, which is the run's subject."""

    name = "edit"
    queue = "people"
    lane = Lane.UPLOAD

    def step(self, run: LibraryRun) -> bool:
        """Edit the next photos. An edit that is gone, or was taken back meanwhile, has nothing left to do."""
        # under the lock of whoever takes it back: what is done after that nobody could take back any more
        edit = Edit.objects.select_for_update(no_key=True).filter(pk=run.subject).first()
        if edit is not None and Edit.objects.filter(undoes=edit).exists():
            return False
        place = run.progress.get(DONE, 0)
        ids = edit.selection[place : place + PHOTOS_PER_STEP] if edit else []
        if not ids:
            return False
        changed = apply_part(edit, ids)
        run.progress[DONE] = place + len(ids)
        total = run.report.get("changed", 0) + len(changed)
        run.report = {"photos": run.progress[DONE], "of": len(edit.selection), "changed": total}
        return True

    def end(self, run: LibraryRun) -> None:
        """Let go of the selection: the revisions tell which photos were changed."""
        Edit.objects.filter(pk=run.subject).update(selection=[])


def apply_part(edit: Edit, photo_ids: Collection[UUID]) -> list[UUID]:
    """Apply an edit to some of its photos, in the caller's transaction; gives those that it changed."""
    changed = edits.apply(edit=edit, photo_ids=photo_ids, changes=edits.read(edit.changes))
    if "position" in edit.changes:
        follow_positions(changed)
    return changed


EDIT = EditKind()
