"""Ids as people and programs write them."""

from uuid import UUID


def parse(written: object) -> UUID | None:
    """Read an id; None for what is none, which no row has."""
    try:
        return UUID(str(written))
    except ValueError:
        return None
