"""`docs/faults.md`: what was done, what came of it, and what a plain pipeline makes of the same."""

import json
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import celery
import psutil

from faults.checking import COUNTS
from faults.installation import Timing
from faults.measures import seconds
from faults.runner import Result

_SECTIONS = re.compile("^(?=## )", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """Of one run of the harness."""

    seed: int
    photos: int
    seconds: float
    timing: Timing
    not_run: Sequence[str] = ()


def write(
    path: Path,
    results: Sequence[Result],
    circumstances: Circumstances,
    *,
    plain: Mapping[str, Mapping[str, int]] | None = None,
    sections: Sequence[str] = (),
) -> None:
    """Write the report. `plain` has the five counts of the plain pipeline by fault; `sections` follow the table."""
    parts = [
        _head(results, circumstances),
        _table(results, plain or {}),
        _criteria(results),
        _remarks(results),
        *sections,
    ]
    path.write_text("\n".join(part for part in parts if part))


def section_of(path: Path, title: str) -> str:
    """Give a section of a report that is there, with its heading; empty where there is none."""
    text = path.read_text() if path.is_file() else ""
    found = next((part for part in _SECTIONS.split(text) if part.startswith(f"{title}\n")), "")
    return found and found.rstrip() + "\n"


def replace_section(path: Path, section: str) -> None:
    """Put a section into a report in the place of the one with the same heading, or at the end."""
    title = section.partition("\n")[0]
    parts = _SECTIONS.split(path.read_text()) if path.is_file() else ["# Faults\n"]
    others = [part.rstrip() + "\n" for part in parts if not part.startswith(f"{title}\n")]
    path.write_text("\n".join([*others, section]))


def write_results(path: Path, results: Sequence[Result]) -> None:
    """Keep the figures for programs."""
    path.write_text(json.dumps([result.as_dict() for result in results], indent=1))


def line(result: Result) -> str:
    """Sum a fault up for a terminal."""
    counts = " ".join(f"{name} {result.counts[name]}" for name in COUNTS)
    times = f"{result.times} times, {result.photos} photos"
    recovery = f"p50 {seconds(result.p50)} p99 {seconds(result.p99)}"
    verdict = "pass" if result.is_green else "FAIL"
    return f"{verdict}  {result.name:22} {times:24} {counts}  {recovery}  {result.figure}"


def _head(results: Sequence[Result], run: Circumstances) -> str:
    total = {name: sum(result.counts[name] for result in results) for name in COUNTS}
    memory = psutil.virtual_memory().total / 1024**3
    red = [result.name for result in results if not result.is_green]
    return f"""# Faults

Written by `make faults`: a real server, PostgreSQL, Redis and Celery workers as processes, real photos uploaded over
HTTP, faults on a schedule that the seed decides, and `manage.py prove` as the judge. A photo counts as acknowledged
when its 201 arrives.

- {datetime.now(tz=UTC):%Y-%m-%d}, seed {run.seed}, {run.photos} photos acknowledged, \
{sum(result.times for result in results)} faults injected, {run.seconds / 60:.0f} minutes
- {psutil.cpu_count()} CPU cores, {memory:.0f} GB, {platform.system()} {platform.machine()}, \
Python {platform.python_version()}, Celery {celery.__version__}
- lease {run.timing.lease} s, sweep every {run.timing.sweep} s, hard limit of a stage's task {run.timing.stage_limit} s
- in all: {", ".join(f"{name} {count}" for name, count in total.items())}
- {"every fault passed" if not red else "FAILED: " + ", ".join(red)}
{"".join(f"- {one}" + chr(10) for one in run.not_run)}"""


def _table(results: Sequence[Result], plain: Mapping[str, Mapping[str, int]]) -> str:
    head = ["fault", "times", "photos", *COUNTS, "recovery p50", "p99", "verdict"]
    head += ["plain pipeline"] if plain else []
    lines = [_row(head), _row(["---"] * len(head))]
    for result in results:
        counts = [str(result.counts[name]) for name in COUNTS]
        cells = [f"`{result.name}`", str(result.times), str(result.photos), *counts]
        cells += [seconds(result.p50), seconds(result.p99), "pass" if result.is_green else "**fail**"]
        cells += [_plain(plain.get(result.name))] if plain else []
        lines.append(_row(cells))
    return "\n".join(lines) + "\n"


def _criteria(results: Sequence[Result]) -> str:
    lines = [
        "## Beyond the five zeros",
        "",
        _row(["fault", "what is done", "criterion", "measured"]),
        _row(["---"] * 4),
    ]
    lines += [_row([f"`{one.name}`", one.title, one.criterion, one.figure]) for one in results]
    return "\n".join(lines) + "\n"


def _remarks(results: Sequence[Result]) -> str:
    lines = [f"- `{one.name}`: {remark}" for one in results for remark in one.remarks]
    return "\n".join(["## Remarks", "", *lines]) + "\n" if lines else ""


def _plain(counts: Mapping[str, int] | None) -> str:
    if counts is None:
        return "-"
    bad = [f"{name} {count}" for name, count in counts.items() if count]
    return ", ".join(bad) or "none"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "/").replace("\n", " ") for cell in cells) + " |"
