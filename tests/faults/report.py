"""`docs/faults.md`: what was done, what came of it, and what a plain pipeline makes of the same."""

import json
import platform
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import celery
import psutil

from faults.aftermath import Aftermath
from faults.checking import COUNTS
from faults.comparing import Compared
from faults.installation import REPOSITORY, Timing
from faults.measures import seconds
from faults.runner import Result

# what would drown the other faults in a sum, and what it is
APART = {"claim_race": "rounds of a race for one run", "storage_trouble": "requests to a store in trouble"}
_SECTIONS = re.compile("^(?=## )", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """Of one run of the harness. `seconds` are the faults' on an installation that serves, `not_run` why by name."""

    seed: int
    photos: int
    seconds: float
    timing: Timing
    not_run: Mapping[str, str]
    aftermath: Aftermath

    def as_dict(self) -> dict[str, object]:
        """Give it for a file."""
        return asdict(self) | {"aftermath": self.aftermath.as_dict(), "commit": commit()}


def commit() -> str:
    """Name the commit of this checkout, and say whether it was changed but for reports; `unknown` without one."""
    questions = (
        ("rev-parse", "--short", "HEAD"),
        ("status", "--porcelain", "--untracked-files=no", ":/", ":(top,exclude)docs/faults.md"),
    )
    named, changed = (
        subprocess.run(["git", *one], cwd=REPOSITORY, capture_output=True, text=True, check=False) for one in questions
    )
    if named.returncode != 0:
        return "unknown"
    return f"{named.stdout.strip()}{' with changes' if changed.stdout.strip() else ''}"


def stamp() -> str:
    """Say of which day and which commit something is."""
    return f"{datetime.now(tz=UTC):%Y-%m-%d}, commit {commit()}"


def is_right(results: Sequence[Result], run: Circumstances) -> bool:
    """Tell whether every fault was run and passed, and nothing was left over."""
    return all(result.is_green for result in results) and not run.not_run and run.aftermath.is_right


def write(
    path: Path,
    results: Sequence[Result],
    circumstances: Circumstances,
    *,
    total_seconds: float,
    plain: Mapping[str, Compared] | None = None,
    sections: Sequence[str] = (),
) -> None:
    """Write the report. `plain` is what faults did to the plain pipeline, by name; `sections` follow the table.

    `total_seconds` are those of all that was run until now, from the first start to the last stop.
    """
    parts = [
        _head(results, circumstances, total_seconds),
        _table(results, plain or {}),
        _criteria(results, circumstances.timing.slack),
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
    return f"{verdict}  {result.name:22} {times:24} {counts} dead {result.dead}  {recovery}  {result.figure}"


def afterwards(found: Aftermath) -> str:
    """Sum up what was found after the last sweep."""
    if found.trouble:
        return f"after the last sweep: NOT KNOWN, {found.trouble}"
    counts = ", ".join(f"{name} {found.counts[name]}" for name in COUNTS)
    open_ones = f"; {found.sweeps} sweeps HAD NOT ENDED" if found.sweeps else ""
    return (
        f"after the last sweep, {found.seconds:.0f} s after the last fault: {counts}{open_ones}; {found.unfinished} "
        "unfinished files of killed writers, which are deleted after a day"
    )


def _head(results: Sequence[Result], run: Circumstances, total_seconds: float) -> str:
    total = {name: sum(result.counts[name] for result in results) for name in COUNTS}
    memory = psutil.virtual_memory().total / 1024**3
    times = sum(result.times for result in results if result.name not in APART)
    apart = [f"{result.times:,} {APART[result.name]}" for result in results if result.name in APART]
    beside = f", and beside them {', '.join(apart)}" if apart else ""
    slack = f", {run.timing.slack:.0f} s of slack for every limit" if run.timing.slack else ""
    return f"""# Faults

Written by `make faults`: a real server, PostgreSQL, Redis and Celery workers as processes, real photos uploaded over
HTTP, faults on a schedule that the seed decides, and `manage.py prove` as the judge. A photo counts as acknowledged
when its 201 arrives.

- **{_verdict(results, run)}**
- {stamp()}, seed {run.seed}; the faults took {run.seconds / 60:.0f} minutes, all of this run \
{total_seconds / 60:.0f} minutes
- {run.photos} photos acknowledged, {times:,} faults injected{beside}
- {psutil.cpu_count()} CPU cores, {memory:.0f} GB, {platform.system()} {platform.machine()}, \
Python {platform.python_version()}, Celery {celery.__version__}
- lease {run.timing.lease} s, sweep every {run.timing.sweep} s, hard limit of a stage's task {run.timing.stage_limit} s\
{slack}
- in all: {", ".join(f"{name} {count}" for name, count in total.items())}; \
{sum(result.dead for result in results)} dead letters
- {afterwards(run.aftermath)}
{"".join(f"- `{name}` was not run: {why}{chr(10)}" for name, why in run.not_run.items())}"""


def _verdict(results: Sequence[Result], run: Circumstances) -> str:
    if is_right(results, run):
        return f"Every fault passed ({len(results)}), and nothing was left over."
    red = ", ".join(result.name for result in results if not result.is_green)
    wrong = [f"FAILED: {red}."] if red else []
    wrong += [f"NOT RUN: {', '.join(run.not_run)}."] if run.not_run else []
    wrong += [] if run.aftermath.is_right else ["LEFT OVER after the last sweep."]
    return " ".join(wrong)


def _table(results: Sequence[Result], plain: Mapping[str, Compared]) -> str:
    head = ["fault", "times", "photos", *COUNTS, "dead", "recovery p50", "p99", "verdict"]
    head += ["plain pipeline"] if plain else []
    lines = [_row(head), _row(["---"] * len(head))]
    for result in results:
        counts = [str(result.counts[name]) for name in COUNTS]
        cells = [f"`{result.name}`", str(result.times), str(result.photos), *counts, str(result.dead)]
        cells += [seconds(result.p50), seconds(result.p99), "pass" if result.is_green else "**fail**"]
        cells += [_plain(plain.get(result.name))] if plain else []
        lines.append(_row(cells))
    said = [
        "",
        "The five counts are those of `manage.py prove`, as far as the fault added to them; dead are runs that became",
        "dead letters. Recovery is the time that the criterion below speaks of.",
    ]
    said += ["The last column is what the same fault added on the plain pipeline, described below."] if plain else []
    return "\n".join(lines + said) + "\n"


def _criteria(results: Sequence[Result], slack: float) -> str:
    longer = (
        f"Limits are those of a full run. In this short one, whose machine may have had other work, each was "
        f"{slack:.0f} s longer, and that of the p95 of uploads {slack / 20:.0f} s.\n"
    )
    lines = [
        "## Beyond the five zeros",
        "",
        *([longer] if slack else []),
        _row(["fault", "what is done", "criterion", "measured"]),
        _row(["---"] * 4),
    ]
    lines += [_row([f"`{one.name}`", one.title, one.criterion, one.figure]) for one in results]
    return "\n".join(lines) + "\n"


def _remarks(results: Sequence[Result]) -> str:
    lines = [f"- `{one.name}`: {remark}" for one in results for remark in one.remarks]
    return "\n".join(["## Remarks", "", *lines]) + "\n" if lines else ""


def _plain(compared: Compared | None) -> str:
    if compared is None:
        return "-"
    bad = [f"{name} {count}" for name, count in compared.result.counts.items() if count]
    return (", ".join(bad) or "none") + ("" if compared.is_whole else " (broke off)")


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "/").replace("\n", " ") for cell in cells) + " |"
