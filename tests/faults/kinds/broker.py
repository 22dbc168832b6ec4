"""Redis that restarts, forgets, is gone, flaps, or is full."""

import random
import time
from abc import abstractmethod
from typing import ClassVar

from config import embedded
from faults import orders
from faults.fault import Fault, Injected, Judgement
from faults.hearing import deaf_workers, queues_of
from faults.installation import Installation
from faults.measures import percentile, seconds
from faults.orders import Order
from faults.proxy import PASS, Mode
from faults.services import wait_for
from faults.uploading import ACCEPTED

REFILL_SECONDS = 120.0
WORSE_SECONDS = 0.2
CALM_SECONDS = 15.0
# how long a backlog may take to come, and how long whoever would work it off is held; less than a lease
BACKLOG_SECONDS = 20.0
HOLD_SECONDS = 10.0

# when uploads were in peace, in all faults of this module: a few seconds of each are too few to compare with
_calm: list[tuple[float, float]] = []


class BrokerFault(Fault):
    """What faults of Redis share: uploads go on as ever, everything moves again, every worker hears again."""

    criterion: ClassVar[str] = (
        "every upload 201, p95 at most 200 ms worse; every run that was pending at its return is taken up within "
        "120 s of it; every worker hears what is sent after it"
    )
    per_second = 1.5
    strike_pause: ClassVar[tuple[float, float]] = (2.0, 6.0)
    # photos that come at once, before the strikes and, where there must be something to forget, before each of them
    backlog: ClassVar[int] = 6
    # whether something must have been pending at each return, or the strike has hit nothing
    is_of_backlog: ClassVar[bool] = False

    def inject(self, world: Installation, chance: random.Random, *, times: int) -> int:
        """Upload in peace for a while, then strike again and again."""
        self.refills: list[float | None] = []
        self.empty_returns = 0
        self.deaf: dict[str, float | None] = {}
        world.feed(self.backlog)  # in peace as well: what waits for a processor is not Redis's doing
        time.sleep(CALM_SECONDS)
        self.struck_at = time.monotonic()
        _calm.append((self.struck_at - CALM_SECONDS, self.struck_at))
        for number in range(times):
            self.strike(world, chance, number)
            returned = time.monotonic()
            refilled = _refill(world, since=returned)
            self.refills += refilled
            self.empty_returns += not refilled
            time.sleep(chance.uniform(*self.strike_pause))
        self.over_at = time.monotonic()
        self.deaf = deaf_workers(world, since=returned, seconds=world.patience(REFILL_SECONDS + world.timing.slack))
        return times

    @abstractmethod
    def strike(self, world: Installation, chance: random.Random, number: int) -> None:
        """Do it once; Redis serves again when this returns."""

    def judge(self, world: Installation, injected: Injected) -> Judgement:
        """Look at the uploads, at the refills, and at who heard."""
        calm = [one for window in _calm for one in world.uploader.since(*window)]
        during = world.uploader.since(self.struck_at, self.over_at)
        refused = [one for one in during if one.status not in ACCEPTED]
        worse = _p95(during) - _p95(calm)
        late = [one for one in self.refills if one is None or one > REFILL_SECONDS]
        is_missed = self.is_of_backlog and self.empty_returns > 0
        deaf = [name for name, heard in self.deaf.items() if heard is None]
        return Judgement(
            passed=bool(during)
            and not refused
            and worse <= WORSE_SECONDS + world.timing.slack / 20
            and not late
            and not is_missed
            and not deaf,
            figure=f"{len(during)} uploads meanwhile, {len(refused)} not taken, p95 {_p95(during) * 1000:.0f} ms after "
            f"{_p95(calm) * 1000:.0f} ms before; {len(self.refills)} runs were pending at its "
            f"returns ({self.empty_returns} times none), {len(late)} taken up late or not at all; "
            f"deaf: {', '.join(deaf) or 'none'}",
            recoveries=[one for one in self.refills if one is not None],
            remarks=[f"an upload was answered with {one.status} after {seconds(one.seconds)}" for one in refused],
        )


class RedisRestart(BrokerFault):
    """Stopped in order or killed, and started at once, with what it had on its disk."""

    name = "redis_restart"
    title = "Redis restarted, in order and by SIGKILL"
    times = 6

    def strike(self, world: Installation, chance: random.Random, number: int) -> None:
        """Restart it."""
        world.services.kill(embedded.REDIS) if number % 2 else world.services.stop(embedded.REDIS)
        time.sleep(chance.uniform(0.0, 2.0))
        world.services.start(embedded.REDIS)
        _note(self, world, "kill" if number % 2 else "stop")


