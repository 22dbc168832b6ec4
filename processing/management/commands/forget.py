"""`manage.py forget --person ID | --user EMAIL-or-ID | --library NAME-or-ID`."""

import sys
import time
import uuid
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from accounts import ids
from accounts.models import ErasureReceipt, Library, User
from accounts.problems import DomainError
from accounts.services import erasure
from photos.models import Person
from processing.consent import ERASE_FACES, FORGET
from processing.models import LibraryRun
from processing.pipeline import library_work
from processing.services import forgetting

# with workers at their side it takes moments; where another process has the run in hand, as long as a lease
PATIENCE_SECONDS = 120


class Command(BaseCommand):
    """Erases somebody or something for good, and says how much that was."""

    help = (
        "Erase a person with all faces, an account, or a library with everything in it. Says first what will go, and "
        "asks. The work is done here, also where no worker runs; killed, it is gone on with by a worker or by the same "
        "command. A receipt with counts is kept."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments."""
        subject = parser.add_mutually_exclusive_group(required=True)
        subject.add_argument("--person", metavar="ID", help="a person on photos, with all faces")
        subject.add_argument("--user", metavar="EMAIL-or-ID", help="an account; what it uploaded stays")
        subject.add_argument("--library", metavar="NAME-or-ID", help="a library with everything in it")
        parser.add_argument(
            "--faces", action="store_true", help="with --library: only its faces and people; face analysis goes off"
        )
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="count, say what would refuse it, and change nothing; the exit status is 1 if it would be refused",
        )
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Count, ask, and erase."""
        if options["faces"] and not options["library"]:
            raise CommandError("--faces goes with --library.")
        subject = _subject(options)
        self.stdout.write(f"{_named(subject, options)} will be erased for good:")
        for name, count in _extent(subject, options).items():
            self.stdout.write(f"  {name.replace('_', ' ')}: {count:,}")
        if options["dry_run"]:
            _rehearse(subject, options)
        if options["dry_run"] or not (options["yes"] or _agrees(self)):
            self.stdout.write("Nothing was changed.")
            return
        try:
            receipt = _erase(subject, options)
        except DomainError as error:
            raise CommandError(error.detail) from error
        dead = _do(receipt)
        if dead is not None:
            raise CommandError(
                f"It is not over: library run {dead.pk} died of {dead.error_code} ({dead.error_detail}). Mend the "
                f"cause and retry it, among the dead letters or by this command. Receipt {receipt.pk}."
            )
        if receipt.ended_at is None:
            raise CommandError(f"It is not over: workers go on with it. Receipt {receipt.pk}.")
        done = ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in receipt.counts.items())
        self.stdout.write(f"Erased: {done}. Receipt {receipt.pk}.")


def _subject(options: dict[str, Any]) -> Person | User | Library:
    if options["person"]:
        found = Person.objects.filter(pk=ids.parse(options["person"])).first()
    elif options["user"]:
        text = options["user"]
        found = User.objects.filter(email=text.lower()).first() or User.objects.filter(pk=ids.parse(text)).first()
    else:
        text = options["library"]
        found = Library.objects.filter(name=text).first() or Library.objects.filter(pk=ids.parse(text)).first()
    if found is None:
        raise CommandError("There is nobody and nothing of this name or id.")
    return found


def _named(subject: Person | User | Library, options: dict[str, Any]) -> str:
    if isinstance(subject, Library) and options["faces"]:
        return f"All that is known of faces in {subject.name!r}"
    return f"{str(subject._meta.verbose_name).capitalize()} {str(subject)!r}"


def _extent(subject: Person | User | Library, options: dict[str, Any]) -> dict[str, int]:
    if isinstance(subject, Person):
        return forgetting.extent_of_person(subject)
    if isinstance(subject, User):
        return erasure.extent_of_user(subject)
    return forgetting.extent_of_faces(subject) if options["faces"] else forgetting.extent_of_library(subject)


def _agrees(command: BaseCommand) -> bool:
    command.stdout.write("Erase it? [y/N] ", ending="")
    command.stdout.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _rehearse(subject: Person | User | Library, options: dict[str, Any]) -> None:
    """Raise CommandError for what would be refused, by doing it in a transaction that comes to nothing.

    No other way asks all that the service asks. Workers are rung for after a commit alone, so none hears of it.
    """
    try:
        with transaction.atomic():
            _erase(subject, options)
            transaction.set_rollback(True)
    except DomainError as error:
        raise CommandError(f"It would be refused ({error.code}): {error.detail} Nothing was changed.") from error


def _erase(subject: Person | User | Library, options: dict[str, Any]) -> ErasureReceipt:
    if isinstance(subject, Person):
        return forgetting.forget_person(person=subject, by=None)
    if isinstance(subject, User):
        return erasure.forget_user(user=subject, by=None)
    if options["faces"]:
        return forgetting.forget_faces(library=subject, by=None)
    return forgetting.forget_library(library=subject, by=None)


def _do(receipt: ErasureReceipt) -> LibraryRun | None:
    """Do the work here, as a worker does, until the receipt is closed, or its run is dead, which is given then."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    task_id = uuid.uuid4().hex
    while receipt.ended_at is None and time.monotonic() < deadline:
        taken = sum(library_work.work(kind=kind, task_id=task_id, worker="manage.py forget") for kind in _KINDS)
        receipt.refresh_from_db()
        if receipt.ended_at is not None:
            break
        dead = forgetting.dead_run_of(receipt)
        if dead is not None:
            return dead
        if not taken:
            time.sleep(0.2)
    return None


_KINDS = (FORGET, ERASE_FACES)
