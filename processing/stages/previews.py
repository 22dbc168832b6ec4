"""Reading the preview that we wrote: what stages with models look at, never an original."""

from photos import integrity
from photos.models import Rendition
from processing.ledger import Lease
from processing.stages.base import InputMissingError, Loaded


def load_preview(lease: Lease) -> Loaded:
    """Read a photo's preview, encoded. Raises InputMissingError, and as `integrity.read_derived` does."""
    preview = (
        Rendition.objects.filter(photo_id=lease.subject_id, kind="preview")
        .values("photo__library_id", "storage_key", "sha256")
        .first()
    )
    if preview is None:
        raise InputMissingError("The photo has no preview.")
    return Loaded(
        photo_id=lease.subject_id,
        library_id=preview["photo__library_id"],
        data=integrity.read_derived(key=preview["storage_key"], sha256=preview["sha256"]),
    )
