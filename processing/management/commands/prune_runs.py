"""`manage.py prune_runs --older-than 90d`."""

from argparse import ArgumentParser, ArgumentTypeError
from collections import Counter
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand

from processing.services import pruning

_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


class Command(BaseCommand):
    """Forgets runs that nobody needs any more."""

    help = (
        "Delete runs of superseded versions that ended longer ago. The last done run of each photo and stage is kept, "
        "and so is whatever is open, dead or discarded. May be interrupted and repeated."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("--older-than", required=True, type=age, help="an age: 90d, 12w, 36h")
        parser.add_argument("--dry-run", action="store_true", help="count, and change nothing")

    def handle(self, *_args: Any, older_than: timedelta, dry_run: bool, **_options: Any) -> None:
        """Delete, and say how many of each stage."""
        if dry_run:
            counts = Counter(pruning.count_prunable(older_than=older_than))
        else:
            counts = Counter()
            for stage, deleted in pruning.prune_runs(older_than=older_than):
                counts[stage] += deleted
        for stage, count in counts.items():
            if count:
                self.stdout.write(f"{stage}: {count:,}")
        self.stdout.write(f"{counts.total():,} runs {'would be' if dry_run else 'were'} deleted.")


def age(text: str) -> timedelta:
    """Read an age: a whole number above 0 and a unit, hours, days or weeks."""
    number, unit = text[:-1], text[-1:]
    if unit not in _UNITS or not number.isdecimal() or not int(number):
        raise ArgumentTypeError(f"{text!r} is no age: say 90d, 12w or 36h")
    return int(number) * _UNITS[unit]
