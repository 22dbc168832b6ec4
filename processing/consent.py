"""Where faces may be looked for: consent, and no erasure of what an earlier consent left."""

from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet

from accounts.models import Library
from processing.models import LibraryRun, RunState
from processing.models.ledger import OPEN_STATES

ERASE_FACES = "erase_faces"
FORGET = "forget"
# kinds of library work that nobody may give up: what is owed to be erased is not kept
ERASURES = (ERASE_FACES, FORGET)
_OPEN = Q(state__in=OPEN_STATES)
_DEAD = Q(state=RunState.DEAD)


def libraries_wanting_faces() -> QuerySet[Library]:
    """Libraries in which face work is planned and done: face analysis is on, and neither faces nor all is being erased.

    Switched on again while faces are being erased, a library waits for the end of that: what is found meanwhile would
    be erased too. A dead erasure has not ended.
    """
    erasures = LibraryRun.objects.filter(library=OuterRef("pk"), kind=ERASE_FACES)
    # two questions, for each of which there is an index of a few rows
    is_open, is_dead = (Exists(erasures.filter(states)) for states in (_OPEN, _DEAD))
    return Library.objects.filter(~is_open, ~is_dead, face_analysis=True, erasure_requested_at__isnull=True)


def is_somebody_being_forgotten(library_id: UUID) -> bool:
    """Tell whether a person of the library is being forgotten, or was to be and it died: nobody moves faces meanwhile.

    Those that a grouping put to somebody else would stay.
    """
    return LibraryRun.objects.filter(_OPEN | _DEAD, library=library_id, kind=FORGET).exclude(subject="").exists()


def is_being_erased(library: Library) -> bool:
    """Tell whether an erasure of the library's faces is under way, or died and waits for a person."""
    return LibraryRun.objects.filter(_OPEN | _DEAD, library=library, kind=ERASE_FACES).exists()
