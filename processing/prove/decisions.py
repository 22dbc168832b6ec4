"""What people decided of faces, beside whose the faces are."""

from collections.abc import Iterator, Sequence
from itertools import islice
from uuid import UUID

from photos.services import broken_decisions
from photos.services.broken_decisions import Broken
from processing.prove.findings import Finding
from processing.prove.situation import Situation
from processing.prove.tally import Tally

FACES_AT_ONCE = 500


class DecisionCheck:
    """Faces that are not whose somebody said that they are: no grouping, model or detection may bring that about."""

    name = "decisions"

    def __init__(self, library_id: UUID | None = None) -> None:
        self._library_id = library_id

    def total(self) -> None:
        """The database looks for those that are wrong, and at no other."""
        return

    def batches(self) -> Iterator[list[Broken]]:
        """Give the faces for which a decision does not hold, some at a time."""
        found = broken_decisions.broken(library_id=self._library_id)
        while some := list(islice(found, FACES_AT_ONCE)):
            yield some

    def examine(self, faces: Sequence[Broken], _situation: Situation, _tally: Tally) -> list[Finding]:
        """Say what is wrong with each."""
        return [_wrong(one) for one in faces]

    def again(self, subjects: Sequence[str], _situation: Situation) -> list[Finding]:
        """Look again at faces, given by their ids."""
        return [_wrong(one) for one in broken_decisions.broken(face_ids=[UUID(one) for one in subjects])]


def _wrong(face: Broken) -> Finding:
    named = {
        "photo": str(face.photo_id),
        "library": str(face.library_id),
        "item": f"face {face.face_id}: {face.detail}",
    }
    return Finding(DecisionCheck.name, str(face.face_id), "decision_broken", face.detail, **named)
