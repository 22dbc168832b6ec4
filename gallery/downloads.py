"""Stored objects as HTTP responses: streamed, with validators, and never as something that a browser interprets."""

import logging
from datetime import timedelta

from django.http import FileResponse, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response
from django.utils.http import quote_etag
from rest_framework.request import Request

from accounts.problems import NotFoundError
from photos import storage

logger = logging.getLogger(__name__)

# for addresses that name the version of what they give: another version is another address
IMMUTABLE = f"private, max-age={int(timedelta(days=365).total_seconds())}, immutable"
# kept, and asked for again each time: the answer is a 304
REVALIDATE = "private, no-cache"


class ObjectResponse(FileResponse):
    """A stored object, sent in blocks of 64 KiB."""

    block_size = 64 * 1024


def object_response(
    request: Request,
    *,
    alias: str,
    key: str,
    content_type: str,
    etag: str,
    cache_control: str,
    filename: str,
    as_attachment: bool = False,
) -> HttpResponseBase:
    """Answer with a stored object, or with 304 if the client has it (`etag`, unquoted, names the bytes).

    `filename` is what the client may call it; without one Django would tell the key. Raises NotFoundError where the
    object is missing.
    """
    headers = {"ETag": quote_etag(etag), "Cache-Control": cache_control, "X-Content-Type-Options": "nosniff"}
    unchanged = HttpResponse(headers=headers)
    answer = get_conditional_response(request, etag=headers["ETag"], response=unchanged)
    if answer is not unchanged:
        return answer
    try:
        file = storage.open_object(alias=alias, key=key)
    except FileNotFoundError as error:
        logger.exception("a row names an object that is missing: %s in %s", key, alias)
        raise NotFoundError("The stored object is missing.") from error
    return ObjectResponse(
        file,
        as_attachment=as_attachment,
        filename=filename,
        content_type=content_type,
        headers=headers,
    )
