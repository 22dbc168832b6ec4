"""`manage.py prove`: nothing lost, nothing doubled, nothing wrong, nothing stuck, nothing leaked; or what is."""

import sqlite3
import sys
from argparse import ArgumentParser
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from botocore.exceptions import BotoCoreError, ClientError
from django.core.management.base import BaseCommand, CommandError
from django.db import Error as DatabaseError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from processing.management.terminal import duration, library_named
from processing.prove import repair, report
from processing.prove.acknowledged import AcknowledgedFileError
from processing.prove.contents import StoreUnavailableError
from processing.prove.proof import Proof, Scope, empty_stores, prove

NOT_PROVED = 2
LIMIT = 20
# Longer than the time between two backups and the time until somebody looks: what a restored database does not know
# of may be the only copy.
GRACE = timedelta(days=7)


class Command(BaseCommand):
    """Compares what was acknowledged with what is there. Exits with 0 if all is sound, 1 if not, 2 if nobody knows."""

    help = (
        "Compare what was acknowledged with what is there, and count what is lost, doubled, wrong, stuck and leaked. "
        "Changes nothing without --repair, and may run while workers run."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("--library", help="only this library, by its name")
        parser.add_argument("--no-bytes", action="store_true", help="read no bytes: presence and sizes by listing")
        parser.add_argument(
            "--acknowledged",
            type=Path,
            metavar="FILE",
            help="what clients were answered 201 for: a line `photo id<TAB>sha256<TAB>library id` each, and a fourth "
            "field `deleted` where the client has deleted it since",
        )
        parser.add_argument(
            "--settle", type=float, default=0, metavar="SECONDS", help="first wait so long for the pipeline to settle"
        )
        parser.add_argument("--json", action="store_true", help="write one JSON object, with all ids")
        parser.add_argument("--limit-ids", type=int, metavar="N", help=f"offences of a sort that are named ({LIMIT})")
        parser.add_argument("--repair", action="store_true", help="redo what can be redone; says what, and asks first")
        parser.add_argument("--yes", action="store_true", help="do not ask")
        parser.add_argument(
            "--grace",
            type=duration,
            default=GRACE,
            metavar="TIME",
            help="age from which on --repair deletes an object that no row names, such as 12h or 7d (7d)",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Prove, and repair if asked to."""
        if options["repair"] and options["json"] and not options["yes"]:
            raise CommandError("--repair with --json cannot ask: add --yes.", returncode=NOT_PROVED)
        try:
            status = self._prove(options)
        except (AcknowledgedFileError, StoreUnavailableError) as error:
            raise CommandError(str(error), returncode=NOT_PROVED) from error
        except (BotoCoreError, ClientError, OSError, DatabaseError, sqlite3.Error) as error:
            said = f"{type(error).__name__}: {error}".splitlines()[0]
            raise CommandError(f"Cut off, and nothing is proved. {said}", returncode=NOT_PROVED) from error
        except KeyboardInterrupt as error:
            raise CommandError("Interrupted, and nothing is proved.", returncode=NOT_PROVED) from error
        if status:
            sys.exit(status)

    def _prove(self, options: dict[str, Any]) -> int:
        scope = Scope(
            library_id=_library(options["library"]),
            with_bytes=not options["no_bytes"],
            acknowledged=options["acknowledged"],
            settle_seconds=options["settle"],
        )
        bars = Bars()
        try:
            with prove(scope, watcher=bars) as proof:
                bars.end()
                self._say(proof, options)
                if proof.has_offences:
                    return 1
                return 0 if proof.is_sound else NOT_PROVED
        finally:
            bars.end()

    def _say(self, proof: Proof, options: dict[str, Any]) -> None:
        if options["json"]:
            self._say_json(proof, options)
            return
        console = Console(file=self.stdout, highlight=False)
        report.print_proof(console, proof, limit=LIMIT if options["limit_ids"] is None else options["limit_ids"])
        if not options["repair"] or not proof.has_offences:
            return
        plan = repair.plan(proof.findings, grace=options["grace"])
        report.print_plan(console, plan, grace=options["grace"])
        done = self._repair(proof, plan, options)
        if done:
            report.print_repaired(console, done)
        elif not plan.is_empty:
            console.print("Nothing was done.")

    def _say_json(self, proof: Proof, options: dict[str, Any]) -> None:
        plan = done = None
        try:
            if options["repair"]:
                plan = repair.plan(proof.findings, grace=options["grace"])
                # before it is done, and whatever comes of it
                report.print_plan(Console(file=self.stderr, highlight=False), plan, grace=options["grace"])
                done = self._repair(proof, plan, options)
        finally:
            limit = options["limit_ids"]
            report.write_json(self.stdout, proof, limit=limit, plan=plan, done=done, grace=options["grace"])

    def _repair(self, proof: Proof, plan: repair.RepairPlan, options: dict[str, Any]) -> repair.Repaired | None:
        self._see_stores(proof)
        if plan.is_empty or not (options["yes"] or self._is_wanted()):
            return None
        # the answer may have taken hours
        self._see_stores(proof)
        bars = Bars()
        bars.begin("repair", None)
        try:
            return repair.repair(proof.findings, plan=plan, advance=bars.advance)
        finally:
            bars.end()

    def _see_stores(self, proof: Proof) -> None:
        if empty := sorted({*proof.empty_stores, *empty_stores(proof.scope)}):
            stores = ", ".join(empty)
            raise CommandError(f"Not repaired: nothing lies in {stores}. Mount it first.", returncode=NOT_PROVED)

    def _is_wanted(self) -> bool:
        if not sys.stdin.isatty():
            raise CommandError("Nobody to ask: add --yes to repair. Nothing was done.", returncode=NOT_PROVED)
        self.stdout.write("Do this? [y/N] ", ending="")
        self.stdout.flush()
        return sys.stdin.readline().strip().lower() in {"y", "yes"}


class Bars:
    """A bar for the part of the proof that is under way, on the terminal; none where there is no terminal."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        columns = (TextColumn("{task.description:12}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._bar: TaskID | None = None

    def begin(self, what: str, total: int | None) -> None:
        """Begin a part, in the place of the one before."""
        if self._bar is not None:
            self._progress.remove_task(self._bar)
        self._bar = self._progress.add_task(what, total=total)
        self._progress.start()

    def advance(self, count: int) -> None:
        """Move the bar."""
        if self._bar is not None:
            self._progress.advance(self._bar, count)

    def end(self) -> None:
        """Take the bar away: the output comes, or a question."""
        self._progress.stop()


def _library(name: str | None) -> UUID | None:
    return None if name is None else library_named(name, returncode=NOT_PROVED).pk
