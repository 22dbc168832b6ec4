"""`manage.py resume STAGE`."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.problems import DomainError
from processing.services import stage_control


class Command(BaseCommand):
    """Lets one stage go on."""

    help = "Let a stage, or a kind of library work, that is paused be claimed again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("work", help="a stage, or a kind of library work")

    def handle(self, *_args: Any, work: str, **_options: Any) -> None:
        """Resume it."""
        try:
            was_paused = stage_control.resume(work=work)
        except DomainError as error:
            raise CommandError(error.detail) from error
        self.stdout.write(f"{work} goes on." if was_paused else f"{work} was not paused.")
