"""The stream of events: who may open it, by which filters, and where it is. What streams is a process of its own."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.settings import api_settings

from accounts.api.access import LOGGED_IN
from accounts.api.fields import BoundedListField
from accounts.api.problems import problems
from accounts.api.tickets import PARAMETER, TicketAuthentication
from accounts.api.views import APIView
from accounts.problems import DomainError, InvalidValueError
from accounts.services import credentials, tickets
from gallery.api.negotiation import AnyAccepted
from photos.models import EventKind

TAGS = ["events"]
LAST_EVENT_ID = "Last-Event-ID"
# a bigint
LARGEST_ID = 2**63 - 1
# so many of photos and of libraries are as long as an address may be
FILTERED_BY = 80

STREAM_DESCRIPTION = (
    """A stream of server-sent events (`text/event-stream`), open until somebody ends it:

    id: 4711
    event: photo.progress
    data: {"kind": "photo.progress", "library": "...", "photo": "...", "at": "...", "stage": "exif", "run": "done",
    data:  "state": "processing", "done": 1, "total": 4}

Told is what happens in libraries where you hold `photos.view`; of people with `people.view`, of imports with
`photos.upload`. Whoever comes back with the id of the last event that they have read, in the header `Last-Event-ID` or
as `last_event_id`, is told all that they have missed, in the same order, once. If that lies too far back (a day), or
what you may see has changed, the event is `reset`: read anew what you show.

Kinds: """
    + "; ".join(f"`{kind.value}` ({kind.label})" for kind in EventKind)
    + """.

Three kinds are of the stream itself: `listening` (all that was missed has been told; it has the id to come back with),
`reset`, and `end`.

A browser's `EventSource` sends no header: get a ticket at `POST /api/v1/events/tickets`, and open its `url`. A stream
ends with what opened it: an access token runs out after five minutes. Whoever is logged out, deactivated or leaves a
library is told nothing more after half a minute at most. The last event is `end`, with the `reason`.

This address may answer with a redirect to the process that streams, with a ticket in it: follow it. Codes of 429:
`throttled`, and `too_many_listeners`."""
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a listener asks for: ids of libraries and photos and kinds to be told of, each None for all of them.

    `after` is the id of the last event that was read; None for what comes from now on.
    """

    libraries: frozenset[UUID] | None = None
    photos: frozenset[UUID] | None = None
    kinds: frozenset[str] | None = None
    after: int | None = None


class EventFilterSerializer(serializers.Serializer):
    """Query: what to be told of. Each may be given several times; without it all that you may see is told."""

    library = BoundedListField(
        child=serializers.UUIDField(), required=False, max_length=FILTERED_BY, help_text="Of these libraries."
    )
    photo = BoundedListField(
        child=serializers.UUIDField(), required=False, max_length=FILTERED_BY, help_text="Of these photos."
    )
    kind = BoundedListField(
        child=serializers.ChoiceField(choices=EventKind.choices),
        required=False,
        max_length=len(EventKind),
        help_text="Of these kinds.",
    )
    last_event_id = serializers.IntegerField(
        required=False, min_value=0, max_value=LARGEST_ID, help_text="As the header `Last-Event-ID`, which goes first."
    )


class TicketSerializer(serializers.Serializer):
    """Output: a ticket that opens one stream."""

    ticket = serializers.CharField(help_text="Works once.")
    url = serializers.URLField(help_text="The stream, with the ticket in it; add filters to it.")
    expires_at = serializers.DateTimeField(help_text="Until when the stream has to be opened.")


class EventsElsewhereError(DomainError):
    """The stream is not here, and nobody has said where it is."""

    code = "events_elsewhere"


# of both processes that answer at this address
LISTENING = extend_schema(
    operation_id="events",
    summary="Listen to what happens",
    description=STREAM_DESCRIPTION,
    tags=TAGS,
    parameters=[
        EventFilterSerializer,
        OpenApiParameter(PARAMETER, OpenApiTypes.STR, description="A ticket, for who sends no header."),
        OpenApiParameter(
            LAST_EVENT_ID,
            {"type": "string", "pattern": "^[0-9]{1,18}$"},
            OpenApiParameter.HEADER,
            description="The id of the last event that was read: all that came after it is told.",
        ),
    ],
    responses={
        (200, "text/event-stream"): OpenApiTypes.STR,
        307: OpenApiResponse(description="The stream is there, for whoever follows within a minute."),
        **problems(400, 503),
    },
)


