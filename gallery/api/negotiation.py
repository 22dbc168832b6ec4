"""What a client accepts."""

from collections.abc import Sequence

from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request


class AnyAccepted(DefaultContentNegotiation):
    """For addresses of files: there is one representation, whatever the client would rather have.

    Without it `Accept: image/jpeg` on the address of a JPEG would be refused, since our renderers write JSON.
    """

    def select_renderer(
        self,
        request: Request,  # noqa: ARG002 - the framework's signature
        renderers: Sequence[BaseRenderer],
        format_suffix: str | None = None,  # noqa: ARG002 - the framework's signature
    ) -> tuple[BaseRenderer, str]:
        """Choose the renderer of errors."""
        return renderers[0], renderers[0].media_type
