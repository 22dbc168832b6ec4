"""Images and originals as the admin's pages show them, each behind the permission to see its photo."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID
from zlib import crc32

from django.db.models import Prefetch
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.models import Library
from accounts.problems import NotFoundError
from accounts.roles import Permission
from gallery.admin.visibility import visible_photos
from gallery.downloads import IMMUTABLE, REVALIDATE, object_response, original_response
from photos import storage
from photos.models import Face, Photo, Rendition

THUMBNAIL_WIDTH, THUMBNAIL_HEIGHT = 72, 54
# of photos that are compared
SIDE_BY_SIDE_WIDTH = 300
CHIP_SIDE = 72
CHIP_TYPE = "image/jpeg"
SMALLEST = "thumbnail_renditions"
NO_THUMBNAIL = SafeString('<span class="dr-thumb dr-thumb-none material-symbols-outlined">image</span>')


def serve_rendition(request: HttpRequest, photo_id: UUID, kind: str) -> HttpResponseBase:
    """Answer with a rendition of a photo that the user may see."""
    photos = visible_photos(request.user).filter(pk=photo_id)
    rendition = get_object_or_404(Rendition, photo__in=photos, kind=kind)
    name = f"{photo_id}-{kind}.jpg"
    return _image(request, key=rendition.storage_key, content_type=rendition.mime_type, filename=name)


def serve_chip(request: HttpRequest, face_id: UUID) -> HttpResponseBase:
    """Answer with the chip of a face that the user may see."""
    face = get_object_or_404(Face.objects.visible_to(request.user), pk=face_id)
    return _image(request, key=face.chip_key, content_type=CHIP_TYPE, filename=f"face-{face_id}.jpg")


def serve_original(request: HttpRequest, photo_id: UUID) -> HttpResponseBase:
    """Answer with the bytes that were uploaded, as an attachment: a stranger wrote them."""
    libraries = Library.objects.permitting(request.user, Permission.DOWNLOAD_ORIGINALS)
    photo = get_object_or_404(visible_photos(request.user).filter(library__in=libraries), pk=photo_id)
    with _missing_as_404():
        return original_response(request, photo=photo, taker=request.user)


def _image(request: HttpRequest, *, key: str, content_type: str, filename: str) -> HttpResponseBase:
    """Answer with an object of ours. A key names its version, and so do the addresses below."""
    is_current = request.GET.get("v") == _version(key)
    with _missing_as_404():
        return object_response(
            request,
            alias=storage.RENDITIONS,
            key=key,
            content_type=content_type,
            etag=_version(key),
            cache_control=IMMUTABLE if is_current else REVALIDATE,
            filename=filename,
            # the policy of the admin's pages lets images come from here alone
            may_redirect=False,
        )


@contextmanager
def _missing_as_404() -> Iterator[None]:
    try:
        yield
    except NotFoundError as error:
        raise Http404(error.detail) from error


def _version(key: str) -> str:
    return f"{crc32(key.encode()):08x}"


def rendition_url(rendition: Rendition) -> str:
    """Give the admin's address of a rendition; another version has another address."""
    path = reverse("admin:photos_photo_rendition", args=[rendition.photo_id, rendition.kind])
    return f"{path}?v={_version(rendition.storage_key)}"


def chip_url(face_id: UUID | str, chip_key: str) -> str:
    """Give the admin's address of a face chip; a face that was found again may have another."""
    return f"{reverse('admin:photos_face_chip', args=[face_id])}?v={_version(chip_key)}"


def smallest_renditions(path: str = "") -> Prefetch:
    """Fetch the renditions for `thumbnail` with one query; `path` leads to the photo, as in `photo__`.

    Photos have a handful of renditions each, so all of them are read and the smallest is picked.
    """
    lean = Rendition.objects.only("photo_id", "kind", "width", "storage_key")
    return Prefetch(f"{path}renditions", queryset=lean, to_attr=SMALLEST)


def thumbnail(photo: Photo) -> SafeString:
    """Give the <img> of a photo that was read with `smallest_renditions`; a grey box where there is none yet."""
    renditions = getattr(photo, SMALLEST)
    if not renditions:
        return NO_THUMBNAIL
    smallest = min(renditions, key=lambda rendition: rendition.width)
    return format_html(
        '<img class="dr-thumb" loading="lazy" decoding="async" width="{}" height="{}" src="{}" alt="">',
        THUMBNAIL_WIDTH,
        THUMBNAIL_HEIGHT,
        rendition_url(smallest),
    )


def chip(face_id: UUID | str, chip_key: str) -> SafeString:
    """Give the <img> of a face chip."""
    return format_html(
        '<img class="dr-chip" loading="lazy" decoding="async" width="{}" height="{}" src="{}" alt="">',
        CHIP_SIDE,
        CHIP_SIDE,
        chip_url(face_id, chip_key),
    )
