"""What commands share: times and libraries as people type them, and the bar of progress."""

import re
from argparse import ArgumentTypeError
from datetime import timedelta

from django.core.management.base import CommandError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from accounts.models import Library

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
LIBRARIES_NAMED = 20


def duration(text: str) -> timedelta:
    """Read a time: a number and a unit, of seconds, minutes, hours, days or weeks."""
    found = re.fullmatch(r"([0-9]{1,6}(?:\.[0-9]+)?)([smhdw])", text)
    if not found:
        raise ArgumentTypeError(f"{text!r} is not a time such as 90m, 12h, 7d or 2w")
    return timedelta(**{_UNITS[found[2]]: float(found[1])})


def library_named(name: str, *, returncode: int = 1) -> Library:
    """Give the library of this name. Raises CommandError, with the names that there are."""
    library = Library.objects.filter(name=name).first()
    if library is None:
        names = ", ".join(Library.objects.order_by("name").values_list("name", flat=True)[:LIBRARIES_NAMED])
        message = f"There is no library named {name!r}. There are: {names or 'none'}."
        raise CommandError(message, returncode=returncode)
    return library


def progress_bar(console: Console) -> Progress:
    """Make a bar with a count and the time that is left."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console)
