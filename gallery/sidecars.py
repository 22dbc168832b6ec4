"""What is shown of a photo as a file beside the original."""

from django.http import HttpResponse
from django.utils.http import content_disposition_header

from photos.models import Photo
from processing.engines import sidecar_writer


def said_of(photo: Photo, *, keywords: list[str]) -> sidecar_writer.Said:
    """Give what a sidecar says of a photo. Who is on it is not among it: a file goes further than its reader."""
    return sidecar_writer.Said(
        title=photo.title,
        caption=photo.caption,
        keywords=keywords,
        rating=photo.rating,
        taken_at=photo.taken_at,
        taken_at_offset=photo.taken_at_offset,
        latitude=photo.latitude,
        longitude=photo.longitude,
        country_code=photo.country_code,
        country=photo.country,
        region=photo.region,
        city=photo.city,
    )


def sidecar_response(photo: Photo) -> HttpResponse:
    """Give the sidecar as an attachment, named as programs look for it: the whole file name with `.xmp` behind."""
    keywords = list(photo.tags.filter(photo_tags__is_taken_off=False).order_by("key").values_list("name", flat=True))
    packet = sidecar_writer.write_packet(said_of(photo, keywords=keywords))
    name = f"{photo.original_filename or photo.pk}.xmp"
    headers = {
        "Content-Disposition": content_disposition_header(True, name),
        "Cache-Control": "private, no-cache",
        "X-Content-Type-Options": "nosniff",
    }
    return HttpResponse(packet, content_type=sidecar_writer.MEDIA_TYPE, headers=headers)
