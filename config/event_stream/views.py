"""Letting a listener in: logged in, limited and refused as everywhere in the API, and answered by a stream."""

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from rest_framework.request import Request

from accounts.api.problems import MEDIA_TYPE
from accounts.api.throttles import identify
from accounts.client_address import client_network
from accounts.services import credentials
from config.event_stream.listener import Listener
from config.health.access import is_insider
from config.problems import problem
from gallery.api.events import LISTENING, EventStreamView, wanted
from photos.audience import audience_of

HEADERS = {
    "Cache-Control": "no-store",
    # nginx passes every event on at once then
    "X-Accel-Buffering": "no",
    "Referrer-Policy": "no-referrer",
}


class Opening(StreamingHttpResponse):
    """The beginning of a stream: its headers, and who listens. What follows is sent by the event loop."""

    def __init__(self, listener: Listener, *args: Any, **options: Any) -> None:
        super().__init__(*args, content_type="text/event-stream", headers=HEADERS, **options)
        self.listener = listener


class ListenView(EventStreamView):
    """The stream's address where it is a stream."""

    @LISTENING
    def get(self, request: Request) -> Opening:
        """Let a listener in; raises ValidationError, InvalidValueError, TooManyListenersError, StreamsFullError."""
        asked = wanted(request)
        audience = audience_of(request.user)
        _, who = identify(request)
        # last: a seat that is taken is given back by whoever streams
        leave = request.hub.seats.take(who=who, address=f"address:{client_network(request)}")
        credential = credentials.shown(user=request.user, auth=request.auth)
        return Opening(Listener(credential=credential, audience=audience, wanted=asked, leave=leave))


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Give the metrics of this process."""
    if not is_insider(request):
        refusal = problem(403, code="not_permitted", detail="Metrics are for staff, and for programs with the token.")
        return JsonResponse(refusal, status=403, content_type=MEDIA_TYPE, headers={"Cache-Control": "no-store"})
    return HttpResponse(generate_latest(), content_type=CONTENT_TYPE_LATEST, headers={"Cache-Control": "no-store"})
