"""The switch of a library's face analysis: consent, recorded, and what it means for runs and for faces."""

from django.db import transaction
from django.db.models.functions import Now

from accounts.models import Library, User
from photos.models import Photo
from processing.consent import is_being_erased
from processing.kinds.erase_faces import ERASE
from processing.kinds.plan import PLAN
from processing.models import LibraryRun
from processing.models.ledger import OPEN_STATES
from processing.pipeline.planning import lock_plan_for_change
from processing.services import face_runs
from processing.services.grouping import KIND


@transaction.atomic
def switch_face_analysis(*, library: Library, enabled: bool, by: User | None) -> Library:
    """Switch face analysis on or off; who and when are kept.

    Off: open runs are withdrawn, leases too, in this same transaction, so that a worker at work writes nothing; faces
    and people are invisible from its end, and a run that erases them is asked for. On: a run that plans the photos
    that are there is asked for; while faces are still being erased, by the end of that.
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
    if not enabled:
        # asked for first: a step of an erasure holds its run when it reaches for those of photos
        ERASE.request(library_ids=[library.pk])
        _withdraw(library)
    elif not is_being_erased(library):
        PLAN.request_for_all(libraries=[library.pk])
    library.refresh_from_db()
    return library


def _withdraw(library: Library) -> None:
    face_runs.withdraw_open(photos=Photo.objects.filter(library=library))
    LibraryRun.objects.filter(library=library, kind=KIND, state__in=OPEN_STATES).update(**face_runs.WITHDRAWN)
