"""How often somebody may try."""

import logging

from redis.exceptions import RedisError
from rest_framework.request import Request
from rest_framework.throttling import ScopedRateThrottle
from rest_framework.views import APIView

from accounts.client_address import client_address

logger = logging.getLogger(__name__)


class LoginThrottle(ScopedRateThrottle):
    """Limits the attempts of one address, on all web servers together: they are counted in the cache."""

    def get_ident(self, request: Request) -> str:
        """Name the client; those whose address is not known are one."""
        return client_address(request) or ""

    def allow_request(self, request: Request, view: APIView) -> bool:
        """Whether one more attempt is within the rate; nobody is locked out because the cache does not answer."""
        try:
            return super().allow_request(request, view)
        except RedisError as error:
            logger.warning("attempts to log in are not counted: %s", error)
            return True

    def wait(self) -> float:
        """Seconds until another attempt is within the rate; all of its period where a higher rate was lowered."""
        return super().wait() or self.duration
