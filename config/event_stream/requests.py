"""Answering a request in a thread, by the same middleware and views as the web server."""

from io import BytesIO
from typing import Any

from django.core import signals
from django.core.handlers.asgi import ASGIRequest
from django.core.handlers.base import BaseHandler
from django.http import HttpResponseBadRequest
from django.http.response import HttpResponseBase

from config.event_stream.hub import Hub

URLCONF = "config.event_stream.urls"
# of a body that nobody reads, and of what a stream is not packed by
LEFT_OUT = frozenset({b"content-type", b"content-length", b"accept-encoding"})


class Answerer(BaseHandler):
    """Django, without a server around it."""

    def __init__(self, hub: Hub) -> None:
        super().__init__()
        self._hub = hub
        self.load_middleware()

    def __call__(self, scope: dict[str, Any]) -> HttpResponseBase:
        """Answer a request without a body. Its connection to the database is looked after as for any request."""
        headers = [(name, value) for name, value in scope["headers"] if name.lower() not in LEFT_OUT]
        signals.request_started.send(sender=type(self), scope=scope)
        try:
            request = ASGIRequest({**scope, "headers": headers}, BytesIO())
        except UnicodeDecodeError:
            return _closed(HttpResponseBadRequest())
        request.urlconf = URLCONF
        request.hub = self._hub
        return _closed(self.get_response(request))


def _closed(response: HttpResponseBase) -> HttpResponseBase:
    """End the request; what the response holds stays."""
    response.close()
    return response
