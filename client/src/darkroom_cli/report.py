"""What is told of photos and files: tables and lines."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from darkroom_cli import text
from darkroom_cli.problems import DarkroomError

_NOTHING = "-"
# what is shown of a photo, on terminals of so many columns and more
_COLUMNS = {"taken": 80, "file": 0, "title": 120, "camera": 120, "place": 120, "size": 90, "id": 0}


def refusal(name: str, error: DarkroomError) -> Text:
    """Give the line that tells of a file that was refused."""
    line = Text("refused ", style="red")
    line.append(text.printable(name), style="bold")
    return line.append(f": {text.printable(error.sentence)}", style="default")


def print_photos(photos: Iterable[Any], *, as_json: bool) -> int:
    """Print photos as they come: a line of JSON for each, a table, or without a terminal lines with tabs."""
    console = Console(highlight=False)
    if as_json:
        return sum(_echo(_json(one.to_dict())) for one in photos)
    rows = map(_row, photos)
    if not console.is_terminal:
        return sum(_echo("\t".join(row)) for row in rows)
    return _print_table(console, rows)


def _echo(line: str) -> int:
    click.echo(line)
    return 1


def _json(values: dict[str, Any]) -> str:
    """Write JSON for people who read it too: letters as they are, and what steers a terminal as JSON escapes it."""
    line = json.dumps(values, ensure_ascii=False)
    return "".join(one if one.isprintable() else json.dumps(one)[1:-1] for one in line)


def _print_table(console: Console, rows: Iterator[list[str]]) -> int:
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", row_styles=("", "dim"), pad_edge=False, expand=True)
    shown = [name for name, width in _COLUMNS.items() if console.width >= width]
    for name in shown:
        is_words = name in {"file", "title", "camera", "place"}
        table.add_column(
            name,
            no_wrap=True,
            overflow="ellipsis",
            # files and words give way, and not ids, of which every letter counts
            ratio=(3 if name == "file" else 2) if is_words else None,
            justify="right" if name == "size" else "left",
            style="cyan" if name == "file" else None,
        )
    for row in rows:
        table.add_row(*(Text(cell) for name, cell in zip(_COLUMNS, row, strict=True) if name in shown))
    if table.row_count:
        console.print(table)
    return table.row_count


def _row(photo: Any) -> list[str]:
    """Give what is shown of a photo: nothing in it steers the terminal or adds a column."""
    taken = photo.taken_at.strftime("%Y-%m-%d %H:%M") if photo.taken_at else _NOTHING
    camera = photo.camera_model or photo.camera_make
    place = ", ".join(one for one in (photo.city, photo.country) if one)
    shown = (taken, photo.original_filename, photo.title, camera, place, text.size(photo.byte_size), str(photo.id))
    return [text.printable(one) or _NOTHING for one in shown]
