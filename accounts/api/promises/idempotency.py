"""`Idempotency-Key`: a POST that is sent again is not done again, and is answered as it was the first time."""

import hashlib
import json
import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.utils.crypto import salted_hmac
from django.utils.datastructures import MultiValueDict
from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.access import PUBLIC, declared_access
from accounts.problems import InvalidValueError
from accounts.services import idempotency
from accounts.services.idempotency import Answer, Claim, KeyInUseError, ResultNotKeptError

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
# a quoted string of structured fields, or the same without the quotes
_FORM = re.compile(r'"([\x20\x21\x23-\x5b\x5d-\x7e]{1,255})"|([\x21\x23-\x7e]{1,255})')
# who asks may ask again: the answer says nothing of what was asked for
_NOT_KEPT = {401, 429}

_MEANING = (
    "Any text of 1 to 255 characters, a new one for each thing that is to be done, as a UUID. Sent again within 24 "
    "hours, with the same body, it does nothing more, and is answered as the first time, with `Idempotent-Replayed: "
    "true`. With another body it is 422, `idempotency_key_reused`; while the first one is worked on 409, "
    "`idempotency_key_in_use`. Answers of 401, 429 and 5xx are not kept."
)
# what the expression above takes, in the words of a schema
_SCHEMA = {"type": "string", "pattern": r'^("[ !#-[\]-~]{1,255}"|[!#-~]{1,255})$'}
PARAMETER = OpenApiParameter(HEADER, _SCHEMA, OpenApiParameter.HEADER, description=_MEANING)
PARAMETER_OF_SECRETS = OpenApiParameter(
    HEADER,
    _SCHEMA,
    OpenApiParameter.HEADER,
    description=f"{_MEANING} The answer to this operation tells a secret, which is not kept: sent again it is 409, "
    "`idempotency_result_not_kept`, with the `location` of what was made.",
)


class NotSupportedError(InvalidValueError):
    """The operation cannot be protected by a key."""

    code = "idempotency_not_supported"


def is_supported(view: Any, method: str) -> bool:
    """Whether an operation takes the header: a POST of somebody, unless its view says otherwise."""
    return method == "POST" and view.takes_idempotency_key and declared_access(view, method) != PUBLIC


class IdempotencyMixin:
    """Makes every POST of somebody take the header.

    `tells_once` names operations whose answer tells a secret: it is not kept. `apart` names those that are done outside
    of a transaction: because they write what stands even if they refuse, or send something, or take long; killed
    between the work and the answer, they may be done twice. The others are done, and their answer kept, in one.
    `said_in_headers` names headers that say what is asked for, where it is not the body alone that does.
    """

    takes_idempotency_key = True
    tells_once: frozenset[str] = frozenset()
    apart: frozenset[str] = frozenset()
    said_in_headers: tuple[str, ...] = ()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Have a request with a key done once. Raises InvalidValueError for a header that cannot be."""
        super().initial(request, *args, **kwargs)  # type: ignore[misc]
        if HEADER not in request.headers or request.method != "POST" or not hasattr(self, "post"):
            return
        if not is_supported(self, "POST"):
            detail = "This operation is not protected by an Idempotency-Key: send it without one."
            raise NotSupportedError(detail, field=HEADER)
        self.post = partial(self._once, self.post, _key(request.headers[HEADER]))

    def _once(self, work: Callable[..., Any], key: str, request: Request, *args: Any, **kwargs: Any) -> Any:
        found = idempotency.claim(user=request.user, key=key, fingerprint=_fingerprint(request, self.said_in_headers))
        if isinstance(found, Answer):
            return _again(found)
        try:
            return self._done_and_kept(found, partial(work, request, *args, **kwargs))
        except Exception as error:  # noqa: BLE001 - answered as any other, or raised again
            return self._refused(found, error)

    def _done_and_kept(self, claimed: Claim, work: Callable[[], HttpResponseBase]) -> HttpResponseBase:
        """Do the work and keep its answer: both or nothing, unless it is done apart."""
        if self.operation in self.apart:  # type: ignore[attr-defined]
            response = work()
            self._keep(claimed, response)
            return response
        with transaction.atomic():
            response = work()
            if not self._keep(claimed, response):
                raise KeyInUseError
        return response

    def _refused(self, claimed: Claim, error: Exception) -> HttpResponseBase:
        """Answer an error; one that is a fault of ours lets go of the key, and is raised again."""
        try:
            response = self.handle_exception(error)  # type: ignore[attr-defined]
        except Exception:
            idempotency.release(claimed)
            raise
        self._keep(claimed, response)
        return response

    def _keep(self, claimed: Claim, response: HttpResponseBase) -> bool:
        """Keep an answer, unless it says that the same may be asked again; False where somebody else has the key."""
        status = response.status_code
        if status in _NOT_KEPT or status >= 500:
            idempotency.release(claimed)
            return True
        headers, body = _told(response)
        if status < 400 and self.operation in self.tells_once:  # type: ignore[attr-defined]
            headers, body = {name: value for name, value in headers.items() if name == "Location"}, None
        return idempotency.keep(claimed, status=status, headers=headers, body=body)


def _again(answer: Answer) -> HttpResponse:
    if answer.body is None:
        extra = {"location": answer.headers["Location"]} if "Location" in answer.headers else {}
        detail = "It was done when it was sent first. What was answered was told once, and is not kept."
        raise ResultNotKeptError(detail, status_then=answer.status, **extra)
    response = HttpResponse(answer.body, status=answer.status, headers={**answer.headers, REPLAYED: "true"})
    if "Content-Type" not in answer.headers:
        # of an answer without a body, which Django would call HTML
        del response["Content-Type"]
    return response


def _told(response: HttpResponseBase) -> tuple[dict[str, str], str | None]:
    """Give the headers and the body of an answer; None for one that is sent while it is made."""
    headers = dict(response.headers)
    if response.streaming:
        return headers, None
    if not isinstance(response, Response):
        return headers, response.content.decode()
    # the framework writes the body, and says of what type it is, when all is done
    del headers["Content-Type"]
    if response.data is None:
        return headers, ""
    headers["Content-Type"] = response.content_type or JSONRenderer.media_type
    return headers, JSONRenderer().render(response.data).decode()


def _key(header: str) -> str:
    form = _FORM.fullmatch(header.strip())
    if form is None:
        raise ValidationError({HEADER: ErrorDetail("1 to 255 visible characters of ASCII.", code="invalid")})
    return form[1] or form[2]


def _fingerprint(request: Request, headers: Iterable[str]) -> str:
    """Tell requests apart: by method, address and what was sent. A file has been hashed while it came in."""
    data = request.data
    if isinstance(data, MultiValueDict):
        data = {name: [_sent(one) for one in data.getlist(name)] for name in data}
    asked = [request.headers.get(name) for name in headers]
    said = json.dumps([request.method, request.get_full_path(), data, asked], sort_keys=True, default=str)
    return salted_hmac(HEADER, said, algorithm="sha256").hexdigest()


def _sent(value: Any) -> Any:
    if not isinstance(value, UploadedFile):
        return value
    digest = getattr(value, "digest", None)
    if digest is None:
        digest = hashlib.file_digest(value.file, "sha256").hexdigest()
        value.seek(0)
    return [value.name, digest]
