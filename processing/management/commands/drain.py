"""`manage.py drain`: finish what runs, and take nothing new."""

import time
from argparse import ArgumentParser
from collections import Counter
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console

from accounts.problems import NotFoundError
from processing.services import draining

LOOK_EVERY_SECONDS = 0.5
# a claim that was under way when the pause was written is seen by the second look
QUIET_LOOKS = 2


class Command(BaseCommand):
    """Brings the pipeline, or one worker, to rest."""

    help = (
        "Pause all work that is not paused, and wait until nothing runs; with --worker only that one takes nothing "
        "new. --end lets what this command has paused go on. Uploads are taken in all the while."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("--worker", help="only this worker, by its name (ingest.1234-5f3a@host)")
        parser.add_argument("--timeout", type=float, default=600, help="seconds to wait (600); 0 does not wait")
        parser.add_argument("--end", action="store_true", help="let it go on")

    def handle(self, *_args: Any, worker: str | None, timeout: float, end: bool, **_options: Any) -> None:
        """Drain and wait, or let it go on; ends with status 1 if something still runs when the time is over."""
        try:
            if end:
                self._end(worker)
            else:
                self._begin(worker)
                self._wait(worker, timeout)
                self.stdout.write(f"Nothing runs. {_what_stays(worker)}")
        except NotFoundError as error:
            raise CommandError(error.detail) from error
        except KeyboardInterrupt as error:
            # the shell's status for it
            raise CommandError(f"Interrupted. {_what_stays(worker)}", returncode=130) from error

    def _begin(self, worker: str | None) -> None:
        if worker is not None:
            draining.begin_worker(name=worker)
            self.stdout.write(f"{worker} takes nothing new.")
        else:
            self.stdout.write(f"Paused: {', '.join(draining.begin()) or 'nothing that was not'}.")

    def _end(self, worker: str | None) -> None:
        if worker is not None:
            draining.end_worker(name=worker)
            self.stdout.write(f"{worker} takes work again.")
        else:
            self.stdout.write(f"Goes on: {', '.join(draining.end()) or 'nothing was drained'}.")

    def _wait(self, worker: str | None, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        console = Console(file=self.stdout, highlight=False)
        with console.status("Waiting for what runs") as status:
            quiet_looks = 0
            while quiet_looks < QUIET_LOOKS:
                running = draining.running(worker=worker)
                quiet_looks = 0 if running else quiet_looks + 1
                if running and time.monotonic() >= deadline:
                    message = f"Still running after {timeout:g} s: {_said(running)}. {_what_stays(worker)}"
                    raise CommandError(message, returncode=1)
                if quiet_looks < QUIET_LOOKS:
                    # the second look is taken beyond the deadline too: one alone may be mistaken
                    status.update(f"Running: {_said(running) or 'nothing'}")
                    time.sleep(LOOK_EVERY_SECONDS)


def _what_stays(worker: str | None) -> str:
    if worker is None:
        return "Work stays paused: `manage.py drain --end` lets it go on."
    return f"{worker} takes nothing new: `manage.py drain --worker {worker} --end` lets it."


def _said(running: Counter[str]) -> str:
    return ", ".join(f"{count} of {work}" for work, count in sorted(running.items()))
