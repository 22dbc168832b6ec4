"""`make faults`."""

import argparse
import json
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from real_photos import REAL_PHOTOS

from config.running import sample_photos
from faults import aftermath, catalogue, comparing, failing, mounts, report, soaking
from faults.comparing import Compared
from faults.fault import Fault
from faults.installation import REPOSITORY, SHORT, Installation, Timing
from faults.pictures import Pictures
from faults.runner import Result, Runner

FULL_COUNT = 500
FULL_SOAK_MINUTES = 30
WARM_UP_PHOTOS = 8
DOCUMENT = REPOSITORY / "docs" / "faults.md"


def main() -> int:
    """Run what was asked for; the status is 0 only if all of it is as it should be."""
    options = read_options()
    signal.signal(signal.SIGTERM, _interrupt)
    options.is_mounting = mounts.enter_private_namespace()
    options.folder = options.folder or _new_folder(options.seed)
    options.folder.mkdir(parents=True, exist_ok=True)
    _tell(f"Events and logs: {options.folder}")
    if options.soak is not None:
        return _soak(options)
    if options.sabotage:
        trials = _sabotage(options)
        section = failing.section(trials, stamp=report.stamp())
        report.replace_section(report_of(options), section)
        return 0 if all(trial.is_as_it_should_be for trial in trials) else 1
    return _run(options)


def _run(options: argparse.Namespace) -> int:
    started = time.monotonic()
    is_all = not options.faults
    target = report_of(options)
    results, circumstances = _run_faults(options, catalogue.chosen(options.faults))
    plain: dict[str, Compared] = {}
    trials: list[failing.Trial] = []

    def write() -> None:
        sections = [
            failing.section(trials, stamp=report.stamp()) if trials else report.section_of(target, failing.TITLE),
            comparing.section(plain, stamp=report.stamp()) if plain else report.section_of(target, comparing.TITLE),
            report.section_of(target, soaking.TITLE),
        ]
        seconds = time.monotonic() - started
        report.write(target, results, circumstances, total_seconds=seconds, plain=plain, sections=sections)

    write()  # also if one of the next two breaks off
    is_compared = is_all if options.plain is None else options.plain
    if is_compared:
        plain = _compare(options, catalogue.chosen(options.faults))
        write()
    if is_all and not options.no_sabotage:
        trials = _sabotage(options)
        write()
    _tell(f"Report: {target}")
    is_right = report.is_right(results, circumstances) and all(trial.is_as_it_should_be for trial in trials)
    return 0 if is_right else 1


def report_of(options: argparse.Namespace) -> Path:
    """Say where the report goes. The repository's own is of a whole run alone: all faults, or the whole half hour."""
    if options.soak is not None:
        is_whole = options.soak >= FULL_SOAK_MINUTES
    else:
        is_whole = not (options.faults or options.short or options.sabotage) and options.count >= FULL_COUNT
    return options.report or (DOCUMENT if is_whole else options.folder / "report.md")


def _run_faults(options: argparse.Namespace, faults: list[Fault]) -> tuple[list[Result], report.Circumstances]:
    started = time.monotonic()
    timing = SHORT if options.short else Timing()
    world = Installation(
        options.folder,
        timing=timing,
        models_dir=options.models,
        pictures=_pictures(options),
        is_mounting=options.is_mounting,
    )
    runner = Runner(world=world, seed=options.seed, share=options.count / FULL_COUNT)
    try:
        world.start()
        _tell(f"Serving after {time.monotonic() - started:.0f} s.")
        serving = time.monotonic()
        runner.warm_up(photos=WARM_UP_PHOTOS)
        not_run = _run_each(runner, faults, options.folder)
        circumstances = report.Circumstances(
            seed=options.seed,
            photos=len(world.acknowledged.photos()),
            timing=timing,
            not_run=not_run,
            aftermath=aftermath.await_last_sweep(world, tell=_tell),
            seconds=time.monotonic() - serving,
        )
    finally:
        world.close()
    _tell(report.afterwards(circumstances.aftermath))
    for finding in circumstances.aftermath.findings:
        _tell(f"      {finding}")
    (options.folder / "run.json").write_text(json.dumps(circumstances.as_dict(), indent=1))
    return runner.results, circumstances


