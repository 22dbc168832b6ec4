"""`manage.py pause STAGE --reason ...`."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.problems import DomainError
from processing.services import stage_control


class Command(BaseCommand):
    """Holds one stage up."""

    help = "Have nothing more claimed of a stage, or of a kind of library work, until `manage.py resume`."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("work", help="a stage, or a kind of library work")
        parser.add_argument("--reason", default="", help="why, for whoever wonders")

    def handle(self, *_args: Any, work: str, reason: str, **_options: Any) -> None:
        """Pause it."""
        try:
            stage_control.pause(work=work, by=None, reason=reason)
        except DomainError as error:
            raise CommandError(error.detail) from error
        self.stdout.write(f"{work} is paused.")
