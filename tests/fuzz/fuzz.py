"""Files that were made to break readers, through the engines as the workers run them: `make fuzz`.

PHOTOS=<folder> the good files to start from, CORPUS=<folder> files to try and to start from as well: all of them are
tried as they are. SEED=<number> and COUNT=<number> choose the mutations, PROCESSES=<number> how many examine the files.
REPLAY=<number> examines that one file of the seed again, in this process and without limits.

Every file must end in a named state. Ends with status 1 where a process crashed or an error had no name; those files
are kept below var/fuzz/.
"""

import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fuzz_mutations import Case, cuttable, plan
from fuzz_samples import sample_files

SLOWEST = 5


@dataclass(slots=True)
class Report:
    """What became of the files so far."""

    by_kind: dict[str, Counter[str]] = field(default_factory=dict)
    by_code: Counter[tuple[str, str]] = field(default_factory=Counter)
    bad: list[tuple[Case, object]] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    seconds: list[tuple[float, Case]] = field(default_factory=list)


def run(cases: Sequence[Case], *, seed: int, samples: Sequence[Path], processes: int, kept: Path) -> Report:
    """Examine all cases, keep what a bad one was, and say how far it is where somebody watches."""
    from fuzz_outcomes import BAD, STOPPED
    from fuzz_pool import examine_all

    report = Report()
    for number, (case, outcome, seconds) in enumerate(
        examine_all(cases, seed=seed, samples=samples, processes=processes), 1
    ):
        report.by_kind.setdefault(case.kind, Counter())[outcome.state] += 1
        report.by_code[outcome.state, outcome.code] += 1
        report.seconds = sorted([*report.seconds, (seconds, case)], key=lambda one: -one[0])[:SLOWEST]
        if outcome.state == STOPPED:
            report.stopped.append(f"{seconds:7.2f} s  {outcome.code}: {case.number} {case.kind} {case.sample.name}")
        if outcome.state in BAD:
            report.bad.append((case, outcome))
            path = kept / f"seed{seed}-{case.number}{case.sample.suffix}"
            kept.mkdir(parents=True, exist_ok=True)
            path.write_bytes(case.make(seed=seed, samples=samples))
            say(f"{outcome.state} {outcome.code}: {path}", f"  {case.kind} {case.sample}", outcome.story)
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{number:,} of {len(cases):,}\r")
    return report


def table(report: Report) -> Iterable[str]:
    """Write the report as lines of text."""
    from fuzz_outcomes import CRASHED, DEAD, DONE, REFUSED, STOPPED, UNNAMED

    states = (DONE, REFUSED, DEAD, STOPPED, UNNAMED, CRASHED)
    line = "{:<16}" + "{:>10}" * (len(states) + 1)
    yield line.format("mutation", "files", *states)
    total: Counter[str] = Counter()
    for kind, counts in report.by_kind.items():
        total += counts
        yield line.format(kind, counts.total(), *(counts[state] for state in states))
    yield line.format("all", total.total(), *(total[state] for state in states))
    yield ""
    for (state, code), count in report.by_code.most_common():
        yield f"{count:>7,}  {state} {code}".rstrip()
    yield ""
    yield from sorted(report.stopped)
    yield "slowest:"
    for seconds, case in report.seconds:
        yield f"{seconds:7.2f} s  {case.number} {case.kind} {case.sample.name}"


def say(*lines: str) -> None:
    """Print at once: a run takes minutes."""
    sys.stdout.writelines(f"{line}\n" for line in lines)
    sys.stdout.flush()


def main() -> int:
    """Read the environment, run, print; gives the exit status."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.local")
    import django
    from django.conf import settings

    django.setup()
    kept = settings.VAR_DIR / "fuzz"
    seed, count = int(os.environ.get("SEED") or 1), int(os.environ.get("COUNT") or 5000)
    photos, corpus = (Path(os.environ[name]) if os.environ.get(name) else None for name in ("PHOTOS", "CORPUS"))
    samples = sample_files(photos, generated=kept / "samples")
    if corpus is not None:
        samples = [*sample_files(corpus, generated=kept), *samples]
    cases = plan(samples, count=count, seed=seed)
    if replay := os.environ.get("REPLAY"):
        from fuzz_outcomes import examine

        case = cases[int(replay)]
        say(str(case), str(examine(case.make(seed=seed, samples=samples))))
        return 0
    started = time.monotonic()
    processes = int(os.environ.get("PROCESSES") or 2)
    report = run(cases, seed=seed, samples=samples, processes=processes, kept=kept)
    say(*table(report))
    cuts = report.by_kind.get("truncated", Counter()).total()
    say(
        f"\n{len(samples):,} samples as they are and {len(cases) - len(samples):,} mutated files of them, seed {seed}, "
        f"in {time.monotonic() - started:.0f} s; cut at {cuts:,} of their {cuttable(samples):,} whole kilobytes."
    )
    return int(bool(report.bad))


if __name__ == "__main__":
    raise SystemExit(main())
