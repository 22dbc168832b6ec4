"""Workers that are stopped for longer than their lease, and go on as if nothing had been."""

import random
import signal
import time
from collections.abc import Sequence
from contextlib import suppress

import psutil

from faults import orders
from faults.events import Event
from faults.fault import Injected, Judgement
from faults.installation import HOST, Installation
from faults.measures import commits_per_run
from faults.ordered import COMPUTING, Ordered, Place
from faults.services import wait_for

# the child first: its parent would end it for its time, before it could try to commit
HEAD_START_SECONDS = 5.0


class SigstopPastLease(Ordered):
    """SIGSTOP of a worker and its child, SIGCONT when somebody else was given the run."""

    name = "sigstop_past_lease"
    title = "SIGSTOP past the lease, then SIGCONT"
    criterion = "the stale commit is refused, and there is one effect"
    times = 5
    action = orders.STOP_WORKER
    # not within the commit's own transaction: its locks hold the run for as long as it lasts
    places = tuple(
        (point, stage) for stage, computing in COMPUTING.items() for point in ("after_claim", computing, "after_store")
    )
    bursts = (1, 2)

    def await_recovery(self, world: Installation, since: float) -> None:
        """Nobody may be there to take the run up, until whoever was stopped goes on."""

    def strike(self, world: Installation, chance: random.Random, places: Sequence[Place]) -> int:
        """Stop somebody, wait until the lease has run out, and let it go on."""
        since = time.monotonic()
        struck = super().strike(world, chance, places)
        if not struck:
            return 0
        event = world.injections.read(since=since)[-1]
        worker = world.supervisor.managed[event["worker"].removesuffix(f"@{HOST}")]
        runs = [run["run"] for run in event["runs"]]
        try:
            patience = 2 * (world.timing.lease + world.timing.sweep)
            wait_for(
                lambda: _is_taken_away(world, runs, event["task"]),
                seconds=patience,
                what="the leases run out",
                every=0.5,
            )
        finally:
            with suppress(psutil.NoSuchProcess):
                psutil.Process(event["pid"]).send_signal(signal.SIGCONT)
            time.sleep(HEAD_START_SECONDS)
            worker.signal(signal.SIGCONT, group=True)
        return struck

    def judge(self, world: Installation, injected: Injected) -> Judgement:
        """See that whoever came back was refused."""
        history = world.history.read(since=injected.since)
        stale = [(event["pid"], run["run"]) for event in injected.events for run in event["runs"]]
        refused = [one for one in stale if _has(history, "refused", *one)]
        slipped = [one for one in stale if _has(history, "commit", *one)]
        doubled = [run for run, count in commits_per_run(history).items() if count > 1]
        return Judgement(
            passed=bool(refused) and not slipped and not doubled and not self.unstruck(injected),
            figure=f"{len(stale)} runs were held by somebody stopped; {len(refused)} stale commits were tried and "
            f"refused, {len(slipped)} went through, {len(doubled)} runs were committed twice; "
            f"{self.said_of_places(injected)}",
        )


def _is_taken_away(world: Installation, runs: Sequence[str], task: str) -> bool:
    """Tell whether none of these runs is still leased by that task: they are pending, done, or somebody else's."""
    held = world.database.number(
        "SELECT count(*) FROM processing_stagerun WHERE id = ANY(%s::uuid[]) AND state = 'running' AND task_id = %s",
        list(runs),
        task,
    )
    return held == 0


def _has(history: Sequence[Event], kind: str, pid: int, run: str) -> bool:
    """Tell whether a process did this with a run. One that was given it once more may have committed it rightly."""
    for event in history:
        if event["pid"] == pid and event.get("run") == run and event["kind"] in {"commit", "refused"}:
            return event["kind"] == kind
    return False
