"""Every photo with its runs, its rows and its objects."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from uuid import UUID

from photos.models import Photo
from photos.services import shown
from processing.prove import contents, runs
from processing.prove.batches import Batch, photos_in_order
from processing.prove.effects import Effects, doubled_photos
from processing.prove.findings import Finding
from processing.prove.listing import Listing
from processing.prove.situation import Situation
from processing.prove.tally import Tally


class PhotoCheck:
    """Photos, a few hundred at a time. With a `listing` no bytes are read: presence and size come from it."""

    name = runs.CHECK

    def __init__(self, *, library_id: UUID | None, listing: Listing | None, readers: Executor) -> None:
        self._library_id = library_id
        self._look = contents.by_reading(readers) if listing is None else contents.by_listing(listing, readers)
        # a listing grows old
        self._look_again = contents.by_reading(readers) if listing is None else contents.by_measuring(readers)

    def total(self) -> int:
        """Count the photos."""
        photos = Photo.objects.all()
        return (photos if self._library_id is None else photos.filter(library_id=self._library_id)).count()

    def batches(self) -> Iterator[list[UUID]]:
        """Give the photos that are there now."""
        return photos_in_order(self._library_id)

    def examine(self, photo_ids: Sequence[UUID], situation: Situation, tally: Tally) -> list[Finding]:
        """Compare these photos with what was promised of them. Raises StoreUnavailableError."""
        return self._examine(photo_ids, situation, tally, look=self._look)

    def again(self, subjects: Sequence[str], situation: Situation) -> list[Finding]:
        """Look again at photos, given by their ids, and at their objects themselves."""
        return self._examine([UUID(one) for one in subjects], situation, Tally(), look=self._look_again)

    def _examine(
        self, photo_ids: Sequence[UUID], situation: Situation, tally: Tally, *, look: contents.Look
    ) -> list[Finding]:
        batch = Batch(photo_ids)
        tally.photos += len(batch.photos)
        found: list[Finding] = []
        for photo in batch.photos:
            of_photo = batch.runs[photo.pk]
            found += runs.missing(photo, of_photo, situation, tally)
            found += runs.stuck(photo, of_photo, situation, tally)
            effects = Effects(photo, batch, situation)
            found += [*effects.doubled(), *effects.wrong(), *effects.leaked()]
        found += doubled_photos(batch.photos)
        found += _differing(batch)
        found += contents.examine(batch, situation, tally, look=look)
        return found


def _differing(batch: Batch) -> list[Finding]:
    """Find photos whose columns, by which they are searched, are not what their sources say."""
    libraries = {photo.pk: str(photo.library_id) for photo in batch.photos}
    return [
        Finding(runs.CHECK, str(pk), "shown_differs", "", photo=str(pk), library=libraries[pk])
        for pk in shown.differing(photo_ids=list(libraries))
    ]
