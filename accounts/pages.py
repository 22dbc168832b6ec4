"""Pages for people who are not logged in: two that links in mails lead to, and one for a login elsewhere that failed.

The first two do by script what any program does by the API. The token stands behind a `#`, which browsers send to
nobody: it is in no log of ours or of a proxy.
"""

from typing import Any

from django.http import HttpResponse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.generic import TemplateView

# what allauth says of a login that ended; all else is one that it does not know
LOGIN_ERRORS = {
    "cancelled": _("You said no where you have the other account, or left before the end."),
    "denied": _("You were refused where you have the other account."),
}
UNKNOWN_LOGIN_ERROR = _(
    "Your login is not known any more: it was begun in another browser or too long ago, or has ended already. Or there "
    "was no answer from where you have the other account."
)


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
    """Set a new password; who comes without the token of a mail asks for one."""

    template_name = "accounts/password_reset.html"


class LoginFailedPage(TemplateView):
    """Say why a login with an account elsewhere failed, to who began it at a page that is not known any more."""

    http_method_names = ("get", "head", "options")
    template_name = "accounts/login_failed.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Add the reason that the code in `error` stands for; nothing of the address is repeated."""
        reason = LOGIN_ERRORS.get(self.request.GET.get("error", ""), UNKNOWN_LOGIN_ERROR)
        return super().get_context_data(**kwargs) | {"reason": reason}
