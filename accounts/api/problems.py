"""How an error looks to a client (RFC 9457), for the API's documentation."""

from http import HTTPStatus

from drf_spectacular.utils import OpenApiResponse
from rest_framework import serializers

MEDIA_TYPE = "application/problem+json"
# of the tus protocol: the registry of HTTP's has no such status
CHECKSUM_MISMATCH = 460

_DESCRIPTIONS: dict[int, str] = {
    HTTPStatus.BAD_REQUEST: "The request is not valid; `errors` names each wrong value.",
    HTTPStatus.UNAUTHORIZED: "No valid credentials were given, or the account has been deactivated.",
    HTTPStatus.FORBIDDEN: "You see the thing and may not do this to it.",
    HTTPStatus.NOT_FOUND: "The thing is not there, or you may not see it.",
    HTTPStatus.CONFLICT: "The thing is in a state in which this cannot be done.",
    HTTPStatus.GONE: "The upload was ended or has expired (`upload_ended`): begin another one.",
    HTTPStatus.PRECONDITION_FAILED: "The request is not of a version of the tus protocol that is spoken here "
    "(`tus_version`); `Tus-Version` names those that are.",
    HTTPStatus.LOCKED: "Another request is at work on the upload (`upload_locked`): try again in a moment.",
    CHECKSUM_MISMATCH: "The bytes are not those that `Upload-Checksum` is of (`wrong_checksum`); none was kept.",
    HTTPStatus.LENGTH_REQUIRED: "The body came without a Content-Length (`length_required`).",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The file has more bytes than are allowed (`too_large`), or than are "
    "left of a quota (`quota_exceeded`).",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The file is not an image of a known format (`unsupported_format`), "
    "or the body is not of the type that is asked for (`unsupported_media_type`).",
    HTTPStatus.UNPROCESSABLE_ENTITY: "The picture has more pixels than are allowed (`too_many_pixels`).",
    HTTPStatus.TOO_MANY_REQUESTS: "Too many requests (`throttled`), or, while logging in, too many wrong passwords "
    "(`login_locked`); `Retry-After` says in how many seconds another may be made.",
}


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
    """Document the ways in which an operation may fail; 401 and 429 are always among them."""
    return {
        (status, MEDIA_TYPE): OpenApiResponse(ProblemSerializer, _DESCRIPTIONS[status])
        for status in sorted({*statuses, int(HTTPStatus.UNAUTHORIZED), int(HTTPStatus.TOO_MANY_REQUESTS)})
    }
