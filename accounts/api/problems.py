"""How an error looks to a client (RFC 9457), for the API's documentation."""

from http import HTTPStatus

from drf_spectacular.utils import OpenApiResponse
from rest_framework import serializers

MEDIA_TYPE = "application/problem+json"
# of the tus protocol: the registry of HTTP's has no such status
CHECKSUM_MISMATCH = 460

DESCRIPTIONS: dict[int, str] = {
    HTTPStatus.BAD_REQUEST: "The request is not valid; `errors` names each wrong value, and each parameter that there "
    "is none.",
    HTTPStatus.UNAUTHORIZED: "No valid credentials were given, or the account has been deactivated.",
    HTTPStatus.FORBIDDEN: "You see the thing and may not do this to it.",
    HTTPStatus.NOT_FOUND: "The thing is not there, or you may not see it.",
    HTTPStatus.CONFLICT: "The thing is in a state in which this cannot be done; or the first request with this "
    "`Idempotency-Key` is still being worked on (`idempotency_key_in_use`), or has told a secret "
    "(`idempotency_result_not_kept`).",
    HTTPStatus.GONE: "The upload was ended or has expired (`upload_ended`), or the export has expired "
    "(`export_expired`) or was withdrawn (`export_withdrawn`): begin another one.",
    HTTPStatus.PRECONDITION_FAILED: "It has another ETag than `If-Match` names (`precondition_failed`), or the request "
    "is not of a version of the tus protocol that is spoken here (`tus_version`); nothing has changed.",
    HTTPStatus.LOCKED: "Another request is at work on the upload (`upload_locked`): try again in a moment.",
    CHECKSUM_MISMATCH: "The bytes are not those that `Upload-Checksum` is of (`wrong_checksum`); none was kept.",
    HTTPStatus.LENGTH_REQUIRED: "The body came without a Content-Length (`length_required`).",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The file has more bytes than are allowed (`too_large`), or than are "
    "left of a quota (`quota_exceeded`); or an export is more than is sent at once (`export_too_large`).",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The file is not an image of a known format (`unsupported_format`), "
    "or the body is not of the type that is asked for (`unsupported_media_type`).",
    HTTPStatus.UNPROCESSABLE_ENTITY: "The picture has more pixels than are allowed (`too_many_pixels`), or not the "
    "face that is searched for (`no_face_found`, `no_such_face`); or another request came with this "
    "`Idempotency-Key` (`idempotency_key_reused`).",
    HTTPStatus.TOO_MANY_REQUESTS: "Too many requests (`throttled`), or, while logging in, too many wrong passwords "
    "(`login_locked`); `Retry-After` says in how many seconds another may be made.",
    HTTPStatus.SERVICE_UNAVAILABLE: "A service or a worker that this needs is not there, or did not answer in time "
    "(`text_search_unavailable`, `face_search_unavailable`). Try again.",
}
# a parameter that there is none, no credentials, too many requests: that may be said of any operation
_ALWAYS = (400, 401, 429)


def phrase(status: int) -> str:
    """Give a status in words."""
    return "Checksum Mismatch" if status == CHECKSUM_MISMATCH else HTTPStatus(status).phrase


class FieldErrorSerializer(serializers.Serializer):
    """One wrong value of a request."""

    field = serializers.CharField(help_text="The parameter or field; empty where it is none in particular.")
    code = serializers.CharField(help_text="Stable.")
    detail = serializers.CharField()


class ProblemSerializer(serializers.Serializer):
    """Why a request was not fulfilled."""

    type = serializers.CharField(help_text="Always `about:blank`: `code` tells problems apart.")
    title = serializers.CharField(help_text="The HTTP status in words.")
    status = serializers.IntegerField()
    detail = serializers.CharField(help_text="For a person.")
    code = serializers.CharField(help_text="For a program: stable.")
    errors = FieldErrorSerializer(many=True, required=False)


def problems(*statuses: int) -> dict[tuple[int, str], OpenApiResponse]:
    """Document the ways in which an operation may fail; 400, 401 and 429 are always among them."""
    return {
        (status, MEDIA_TYPE): OpenApiResponse(ProblemSerializer, DESCRIPTIONS[status])
        for status in sorted({*statuses, *_ALWAYS})
    }
