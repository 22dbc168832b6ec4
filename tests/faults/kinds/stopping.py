"""Workers that are told to stop, as in a deployment: one after another, under a backlog."""

import random
import signal
from contextlib import suppress
from itertools import pairwise

from faults import orders
from faults.events import Event
from faults.fault import Fault, Injected, Judgement
from faults.hearing import LIGHT_QUEUES, QUEUES, queues_of
from faults.installation import HOST, Installation
from faults.measures import percentile, seconds
from faults.orders import Order
from faults.services import wait_for
from faults.supervisor import Managed

# what a container is given between SIGTERM and SIGKILL
GRACE_SECONDS = 30.0
LIMIT_SECONDS = 40.0
# what a worker has in hand when it is told to stop takes so long
AT_WORK_SECONDS = (1.0, 5.0)
BUSY_WITHIN_SECONDS = 8.0
BUSY_ATTEMPTS = 5
FOLLOW_UPS = frozenset({"claim", "commit"})


class SigtermRolling(Fault):
    """SIGTERM for every worker in turn; one that does not go within the grace time is killed, as containers are."""

    name = "sigterm_rolling"
    title = "SIGTERM for one worker after another, under a backlog"
    criterion = (
        "what a worker held is finished or taken up elsewhere within 40 s (p99), and what was pending never lies for "
        "longer with nobody at work on its queues; no lease runs out, no attempt is burnt"
    )
    photos = 60
    times = 15
    least = 3

    def inject(self, world: Installation, chance: random.Random, *, times: int) -> int:
        """Stop and start them, and keep a backlog meanwhile."""
        self.killed: list[str] = []
        self.idle: list[str] = []
        self.queues = {worker.name: queues_of(worker) for worker in world.workers}
        workers = world.workers
        for number in range(times):
            worker = workers[number % len(workers)]
            self._occupy(world, worker, seconds=chance.uniform(*AT_WORK_SECONDS))
            self._stop(world, worker)
            world.wait_for_workers()
        return times

    def judge(self, world: Installation, injected: Injected) -> Judgement:
        """Look at what each worker held when it was told to stop, and at what its hints were for."""
        history = world.history.read(since=injected.since)
        stops = [event for event in injected.events if event["point"] == "sigterm"]
        waits = {run["run"]: _delay(run["run"], event, history) for event in stops for run in event["runs"]}
        lain = [self._longest_lull(run, event, history) for event in stops for run in event["pending"]]
        delays = [one for one in (*waits.values(), *lain) if one is not None]
        burnt = [run for event in stops for run in event["runs"] if _is_burnt(run, event, history)]
        expired = [event for event in history if event["kind"] == "expire_leases"]
        held99, lain99 = (percentile((one for one in some if one is not None), 0.99) for some in (waits.values(), lain))
        unfinished = [*waits.values(), *lain].count(None)
        limit = LIMIT_SECONDS + world.timing.slack
        return Judgement(
            passed=bool(waits and lain)
            and max(held99 or 0, lain99 or 0) <= limit
            and not (unfinished or expired or burnt or self.idle),
            figure=f"{len(waits)} runs were held, p99 {seconds(held99)}; {len(lain)} were pending, and lay with nobody "
            f"at work on their queues for at most {seconds(lain99)} (p99); {unfinished} not taken up, {len(expired)} "
            f"leases ran out, {len(burnt)} attempts burnt, {len(self.killed)} workers had to be killed after "
            f"{GRACE_SECONDS:.0f} s, {len(self.idle)} of those that take in photos or find faces were idle",
            recoveries=delays,
            remarks=[f"{name} did not go within {GRACE_SECONDS:.0f} s" for name in self.killed],
        )

    def _longest_lull(self, run: str, event: Event, history: list[Event]) -> float | None:
        """Give the longest time, from a stop to a run's next claim, in which its queues' workers claimed nothing.

        In a backlog a run waits for others as well: that is no delay, as long as somebody is at work on them. None
        where it was not claimed.
        """
        delay = _delay(run, event, history)
        if delay is None:
            return None
        queues = self.queues[event["worker"]]
        served = [
            later["t"]
            for later in history
            if later["kind"] == "claim"
            and later["runs"]
            and self.queues.get(later["worker"].removesuffix(f"@{HOST}")) == queues
            and event["t"] < later["t"] < event["t"] + delay
        ]
        moments = [event["t"], *served, event["t"] + delay]
        return max(end - start for start, end in pairwise(moments))

    def _occupy(self, world: Installation, worker: Managed, *, seconds: float) -> None:
        """See to it that the worker has something in hand that takes a while, and that more waits."""
        order = Order(
            fault=self.name,
            point="after_claim",
            action=orders.SLEEP,
            worker=worker.name,
            seconds=seconds,
            any_attempt=True,
        )
        name = world.orders.arm(order)
        # people are grouped when there are new faces, and not at every moment
        is_always_busy = self.queues[worker.name] != LIGHT_QUEUES
        for _ in range(BUSY_ATTEMPTS if is_always_busy else 1):
            world.feed(6)
            with suppress(TimeoutError):
                wait_for(
                    lambda: not world.orders.armed([name]), seconds=BUSY_WITHIN_SECONDS, what="it works", every=0.05
                )
                break
        if world.orders.disarm() and is_always_busy:
            self.idle.append(worker.name)

    def _stop(self, world: Installation, worker: Managed) -> None:
        pid = worker.pid
        rows = world.database.rows(
            "SELECT id, stage, photo_id, attempt FROM processing_stagerun WHERE state = 'running' AND worker = %s "
            "UNION ALL SELECT id, kind, library_id, attempt FROM processing_libraryrun "
            "WHERE state = 'running' AND worker = %s",
            *([f"{worker.name}@{HOST}"] * 2),
        )
        runs = [{"run": row[0], "stage": row[1], "subject": row[2], "attempt": row[3]} for row in rows]
        # their hints may be among those that this worker was given in advance
        pending = self._pending(world, worker)
        world.injections.write(
            fault=self.name, point="sigterm", stage="", worker=worker.name, runs=runs, pending=pending
        )
        worker.signal(signal.SIGTERM)
        try:
            wait_for(lambda: not worker.is_alive or worker.pid != pid, seconds=GRACE_SECONDS, what="it goes", every=0.1)
        except TimeoutError:
            self.killed.append(worker.name)
            worker.signal(signal.SIGKILL, group=True)

    def _pending(self, world: Installation, worker: Managed) -> list[str]:
        """Give the runs that could be claimed from a worker's queues at this moment."""
        rows = world.database.rows(
            "SELECT id::text FROM processing_stagerun WHERE state = 'pending' AND stage = ANY(%s) "
            "AND (not_before IS NULL OR not_before < now())",
            [stage for stage, queue in QUEUES.items() if queue in self.queues[worker.name].split(",")],
        )
        return [run for (run,) in rows]


def _delay(run: str, event: Event, history: list[Event]) -> float | None:
    """Give the seconds until a run was finished, or begun again."""
    for later in history:
        if later["t"] <= event["t"] or later["kind"] not in FOLLOW_UPS:
            continue
        if later.get("run") == run or any(one["run"] == run for one in later.get("runs", ())):
            return later["t"] - event["t"]
    return None


def _is_burnt(run: dict, event: Event, history: list[Event]) -> bool:
    """Tell whether the next claim of a run counts another attempt than the one that was under way."""
    for later in history:
        if later["t"] > event["t"] and later["kind"] == "claim":
            for one in later["runs"]:
                if one["run"] == run["run"]:
                    return one["attempt"] != run["attempt"]
    return False
