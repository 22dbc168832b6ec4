"""Rate limits on answers: each of the API says where its client stands, and none is given that nothing has counted."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import gettext

from accounts.api.problems import MEDIA_TYPE
from accounts.api.throttles import LoginThrottle, RateLimit, identify, standing_of
from config import lockout
from config.problems import API_PREFIX, problem

DETAIL = "Too many requests."
# pages of the admin that tell whether a password is right
GUESSING = frozenset({"admin:login", "admin:password_change"})


class RateLimitMiddleware:
    """Adds the headers, and counts what was refused before the view's own limit was asked.

    That is a wrong token, a missing permission, an address that is none: who sends these for ever is told to wait too.
    Attempts to log in to the admin count together with those at the API.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request."""
        response = self.get_response(request)
        if not request.path.startswith(API_PREFIX):
            return response
        standing = standing_of(request)
        if standing is None and response.status_code >= 400 and _is_limited(request):
            kind, who = identify(request)
            standing = RateLimit.count(request, policy=kind, who=who)
            if standing is not None and not standing.is_within:
                response = _too_many(standing.seconds_left)
        if standing is not None:
            for name, value in standing.headers.items():
                response[name] = value
        return response

    def process_view(self, request: HttpRequest, *_view: Any) -> HttpResponse | None:
        """Refuse an attempt too many to guess a password in the admin, before it is looked at."""
        match = request.resolver_match
        if request.method != "POST" or match is None or match.view_name not in GUESSING:
            return None
        standing = LoginThrottle.attempt(request)
        if standing is None or standing.is_within:
            return None
        reason = gettext("There were too many attempts to log in from where you are.")
        return lockout.page(request, seconds=standing.seconds_left, reason=reason)


def _is_limited(request: HttpRequest) -> bool:
    """Tell whether the view has a limit; an address without a view has that of all."""
    match = request.resolver_match
    view = getattr(match.func, "cls", None) if match else None
    return view is None or bool(view.throttle_classes)


def _too_many(seconds: int) -> HttpResponse:
    answer = problem(429, code="throttled", detail=f"{DETAIL} Try again in {seconds} s.")
    return JsonResponse(answer, status=429, content_type=MEDIA_TYPE, headers={"Retry-After": str(seconds)})
