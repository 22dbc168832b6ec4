"""Kind `duplicates`: near-duplicates among the photos of a library, of those that have a new hash or vector."""

from uuid import UUID

from photos.models import PhotoFingerprint
from photos.services import duplicates
from processing.kinds.stepped import SteppedKind
from processing.models import LibraryRun
from processing.models.ledger import Lane
from processing.models_in_use import model_in_use

# of few rows, so that whoever writes a hash waits for little
PHOTOS_PER_STEP = 50


class DuplicatesKind(SteppedKind):
    """Looks at each photo once for each hash and vector that it gets; which are left is what their rows say.

    Asked for by the sweep, wherever there are such: nobody waits for a group of duplicates.
    """

    name = "duplicates"
    lane = Lane.BACKFILL

    def step(self, run: LibraryRun) -> bool:
        """Look at the next photos."""
        chosen = model_in_use("image_embedding")
        done = duplicates.group_next(
            library_id=run.library_id, model=chosen.name if chosen else None, limit=PHOTOS_PER_STEP
        )
        if done is None:
            return False
        before = {"photos": 0, "grouped": 0} | run.report
        run.report = {name: before[name] + count for name, count in done.items()}
        return True

    def request_if_due(self, library_id: UUID) -> None:
        """Ask again for what came in while the last photos were looked at."""
        if PhotoFingerprint.objects.filter(library=library_id, is_grouped=False).exists():
            self.request(library_ids=[library_id])

    def request_where_due(self) -> int:
        """Ask wherever photos are left, and nothing is open; gives for how many libraries."""
        due = set(PhotoFingerprint.objects.filter(is_grouped=False).values_list("library", flat=True).distinct())
        waiting = LibraryRun.objects.filter(kind=self.name, library__in=due)
        open_runs = set(waiting.open().values_list("library", flat=True))
        dead = set(waiting.dead().values_list("library", flat=True))
        self.request(library_ids=due - open_runs - dead)
        return len(due - open_runs - dead)


DUPLICATES = DuplicatesKind()
