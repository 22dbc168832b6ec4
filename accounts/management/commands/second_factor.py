"""`manage.py second_factor reset EMAIL`: for who has lost the phone and the recovery codes."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.models import User
from accounts.problems import DomainError
from accounts.services import second_factor


class Command(BaseCommand):
    """Takes away a second factor."""

    help = (
        "reset: take away the second factor of an account, which its password alone opens then; all its sessions and "
        "tokens end. Superusers do so for others in the admin: this is for the last of them."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("action", choices=["reset"], metavar="reset", help="take it away")
        parser.add_argument("email", help="address of the account")

    def handle(self, *_args: Any, email: str, **_options: Any) -> None:
        """Take it away."""
        user = User.objects.filter(email=email.lower()).first()
        if user is None:
            raise CommandError(f"No account has the address {email}.")
        try:
            second_factor.reset(user=user, actor=None)
        except DomainError as error:
            raise CommandError(error.detail) from error
        self.stdout.write(f"{user.email} logs in with the password alone now. Its sessions and tokens have ended.")
