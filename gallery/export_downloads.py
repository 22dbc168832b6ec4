"""Files of exports as HTTP responses, and the links that open them without logging in."""

from dataclasses import dataclass
from uuid import UUID

from django.core.signing import BadSignature, Signer
from django.db.models.functions import Now
from django.http.response import HttpResponseBase, StreamingHttpResponse
from django.utils import timezone
from django.utils.http import content_disposition_header
from rest_framework.request import Request

from accounts import origin
from accounts.models import AuditAction, AuditEvent, User
from accounts.problems import NotFoundError
from gallery import downloads
from photos.models import Export, ExportFile
from processing.services import exports

MEDIA_TYPE = "application/zip"
# without a time: the export itself says how long its links open something
_SIGNER = Signer(salt="gallery.export_downloads", sep=".")


@dataclass(frozen=True, slots=True)
class Link:
    """What a link is for: a file of an export."""

    export_id: UUID
    number: int


def token_of(file: ExportFile) -> str:
    """Sign the address of a file: whoever has it needs no more, for as long as whoever asked for it may have it."""
    return _SIGNER.sign_object([str(file.export_id), file.number])


def read_token(token: str) -> Link:
    """Give what a link is for. Raises NotFoundError for one that was not made here."""
    try:
        export_id, number = _SIGNER.unsign_object(token)
    except BadSignature as error:
        raise NotFoundError("The link opens nothing.") from error
    return Link(UUID(export_id), number)


def file_response(request: Request, *, export: Export, number: int, by: User | None) -> HttpResponseBase:
    """Answer with a file of an export, as an attachment; the trail is told by the way.

    `by` is its asker; None: whoever has the link. Parts are one event for as long as the trail has a young one, as of
    an original. Raises as `exports.file_to_send` does.
    """
    file = exports.file_to_send(export=export, number=number)
    response = downloads.object_response(
        request,
        alias=file.storage_alias,
        key=file.storage_key,
        content_type=MEDIA_TYPE,
        etag=file.sha256,
        cache_control=downloads.REVALIDATE,
        filename=f"darkroom-{export.finished_at:%Y-%m-%d}-{file.number}.zip",
        as_attachment=True,
    )
    if request.method == "HEAD" or response.status_code in downloads.NOTHING_SENT:
        return response
    if not (downloads.is_part(request, response, size=file.byte_size) and _is_told(file, by)):
        exports.note_download(file=file, by=by)
    return response


def streamed_response(chunks: object) -> StreamingHttpResponse:
    """Answer with a zip while it is made: nobody knows its length before its end, so it is sent in chunks."""
    name = f"darkroom-{timezone.now():%Y-%m-%d}.zip"
    headers = {
        "Content-Disposition": content_disposition_header(True, name),
        "Cache-Control": downloads.NEVER_KEPT,
        "X-Content-Type-Options": "nosniff",
        # a proxy that gathers it would fill its disk, and the client would wait for the first byte
        "X-Accel-Buffering": "no",
    }
    return StreamingHttpResponse(chunks, content_type=MEDIA_TYPE, headers=headers)


def _is_told(file: ExportFile, by: User | None) -> bool:
    lately = AuditEvent.objects.filter(
        action=AuditAction.EXPORT_DOWNLOADED,
        address=origin.address(),
        at__gt=Now() - downloads.SAME_DOWNLOAD,
        subject_id=str(file.export_id),
        details__file=file.number,
    )
    key_id = None if by is None or by.acting_key is None else by.acting_key.pk
    return lately.filter(actor_id=by and by.pk, key_id=key_id).exists()
