"""How a stream is opened by somebody who cannot send a header: by a ticket in the address, which works once."""

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from accounts.models import User
from accounts.problems import NotAuthenticatedError
from accounts.services import credentials, tickets
from accounts.services.credentials import Credential

PARAMETER = "ticket"


class TicketAuthentication(BaseAuthentication):
    """Reads `?ticket=`. A ticket that is given counts: nothing else is tried then, and it is used up."""

    def authenticate(self, request: Request) -> tuple[User, Credential] | None:
        """Give whoever asked for the ticket, and by what; None where there is none.

        Raises AuthenticationFailed (`ticket_not_valid`) without saying what is wrong with it.
        """
        text = request.query_params.get(PARAMETER)
        if text is None:
            return None
        credential = tickets.take(text=text)
        try:
            if credential is not None:
                return credentials.owner_of(credential=credential), credential
        except NotAuthenticatedError as error:
            raise _refusal() from error
        raise _refusal()

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002 - the framework's signature
        """Challenge for what every operation takes."""
        return 'Bearer realm="api"'


class TicketScheme(OpenApiAuthenticationExtension):
    """Describes the parameter in the API's schema."""

    target_class = TicketAuthentication
    name = "ticketAuth"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:  # noqa: ARG002 - its signature
        """Give the OpenAPI security scheme."""
        return {
            "type": "apiKey",
            "in": "query",
            "name": PARAMETER,
            "description": "What `POST /api/v1/events/tickets` gives: it opens one stream, once, within a minute.",
        }


def _refusal() -> AuthenticationFailed:
    return AuthenticationFailed(
        "The ticket is none, has run out or was used: ask for another.", code="ticket_not_valid"
    )