class RedisWipe(BrokerFault):
    """Emptied with a backlog: the hints are gone, and what Celery keeps there of queues and workers too."""

    name = "redis_wipe"
    title = "Redis wiped with a backlog: killed and its disk emptied, and FLUSHALL while it runs"
    times = 4
    is_of_backlog = True

    def strike(self, world: Installation, chance: random.Random, number: int) -> None:
        """Wipe it while there is something to forget: everybody who takes photos in is held with one in hand."""
        holders = [worker.name for worker in world.workers if queues_of(worker) == "ingest"]
        held = [world.orders.arm(_hold(self.name, worker)) for worker in holders]
        world.feed(self.backlog)
        deadline = time.monotonic() + world.patience(BACKLOG_SECONDS)
        while world.orders.armed(held) and time.monotonic() < deadline:
            time.sleep(0.05)
        wait_for(lambda: world.database.pending() > 0, seconds=30, what="there is a backlog", every=0.05)
        if number % 2:
            world.services.redis().flushall()
        else:
            world.services.wipe_redis()
        _note(self, world, "flush" if number % 2 else "wipe")


class RedisDown(BrokerFault):
    """Gone for minutes."""

    name = "redis_down"
    title = "Redis down for minutes while photos are uploaded"
    times = 1
    per_second = 1.0
    is_of_backlog = True

    def strike(self, world: Installation, chance: random.Random, number: int) -> None:
        """Stop it for twice the lease, so that whatever hangs on it has run out."""
        world.services.stop(embedded.REDIS)
        _note(self, world, "down")
        time.sleep(2 * world.timing.lease)
        world.services.start(embedded.REDIS)


class RedisFlap(BrokerFault):
    """Refuses, hangs and resets for seconds at a time, as a failing host or network."""

    name = "redis_flap"
    title = "Redis flapping: refused, silent and reset connections for seconds at a time"
    times = 12
    strike_pause = (0.5, 3.0)

    def strike(self, world: Installation, chance: random.Random, number: int) -> None:
        """Let it be gone for a moment, in one of three ways."""
        way = ("refuse", "hang", "reset")[number % 3]
        proxy = world.services.redis_proxy
        _note(self, world, way)
        if way == "reset":
            proxy.reset_connections()
        else:
            proxy.set(Mode(refuse=way == "refuse", hang=way == "hang"))
            time.sleep(chance.uniform(0.5, 4.0))
            proxy.set(PASS)

    def heal(self, world: Installation) -> None:
        """Let everything pass."""
        world.services.redis_proxy.set(PASS)


class RedisFull(BrokerFault):
    """Takes no message more, and answers everything else."""

    name = "redis_full"
    title = "Redis full (`noeviction`)"
    criterion = f"{BrokerFault.criterion}; the alert's metric and /health say so meanwhile"
    times = 2

    def strike(self, world: Installation, chance: random.Random, number: int) -> None:
        """Give it no room for a while."""
        client = world.services.redis()
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", 1)
        _note(self, world, "full")
        try:
            time.sleep(chance.uniform(8.0, 15.0))
            self.health, self.metrics = world.page("/health"), world.page("/metrics")
        finally:
            client.config_set("maxmemory", 0)

    def judge(self, world: Installation, injected: Injected) -> Judgement:
        """Look whether an operator could see it, too."""
        judged = super().judge(world, injected)
        is_said = "takes no messages" in self.health and "darkroom_broker_writable 0.0" in self.metrics
        return Judgement(
            passed=judged.passed and is_said,
            figure=f"{judged.figure}; alert and /health {'say so' if is_said else 'say nothing of it'}",
            recoveries=judged.recoveries,
            remarks=judged.remarks,
        )


def _note(fault: Fault, world: Installation, way: str) -> None:
    world.injections.write(fault=fault.name, point=way, stage="", worker="", runs=[])


def _hold(fault: str, worker: str) -> Order:
    """Let a worker linger with the first run that it claims, so that what comes after it stays pending."""
    return Order(
        fault=fault, point="after_claim", worker=worker, action=orders.SLEEP, seconds=HOLD_SECONDS, any_attempt=True
    )


def _refill(world: Installation, *, since: float) -> list[float | None]:
    """Wait for each run that is pending now, at the return; gives how long after `since` each was claimed.

    None for one that was neither claimed nor ended otherwise.
    """
    rows = world.database.rows(
        "SELECT id::text FROM processing_stagerun "
        "WHERE state = 'pending' AND (not_before IS NULL OR not_before < now())"
    )
    took: dict[str, float | None] = dict.fromkeys(run for (run,) in rows)
    while None in took.values() and time.monotonic() - since < world.patience(REFILL_SECONDS):
        for event in world.history.read(since=since, kind="claim"):
            for run in event["runs"]:
                if took.get(run["run"], 0.0) is None:
                    took[run["run"]] = event["t"] - since
        left = [run for run, seconds_ in took.items() if seconds_ is None]
        ended = world.database.rows(
            "SELECT id::text FROM processing_stagerun "
            "WHERE id = ANY(%s::uuid[]) AND state IN ('done', 'skipped', 'dead')",
            left,
        )
        took.update({run: time.monotonic() - since for (run,) in ended})
        time.sleep(0.3)
    return list(took.values())


def _p95(uploads: list) -> float:
    return percentile((one.seconds for one in uploads if one.is_paced), 0.95) or 0.0
