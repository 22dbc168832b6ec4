"""Stored objects as HTTP responses: with validators and byte ranges, and never as something that a browser interprets.

Whoever calls has decided that the client may have the object. Who sends the bytes is MEDIA_DELIVERY: Darkroom, the
nginx in front of it, or the bucket.
"""

import logging
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import BinaryIO
from urllib.parse import quote

from django.conf import settings
from django.db.models import TextChoices
from django.db.models.functions import Now
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response
from django.utils.http import content_disposition_header, quote_etag
from rest_framework.request import Request

from accounts import origin
from accounts.models import AuditAction, AuditEvent, User
from accounts.problems import NotFoundError
from gallery.byte_ranges import FilePart, UnsatisfiableRangeError, size_of, wanted_range
from gallery.models import Share
from gallery.services import shares
from photos import integrity, storage
from photos.integrity import WrongBytesError
from photos.models import Photo
from photos.services import originals

logger = logging.getLogger(__name__)

# for addresses that name the version of what they give: another version is another address
IMMUTABLE = f"private, max-age={int(timedelta(days=30).total_seconds())}, immutable"
# kept, and asked for again each time: the answer is a 304
REVALIDATE = "private, no-cache"
NEVER_KEPT = "private, no-store"

# what nginx serves from the stores' folders, below a location of its own for each (compose/nginx/darkroom-media.conf)
ACCEL_PREFIX, ACCEL_HEADER = "/_media/", "X-Accel-Redirect"
MAX_URL_SECONDS = 300

# parts of an original that somebody takes within this time of an event that tells of it are the same download
SAME_DOWNLOAD = timedelta(minutes=10)
# answers without a byte of the object: the client has it, it is another than was asked for, no such part
NOTHING_SENT = {304, 412, 416}


class Delivery(TextChoices):
    """Who sends the bytes."""

    STREAM = "stream"
    X_ACCEL = "x-accel"
    PRESIGNED = "presigned"


class OriginalChangedError(NotFoundError):
    """What lies where an original was referenced has other bytes by now."""

    code = "original_changed"


class ObjectResponse(FileResponse):
    """A stored object, sent in blocks of 64 KiB, with the headers that are given."""

    block_size = 64 * 1024

    def set_headers(self, filelike: object) -> None:
        """Guess nothing: a path is a key, which is nobody's business."""


def object_response(
    request: Request | HttpRequest,
    *,
    alias: str,
    key: str,
    content_type: str,
    etag: str,
    cache_control: str,
    filename: str,
    as_attachment: bool = False,
    may_redirect: bool = True,
    open_file: Callable[[], BinaryIO] | None = None,
) -> HttpResponseBase:
    """Answer with a stored object, or with 304 if the client has it (`etag`, unquoted, names the bytes).

    `filename` is what the client may call it; without one Django would tell the key. Unless it `may_redirect`, the
    client is never given an address that goes on working without our being asked. What `open_file` opens is sent by
    Darkroom itself, whatever MEDIA_DELIVERY says. Raises NotFoundError where the object is missing.
    """
    headers = {"ETag": quote_etag(etag), "Cache-Control": cache_control, "X-Content-Type-Options": "nosniff"}
    unchanged = HttpResponse(headers=headers)
    answer = get_conditional_response(request, etag=headers["ETag"], response=unchanged)
    if answer is not unchanged:
        return answer
    disposition = content_disposition_header(as_attachment, filename) or "inline"
    headers |= {"Content-Type": content_type, "Content-Disposition": disposition}
    try:
        if open_file is not None:
            return _streamed(request, open_file(), headers=headers)
        in_bucket = storage.is_in_bucket(alias=alias)
        if settings.MEDIA_DELIVERY == Delivery.X_ACCEL and not in_bucket:
            return _by_nginx(alias=alias, key=key, headers=headers)
        if settings.MEDIA_DELIVERY == Delivery.PRESIGNED and in_bucket and may_redirect:
            return _by_bucket(request, alias=alias, key=key, headers=headers)
        return _streamed(request, storage.open_object(alias=alias, key=key), headers=headers)
    except FileNotFoundError as error:
        logger.exception("a row names an object that is missing: %s in %s", key, alias)
        raise NotFoundError("The stored object is missing.") from error


