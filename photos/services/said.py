"""What files say of a photo, its own and the one beside it, as it is shown."""

from uuid import UUID

from photos.models import Metadata, Sidecar
from photos.services import shown, tags


def bring_up(*, photo_id: UUID, library_id: UUID) -> None:
    """Bring a photo's tags and what is shown of it up to what its files say, in the transaction that wrote that."""
    own = Metadata.objects.filter(pk=photo_id).values_list("keywords", flat=True).first() or []
    beside = Sidecar.objects.filter(pk=photo_id).values_list("values", flat=True).first() or {}
    keywords = [*own, *(beside.get("keywords") or [])]
    tags.set_keywords(photo_id=photo_id, library_id=library_id, keywords=keywords)
    shown.refresh(photo_ids=[photo_id])
