"""Erasing the faces of a library, and what is left of them."""

from pathlib import Path

import photo_samples

from accounts.models import Library
from photos.models import Face, FaceEmbedding, GroupLoss, Person
from processing.models import LibraryRun
from processing.services.face_analysis import switch_face_analysis

STAGES = ("exif", "place", "renditions", "face_detection", "face_embedding")
WITHDRAWN = {
    "exif": "done",
    "place": "skipped",
    "renditions": "done",
    "face_detection": "skipped",
    "face_embedding": "skipped",
}


def switch(library: Library, *, on: bool) -> None:
    """Switch face analysis on or off."""
    switch_face_analysis(library=library, enabled=on, by=None)


def erase() -> int:
    """Do the work of erasures that is due; gives how many runs."""
    return photo_samples.run_library_work("erase_faces")


def erasures(library: Library) -> list[LibraryRun]:
    """Give the erasures of a library, the first first."""
    return list(library.runs.filter(kind="erase_faces").order_by("id"))


def chips(store: Path) -> list[str]:
    """Give the names of the chips in a store."""
    return [name for name in photo_samples.files_below(store) if "/face." in name]


def rows_of_faces() -> dict[str, int]:
    """Count what is known of faces."""
    return {model.__name__: model.objects.count() for model in (Face, FaceEmbedding, GroupLoss, Person)}


NO_ROWS = {"Face": 0, "FaceEmbedding": 0, "GroupLoss": 0, "Person": 0}
