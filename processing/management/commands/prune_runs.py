"""`manage.py prune_runs --older-than 90d`."""

from argparse import ArgumentParser, ArgumentTypeError
from collections import Counter
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand

from accounts.wording import counted
from processing.management.terminal import duration
from processing.services import pruning


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
        in_use = 0
        if dry_run:
            counts = Counter(pruning.count_prunable(older_than=older_than))
        else:
            counts = Counter()
            for pruned in pruning.prune_runs(older_than=older_than):
                counts[pruned.stage] += pruned.deleted
                in_use += pruned.in_use
        for stage, count in counts.items():
            if count:
                self.stdout.write(f"{stage}: {count:,}")
        were = "would be" if dry_run else _were(counts.total())
        self.stdout.write(f"{counted(counts.total(), 'run')} {were} deleted.")
        if in_use:
            was, them = _were(in_use), "it" if in_use == 1 else "them"
            self.stdout.write(f"{in_use:,} {was} in use and {was} left: the same command takes {them} later.")


def _were(count: int) -> str:
    return "was" if count == 1 else "were"


def age(text: str) -> timedelta:
    """Read an age: a time above 0."""
    found = duration(text)
    if not found:
        raise ArgumentTypeError(f"{text!r} is no age: what has just ended is not pruned")
    return found
