"""The switch of a library's face analysis: consent, recorded, and what it means for runs and for faces."""

from django.db import transaction
from django.db.models.functions import Now

from accounts import consent_text
from accounts.models import AuditAction, ConsentRecord, ErasureKind, Library, User
from accounts.problems import NotFoundError
from accounts.services import audit
from accounts.services import erasure as receipts
from photos.models import EventKind, Photo
from photos.services import events
from processing.consent import is_being_erased
from processing.kinds.erase_faces import ERASE
from processing.kinds.plan import PLAN
from processing.models import LibraryRun
from processing.models.ledger import OPEN_STATES
from processing.pipeline.planning import lock_plan_for_change
from processing.services import face_runs
from processing.services.grouping import KIND

CONSENT_FIELDS = (
    "face_analysis",
    "face_analysis_changed_at",
    "face_analysis_changed_by",
    "face_analysis_consent_version",
)


@transaction.atomic
def switch_face_analysis(
    *, library: Library, enabled: bool, by: User | None, consent_version: str = consent_text.VERSION
) -> Library:
    """Switch face analysis on or off; who and when are kept, and the version of the text that was agreed to.

    Off: open runs are withdrawn, leases too, in this same transaction, so that a worker at work writes nothing; faces
    and people are invisible from its end, and a run that erases them is asked for. On: a run that plans the photos
    that are there is asked for; while faces are still being erased, by the end of that. On where it is on already is
    kept as consent to a newer text, and changes nothing else.

    `consent_version` is the one that `by` was shown; commands, which show none, agree to the current one. Raises
    ConsentOutdatedError for another, NotFoundError where the library is gone.
    """
    if enabled:
        consent_text.require_current(consent_version)
    agreed = consent_version if enabled else ""
    lock_plan_for_change()
    # no_key: a commit that holds a run wants to refer to the library, and this waits for that run
    library = Library.objects.select_for_update(no_key=True).filter(pk=library.pk).first()
    if library is None:
        raise NotFoundError("The library is gone.")
    was_on = library.face_analysis
    if was_on == enabled and library.face_analysis_consent_version == agreed:
        return library
    library.face_analysis = enabled
    library.face_analysis_changed_at = Now()
    library.face_analysis_changed_by = by
    library.face_analysis_consent_version = agreed
    library.save(update_fields=CONSENT_FIELDS)
    _record(library, by=by)
    if not enabled:
        receipts.begin(kind=ErasureKind.FACES, subject=library, library_id=library.pk, by=by)
        # asked for first: a step of an erasure holds its run when it reaches for those of photos
        ERASE.request(library_ids=[library.pk])
        _withdraw(library)
    elif not was_on and not is_being_erased(library):
        PLAN.request_for_all(libraries=[library.pk])
    events.record_change(kind=EventKind.LIBRARY_CHANGED, library_id=library.pk, face_analysis=enabled)
    library.refresh_from_db()
    return library


def _record(library: Library, *, by: User | None) -> None:
    enabled, version = library.face_analysis, library.face_analysis_consent_version
    ConsentRecord.objects.create(library=library, enabled=enabled, by=by, text_version=version)
    audit.record(
        action=AuditAction.FACE_ANALYSIS_SWITCHED,
        actor=by,
        library_id=library.pk,
        subject=library,
        details={"enabled": enabled, "consent_version": version},
    )


def _withdraw(library: Library) -> None:
    face_runs.withdraw_open(photos=Photo.objects.filter(library=library))
    LibraryRun.objects.filter(library=library, kind=KIND, state__in=OPEN_STATES).update(**face_runs.WITHDRAWN)
