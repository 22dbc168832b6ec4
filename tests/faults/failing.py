"""The harness can fail: what keeps a run single is switched off, one thing after another, and a fault must go red.

The same fault runs first with everything in its place, and must be green. Between two trials everything that was
uploaded is deleted for good, and `prove` must find the installation clean.
"""

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from faults import checking, sabotage
from faults.fault import Fault
from faults.installation import Installation, Parts, Timing
from faults.kinds import kills, uploads, zombies
from faults.pictures import Pictures
from faults.runner import Result, Runner

TITLE = "## The harness can fail"
# of seconds: photos without face analysis need no model to be loaded
TIMING = Timing(lease=12, sweep=2, stage_limit=10, infrastructure_wait=1, slack=25)
PARTS = Parts(
    workers={"ingest1": "ingest", "ingest2": "ingest", "people1": "people,maintenance"}, beats=("beat1",),
    with_faces=False,
)  # fmt: skip
SETTLE_SECONDS = 25.0
CLEAN_SECONDS = 60.0


class _Zombie(zombies.SigstopPastLease):
    places = (("after_store", "renditions"),)
    settle_seconds = SETTLE_SECONDS
    times = 1


class _DeadWorker(kills.WorkerKill):
    places = (("after_claim", "exif"), ("after_store", "renditions"))
    settle_seconds = SETTLE_SECONDS
    together = 1
    times = 1


class _DeadChild(kills.ChildKill):
    places = (("after_claim", "exif"), ("after_store", "renditions"))
    bursts = (1,)
    settle_seconds = SETTLE_SECONDS
    times = 2


class _CutUpload(uploads.UploadCut):
    settle_seconds = SETTLE_SECONDS
    times = 4


@dataclass(frozen=True, slots=True)
class Trial:
    """One fault with everything in its place, and with one thing switched off."""

    switched_off: str
    control: Result
    sabotaged: Result

    @property
    def is_as_it_should_be(self) -> bool:
        """Whether the fault is green, and red where it is sabotaged, by what was switched off and nothing else."""
        return self.control.is_green and not self.sabotaged.is_green and not self.doubt

    @property
    def doubt(self) -> str:
        """Say why a red fault does not show what it should; empty where it does."""
        red = self.sabotaged
        if red.troubles:
            return "the harness stumbled"
        # what nobody returns does not end; whatever else is switched off, everything ends
        if red.unsettled and self.switched_off != sabotage.RECONCILER:
            return f"{red.unsettled} runs had not ended"
        return "" if EVIDENCE[self.switched_off](red) else "red by something else"


# what is switched off -> what it is, and the fault that must notice
TRIALS: dict[str, tuple[str, type[Fault]]] = {
    sabotage.FENCING: ("fencing: a commit does not ask whether the lease is still held", _Zombie),
    sabotage.RECONCILER: ("the reconciler: nobody returns expired leases or rings again", _DeadWorker),
    sabotage.COUNTING: ("counting at the claim: an attempt that kills its process is not counted", _DeadChild),
    sabotage.UNIQUE: ("the unique constraint on the bytes of a library's photos", _CutUpload),
}


def _counted_wrong(red: Result) -> bool:
    figure = re.search(r"\b(\d+) counted wrong\b", red.figure)
    return figure is not None and int(figure[1]) > 0


# what is switched off -> whether a fault is red by that
EVIDENCE: dict[str, Callable[[Result], bool]] = {
    sabotage.FENCING: lambda red: red.counts["doubled"] > 0,
    sabotage.RECONCILER: lambda red: red.counts["stuck"] > 0,
    sabotage.COUNTING: _counted_wrong,
    sabotage.UNIQUE: lambda red: red.counts["doubled"] > 0,
}


