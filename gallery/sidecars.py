"""What is shown of a photo as a file beside the original."""

from django.http import HttpResponse
from django.utils.http import content_disposition_header

from photos.models import Photo
from processing.engines import sidecar_writer
from processing.exporting.descriptions import said_of


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
