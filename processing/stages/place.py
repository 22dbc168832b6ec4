"""Stage `place`: the names of where a photo was taken."""

from collections.abc import Mapping, Sequence

import numpy as np
from django.conf import settings

from photos.models import Photo
from photos.services import results
from processing.engines import geocoding
from processing.ledger import Lease
from processing.stages.base import Loaded, Stage, Written

NO_POSITION = "no_position"

Position = tuple[float, float]


class PlaceStage(Stage):
    """Reads the position that is shown, be it the file's or a correction; replaces the PhotoPlace row."""

    name = "place"
    queue = "maintenance"
    needs = "exif"

    @property
    def claim_size(self) -> int:
        """A search of a hundred costs no more than one."""
        return 32

    def shaping_settings(self) -> Mapping[str, object]:
        """The towns, and how near one has to be."""
        return {"towns": geocoding.data_version(), "within_km": settings.PLACE_WITHIN_KM}

    def load(self, lease: Lease) -> Loaded:
        """Read the position; None where there is none any more."""
        photo = Photo.objects.only("library_id", "latitude", "longitude").get(pk=lease.subject_id)
        position = None if photo.latitude is None else (photo.latitude, photo.longitude)
        return Loaded(photo_id=photo.pk, library_id=photo.library_id, data=position)

    def compute(self, loaded: Sequence[Loaded], *, version: str) -> list[tuple[Position, geocoding.Place] | None]:  # noqa: ARG002
        """Find the nearest towns of all photos of the batch at once."""
        positions = [one.data for one in loaded if one.data is not None]
        within = settings.PLACE_WITHIN_KM
        places = iter(geocoding.find_places(np.array(positions).reshape(-1, 2), within_km=within))
        found = [None if one.data is None else next(places) for one in loaded]
        return [place and (one.data, place) for one, place in zip(loaded, found, strict=True)]

    def write(self, loaded: Loaded, stored: tuple[Position, geocoding.Place] | None, *, version: str) -> Written:
        """Replace the PhotoPlace row; where no town is near there is none."""
        results.replace_place(photo_id=loaded.photo_id, version=version, found=stored)
        return Written()
