"""What follows where the position of a photo is said by somebody else than its own file."""

from collections.abc import Collection
from uuid import UUID

from photos.models import Photo
from processing.models import RunState, StageRun
from processing.pipeline.advancing import advance
from processing.stages.place import NO_POSITION


def follow_positions(photo_ids: Collection[UUID]) -> None:
    """Have the places of photos named anew whose position was corrected, where the file has been read."""
    read = StageRun.objects.filter(photo__in=photo_ids, stage="exif", state=RunState.DONE)
    rows = Photo.objects.filter(pk__in=read.values("photo")).order_by("pk").values_list("pk", "latitude")
    for photo_id, latitude in list(rows):
        advance(photo_id=photo_id, stage="exif", skip_children=NO_POSITION if latitude is None else "")