def _run_each(runner: Runner, faults: list[Fault], folder: Path) -> dict[str, str]:
    """Run faults one after another; gives why some were not run, by name."""
    not_run: dict[str, str] = {}
    for fault in faults:
        if obstacle := fault.obstacle(runner.world):
            not_run[fault.name] = obstacle
            _tell(f"NOT RUN  {fault.name}: {obstacle}")
            continue
        _tell(report.line(runner.run(fault)))
        for remark in runner.results[-1].remarks:
            _tell(f"      {remark}")
        report.write_results(folder / "results.json", runner.results)
    return not_run


def _compare(options: argparse.Namespace, faults: list[Fault]) -> dict[str, Compared]:
    _tell("The same on the plain pipeline:")
    return comparing.run(
        options.folder / "plain",
        faults,
        seed=options.seed,
        share=options.count / FULL_COUNT,
        timing=SHORT if options.short else Timing(),
        models_dir=options.models,
        pictures=_pictures(options),
        is_mounting=options.is_mounting,
        tell=_tell,
    )


def _sabotage(options: argparse.Namespace) -> list[failing.Trial]:
    _tell("With something switched off:")
    return failing.run(
        options.folder / "sabotage-run",
        seed=options.seed,
        models_dir=options.models,
        pictures=_pictures(options),
        tell=_tell,
    )


def _soak(options: argparse.Namespace) -> int:
    soaked = soaking.run(
        options.folder,
        minutes=options.soak,
        seed=options.seed,
        models_dir=options.models,
        pictures=_pictures(options),
        tell=_tell,
    )
    target, section = report_of(options), soaking.section(soaked, stamp=report.stamp())
    _tell(section)
    report.replace_section(target, section)
    _tell(f"Report: {target}")
    return 0 if soaked.is_right else 1


def _new_folder(seed: int) -> Path:
    return REPOSITORY / "var" / "faults" / f"{datetime.now(tz=UTC):%Y%m%d-%H%M%S}-{seed}"


def _pictures(options: argparse.Namespace) -> Pictures:
    return Pictures(options.photos or _default_photos(options.folder), seed=options.seed)


def _default_photos(folder: Path) -> Path:
    """Give the folder of real photos beside the checkout; without it, the few that a first run comes with."""
    return REAL_PHOTOS if REAL_PHOTOS.is_dir() else sample_photos.make_samples(folder)


def read_options() -> argparse.Namespace:
    """Read the command line; ends the program where it is wrong."""
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument("--faults", default="", help="names with commas; all of them where it is empty")
    parser.add_argument("--seed", type=int, default=1, help="decides the schedule and the photos")
    parser.add_argument(
        "--count",
        type=int,
        default=FULL_COUNT,
        help="photos in all, about: strikes and photos of every fault in proportion",
    )
    parser.add_argument("--photos", type=Path, help="a folder to take them from")
    parser.add_argument("--models", type=Path, default=REPOSITORY / "var" / "test-models", help="where models lie")
    parser.add_argument("--folder", type=Path, help="for events, logs and results")
    parser.add_argument(
        "--report", type=Path, help="where the report goes: docs/faults.md after all faults at their full number"
    )
    parser.add_argument("--short", action="store_true", help="shorter leases and sweeps, for a run of minutes")
    parser.add_argument(
        "--plain",
        action=argparse.BooleanOptionalAction,
        help="the same on the plain pipeline; where all faults are run",
    )
    parser.add_argument("--no-sabotage", action="store_true", help="do not show that the harness can fail")
    parser.add_argument("--sabotage", action="store_true", help="show only that the harness can fail")
    parser.add_argument("--soak", type=float, metavar="MINUTES", help="watch the memory of all processes for so long")
    options = parser.parse_args()
    try:
        catalogue.chosen(options.faults)
    except KeyError as error:
        parser.error(error.args[0])
    return options


def _tell(text: str) -> None:
    sys.stdout.write(f"{datetime.now(tz=UTC):%H:%M:%S} {text}\n")
    sys.stdout.flush()


def _interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
