"""The same faults on the pipeline that most projects write: the five counts of each, for the other column."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from faults import checking
from faults.fault import Fault
from faults.installation import PLAIN, Installation, Timing
from faults.pictures import Pictures
from faults.runner import Runner

# what there is nothing of in a plain pipeline: beats and reconcilers, claims, rows that wait for a version
LEFT_OUT = frozenset({"two_beats", "claim_race", "mixed_releases"})
SETTLE_SECONDS = 45.0
WARM_UP_PHOTOS = 8
# of what nobody sweeps `prove` need not wait for the sweep
SWEEP_SECONDS = 2


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
) -> dict[str, dict[str, int]]:
    """Run the schedule of a seed on an installation of its own; gives the five counts that each fault added."""
    world = Installation(
        folder,
        timing=replace(timing, sweep=SWEEP_SECONDS),
        models_dir=models_dir,
        pictures=pictures,
        is_mounting=is_mounting,
        parts=PLAIN,
    )
    runner = Runner(world=world, seed=seed, share=share, is_judged=False, longest_settle=SETTLE_SECONDS)
    counts: dict[str, dict[str, int]] = {}
    try:
        world.start()
        runner.warm_up(photos=WARM_UP_PHOTOS)
        for fault in faults:
            if fault.name in LEFT_OUT or fault.obstacle(world):
                continue
            result = runner.run(fault)
            counts[fault.name] = result.counts
            (folder / "plain.json").write_text(json.dumps(counts, indent=1))
            figures = " ".join(f"{name} {result.counts[name]}" for name in checking.COUNTS)
            tell(
                f"plain {fault.name:22} {result.times} times, {result.photos} photos  {figures}  {result.seconds:.0f} s"
            )
            for trouble in result.troubles:
                tell(f"      {trouble}")
    finally:
        world.close()
    return counts
