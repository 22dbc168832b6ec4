"""`manage.py import_photos PATH --library NAME`."""

from argparse import ArgumentParser
from collections import Counter
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from accounts.models import User
from accounts.problems import DomainError
from accounts.wording import counted
from processing.management.terminal import library_named, progress_bar
from processing.services import folder_import
from processing.services.folder_import import DUPLICATE, NEW, PASSED_OVER, REFUSED, ImportedFile


class Command(BaseCommand):
    """Takes a folder into a library, and says what became of every file."""

    help = (
        "Import a folder of photos into a library. Repeat it at will: what is there already is not taken twice. The "
        "exit status is 0 if every photo is in the library then, also as a duplicate, and 1 if a file was refused, or "
        "the import ended early. Files that are passed over (texts, films, sidecars) are no photos, and no failure."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("path", type=Path, help="a folder, which is walked, or one file")
        parser.add_argument("--library", required=True, help="the library's name")
        parser.add_argument("--user", help="e-mail address of the uploader that the photos shall have")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Import, with a progress bar and a summary; CommandError says that it was ended, or files were refused."""
        root: Path = options["path"]
        if not root.exists():
            raise CommandError(f"There is no file or folder {root}.")
        library = library_named(options["library"])
        uploader = _uploader(options["user"])
        console = Console(file=self.stdout, highlight=False)
        paths = folder_import.files_below(root)
        results, ended = [], None
        with progress_bar(console) as progress:
            bar = progress.add_task("import", total=len(paths))
            try:
                for result in folder_import.import_files(paths=paths, library=library, uploader=uploader):
                    results.append(result)
                    progress.advance(bar)
            except DomainError as error:
                ended = error
        console.print(summary(results, root=root))
        if ended is not None:
            left = len(paths) - len(results)
            raise CommandError(f"{ended.code}: {ended.detail} Not taken in: {left:,} of {counted(len(paths), 'file')}.")
        if refused := sum(result.outcome == REFUSED for result in results):
            raise CommandError(f"Refused: {refused:,} of {counted(len(paths), 'file')}. The table says why.")


def summary(results: list[ImportedFile], *, root: Path) -> Table:
    """Build the table of what became of the files, with the reason for every one that was refused."""
    counts = Counter(result.outcome for result in results)
    title = _plain(f"{counted(len(results), 'file')} below {root}")
    table = Table(title=title, title_justify="left", show_header=False, box=box.SIMPLE)
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_column(overflow="fold")
    table.add_row("new", str(counts[NEW]), "")
    table.add_row("duplicate", str(counts[DUPLICATE]), "the same bytes are in the library already")
    table.add_row("refused", str(counts[REFUSED]), "")
    for result in results:
        if result.outcome == REFUSED:
            table.add_row("", "", _plain(f"{_below(result.path, root)}: {result.code}: {result.detail}"))
    others = Counter(result.path.suffix or result.path.name for result in results if result.outcome == PASSED_OVER)
    what = ", ".join(f"{count} {suffix}" for suffix, count in sorted(others.items()))
    table.add_row(PASSED_OVER, str(counts[PASSED_OVER]), _plain(f"no images: {what}" if what else ""))
    return table


def _plain(text: str) -> Text:
    """Make text of strangers' file names: brackets are no markup, and bytes that are no text are written as escapes."""
    return Text(text.encode(errors="backslashreplace").decode())


def _below(path: Path, root: Path) -> Path:
    return path.relative_to(root) if path != root else path


def _uploader(email: str | None) -> User | None:
    if email is None:
        return None
    user = User.objects.filter(email=email.lower()).first()
    if user is None:
        raise CommandError(f"There is no user {email!r}.")
    return user
