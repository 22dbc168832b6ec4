"""Workers whose clock is wrong, by libfaketime."""

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from faults.events import Event
from faults.fault import Fault, Injected, Judgement
from faults.installation import HOST, Installation
from faults.measures import commits_per_run
from faults.services import wait_for

LIBRARIES = (
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
)

RESTART_SECONDS = 90.0
HOURS = 2
TOLERANCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Turn:
    """A span of time (monotonic) in which each worker's clock was so many hours ahead."""

    since: float
    until: float
    hours: Mapping[str, int]


def library() -> str | None:
    """Give libfaketime's path, where the system has it (Debian: libfaketime)."""
    return next((path for path in LIBRARIES if Path(path).is_file()), None)


class ClockSkew(Fault):
    """One worker of each kind two hours ahead, the other two behind; then the other way round."""

    name = "clock_skew"
    title = "workers whose clocks are 2 h off, both ways"
    criterion = "every worker that claims is 2 h off, in both ways; one effect, and no lease runs out early"
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
        ways = [HOURS, -HOURS]
        self.turns: list[Turn] = []
        turned = 0
        while turned < times:
            off = {worker.name: ways[number % 2] for number, worker in enumerate(world.workers)}
            _restart(
                world,
                [
                    {"LD_PRELOAD": path, "FAKETIME": f"{hours:+d}h", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
                    for hours in off.values()
                ],
            )
            turned += len(world.workers)
            ways.reverse()
            since = time.monotonic()
            world.feed(4)
            world.database.wait_until_settled(seconds=60)
            self.turns.append(Turn(since=since, until=time.monotonic(), hours=off))
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
        # how far off whoever claimed a run was, and how far he should have been
        offs = [
            (clock_error(event), turn.hours[event["worker"].removesuffix(f"@{HOST}")] * 3600)
            for turn in self.turns
            for event in history
            if event["kind"] == "claim" and event["runs"] and turn.since <= event["t"] < turn.until
        ]
        right = [wanted for found, wanted in offs if abs(found - wanted) <= TOLERANCE_SECONDS]
        is_both = {1, -1} == {1 if wanted > 0 else -1 for wanted in right}
        return Judgement(
            passed=bool(counts) and not doubled and not expired and is_both and len(right) == len(offs),
            figure=f"{len(counts)} runs committed, {len(doubled)} of them twice; {len(expired)} leases ran out; of "
            f"{len(offs)} claims of runs {sum(one > 0 for one in right)} were made 2 h ahead, "
            f"{sum(one < 0 for one in right)} 2 h behind, {len(offs) - len(right)} by another clock",
        )


def clock_error(event: Event) -> float:
    """Give the seconds by which the clock of the process that wrote an event was ahead of this machine's."""
    return event["wall"] - (event["t"] + time.time() - time.monotonic())


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
