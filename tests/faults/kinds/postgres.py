"""PostgreSQL that restarts, and sessions that it ends at the worst moment."""

import random
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace

from config import embedded
from faults import orders
from faults.events import Event
from faults.fault import Fault, Injected, Judgement
from faults.installation import Installation
from faults.measures import Recovery, percentile, recoveries, seconds
from faults.ordered import COMPUTING, Ordered
from faults.orders import Order

RESUME_SECONDS = 15.0
# at least as long as whoever has just committed takes to say so
DOWN_SECONDS = (0.3, 2.0)
WAYS = ("stop", "kill")
# in the middle of it the server goes
LINGER_SECONDS = 2.0
LINGER_PATIENCE_SECONDS = 20.0
ENDS = frozenset({"commit", "fail", "hand_back", "refused"})
COMMIT = frozenset({"commit"})


class PostgresRestart(Fault):
    """Stopped in order or killed, and started at once, in the midst of transactions."""

    name = "postgres_restart"
    title = "PostgreSQL restarted mid-transaction, in order and by SIGKILL"
    criterion = "runs that were under way go on within 15 s of its return (p99), and no attempt is burnt"
    per_second = 2.0
    may_refuse_uploads = True
    times = 6
    least = 2

    def inject(self, world: Installation, chance: random.Random, *, times: int) -> int:
        """Restart it while photos come in and are worked on."""
        for number in range(times):
            self._hold_somebody(world, chance)
            way = WAYS[number % 2]
            world.services.kill(embedded.POSTGRES) if number % 2 else world.services.stop(embedded.POSTGRES)
            time.sleep(chance.uniform(*DOWN_SECONDS))
            runs = under_way(world.history.read())  # nobody can claim or commit at this moment
            world.services.start(embedded.POSTGRES)
            world.injections.write(fault=self.name, point=way, stage="", worker="", company=0, runs=runs)
            time.sleep(RESUME_SECONDS)
        return times

    def judge(self, world: Installation, injected: Injected) -> Judgement:
        """Look at every run that was under way when it went."""
        history = world.history.read(since=injected.since)
        strikes = [event for event in injected.events if event["point"] in WAYS]
        return _judge(recoveries(strikes, history, ends=COMMIT), history, RESUME_SECONDS + world.timing.slack)

    def _hold_somebody(self, world: Installation, chance: random.Random) -> None:
        """Upload, and let one process linger with a run in hand: the others are done before anybody can strike."""
        stage = chance.choice(("exif", "renditions", "face_detection"))
        order = Order(fault=self.name, point="after_claim", stage=stage, action=orders.SLEEP, seconds=LINGER_SECONDS)
        name = world.orders.arm(order)
        world.feed(4)
        deadline = time.monotonic() + LINGER_PATIENCE_SECONDS
        while world.orders.armed([name]) and time.monotonic() < deadline:
            time.sleep(0.05)
        world.orders.disarm()
        time.sleep(chance.uniform(0, LINGER_SECONDS / 3))


class BackendTerminated(Ordered):
    """The session of a process is ended between the writing of its objects and its commit."""

    name = "backend_terminated"
    title = "`pg_terminate_backend` between the writing of the objects and the commit"
    criterion = "the run goes on within 15 s (p99), no attempt is burnt, nothing is left over"
    times = 24
    action = orders.TERMINATE_BACKEND
    places = tuple((point, stage) for stage in COMPUTING for point in ("after_store", "before_commit"))

    def judge(self, world: Installation, injected: Injected) -> Judgement:
        """Look at every run that the session was for."""
        history = world.history.read(since=injected.since)
        struck = [{**event, "runs": event["runs"][:1]} for event in injected.events]  # the others go on
        judged = _judge(recoveries(struck, history, ends=COMMIT), history, RESUME_SECONDS + world.timing.slack)
        return replace(
            judged,
            passed=judged.passed and not self.unstruck(injected),
            figure=f"{judged.figure}; {self.said_of_places(injected)}",
        )


def under_way(history: Iterable[Event]) -> list[Event]:
    """Give the runs that somebody holds at the end of this history."""
    held: dict[str, Event] = {}
    for event in history:
        if event["kind"] == "claim":
            # a process that claims has done with what it held before
            held = {run: one for run, one in held.items() if one["pid"] != event["pid"]}
            held.update({run["run"]: {**run, "pid": event["pid"]} for run in event["runs"]})
        elif event["kind"] in ENDS:
            held.pop(event["run"], None)
    return list(held.values())


def _judge(found: Sequence[Recovery], history: Iterable[Event], limit: float) -> Judgement:
    times = [one.seconds for one in found if one.seconds is not None]
    burnt = [one for one in found if one.next_attempt is not None and one.next_attempt != one.attempt]
    expired = [event for event in history if event["kind"] == "expire_leases"]
    p99 = percentile(times, 0.99)
    return Judgement(
        passed=p99 is not None and p99 <= limit and not burnt and len(times) == len(found) and not expired,
        figure=f"{len(found)} runs were under way, {len(times)} went on, p99 {seconds(p99)}, {len(burnt)} attempts "
        f"burnt, {len(expired)} leases ran out",
        recoveries=times,
        remarks=[
            f"{one.stage} {one.point}: attempt {one.attempt}, next attempt {one.next_attempt} after "
            f"{seconds(one.seconds)} (run {one.run})"
            for one in found
            if one in burnt or one.seconds is None or one.seconds > limit
        ],
    )
