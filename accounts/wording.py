"""Counts in words."""


def counted(count: int, noun: str, plural: str = "") -> str:
    """Give a count with its noun: `1 photo`, `2,000 photos`, `2 libraries`; `plural` is one that no rule gives."""
    regular = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{count:,} {noun if count == 1 else plural or regular}"