def run(folder: Path, *, seed: int, models_dir: Path, pictures: Pictures, tell: Callable[[str], None]) -> list[Trial]:
    """Do all four on one installation of their own. Raises RuntimeError where it is not clean between two."""
    world = Installation(folder, timing=TIMING, models_dir=models_dir, pictures=pictures, parts=PARTS)
    trials = []
    try:
        world.start()
        Runner(world=world, seed=seed).warm_up(photos=2)
        for switch, (_, fault) in TRIALS.items():
            trial = _try(world, switch, fault, seed=seed)
            trials.append(trial)
            tell(line(trial))
    finally:
        world.close()
        path = folder / "sabotage.json"
        path.write_text(json.dumps([asdict(trial) | {"is_right": trial.is_as_it_should_be} for trial in trials]))
    return trials


def line(trial: Trial) -> str:
    """Sum a trial up for a terminal."""
    doubt = f" ({trial.doubt})" if trial.doubt else ""
    verdict = "as it should be" if trial.is_as_it_should_be else f"NOT AS IT SHOULD BE{doubt}"
    control = "green" if trial.control.is_green else f"red ({_why(trial.control)})"
    red = "GREEN" if trial.sabotaged.is_green else f"red ({_why(trial.sabotaged)})"
    return f"{trial.switched_off} switched off: {trial.control.name} {red}; with it {control}: {verdict}"


def section(trials: Sequence[Trial], *, stamp: str) -> str:
    """Write the section of the report."""
    rows = [
        f"| {TRIALS[trial.switched_off][0]} | `{trial.control.name}` | "
        f"{'green' if trial.control.is_green else '**red**'} | "
        f"{'**green**' if trial.sabotaged.is_green else f'red: {_why(trial.sabotaged)}'} | "
        f"{'yes' if trial.is_as_it_should_be else f'**no** {trial.doubt}'} |"
        for trial in trials
    ]
    head = [
        TITLE,
        "",
        f"{stamp}.",
        "",
        "Each of the four things that keep a run single, switched off by itself (`--sabotage`):",
        "",
        "| switched off | fault | with it | without it | red by that |",
        "| --- | --- | --- | --- | --- |",
    ]
    return "\n".join([*head, *rows]) + "\n"


def _try(world: Installation, switch: str, fault: type[Fault], *, seed: int) -> Trial:
    control = Runner(world=world, seed=seed).run(fault())
    if not control.is_green:
        _clean(world)
    with _switched_off(world, switch):
        sabotaged = Runner(world=world, seed=seed).run(fault())
        if switch == sabotage.UNIQUE:
            _delete_all(world)  # with doubles the constraint could not come back
    _clean(world)
    return Trial(switch, control, sabotaged)


@contextmanager
def _switched_off(world: Installation, switch: str) -> Iterator[None]:
    if switch != sabotage.UNIQUE:
        world.sabotage.switch(switch, off=True)
        try:
            yield
        finally:
            world.sabotage.switch(switch, off=False)
        return
    table, name = sabotage.UNIQUE_CONSTRAINT
    [(definition,)] = world.database.rows(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = %s AND conrelid = %s::regclass",
        name,
        table,
    )
    world.database.rows(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    try:
        yield
    finally:
        world.database.rows(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")


def _delete_all(world: Installation) -> None:
    world.run("-m", "faults.emptying")
    world.acknowledged.forget()


def _clean(world: Installation) -> None:
    """Delete all photos, and have `prove` say that nothing is left of what was done."""
    _delete_all(world)
    deadline = time.monotonic() + CLEAN_SECONDS
    while True:
        world.wait_for_workers()
        verdict = checking.prove(world)
        if verdict.is_clean and world.database.unsettled() == 0:
            return
        if time.monotonic() > deadline:
            raise RuntimeError(f"the installation did not become clean: {verdict.counts} {verdict.findings[:5]}")
        time.sleep(1)


def _why(result: Result) -> str:
    """Say by what a result is red: by `prove`'s counts, or by the fault's own criterion."""
    counts = [f"{name} {count}" for name, count in result.counts.items() if count]
    own = [] if result.passed else [f"criterion: {result.figure}"]
    return "; ".join([*counts, *own]) or "nothing"
