"""The two pages that links in mails lead to. They do by script what any program does by the API.

The token stands behind a `#`, which browsers send to nobody: it is in no log of ours or of a proxy.
"""

from typing import Any

from django.http import HttpResponse
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.generic import TemplateView


@method_decorator(never_cache, name="dispatch")
class LinkPage(TemplateView):
    """A page for whoever has followed a link of a mail."""

    http_method_names = ("get", "head", "options")

    def render_to_response(self, context: dict[str, Any], **response_kwargs: Any) -> HttpResponse:
        """Answer, and tell no other page what stood in the address."""
        response = super().render_to_response(context, **response_kwargs)
        response["Referrer-Policy"] = "no-referrer"
        return response


class InvitationPage(LinkPage):
    """Accept an invitation into a library."""

    template_name = "accounts/invitation.html"


class PasswordResetPage(LinkPage):
    """Set a new password."""

    template_name = "accounts/password_reset.html"
