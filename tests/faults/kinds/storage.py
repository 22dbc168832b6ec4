"""A store that answers 5xx, hangs, gives too little or something else, loses its answers, or is full."""

import random
import time
from collections.abc import Sequence
from itertools import islice

from faults import mounts, orders
from faults.fault import Fault, Injected, Judgement
from faults.installation import Installation
from faults.measures import percentile, seconds
from faults.orders import Order
from faults.storing import KINDS, Trouble

TROUBLE_SECONDS = (8.0, 15.0)
SHARE = 0.5
FULL_SECONDS = 15.0
HOLD_SECONDS = 4.0
TAKEN_SECONDS = 30.0


class StorageTrouble(Fault):
    """Half of all reads and writes go wrong, in one way after another."""

    name = "storage_trouble"
    title = "storage answering 5xx, timing out, short reads, wrong bytes, a put whose reply is lost"
    criterion = "no run is dead because of it, no attempt is burnt, no wrong byte is used"
    photos = 60
    per_second = 1.0
    times = 5

    def inject(self, world: Installation, chance: random.Random, *, times: int) -> int:
        """Go through the kinds of trouble; each read or write that went wrong counts."""
        since = time.monotonic()
        kinds = list(KINDS)
        chance.shuffle(kinds)
        for number in range(max(times, len(kinds))):
            world.store.set(Trouble(kind=kinds[number % len(kinds)], share=SHARE))
            until = time.monotonic() + chance.uniform(*TROUBLE_SECONDS)
            while time.monotonic() < until:
                if world.database.unsettled() == 0:
                    world.feed(3)
                time.sleep(0.5)
        world.store.set(None)
        self.healed_at = time.monotonic()
        return len(world.injections.read(since=since))

    def heal(self, world: Installation) -> None:
        """Let the store behave."""
        world.store.set(None)

    def judge(self, world: Installation, injected: Injected) -> Judgement:
        """See that nobody died of it."""
        return _judge_infrastructure(world, injected, healed_at=self.healed_at)


class DiskFull(Fault):
    """The file system of the store is filled to its last block, and emptied again."""

    name = "disk_full"
    title = "the disk of the store full"
    criterion = "no partial object, no run dead, no attempt burnt; everything goes on when there is room"
    per_second = None
    times = 3

    def obstacle(self, world: Installation) -> str:
        """Fill no disk that is somebody's."""
        is_possible = world.has_own_file_system
        return "" if is_possible else "the store needs a file system of its own, which may not be mounted here"

    def inject(self, world: Installation, chance: random.Random, *, times: int) -> int:
        """Fill it while runs are under way, and make room again."""
        for _ in range(times):
            # whoever is at work when the disk fills up is held, so that he writes after it
            held = [world.orders.arm(_hold(self.name)) for _ in range(2)]
            before = world.uploader.start(islice(world.pictures, 8))
            _await_taken(world, held)
            mounts.fill(world.store_folder, leave=chance.choice((4096, 50_000, 200_000)))
            try:
                # they insist: the server says that it is the store's trouble, and they try again
                insisting = world.uploader.start(islice(world.pictures, 2))
                time.sleep(FULL_SECONDS)
            finally:
                mounts.make_room(world.store_folder)
            self.healed_at = time.monotonic()
            world.injections.write(fault=self.name, point="full", stage="", worker="", company=0, runs=[], rung_by=[])
            before.join()
            insisting.join()
            world.database.wait_until_settled(seconds=60)
        return times

    def judge(self, world: Installation, injected: Injected) -> Judgement:
        """See that nobody died of it; whether an object is partial, `prove` says."""
        refused = [one.status for one in world.uploader.since(injected.since) if one.status not in {200, 201}]
        judged = _judge_infrastructure(world, injected, healed_at=self.healed_at)
        unclear = sorted({status for status in refused if status != 503})
        return Judgement(
            passed=judged.passed and bool(refused) and not unclear,
            figure=f"{judged.figure}; {len(refused)} uploads answered with 503 meanwhile, other answers: "
            f"{unclear or 'none'}",
            recoveries=judged.recoveries,
            remarks=judged.remarks,
        )


def _hold(fault: str) -> Order:
    return Order(fault=fault, point="decoding", stage="renditions", action=orders.SLEEP, seconds=HOLD_SECONDS)


def _await_taken(world: Installation, names: Sequence[str]) -> None:
    deadline = time.monotonic() + world.patience(TAKEN_SECONDS)
    while world.orders.armed(names) and time.monotonic() < deadline:
        time.sleep(0.05)


def _judge_infrastructure(world: Installation, injected: Injected, *, healed_at: float) -> Judgement:
    history = world.history.read(since=injected.since)
    handed_back = [event for event in history if event["kind"] == "hand_back"]
    failed = [event for event in history if event["kind"] == "fail" and event["is_held"]]
    lost = [event for event in history if event["kind"] in {"release_lost", "expire_leases"}]
    dead = world.database.dead()
    commits = [event["t"] - healed_at for event in history if event["kind"] == "commit" and event["t"] > healed_at]
    return Judgement(
        passed=bool(handed_back) and not failed and not lost and not dead,
        figure=f"{len(handed_back)} runs handed back, {len(failed) + len(lost)} attempts burnt, {len(dead)} runs dead; "
        f"the last of "
        f"what had been held up was done {seconds(percentile(commits, 1.0))} after the trouble",
        recoveries=commits,
        remarks=_codes([*failed, *lost]) + [f"dead: {stage} {code}: {detail}" for _, stage, code, detail in dead],
    )


def _codes(failed: Sequence[dict]) -> list[str]:
    return [f"an attempt at {event.get('stage') or event['returned']} was burnt by {event['code']}" for event in failed]
