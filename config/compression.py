"""Compression of the API's JSON, for who accepts gzip."""

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware
from django.utils.cache import patch_vary_headers

from config.problems import API_PREFIX

# JSON, problems, and the schema in both of its forms. Pictures are compressed already, parts of them have their own
# lengths, and what is streamed is sent as it comes
COMPRESSED = frozenset(
    {
        "application/json",
        "application/problem+json",
        "application/vnd.oai.openapi",
        "application/vnd.oai.openapi+json",
    }
)


class CompressionMiddleware(GZipMiddleware):
    """Compresses as Django does, with its padding against BREACH: and of the API alone, and of that JSON alone.

    The ETag of a compressed answer is marked as weak; `accounts.api.promises.conditions` takes it as the same.
    """

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Compress an answer."""
        if not request.path.startswith(API_PREFIX) or response.streaming:
            return response
        if response.status_code == 304:
            # as the answer that the client has
            patch_vary_headers(response, ("Accept-Encoding",))
        if response.headers.get("Content-Type", "").partition(";")[0].strip() not in COMPRESSED:
            return response
        return super().process_response(request, response)
