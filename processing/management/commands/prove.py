"""`manage.py prove`: nothing lost, nothing doubled, nothing wrong, nothing stuck, nothing leaked; or what is."""

import re
import sys
from argparse import ArgumentParser, ArgumentTypeError
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from accounts.models import Library
from processing.prove import repair, report
from processing.prove.acknowledged import AcknowledgedFileError
from processing.prove.contents import StoreUnavailableError
from processing.prove.proof import Proof, Scope, prove

NOT_PROVED = 2
LIMIT = 20
# Longer than the time between two backups and the time until somebody looks: what a restored database does not know
# of may be the only copy.
GRACE = timedelta(days=7)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


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
            type=_duration,
            default=GRACE,
            metavar="TIME",
            help="age from which on --repair deletes an object that no row names, such as 12h or 7d (7d)",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Prove, and repair if asked to."""
        if options["repair"] and options["json"] and not options["yes"]:
            raise CommandError("--repair with --json cannot ask: add --yes.", returncode=NOT_PROVED)
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
                is_sound = proof.is_sound
        except (AcknowledgedFileError, StoreUnavailableError) as error:
            raise CommandError(str(error), returncode=NOT_PROVED) from error
        finally:
            bars.end()
        if not is_sound:
            sys.exit(1)

    def _say(self, proof: Proof, options: dict[str, Any]) -> None:
        console = Console(file=self.stdout, highlight=False)
        if options["json"]:
            plan = repair.plan(proof.findings, grace=options["grace"]) if options["repair"] else None
            done = self._repair(proof, plan, options) if plan else None
            limit = options["limit_ids"]
            report.write_json(self.stdout, proof, limit=limit, plan=plan, done=done, grace=options["grace"])
            return
        report.print_proof(console, proof, limit=LIMIT if options["limit_ids"] is None else options["limit_ids"])
        if not options["repair"] or proof.is_sound:
            return
        plan = repair.plan(proof.findings, grace=options["grace"])
        report.print_plan(console, plan, grace=options["grace"])
        done = self._repair(proof, plan, options)
        if done:
            report.print_repaired(console, done)
        elif not plan.is_empty:
            console.print("Nothing was done.")

    def _repair(self, proof: Proof, plan: repair.RepairPlan, options: dict[str, Any]) -> repair.Repaired | None:
        if proof.empty_stores:
            stores = ", ".join(proof.empty_stores)
            raise CommandError(f"Not repaired: nothing lies in {stores}. Mount it first.", returncode=NOT_PROVED)
        if plan.is_empty or not (options["yes"] or self._is_wanted()):
            return None
        bars = Bars()
        bars.begin("repair", None)
        try:
            return repair.repair(proof.findings, grace=options["grace"], advance=bars.advance)
        finally:
            bars.end()

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


def _library(name: str | None) -> Any:
    if name is None:
        return None
    library = Library.objects.filter(name=name).first()
    if library is None:
        raise CommandError(f"There is no library named {name!r}.", returncode=NOT_PROVED)
    return library.pk


def _duration(text: str) -> timedelta:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text)
    if not found:
        raise ArgumentTypeError(f"{text!r} is not a time such as 90m, 12h or 7d")
    return timedelta(**{_UNITS[found[2]]: float(found[1])})
