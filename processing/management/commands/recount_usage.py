"""`manage.py recount_usage [--mend]`."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.wording import counted
from photos.services import quotas


class Command(BaseCommand):
    """Compares what libraries and users are said to use with their photos."""

    help = "Count the bytes that libraries and users have, and say where the counters of their quotas differ."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("--mend", action="store_true", help="set the counters right")

    def handle(self, *_args: Any, mend: bool, **_options: Any) -> None:
        """Recount."""
        drifted = quotas.recount(mend=mend)
        for one in drifted:
            self.stdout.write(f"{one.of} {one.subject_id}: counted {one.counted:,} bytes, has {one.actual:,}")
        if drifted and not mend:
            raise CommandError(f"{counted(len(drifted), 'counter')} drifted; --mend sets right what did.")
        self.stdout.write(f"{counted(len(drifted), 'counter')} mended." if drifted else "Every counter is right.")
