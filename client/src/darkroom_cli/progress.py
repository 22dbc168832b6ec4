"""How far a transfer is: bars on a terminal, a line every few seconds elsewhere."""

import sys
import threading
import time
from abc import abstractmethod
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

from darkroom_cli import text

LINE_SECONDS = 5.0
NAME_WIDTH = 36


class Transfer(AbstractContextManager["Transfer"]):
    """Counts files and bytes, for several threads at once; this one tells nobody.

    `total` is what is to be moved, in bytes; whatever turns out not to have to be is taken off it.
    """

    def __init__(self, *, files: int, total: int) -> None:
        self.files, self.files_done = files, 0
        self.total, self.moved = total, 0
        self.started = time.monotonic()
        self._lock = threading.Lock()
        self._places: dict[str, int] = {}
        self._finished = 0

    @property
    def done(self) -> int:
        """The bytes that are through."""
        return self._finished + sum(self._places.values())

    def begin(self, name: str, size: int, *, shown: str) -> None:  # noqa: ARG002 - for those that show it
        """Begin with a file; `name` tells it apart."""
        with self._lock:
            self._places[name] = 0

    def at(self, name: str, place: int, moved: int) -> None:
        """Note how far a file is, and how many bytes went over the line just now."""
        with self._lock:
            self._places[name] = place
            self.moved += moved

    def end(self, name: str, size: int, *, is_through: bool) -> None:
        """End a file that was begun."""
        with self._lock:
            self._places.pop(name, None)
            self._count(size, is_through=is_through)

    def skip(self, size: int) -> None:
        """Count a file that has not to be moved."""
        with self._lock:
            self._count(size, is_through=False)

    @abstractmethod
    def say(self, line: Text) -> None:
        """Tell something beside."""

    def _count(self, size: int, *, is_through: bool) -> None:
        self.files_done += 1
        if is_through:
            self._finished += size
        else:
            self.total -= size


class Lines(Transfer):
    """Writes a line from time to time, for logs and pipes."""

    def __init__(self, console: Console, *, verb: str, files: int, total: int) -> None:
        super().__init__(files=files, total=total)
        self._console, self._verb = console, verb
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._tell, daemon=True)

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        """End."""
        self._over.set()
        self._thread.join()

    def say(self, line: Text) -> None:
        """Write a line."""
        self._console.print(line, soft_wrap=True)

    def _tell(self) -> None:
        while not self._over.wait(LINE_SECONDS):
            seconds = time.monotonic() - self.started
            rate = self.moved / seconds
            line = f"{self._verb} {self.files_done:,} of {self.files:,} files, {text.size(self.done)} of "
            line += f"{text.size(self.total)}, {text.size(rate)}/s"
            if rate and (left := (self.total - self.done) / rate) > 0:
                line += f", {left:,.0f} s left"
            self.say(Text(line))


class _FilesColumn(ProgressColumn):
    """How many files are done, of how many."""

    def render(self, task: Task) -> Text:
        """Give it; of a single file nothing."""
        files = task.fields.get("files")
        return Text(f"{files[0]:,}/{files[1]:,} files" if files else "", style="progress.download")


class Bars(Transfer):
    """Draws a bar of all, and above it one of each file that is under way."""

    def __init__(self, console: Console, *, verb: str, files: int, total: int) -> None:
        super().__init__(files=files, total=total)
        self._progress = Progress(
            SpinnerColumn(finished_text="[green]✓"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(compact=True),
            _FilesColumn(),
            console=console,
            expand=True,
        )
        self._tasks: dict[str, TaskID] = {}
        self._all = self._progress.add_task(f"[bold]{verb}", total=total, files=(0, files))

    def __enter__(self) -> Self:
        """Begin to draw."""
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, and leave the bar of all where it is."""
        for task in self._tasks.values():
            self._progress.remove_task(task)
        self._progress.stop()

    def begin(self, name: str, size: int, *, shown: str) -> None:
        """Add a bar."""
        super().begin(name, size, shown=shown)
        shown = text.shortened(text.printable(shown), NAME_WIDTH)
        # markup is switched off by what escapes it: a name may have brackets
        self._tasks[name] = self._progress.add_task(shown.replace("[", r"\["), total=size)

    def at(self, name: str, place: int, moved: int) -> None:
        """Move its bar, and that of all."""
        super().at(name, place, moved)
        self._progress.update(self._tasks[name], completed=place)
        self._draw()

    def end(self, name: str, size: int, *, is_through: bool) -> None:
        """Take its bar away."""
        super().end(name, size, is_through=is_through)
        self._progress.remove_task(self._tasks.pop(name))
        self._draw()

    def skip(self, size: int) -> None:
        """Shorten the bar of all."""
        super().skip(size)
        self._draw()

    def say(self, line: Text) -> None:
        """Write a line above the bars."""
        self._progress.console.print(line, soft_wrap=True)

    def _draw(self) -> None:
        self._progress.update(self._all, completed=self.done, total=self.total, files=(self.files_done, self.files))


def transfer(*, verb: str, files: int, total: int) -> Transfer:
    """Give what fits where standard error leads to: what a command is asked for goes to standard output."""
    console = Console(stderr=True, highlight=False)
    kind = Bars if console.is_terminal and sys.stderr.isatty() else Lines
    return kind(console, verb=verb, files=files, total=total)
