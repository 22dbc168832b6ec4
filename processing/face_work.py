"""What goes on, or went on last, behind the switch of a library's face analysis."""

from dataclasses import dataclass

from accounts.models import Library
from processing.consent import ERASE_FACES
from processing.kinds.plan import PLAN
from processing.models import LibraryRun


@dataclass(frozen=True, slots=True)
class FaceWork:
    """The last erasure of a library's faces, with its receipt, and the last planning of its photos; none if none was.

    The receipt counts `photos` that had faces, `faces`, `embeddings` and `people`; planning counts the `photos` that
    were planned, `of` so many that were there at its beginning, and the `runs` made.
    """

    erasure: LibraryRun | None
    planning: LibraryRun | None


def face_work(library: Library) -> FaceWork:
    """Look up both."""
    runs = LibraryRun.objects.filter(library=library).order_by("-id")
    return FaceWork(erasure=runs.filter(kind=ERASE_FACES).first(), planning=runs.filter(kind=PLAN.name).first())
