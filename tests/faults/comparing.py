"""The same faults on the pipeline that most projects write: the five counts of each, for the other column."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from faults import checking
from faults.database import QUIET_SECONDS
from faults.fault import Fault
from faults.installation import PLAIN, Installation, Timing
from faults.measures import seconds
from faults.pictures import Pictures
from faults.runner import Result, Runner

TITLE = "## The plain pipeline"
# what there is nothing of in a plain pipeline: beats and reconcilers, claims, rows that wait for a version
LEFT_OUT = frozenset({"two_beats", "claim_race", "mixed_releases"})
# every message here is work done again, and each sends others: at the full number it would take hours
SHARES = {"duplicate_delivery": 0.1}
WARM_UP_PHOTOS = 8
# of what nobody sweeps `prove` need not wait for the sweep
SWEEP_SECONDS = 2
VISIBILITY_SECONDS = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What one fault did to the plain pipeline.

    `messages` were left when it was counted: unread, or unacknowledged by somebody who had died, so that they would
    have come back after the visibility timeout.
    """

    result: Result
    messages: int

    @property
    def is_whole(self) -> bool:
        """Whether the fault was done to its end, and counted."""
        return not self.result.troubles


def run(
    folder: Path,
    faults: Sequence[Fault],
    *,
    seed: int,
    share: float,
    timing: Timing,
    models_dir: Path,
    pictures: Pictures,
    is_mounting: bool,
    tell: Callable[[str], None],
) -> dict[str, Compared]:
    """Run the schedule of a seed on an installation of its own; gives by fault what it did."""
    world = Installation(
        folder,
        timing=replace(timing, sweep=SWEEP_SECONDS),
        models_dir=models_dir,
        pictures=pictures,
        is_mounting=is_mounting,
        parts=PLAIN,
    )
    runner = Runner(world=world, seed=seed, is_judged=False)
    found: dict[str, Compared] = {}
    try:
        world.start()
        runner.warm_up(photos=WARM_UP_PHOTOS)
        for fault in faults:
            if fault.name in LEFT_OUT or fault.obstacle(world):
                continue
            runner.share = share * SHARES.get(fault.name, 1.0)
            result = runner.run(fault)
            found[fault.name] = Compared(result=result, messages=sum(world.count_messages().values()))
            # what comes back an hour later is no later fault's doing
            world.forget_messages()
            (folder / "plain.json").write_text(json.dumps([asdict(one) for one in found.values()], indent=1))
            tell(line(found[fault.name]))
    finally:
        world.close()
    return found


def line(compared: Compared) -> str:
    """Sum a fault up for a terminal."""
    result = compared.result
    figures = " ".join(f"{name} {result.counts[name]}" for name in checking.COUNTS)
    troubles = "".join(f"\n      {trouble}" for trouble in result.troubles)
    return (
        f"plain {result.name:22} {result.times} times, {result.photos} photos  {figures}  messages left "
        f"{compared.messages}  {result.seconds:.0f} s{troubles}"
    )


def section(found: Mapping[str, Compared], *, stamp: str) -> str:
    """Write the section of the report: how it was counted, and each fault."""
    rows = [
        f"| `{name}` | {one.result.times} | {one.result.photos} | "
        f"{' | '.join(str(one.result.counts[count]) for count in checking.COUNTS)} | {one.messages} | "
        f"{seconds(one.result.seconds)} | {_troubles(one)} |"
        for name, one in found.items()
    ]
    fewer = ", ".join(f"`{name}` ({share:.0%})" for name, share in SHARES.items())
    head = f"""{TITLE}

{stamp}.

The same faults by the same seed on `tests/faults/plain.py`: one task with `acks_late`, sent by `delay_on_commit`, which
runs the same stages on the same processes and writes the same rows. No ledger's task claims anything there, nothing is
swept, and messages that a fault sends twice or out of order are the plain task's own. Grouping faces and erasing them,
which are done for a library and not for a photo, are Darkroom's in both.

- A fault is counted when no message is left, when nothing has moved for {QUIET_SECONDS:.0f} s, or after
  {Fault.settle_seconds:.0f} s at the latest. What a worker had in hand when it was killed comes back after the
  visibility timeout, {VISIBILITY_SECONDS} s by default: until then it is stuck, and counted so. "Messages left" says
  how many those were; they are thrown away after the count, so that no later fault is charged with what they would do.
- A result is doubled if it was committed twice without its input having been made anew in between, as in Darkroom.
- Each fault is as large as above, but for {fewer}: each of its messages is a whole piece of
  work here. Orders that nobody has come by within some seconds are given up, so fewer may have struck than in Darkroom.
- Not done here, for want of anything to strike: {", ".join(f"`{name}`" for name in sorted(LEFT_OUT))}.
"""
    table = [
        f"| fault | times | photos | {' | '.join(checking.COUNTS)} | messages left | took | broke off |",
        "| --- | --- | --- |" + " --- |" * (len(checking.COUNTS) + 3),
        *rows,
    ]
    return "\n".join([head, *table]) + "\n"


def _troubles(one: Compared) -> str:
    return "; ".join(one.result.troubles).replace("|", "/").replace("\n", " ") or "no"
