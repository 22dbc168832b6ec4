"""Kind `plan`: the runs that the photos of a library should have and have not, after what is planned has changed."""

from collections.abc import Iterable
from uuid import UUID

from django.db.models import Exists, OuterRef

from accounts.models import Library
from photos.models import Photo
from processing.kinds.stepped import SteppedKind
from processing.models import LibraryRun
from processing.models.ledger import Lane
from processing.pipeline.planning import PHOTOS_PER_TRANSACTION, lock_plan_for_reading, plan

AFTER = "after"


class PlanKind(SteppedKind):
    """Goes through the photos of a library by their keys; uploads go on meanwhile, and plan themselves.

    Whoever changes what is planned holds the lock of a change and asks for this in the same transaction: a photo that
    was planned before is there to be found, one that comes later is planned by what holds then.
    """

    name = "plan"
    lane = Lane.BACKFILL

    def request_for_all(self, *, libraries: Iterable[UUID] | None = None) -> None:
        """Ask for the planning of every library that has photos, or of those among `libraries`."""
        chosen = Library.objects.filter(Exists(Photo.objects.filter(library=OuterRef("pk"))))
        if libraries is not None:
            chosen = chosen.filter(pk__in=libraries)
        self.request(library_ids=chosen.values_list("pk", flat=True))

    def lock_before_step(self) -> None:
        """Keep the plan as it is, before the run is held: whoever changes it reaches for the run afterwards."""
        lock_plan_for_reading()

    def step(self, run: LibraryRun) -> bool:
        """Plan the next photos."""
        photos = Photo.objects.filter(library_id=run.library_id)
        if AFTER in run.progress:
            photos = photos.filter(pk__gt=run.progress[AFTER])
        else:
            run.report = {"photos": 0, "of": photos.count(), "runs": run.report.get("runs", 0)}
        ids = list(photos.order_by("pk").values_list("pk", flat=True)[:PHOTOS_PER_TRANSACTION])
        if not ids:
            return False
        run.report["runs"] += plan(ids, lane=self.lane)
        run.report["photos"] += len(ids)
        run.progress[AFTER] = str(ids[-1])
        return True


PLAN = PlanKind()
