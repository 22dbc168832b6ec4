"""`manage.py roles`."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from accounts.role_table import documented_table, role_table

PAGE = Path(settings.BASE_DIR) / "docs" / "access.md"


class Command(BaseCommand):
    """Prints what each built-in role allows."""

    help = "Print the table of permissions and built-in roles (Markdown), as docs/access.md shows it."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("--check", action="store_true", help="compare the page with the code instead")
        parser.add_argument("--page", type=Path, default=PAGE, help="the page that --check reads")

    def handle(self, *_args: Any, check: bool, page: Path, **_options: Any) -> None:
        """Print the table, or compare it."""
        if not check:
            self.stdout.write(role_table(), ending="")
            return
        try:
            documented = documented_table(page)
        except OSError as error:
            raise CommandError(f"{page} cannot be read: {error.strerror}.") from error
        if documented != role_table():
            raise CommandError(f"The table in {page} is not what the code says: put in what `manage.py roles` prints.")
        self.stdout.write(f"{page} says what the code says.")
