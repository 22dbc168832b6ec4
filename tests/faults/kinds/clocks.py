"""Workers whose clock is wrong, by libfaketime."""

import random
from collections.abc import Sequence
from pathlib import Path

from faults.fault import Fault, Injected, Judgement
from faults.installation import Installation
from faults.measures import commits_per_run
from faults.services import wait_for

LIBRARIES = (
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
)

RESTART_SECONDS = 90.0


def library() -> str | None:
    """Give libfaketime's path, where the system has it (Debian: libfaketime)."""
    return next((path for path in LIBRARIES if Path(path).is_file()), None)


class ClockSkew(Fault):
    """One worker of each kind two hours ahead, the other two behind; then the other way round."""

    name = "clock_skew"
    title = "workers whose clocks are 2 h off, both ways"
    criterion = "one effect, and no lease runs out early"
    photos = 20
    per_second = 0.5
    times = 8

    def obstacle(self, world: Installation) -> str:
        """Ask for libfaketime."""
        return "" if library() else "libfaketime is not installed (Debian: apt-get install faketime)"

    def inject(self, world: Installation, chance: random.Random, *, times: int) -> int:
        """Start workers again under a wrong clock, let photos through, and turn the clocks round."""
        path = library()
        assert path is not None
        ways = ["+2h", "-2h"]
        turned = 0
        while turned < times:
            _restart(
                world,
                [
                    {"LD_PRELOAD": path, "FAKETIME": ways[number % 2], "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
                    for number, _ in enumerate(world.workers)
                ],
            )
            turned += len(world.workers)
            ways.reverse()
            world.feed(4)
            world.database.wait_until_settled(seconds=60)
        return turned

    def heal(self, world: Installation) -> None:
        """Give every worker its clock back."""
        _restart(world, [{} for _ in world.workers])

    def judge(self, world: Installation, injected: Injected) -> Judgement:
        """Count effects, and leases that were cut short."""
        history = world.history.read(since=injected.since)
        counts = commits_per_run(history)
        doubled = [run for run, count in counts.items() if count > 1]
        expired = [event for event in history if event["kind"] == "expire_leases"]
        return Judgement(
            passed=bool(counts) and not doubled and not expired,
            figure=f"{len(counts)} runs committed, {len(doubled)} of them twice; {len(expired)} leases ran out",
        )


def _restart(world: Installation, additions: Sequence[dict[str, str]]) -> None:
    """Have every worker end and come back, with additions to its environment."""
    starts = {worker.name: worker.starts for worker in world.workers}
    for worker, addition in zip(world.workers, additions, strict=True):
        world.supervisor.restart(worker.name, environment=world.environment | addition)
    wait_for(
        lambda: all(worker.starts > starts[worker.name] for worker in world.workers),
        seconds=RESTART_SECONDS,
        what="every worker comes back",
    )
    world.wait_for_workers()