class EventStreamView(APIView):
    """The stream's address on the web server, which streams nothing: it would hold a thread for each listener."""

    access = {"get": LOGGED_IN}
    authentication_classes = (TicketAuthentication, *api_settings.DEFAULT_AUTHENTICATION_CLASSES)
    content_negotiation_class = AnyAccepted

    @LISTENING
    def get(self, request: Request) -> HttpResponseBase:
        """Send whoever is logged in where the stream is."""
        wanted(request)
        where = stream_address(request)
        if where is None:
            raise EventsElsewhereError(
                "This is the web server, and the stream is another process: the proxy in front sends "
                "this address there, or EVENTS_URL says where it is."
            )
        ticket = tickets.issue(credential=credentials.shown(user=request.user, auth=request.auth))
        query = request.query_params.copy()
        query[PARAMETER] = ticket.text
        if LAST_EVENT_ID in request.headers:
            # whoever follows a redirect sends along what it likes
            query["last_event_id"] = request.headers[LAST_EVENT_ID]
        headers = {"Location": f"{where}?{query.urlencode()}", "Cache-Control": "no-store"}
        return Response(status=307, headers=headers | {"Referrer-Policy": "no-referrer"})


class EventTicketView(APIView):
    """Tickets for streams."""

    access = {"post": LOGGED_IN}
    tells_once = frozenset({"post"})

    @extend_schema(
        operation_id="events_tickets",
        summary="Get a ticket that opens a stream of events",
        description="For those who cannot send a header, as a browser's `EventSource`: open `url` within a minute. It "
        "works once, so whoever was cut off asks for another, and adds `last_event_id=` to its address. What it opens "
        "ends when what you ask with does: an access token after its five minutes.",
        tags=TAGS,
        request=None,
        responses={201: TicketSerializer, **problems(503)},
    )
    def post(self, request: Request) -> Response:
        """Give a ticket that stands for what the request was sent with."""
        ticket = tickets.issue(credential=credentials.shown(user=request.user, auth=request.auth))
        where = stream_address(request) or request.build_absolute_uri(_path(request))
        said = {"ticket": ticket.text, "url": f"{where}?{PARAMETER}={ticket.text}", "expires_at": ticket.expires_at}
        return Response(TicketSerializer(said).data, status=201, headers={"Cache-Control": "no-store"})


def wanted(request: Request) -> Wanted:
    """Read what a listener asks for; raises ValidationError, InvalidValueError."""
    given = EventFilterSerializer(data=request.query_params)
    given.is_valid(raise_exception=True)
    values: dict[str, Any] = given.validated_data
    after, header = values.get("last_event_id"), request.headers.get(LAST_EVENT_ID, "").strip()
    if header:
        is_number = header.isascii() and header.isdecimal() and len(header) <= len(str(LARGEST_ID))
        if not is_number or int(header) > LARGEST_ID:
            raise InvalidValueError("The id of an event is a number.", field=LAST_EVENT_ID)
        after = int(header)
    return Wanted(
        libraries=frozenset(values["library"]) if values.get("library") else None,
        photos=frozenset(values["photo"]) if values.get("photo") else None,
        kinds=frozenset(values["kind"]) if values.get("kind") else None,
        after=after,
    )


def stream_address(request: Request) -> str | None:
    """Give where the stream is, if the settings say that it is not where this request was sent."""
    here = urlsplit(request.build_absolute_uri("/"))
    base = settings.EVENTS_URL
    if not base and settings.EVENTS_PORT:
        base = f"{here.scheme}://{here.hostname}:{settings.EVENTS_PORT}"
    # a redirect to here would go round in a circle
    return None if not base or base == f"{here.scheme}://{here.netloc}" else base + _path(request)


def _path(request: Request) -> str:
    return urlsplit(reverse("events", request=request)).path
