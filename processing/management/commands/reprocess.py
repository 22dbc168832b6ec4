"""`manage.py reprocess`: make results anew that are out of date, missing or dead, or a stage again for all."""

import sys
from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError
from django.db.models import QuerySet
from rich import box
from rich.console import Console
from rich.table import Table

from photos.models import Photo
from processing import estimates, outdated
from processing.management.terminal import library_named, progress_bar
from processing.models import LibraryRun, StagePause
from processing.outdated import Choice, Survey
from processing.services import reprocess
from processing.stages import registry

INTERRUPTED = 130  # what a shell gives for Ctrl-C


class Command(BaseCommand):
    """Lets runs of photos that are there start over, as a backfill: what people upload goes ahead."""

    help = (
        "Make results anew. Says first how many runs that is and about how long it takes. Results that are there serve "
        "until new ones are committed; uploads go ahead. Photos in the trash are left out. Ctrl-C is safe: the same "
        "command goes on where it ended."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments."""
        choice = parser.add_mutually_exclusive_group()
        for name, text in (
            (Choice.OUTDATED, "(default) what is missing, and what was made of an older input than there is now"),
            (Choice.MISSING, "what no run of the planned version has made: after new settings, code or models"),
            (Choice.DEAD, "dead runs of photos; work on libraries is retried among the dead letters in the admin"),
            (Choice.ALL, "all of it, whatever came of it before; without --stage from the originals on"),
        ):
            choice.add_argument(f"--{name}", dest="choice", action="store_const", const=name, help=text)
        parser.set_defaults(choice=Choice.OUTDATED)
        parser.add_argument("--stage", choices=[stage.name for stage in registry.all_stages()], help="only this stage")
        parser.add_argument("--library", help="only the photos of this library")
        parser.add_argument("--photo", action="append", type=UUID, help="only this photo, by its id; may be repeated")
        parser.add_argument("--after", type=UUID, help="with --all: go on after this photo, where it was interrupted")
        parser.add_argument("--dry-run", action="store_true", help="count, and change nothing")
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Count, ask, and begin; an interruption loses nothing."""
        console = Console(file=self.stdout, highlight=False)
        photos, choice, stage = _photos(options), options["choice"], options["stage"]
        found = _survey(console, photos, choice, stage)
        if choice == Choice.DEAD:
            _say_left_out(console, options)
        if not found.photos:
            console.print("Nothing is to be done.")
            return
        console.print(_table(found))
        console.print(_estimate(found))
        if paused := sorted(StagePause.objects.filter(work__in=found.runs).values_list("work", flat=True)):
            console.print(f"Paused, and waits until it goes on: {', '.join(paused)}.")
        if options["dry_run"] or not (options["yes"] or _agrees(console)):
            console.print("Nothing was changed.")
            return
        self._begin(console, photos=photos, total=found.photos, choice=choice, stage=stage, after=options["after"])

    def _begin(self, console: Console, *, total: int, **what: Any) -> None:
        runs, last = 0, what["after"]
        try:
            with progress_bar(console) as progress:
                bar = progress.add_task("photos", total=total)
                for committed in reprocess.begin_anew(**what):
                    runs, last = runs + committed.runs, committed.last
                    progress.advance(bar, committed.photos)
        except KeyboardInterrupt:
            how = f" with --after {last}" if what["choice"] == Choice.ALL and last else ""
            message = f"Interrupted: {_begun(runs)}. The same command{how} goes on with the others."
            raise CommandError(message, returncode=INTERRUPTED) from None
        console.print(f"{_begun(runs)}.")


def _begun(runs: int) -> str:
    return "1 run starts over" if runs == 1 else f"{runs:,} runs start over"


def _photos(options: dict[str, Any]) -> QuerySet[Photo]:
    photos = Photo.objects.present()
    if options["library"]:
        photos = photos.filter(library=library_named(options["library"]))
    if options["photo"]:
        photos = photos.filter(pk__in=options["photo"])
        if missing := sorted(set(options["photo"]) - set(photos.values_list("pk", flat=True))):
            raise CommandError(f"Not there, or in the trash, or in another library: {', '.join(map(str, missing))}.")
    if options["after"]:
        if options["choice"] != Choice.ALL:
            raise CommandError("--after goes with --all: every other choice finds by itself what is left.")
        photos = photos.filter(pk__gt=options["after"])
    return photos


def _say_left_out(console: Console, options: dict[str, Any]) -> None:
    """Say how many dead letters this command leaves, whatever photos and stages are chosen: they have neither."""
    dead = LibraryRun.objects.dead()
    if options["library"]:
        dead = dead.filter(library__name=options["library"])
    if count := dead.count():
        what = "1 dead run of work on libraries is" if count == 1 else f"{count:,} dead runs of work on libraries are"
        console.print(f"{what} left out: retry among the dead letters in the admin.")


def _survey(console: Console, photos: QuerySet[Photo], choice: Choice, stage: str | None) -> Survey:
    found = Survey()
    with progress_bar(console) as progress:
        bar = progress.add_task("looking", total=photos.count())
        for found in outdated.survey(photos, choice, stage):
            progress.update(bar, completed=found.looked_at)
    return found


def _table(found: Survey) -> Table:
    table = Table(box=box.SIMPLE)
    table.add_column("stage", style="bold")
    table.add_column("start over", justify="right")
    table.add_column("follow", justify="right")
    for stage in registry.all_stages():
        now, following = found.now[stage.name], found.following[stage.name]
        if now or following:
            table.add_row(stage.name, f"{now:,}", f"{following:,}" if following else "")
    return table


def _estimate(found: Survey) -> str:
    estimate = estimates.estimate(found.runs)
    if estimate.seconds is None:
        return f"How long it takes cannot be said: {'; '.join(estimate.reasons)}."
    return (
        f"It takes about {_duration(estimate.seconds)} with the workers that are there, if nothing else is to be done."
    )


def _duration(seconds: float) -> str:
    minutes, hours = round(seconds / 60), seconds / 3600
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{minutes} minutes" if minutes < 100 else f"{hours:.0f} hours" if hours < 100 else f"{hours / 24:.0f} days"


def _agrees(console: Console) -> bool:
    if not sys.stdin.isatty():
        raise CommandError("Nobody to ask: add --yes to begin. Nothing was done.")
    try:
        return console.input("Begin? [y/N] ", markup=False).strip().lower() in {"y", "yes"}
    except (EOFError, KeyboardInterrupt):
        return False
