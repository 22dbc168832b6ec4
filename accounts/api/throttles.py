"""How often somebody may ask, by key, by person and by address."""

from django.http import HttpRequest
from rest_framework.request import Request
from rest_framework.settings import api_settings
from rest_framework.throttling import BaseThrottle

from accounts.client_address import client_network
from accounts.rate_limits import Standing, count

# where whoever sent a request stands; in META, which the framework's request and Django's share
_STANDING = "rate_limit_standing"


class RateLimit(BaseThrottle):
    """Limits the requests of a key, of a person, or of the address of somebody who is neither.

    A view's `throttle_scope` names another rate than that of everything else. Rates are DEFAULT_THROTTLE_RATES.
    """

    THROTTLE_RATES: dict[str, str | None] = api_settings.DEFAULT_THROTTLE_RATES
    _standing: Standing | None = None

    def allow_request(self, request: Request, view: object) -> bool:
        """Whether one more request is within the rate."""
        kind, who = self.identify(request)
        self._standing = self.count(request, policy=getattr(view, "throttle_scope", None) or kind, who=who)
        return self._standing is None or self._standing.is_within

    def wait(self) -> float | None:
        """Seconds until another request is within the rate."""
        return None if self._standing is None else self._standing.seconds_left

    @classmethod
    def count(cls, request: Request | HttpRequest, *, policy: str, who: str) -> Standing | None:
        """Count a request, and remember for its answer where that leaves whoever sent it."""
        standing = count(policy=policy, rate=cls.THROTTLE_RATES.get(policy), who=who)
        if standing is not None:
            request.META[_STANDING] = standing
        return standing

    def identify(self, request: Request) -> tuple[str, str]:
        """Name the kind of whoever asks, and who it is."""
        return identify(request)


class LoginThrottle(RateLimit):
    """Limits the attempts of one address, whoever it says to be."""

    def identify(self, request: Request) -> tuple[str, str]:
        """Name the client's network; those whose address is not known are one."""
        return "anonymous", _address(request)

    @classmethod
    def attempt(cls, request: HttpRequest) -> Standing | None:
        """Count an attempt to log in outside of the API, together with those in it."""
        return cls.count(request, policy="token", who=_address(request))


class LimitedGuesses:
    """A view some of whose methods (`guessed_by`) take a password or a code of who is logged in.

    They count as attempts to log in, since whoever has stolen a token may not guess at will; the others as all else.
    """

    guessed_by: frozenset[str] = frozenset()

    @property
    def throttle_scope(self) -> str | None:
        """Name the rate of attempts for what is one."""
        return "token" if self.request.method in self.guessed_by else None

    def get_throttles(self) -> list[BaseThrottle]:
        """Count what is asked by its rate."""
        return [LoginThrottle()] if self.request.method in self.guessed_by else super().get_throttles()


def identify(request: Request | HttpRequest) -> tuple[str, str]:
    """Give the kind of whoever asks (`key`, `user` or `anonymous`), and who it is."""
    if not request.user.is_authenticated:
        return "anonymous", _address(request)
    key = request.user.acting_key
    return ("user", f"user:{request.user.pk}") if key is None else ("key", f"key:{key.pk}")


def standing_of(request: HttpRequest) -> Standing | None:
    """Tell where whoever sent a request stands; None if nothing has counted it."""
    return request.META.get(_STANDING)


def _address(request: Request | HttpRequest) -> str:
    return f"address:{client_network(request)}"
