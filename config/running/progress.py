"""What a run shows: a bar per stage while it works, and a table of what came of it."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from django.db.models import Count, Min
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from accounts.wording import counted
from photos.models import Face, Person, Photo
from processing.kinds import registry as kinds
from processing.models import RunState, StageRun
from processing.overview import Overview, WorkOverview, overview
from processing.services.folder_import import ImportedFile
from processing.states import PhotoState, count_by_state

REFRESH_SECONDS = 0.5
FINAL = (RunState.DONE, RunState.SKIPPED, RunState.DEAD)
# a run in which nothing has moved for so long will not be finished by waiting
STALLED_AFTER_SECONDS = 300.0


class Bars:
    """A bar for the import and one for each stage."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._bars: dict[str, TaskID] = {}
        self._drawn_at = 0.0

    def import_files(self, files: Iterable[ImportedFile], *, total: int) -> list[ImportedFile]:
        """Draw the import of `total` files as they come, and the stages beside it."""
        bar = self._progress.add_task("import", total=total, note="")
        results = []
        for file in files:
            results.append(file)
            self._progress.advance(bar)
            if time.monotonic() - self._drawn_at > REFRESH_SECONDS:
                self.draw(overview())
        return results

    def draw(self, seen: Overview) -> None:
        """Bring the stages' bars to what the ledger says."""
        self._drawn_at = time.monotonic()
        for work in seen.work:
            total = sum(work.counts.values()) - work.blocked
            if work.name not in self._bars:
                if work.name in kinds.names() and not total:
                    continue  # it may never be asked for
                self._bars[work.name] = self._progress.add_task(work.name, note="", total=None)
            finished = sum(work.counts[state] for state in FINAL)
            self._progress.update(self._bars[work.name], total=total or None, completed=finished, note=_note(work))


@contextmanager
def bars(console: Console) -> Iterator[Bars]:
    """Show bars for as long as the block runs."""
    columns = (
        TextColumn("{task.description:15}"),
        BarColumn(bar_width=32),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("[yellow]{task.fields[note]}"),
    )
    with Progress(*columns, console=console) as progress:
        yield Bars(progress)


def wait_until_settled(shown: Bars, *, watch: Callable[[], None]) -> bool:
    """Draw until nothing moves any more by itself; False if for minutes nothing has, although something should."""
    last, moved_at = None, time.monotonic()
    while True:
        watch()
        seen = overview()
        shown.draw(seen)
        if seen.is_settled:
            return True
        counts = [work.counts for work in seen.work]
        if counts != last:
            last, moved_at = counts, time.monotonic()
        elif time.monotonic() - moved_at > STALLED_AFTER_SECONDS:
            return False
        time.sleep(REFRESH_SECONDS)


def result_table() -> Table:
    """Build the table of all runs by stage and state; the blocked are those of the waiting that wait for a dead one."""
    seen = overview()
    table = Table(title="Runs by stage and state", title_justify="left", box=box.SIMPLE, padding=(0, 1, 0, 0))
    table.add_column("stage", no_wrap=True)
    for state in RunState:
        table.add_column(state.value, justify="right")
    table.add_column("blocked", justify="right")
    for work in seen.work:
        numbers = [str(work.counts[state]) if work.counts[state] else "·" for state in RunState]
        table.add_row(work.name, *numbers, str(work.blocked or "·"))
    return table


def dead_lines() -> list[str]:
    """Say why runs are dead: a line for each stage and error, with how many and one of the photos."""
    dead = StageRun.objects.dead().order_by().values("stage", "error_code")
    rows = dead.annotate(count=Count("pk"), photo=Min("photo__original_filename"))
    return [
        f"dead: {row['count']} of {row['stage']}: {row['error_code']} (such as {row['photo']})"
        for row in rows.order_by("stage", "error_code")
    ]


def result_line() -> str:
    """Sum up the photos by state, the faces and the people."""
    photos = Photo.objects.present()
    states = count_by_state(photos)
    by_state = ", ".join(f"{states[state]} {state.label.lower()}" for state in PhotoState if states[state]) or "none"
    faces, people = Face.objects.kept().count(), Person.objects.count()
    found = f"{counted(faces, 'face')}, {counted(people, 'person', 'people')}"
    return f"{counted(photos.count(), 'photo')} ({by_state}), {found}"


def _note(work: WorkOverview) -> str:
    parts = [work.obstacle, f"{work.counts[RunState.DEAD]} dead" if work.counts[RunState.DEAD] else ""]
    return ", ".join(part for part in parts if part)
