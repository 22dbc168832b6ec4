"""The switch of a library's face analysis: consent, recorded, and what it means for the runs."""

from django.db import transaction
from django.db.models.functions import Now

from accounts.models import Library, User
from photos.models import Photo
from processing.models import LibraryRun, RunState, StageRun
from processing.models.ledger import OPEN_STATES, Lane
from processing.pipeline.advancing import FRESH
from processing.pipeline.planning import lock_plan_for_change, plan_all
from processing.services.grouping import KIND
from processing.stages import registry
from processing.stages.base import FACE_ANALYSIS_OFF


@transaction.atomic
def switch_face_analysis(*, library: Library, enabled: bool, by: User | None) -> Library:
    """Switch face analysis on or off; who and when are kept.

    On: the runs of the photos that are there are planned, those that were withdrawn start over. Off: open runs are
    withdrawn, leases too, in this same transaction, so that a worker at work writes nothing.
    """
    lock_plan_for_change()
    # no_key: a commit that holds a run wants to refer to the library, and this waits for that run
    library = Library.objects.select_for_update(no_key=True).get(pk=library.pk)
    if library.face_analysis == enabled:
        return library
    library.face_analysis = enabled
    library.face_analysis_changed_at = Now()
    library.face_analysis_changed_by = by
    library.save(update_fields=["face_analysis", "face_analysis_changed_at", "face_analysis_changed_by"])
    if enabled:
        # withdrawn runs are planned like those that never were: by what of their input is there now
        StageRun.objects.filter(photo__library=library, skip_reason=FACE_ANALYSIS_OFF).delete()
        photos = Photo.objects.filter(library=library).order_by("pk").values_list("pk", flat=True)
        plan_all(photos.iterator(), lane=Lane.BACKFILL)
    else:
        _withdraw(library)
    library.refresh_from_db()
    return library


def _withdraw(library: Library) -> None:
    end = {**FRESH, "state": RunState.SKIPPED, "skip_reason": FACE_ANALYSIS_OFF, "finished_at": Now()}
    # by the photos, not by a join: an update that had to wait for a commit must look at the state again
    runs = StageRun.objects.filter(photo__in=Photo.objects.filter(library=library))
    for stage in registry.all_stages():
        # one by one, in the order of the pipeline: a commit holds its own run when it reaches for its children's
        if stage.is_face_work:
            runs.filter(stage=stage.name, state__in=(*OPEN_STATES, RunState.DEAD)).update(**end)
    LibraryRun.objects.filter(library=library, kind=KIND, state__in=OPEN_STATES).update(**end)
