"""How often somebody may ask: rates as the settings write them, and where somebody stands."""

import math
import re
from dataclasses import dataclass
from functools import lru_cache

from accounts import windows

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_FORM = re.compile(r"(\d+)/(s|m|h|d)[a-z]*")


@dataclass(frozen=True, slots=True)
class Standing:
    """Where somebody stands after a request: `count` of `limit` within `period` s, of which `seconds_left` are left."""

    policy: str
    limit: int
    period: int
    count: int
    seconds_left: int

    @property
    def is_within(self) -> bool:
        """Whether this request is within the rate."""
        return self.count <= self.limit

    @property
    def headers(self) -> dict[str, str]:
        """The fields of draft-ietf-httpapi-ratelimit-headers-10: the quota, and what is left of it for t seconds."""
        remaining = max(0, self.limit - self.count)
        return {
            "RateLimit-Policy": f'"{self.policy}";q={self.limit};w={self.period}',
            "RateLimit": f'"{self.policy}";r={remaining};t={self.seconds_left}',
        }


@lru_cache(maxsize=64)
def parse(rate: str) -> tuple[int, int]:
    """Read a rate such as `20/min`: how many, in how many seconds. Raises ValueError."""
    form = _FORM.fullmatch(rate.strip().lower())
    if form is None or int(form[1]) == 0:
        raise ValueError(f"{rate!r} is no rate: write it like 20/min, 5/s, 1000/hour")
    return int(form[1]), _SECONDS[form[2]]


def count(*, policy: str, rate: str | None, who: str) -> Standing | None:
    """Count one request of `who` by a policy; None where there is no rate, and so no limit."""
    if not rate:
        return None
    limit, period = parse(rate)
    window = windows.count(f"rate:{policy}:{who}", seconds=period)
    return Standing(policy, limit, period, window.count, min(period, max(1, math.ceil(window.seconds_left))))
