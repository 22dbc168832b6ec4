"""Errors as HTTP: the one place where a domain error becomes a status, and every answer a JSON problem (RFC 9457)."""

import logging
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from django.core.exceptions import (
    NON_FIELD_ERRORS,
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
    ValidationError,
)
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from django.views import defaults
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework_simplejwt.exceptions import TokenError

from accounts.api.problems import CHECKSUM_MISMATCH, MEDIA_TYPE, phrase
from accounts.problems import (
    ConflictError,
    DomainError,
    NotAuthenticatedError,
    NotFoundError,
    NotPermittedError,
    PreconditionFailedError,
)
from photos.problems import RefusedFileError
from processing.failures import Fault, classify

logger = logging.getLogger(__name__)

API_PREFIX = "/api/"

STATUS_BY_CODE: dict[str, int] = {
    "length_required": HTTPStatus.LENGTH_REQUIRED,
    "quota_exceeded": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "unsupported_format": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "too_many_pixels": HTTPStatus.UNPROCESSABLE_ENTITY,
    "idempotency_key_reused": HTTPStatus.UNPROCESSABLE_ENTITY,
    "no_face_found": HTTPStatus.UNPROCESSABLE_ENTITY,
    "no_such_face": HTTPStatus.UNPROCESSABLE_ENTITY,
    "search_unavailable": HTTPStatus.SERVICE_UNAVAILABLE,
    "text_search_unavailable": HTTPStatus.SERVICE_UNAVAILABLE,
    "face_search_unavailable": HTTPStatus.SERVICE_UNAVAILABLE,
    "beyond_length": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "upload_locked": HTTPStatus.LOCKED,
    "upload_ended": HTTPStatus.GONE,
    "export_too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "export_expired": HTTPStatus.GONE,
    "export_withdrawn": HTTPStatus.GONE,
    "tus_version": HTTPStatus.PRECONDITION_FAILED,
    "wrong_checksum": CHECKSUM_MISMATCH,
    "login_locked": HTTPStatus.TOO_MANY_REQUESTS,
    "second_factor_locked": HTTPStatus.TOO_MANY_REQUESTS,
    "too_many_listeners": HTTPStatus.TOO_MANY_REQUESTS,
    "events_elsewhere": HTTPStatus.SERVICE_UNAVAILABLE,
    "events_full": HTTPStatus.SERVICE_UNAVAILABLE,
    # a key of the server's is wrong: to log in anew would not help
    "second_factor_unreadable": HTTPStatus.SERVICE_UNAVAILABLE,
}
STATUS_BY_ERROR = {
    RefusedFileError: HTTPStatus.BAD_REQUEST,
    NotAuthenticatedError: HTTPStatus.UNAUTHORIZED,
    NotPermittedError: HTTPStatus.FORBIDDEN,
    NotFoundError: HTTPStatus.NOT_FOUND,
    ConflictError: HTTPStatus.CONFLICT,
    PreconditionFailedError: HTTPStatus.PRECONDITION_FAILED,
}

NOT_PERMITTED = "You may not do this."
NOT_FOUND = "There is nothing here, or you may not see it."
INVALID = "The request has values that cannot be"
SERVER_ERROR = "Something went wrong here. It has been logged."
RETRY_AFTER_SECONDS = 10


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """Answer an error raised in a view of the API; None, which raises it again, for what is a fault of ours."""
    answer = _answer(error)
    if answer is None:
        return _unavailable(error, context)
    response = Response(answer, status=answer["status"], content_type=MEDIA_TYPE)
    for name, value in _headers(error).items():
        response[name] = value
    return response


def problem(status: int, *, code: str, detail: str, **extra: object) -> dict[str, Any]:
    """Build a problem. `type` says nothing, since `code` does; `extra` are further members."""
    return {
        "type": "about:blank",
        "title": phrase(status),
        "status": int(status),
        "detail": detail,
        "code": code,
        **extra,
    }


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer what was refused before any view saw it."""
    if not _is_api(request):
        return defaults.bad_request(request, exception)
    return _json(problem(HTTPStatus.BAD_REQUEST, code="bad_request", detail="The request is not valid."))


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer what is not allowed to whoever asked."""
    if not _is_api(request):
        return defaults.permission_denied(request, exception)
    return _json(problem(HTTPStatus.FORBIDDEN, code="permission_denied", detail=NOT_PERMITTED))


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer an address that does not exist."""
    if not _is_api(request):
        return defaults.page_not_found(request, exception)
    return _json(problem(HTTPStatus.NOT_FOUND, code="not_found", detail=NOT_FOUND))


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer a fault of ours without saying what it was."""
    if not _is_api(request):
        return defaults.server_error(request)
    return _json(problem(HTTPStatus.INTERNAL_SERVER_ERROR, code="server_error", detail=SERVER_ERROR))


