"""Lengths of time as an operator reads them."""

from datetime import timedelta

MINUTE, HOUR, DAY = 60, 3600, 86400


def duration(value: float | timedelta | None) -> str | None:
    """Give a length of time (a number is seconds) as 43 ms, 12.1 s, 3 min 20 s, 5 h 2 min, 4 d 6 h."""
    if value is None:
        return None
    length = value.total_seconds() if isinstance(value, timedelta) else value
    if length < 1:
        return f"{length * 1000:.0f} ms"
    if length < MINUTE:
        return f"{length:.1f} s"
    whole = int(length)
    if whole < HOUR:
        return f"{whole // MINUTE} min {whole % MINUTE} s"
    if whole < DAY:
        return f"{whole // HOUR} h {whole % HOUR // MINUTE} min"
    return f"{whole // DAY} d {whole % DAY // HOUR} h"
