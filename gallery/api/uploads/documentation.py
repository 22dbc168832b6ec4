"""How uploads are described in the API's schema: the protocol is one of headers, which a serializer does not know."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema

from accounts.api.problems import problems
from gallery.api.uploads.protocol import ERROR, MEDIA_TYPE, PHOTO, VERSION
from gallery.api.uploads.serializers import (
    DirectUploadRequestSerializer,
    DirectUploadSerializer,
    ResumableUploadSerializer,
)

TAGS = ["uploads"]
_HEADER = OpenApiParameter.HEADER


def _sent(
    name: str, description: str, *, required: bool = True, kind: OpenApiTypes | dict[str, Any] = OpenApiTypes.STR
) -> object:
    return OpenApiParameter(name, kind, _HEADER, required=required, description=description)


def _answered(name: str, description: str, *, on: list[int], kind: OpenApiTypes = OpenApiTypes.STR) -> object:
    return OpenApiParameter(name, kind, _HEADER, response=on, description=description)


def _progress(*on: int) -> list[object]:
    """Describe what every answer of the protocol about an upload says of it."""
    statuses = list(on)
    return [
        _answered("Tus-Resumable", f"`{VERSION}`.", on=statuses),
        _answered("Upload-Offset", "How many bytes are there.", on=statuses, kind=OpenApiTypes.INT),
        _answered("Upload-Expires", "Until then it goes on (RFC 9110).", on=statuses),
        _answered(PHOTO, "The id of the photo, when the last byte is in.", on=statuses, kind=OpenApiTypes.UUID),
        _answered("Content-Location", "The address of that photo.", on=statuses, kind=OpenApiTypes.URI),
    ]


# as many digits as `protocol` reads
_BYTES = {"type": "integer", "minimum": 0, "maximum": 10**18 - 1}
RESUMABLE = _sent(
    "Tus-Resumable",
    f"`{VERSION}`; without it, or with another one: 412.",
    kind={"type": "string", "enum": [VERSION]},
)
_BASE64 = "[A-Za-z0-9+/]"
_DIGESTS = f"md5 {_BASE64}{{22}}==|sha1 {_BASE64}{{27}}=|sha256 {_BASE64}{{43}}=|sha512 {_BASE64}{{86}}=="
CHECKSUM = _sent(
    "Upload-Checksum",
    "An algorithm and the digest of this body in base64: `sha1 …`.",
    required=False,
    kind={"type": "string", "pattern": f"^({_DIGESTS})$"},
)
CODES = (
    "Codes of a file that is refused when all of it is there are those of `POST /api/v1/photos`; the upload remembers "
    f"them, and says the code in `{ERROR}` too."
)

create = extend_schema(
    summary="Begin a resumable upload",
    description="The tus protocol, version 1.0.0, with creation, creation-with-upload, checksum, termination and "
    "expiration. Bytes may come along in the body, also all of them. Codes beside those of the file: `too_large` and "
    "`quota_exceeded` before a byte is sent, `too_many_uploads` (with `limit`), `beyond_length`.",
    tags=TAGS,
    request={MEDIA_TYPE: OpenApiTypes.BINARY},
    parameters=[
        RESUMABLE,
        _sent("Upload-Length", "The size of the file in bytes.", kind=_BYTES),
        _sent(
            "Upload-Metadata",
            "`library`, a space and its id in base64; with a comma `filename`, alike.",
            kind={"type": "string", "pattern": "^library [A-Za-z0-9+/]{48}(,filename [A-Za-z0-9+/]{4,400})?$"},
        ),
        CHECKSUM,
        _answered("Location", "The address of the upload.", on=[201], kind=OpenApiTypes.URI),
        *_progress(201),
    ],
    responses={
        201: OpenApiResponse(description="The upload is there, and so are the bytes that came along."),
        **problems(400, 403, 404, 409, 410, 412, 413, 415, 422, 423, 460),
    },
)

retrieve = extend_schema(
    summary="Read how far an upload is",
    description="And what became of it, for as long as it is kept. The protocol's HEAD at this address says offset and "
    "length in headers; it takes `Tus-Resumable`, and answers what was refused with the problem's status.",
    tags=TAGS,
    responses={200: ResumableUploadSerializer, **problems(404, 410)},
)

partial_update = extend_schema(
    summary="Send the next bytes of an upload",
    description="What came in before a connection broke is kept: HEAD tells where to go on. With `Upload-Checksum` all "
    f"of the body is kept or none of it. The answer to the last bytes names the photo. {CODES} May be repeated without "
    "bytes where the last answer was lost.",
    tags=TAGS,
    request={MEDIA_TYPE: OpenApiTypes.BINARY},
    parameters=[
        RESUMABLE,
        _sent("Upload-Offset", "Where these bytes belong: as many as are there.", kind=_BYTES),
        CHECKSUM,
        *_progress(204),
    ],
    responses={
        204: OpenApiResponse(description="The bytes are there for good."),
        **problems(400, 404, 409, 410, 411, 412, 413, 415, 422, 423, 460),
    },
)

destroy = extend_schema(
    summary="End an upload",
    description="Its bytes are deleted. The photo that it has become stays.",
    tags=TAGS,
    parameters=[RESUMABLE],
    responses={204: OpenApiResponse(description="It is over."), **problems(404, 410, 412)},
)

direct = extend_schema(
    summary="Begin an upload straight to the bucket",
    description="Where originals lie in a bucket (else `direct_upload_not_possible`): a form that the bucket takes "
    "for a while, for one file of exactly this size. Then call `complete`. Codes: `too_large`, `quota_exceeded`, "
    "`too_many_uploads`.",
    tags=TAGS,
    request=DirectUploadRequestSerializer,
    responses={201: DirectUploadSerializer, **problems(400, 403, 404, 409, 413)},
)

complete = extend_schema(
    summary="Take in a file that was sent to the bucket",
    description="Size and hash are read from the bucket. `upload_incomplete`: the file is not there. May be repeated. "
    f"{CODES}",
    tags=TAGS,
    request=None,
    responses={200: ResumableUploadSerializer, **problems(400, 404, 409, 410, 413, 415, 422, 423)},
)