def _answer(error: Exception) -> dict[str, Any] | None:
    if isinstance(error, DomainError):
        kinds = (status for kind, status in STATUS_BY_ERROR.items() if isinstance(error, kind))
        status = STATUS_BY_CODE.get(error.code) or next(kinds, HTTPStatus.BAD_REQUEST)
        return problem(status, code=error.code, detail=error.detail, **error.extra)
    if isinstance(error, exceptions.ValidationError):
        return _invalid(list(_field_errors(error.get_full_details())))
    if isinstance(error, exceptions.APIException):
        return _of_framework(error)
    if isinstance(error, ValidationError):
        return _invalid(list(_model_errors(error)))
    if isinstance(error, Http404):
        return problem(HTTPStatus.NOT_FOUND, code="not_found", detail=NOT_FOUND)
    if isinstance(error, PermissionDenied):
        return problem(HTTPStatus.FORBIDDEN, code="permission_denied", detail=NOT_PERMITTED)
    if isinstance(error, TokenError):
        # those of ours say why
        code = getattr(error, "code", "token_not_valid")
        return problem(HTTPStatus.UNAUTHORIZED, code=code, detail=str(error))
    if isinstance(error, RequestDataTooBig):
        status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        return problem(
            status, code="request_too_large", detail="The request is larger than any that is asked for here."
        )
    if isinstance(error, SuspiciousOperation):
        return problem(HTTPStatus.BAD_REQUEST, code="bad_request", detail="The request is not valid.")
    if isinstance(error, UnreadablePostError):
        return problem(HTTPStatus.BAD_REQUEST, code="incomplete_upload", detail="The request ended before its end.")
    return None


def _of_framework(error: exceptions.APIException) -> dict[str, Any]:
    detail = error.detail
    if isinstance(detail, dict):  # a token that is refused says so in several fields
        return problem(error.status_code, code=str(detail["code"]), detail=str(detail["detail"]))
    first = detail[0] if isinstance(detail, list) else detail
    return problem(error.status_code, code=first.code or error.default_code, detail=str(first))


def _invalid(errors: list[dict[str, str]]) -> dict[str, Any]:
    fields = ", ".join(dict.fromkeys(one["field"] for one in errors if one["field"]))
    detail = f"{INVALID}: {fields}." if fields else f"{INVALID}."
    return problem(HTTPStatus.BAD_REQUEST, code="invalid", detail=detail, errors=errors)


def _field_errors(details: Any, field: str = "") -> Iterator[dict[str, str]]:
    """Flatten the framework's nested errors; `field` is a path with dots."""
    if isinstance(details, list):
        for one in details:
            yield from _field_errors(one, field)
    elif set(details) == {"message", "code"} and isinstance(details["message"], str):
        yield {"field": field, "code": details["code"], "detail": details["message"]}
    else:
        for name, below in details.items():
            if name in {api_settings.NON_FIELD_ERRORS_KEY, NON_FIELD_ERRORS}:
                yield from _field_errors(below, field)
            else:
                yield from _field_errors(below, f"{field}.{name}" if field else str(name))


def _model_errors(error: ValidationError) -> Iterator[dict[str, str]]:
    by_field = error.error_dict if hasattr(error, "error_dict") else {NON_FIELD_ERRORS: error.error_list}
    for name, errors in by_field.items():
        for one in errors:
            field = "" if name == NON_FIELD_ERRORS else name
            yield {"field": field, "code": one.code or "invalid", "detail": one.messages[0]}


def _headers(error: Exception) -> dict[str, str]:
    if isinstance(error, TokenError | NotAuthenticatedError):
        return {"WWW-Authenticate": 'Bearer realm="api"'}
    headers = {}
    if getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = error.auth_header
    if getattr(error, "wait", None):
        headers["Retry-After"] = str(int(error.wait))
    return headers


def _unavailable(error: Exception, context: dict[str, Any]) -> Response | None:
    """Answer 503 where the database, the broker or the storage is in trouble: trying again is right then."""
    failure = classify(error)
    if failure.fault is not Fault.INFRASTRUCTURE:
        return None
    logger.error("%s in %s", failure.code, type(context["view"]).__name__, exc_info=error)
    answer = problem(HTTPStatus.SERVICE_UNAVAILABLE, code=failure.code, detail="A service is not there. Try again.")
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
    return Response(answer, status=answer["status"], content_type=MEDIA_TYPE, headers=headers)


def _is_api(request: HttpRequest) -> bool:
    return request.path.startswith(API_PREFIX)


def _json(answer: dict[str, Any]) -> JsonResponse:
    return JsonResponse(answer, status=answer["status"], content_type=MEDIA_TYPE)
