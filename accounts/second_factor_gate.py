"""Sessions of staff who must have a second factor and have none open the page that sets one up, and nothing else."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse

# pages of the admin that go on: the way in, the way out, and the way on
ENROLMENT_PAGE = "second_factor"
OPEN = frozenset({"login", "logout", "jsi18n", ENROLMENT_PAGE})


class SecondFactorMiddleware:
    """Stands before every view that reads a session, those of the API as well."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request."""
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, _view: Callable[..., HttpResponseBase], _args: Any, _kwargs: dict[str, Any]
    ) -> HttpResponseBase | None:
        """Lead pages of the admin to the enrolment; for all other views nobody is logged in."""
        match = request.resolver_match
        is_admin = match.app_name == "admin"
        if not settings.STAFF_SECOND_FACTOR or (is_admin and match.url_name in OPEN):
            return None
        if not request.user.is_authenticated or not request.user.must_enrol:
            return None
        if is_admin:
            return HttpResponseRedirect(reverse(f"admin:{ENROLMENT_PAGE}"))
        request.user = AnonymousUser()
        return None
