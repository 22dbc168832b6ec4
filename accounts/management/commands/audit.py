"""`manage.py audit verify`: is the audit trail what it was?"""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.services import audit
from accounts.wording import counted


class Command(BaseCommand):
    """Reads the whole chain and says whether it is whole."""

    help = (
        "verify: read the chain of the audit trail from its begin; status 1 if an event was altered or is missing. "
        "Keep the head that it prints outside of this database, and give it with --head next time: then it is noticed "
        "too if events were cut off the end, or the whole chain was made anew."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("action", choices=["verify"], metavar="verify", help="read the chain of the audit trail")
        parser.add_argument("--head", metavar="NUMBER:HASH", help="a head that was printed before")

    def handle(self, *_args: Any, head: str | None, **_options: Any) -> None:
        """Verify, and print the head."""
        found = audit.verify(known=_parsed(head))
        if found.broken_at is not None:
            raise CommandError(f"Event {found.broken_at} {_REASONS[found.reason]}; those before it are whole.")
        events = counted(found.sealed, "event")
        waiting = "is" if found.unsealed == 1 else "are"
        self.stdout.write(f"{events}, none altered, none missing; {found.unsealed} {waiting} not chained yet.")
        self.stdout.write(f"Head: {found.sealed}:{found.head}")


_REASONS = {
    "altered": "was altered",
    "missing": "is missing",
    "forked": "is not the one of the head that was given: the chain was made anew from there or before it",
}


def _parsed(head: str | None) -> audit.Head | None:
    if head is None:
        return None
    number, _, digest = head.partition(":")
    if not number.isascii() or not number.isdecimal() or len(digest) != len(audit.NO_HASH):
        raise CommandError("--head is a number, a colon and a hash, as `audit verify` prints it.")
    return audit.Head(int(number), digest)
