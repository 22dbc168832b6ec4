"""Which of near-duplicates to keep, and why."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from photos.models import Photo


class Reason(StrEnum):
    """Why one of several near-duplicates is the one to keep: the first of these in which it is better than another."""

    MOST_PIXELS = "most_pixels"
    BEST_FORMAT = "best_format"
    HAS_EXIF = "has_exif"
    MOST_BYTES = "most_bytes"
    OLDEST_UPLOAD = "oldest_upload"


WORDS = {
    Reason.MOST_PIXELS: "It has the most pixels.",
    Reason.BEST_FORMAT: "Its format loses least, or is the camera's own.",
    Reason.HAS_EXIF: "It says when and with what it was taken.",
    Reason.MOST_BYTES: "Its file is the largest, so the least was lost in encoding.",
    Reason.OLDEST_UPLOAD: "It was uploaded first.",
}
# what loses nothing, then what cameras write, then what programs make of it
_FORMATS = {"TIFF": 3, "PNG": 3, "HEIF": 2, "JPEG": 2, "AVIF": 1, "WEBP": 1, "GIF": 0}


@dataclass(frozen=True, slots=True)
class Suggestion:
    """The photo to keep, and the reason."""

    photo: Photo
    reason: Reason

    @property
    def words(self) -> str:
        """Say the reason to a person."""
        return WORDS[self.reason]


def suggest(photos: Sequence[Photo]) -> Suggestion:
    """Choose which of near-duplicates to keep. They come with `taken_at` and `camera_model`, and are two or more.

    The same photos give the same choice in any order.
    """
    best = min(photos, key=lambda photo: [_rank(photo) for _, _rank in _RANKS])
    for reason, rank in _RANKS:
        if any(rank(best) < rank(photo) for photo in photos):
            return Suggestion(best, reason)
    return Suggestion(best, Reason.OLDEST_UPLOAD)


# the less the better
_RANKS: tuple[tuple[Reason, Callable[[Any], Any]], ...] = (
    (Reason.MOST_PIXELS, lambda photo: -photo.width * photo.height),
    (Reason.BEST_FORMAT, lambda photo: -_FORMATS.get(photo.image_format, 0)),
    (Reason.HAS_EXIF, lambda photo: not (photo.taken_at or photo.camera_model)),
    (Reason.MOST_BYTES, lambda photo: -photo.byte_size),
    # keys are ordered by time
    (Reason.OLDEST_UPLOAD, lambda photo: photo.pk),
)
