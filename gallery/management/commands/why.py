"""`manage.py why USER PHOTO`."""

import sys
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from accounts.problems import NotFoundError
from gallery.explain_access import account_named, explain_access, use_key


class Command(BaseCommand):
    """Explains why somebody can or cannot see a photo."""

    help = "Say why a user can or cannot see a photo. Exit status: 0 they can, 1 they cannot, 2 there is no such thing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("user", help="an e-mail address, or the id of an account")
        parser.add_argument("photo", type=_uuid, help="the id of a photo")
        parser.add_argument("--key", metavar="PREFIX", help="with an API key of theirs, by what it begins with")

    def handle(self, *_args: Any, user: str, photo: UUID, key: str | None, **_options: Any) -> None:
        """Print the answer and the steps of the rule."""
        try:
            account = account_named(user)
            if key is not None:
                use_key(account, key)
            explained = explain_access(user=account, photo_id=photo)
        except NotFoundError as error:
            raise CommandError(error.detail, returncode=2) from error
        self.stdout.write(explained.summary)
        for step in explained.steps:
            self.stdout.write(f"  {'yes' if step.is_met else 'NO '}  {step.name}: {step.detail}")
        if not explained.is_visible:
            sys.exit(1)


def _uuid(value: str) -> UUID:
    try:
        return UUID(value)
    except ValueError as error:
        raise ArgumentTypeError(f"{value} is not the id of a photo") from error
