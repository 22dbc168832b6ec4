"""System checks of the ways out: who sends the bytes has to suit where they lie."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from gallery.downloads import MAX_URL_SECONDS, Delivery
from photos import storage

# what a way needs of the stores, and what to do where they are of the other kind
_NEEDS_BUCKET = {Delivery.X_ACCEL: False, Delivery.PRESIGNED: True}


@register()
def check_media_delivery(**_: Any) -> list[CheckMessage]:
    """See that MEDIA_DELIVERY is known and fits the stores, and that signed addresses live no longer than allowed."""
    hint = "Set MEDIA_DELIVERY to stream, to x-accel with STORAGE_TYPE=disk, or to presigned with STORAGE_TYPE=s3."
    given = settings.MEDIA_DELIVERY
    if given not in Delivery.values:
        return [Error(f"MEDIA_DELIVERY is {given!r}, which is no way of delivery.", hint=hint, id="gallery.E001")]
    wanted = _NEEDS_BUCKET.get(Delivery(given))
    found: list[CheckMessage] = []
    for alias in (storage.ORIGINALS, storage.RENDITIONS):
        if wanted is not None and storage.is_in_bucket(alias=alias) is not wanted:
            there = "a disk" if wanted else "a bucket"
            message = f"MEDIA_DELIVERY is {given}, and the storage {alias!r} is {there}."
            found.append(Error(message, hint=hint, id="gallery.E002"))
    if given == Delivery.PRESIGNED and not 1 <= settings.MEDIA_URL_SECONDS <= MAX_URL_SECONDS:
        message = f"MEDIA_URL_SECONDS is {settings.MEDIA_URL_SECONDS}."
        hint = f"Whoever has such an address needs no permission: set 1 to {MAX_URL_SECONDS}."
        found.append(Error(message, hint=hint, id="gallery.E003"))
    return found