def original_response(
    request: Request | HttpRequest, *, photo: Photo, taker: User | Share, filename: str = "", may_redirect: bool = True
) -> HttpResponseBase:
    """Answer with an original, as an attachment, for a stranger wrote it; the audit trail is told by the way.

    `taker` is the user who gets it, or the share that gives it to whoever has its link. Whatever may send all of it is
    an event each time. Parts are one event for as long as the trail has one of the same taker, address and photo that
    is younger than SAME_DOWNLOAD: the committed event is what is asked for, so that the first is never left out. Raises
    NotFoundError where the object is missing, OriginalChangedError.
    """
    response = object_response(
        request,
        alias=photo.storage_alias,
        key=photo.storage_key,
        content_type=photo.mime_type,
        etag=photo.sha256,
        cache_control=REVALIDATE,
        filename=filename or photo.original_filename or f"{photo.pk}.{photo.image_format.lower()}",
        as_attachment=True,
        may_redirect=may_redirect,
        # nobody keeps the owner of a source from altering it: all of it is hashed before the first byte is sent
        open_file=partial(_open_referenced, photo) if storage.is_source(photo.storage_alias) else None,
    )
    if request.method == "HEAD" or response.status_code in NOTHING_SENT:
        return response
    if is_part(request, response, size=photo.byte_size) and _is_told(photo, taker):
        return response
    if isinstance(taker, Share):
        shares.note_original(share=taker, photo_id=photo.pk)
    else:
        originals.note_download(photo=photo, by=taker)
    return response


def _open_referenced(photo: Photo) -> BinaryIO:
    try:
        return integrity.open_original(photo)
    except WrongBytesError as error:
        raise OriginalChangedError("The file was altered where it lies; its old bytes are gone.") from error


def is_part(request: Request | HttpRequest, response: HttpResponseBase, *, size: int) -> bool:
    """Tell whether less than the whole of `size` bytes is sent for certain: by the answer, not by what was asked for.

    nginx reads the range itself; what it is asked for is read here as it would be if Darkroom sent it. An address of
    the bucket gives the whole to whoever leaves the range away.
    """
    if response.status_code == 206:
        return response.headers["Content-Length"] != response.headers["Content-Range"].rpartition("/")[2]
    if not response.has_header(ACCEL_HEADER):
        return False
    try:
        positions = _asked_for(request, etag=response.headers["ETag"], size=size)
    except UnsatisfiableRangeError:
        return True
    return positions is not None and len(positions) < size


def _is_told(photo: Photo, taker: User | Share) -> bool:
    """Tell whether the trail has a young event of this photo, taker and address."""
    lately = AuditEvent.objects.filter(
        action=AuditAction.ORIGINAL_DOWNLOADED, address=origin.address(), at__gt=Now() - SAME_DOWNLOAD
    )
    if isinstance(taker, Share):
        return lately.filter(subject_id=str(taker.pk), details__photo=str(photo.pk)).exists()
    key_id = None if taker.acting_key is None else taker.acting_key.pk
    return lately.filter(subject_id=str(photo.pk), actor_id=taker.pk, key_id=key_id).exists()


def _by_nginx(*, alias: str, key: str, headers: dict[str, str]) -> HttpResponse:
    """Name the file to the nginx in front, which decodes the path, sends the bytes and knows ranges itself."""
    storage.check_object(alias=alias, key=key)
    return HttpResponse(headers={**headers, ACCEL_HEADER: f"{ACCEL_PREFIX}{alias}/{quote(key)}"})


def _by_bucket(request: Request | HttpRequest, *, alias: str, key: str, headers: dict[str, str]) -> HttpResponse:
    """Send the client to the bucket. The redirect is forgotten long before its address ends to work."""
    seconds = min(settings.MEDIA_URL_SECONDS, MAX_URL_SECONDS)
    address = storage.presigned_url(
        alias=alias,
        key=key,
        seconds=seconds,
        method="HEAD" if request.method == "HEAD" else "GET",
        content_type=headers["Content-Type"],
        disposition=headers["Content-Disposition"],
        cache_control=headers["Cache-Control"],
    )
    kept = f"private, max-age={seconds // 5}" if headers["Cache-Control"] == IMMUTABLE else NEVER_KEPT
    return HttpResponseRedirect(address, headers={"Cache-Control": kept, "Referrer-Policy": "no-referrer"})


def _streamed(request: Request | HttpRequest, file: BinaryIO, *, headers: dict[str, str]) -> HttpResponseBase:
    """Send the bytes, or those of them that are asked for."""
    size = size_of(file)
    headers["Accept-Ranges"] = "bytes"
    try:
        positions = _asked_for(request, etag=headers["ETag"], size=size)
    except UnsatisfiableRangeError:
        file.close()
        return HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}", "Cache-Control": NEVER_KEPT})
    headers["Content-Length"] = str(size if positions is None else len(positions))
    if request.method == "HEAD":
        return ObjectResponse(FilePart(file, range(0)), headers=headers)
    if positions is None:
        return ObjectResponse(file, headers=headers)
    headers["Content-Range"] = f"bytes {positions.start}-{positions.stop - 1}/{size}"
    return ObjectResponse(FilePart(file, positions), status=206, headers=headers)


def _asked_for(request: Request | HttpRequest, *, etag: str, size: int) -> range | None:
    """Give the positions that a request asks for of an object of `size` bytes; None: all. `etag` is quoted.

    Raises UnsatisfiableRangeError.
    """
    # a part is of use to nobody whose other parts are of another file (RFC 9110, section 13.1.5)
    if request.method != "GET" or request.headers.get("If-Range", etag) != etag:
        return None
    return wanted_range(request.headers.get("Range", ""), size=size)
