"""A store that answers 5xx, hangs, gives too little or something else, loses its answers, or is full."""

import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from faults import mounts, orders
from faults.fault import Fault, Injected, Judgement
from faults.installation import Installation
from faults.measures import percentile, seconds
from faults.orders import Order
from faults.storing import KINDS, SPOIL, Trouble

TROUBLE_SECONDS = (8.0, 15.0)
SHARE = 0.5
FULL_SECONDS = 15.0
HOLD_SECONDS = 4.0
TAKEN_SECONDS = 30.0
# until somebody must have met a trouble: longer than a stage that is paused waits between two attempts
NOTICED_SECONDS = 90.0
# as the product codes what it reads and does not trust, and where it writes what is not an object yet
WRONG_BYTES = "wrong_bytes"
INCOMING = ".incoming"


class StorageTrouble(Fault):
    """Half of all reads and writes go wrong, in one way after another."""

    name = "storage_trouble"
    title = "storage answering 5xx, timing out, short reads, wrong bytes, a put whose reply is lost"
    criterion = (
        "each kind strikes workers, no run is dead because of it, no attempt is burnt; "
        "bytes that came short or wrong are seen by their hash"
    )
    may_refuse_uploads = True
    photos = 60
    per_second = 1.0
    times = 5

    def inject(self, world: Installation, chance: random.Random, *, times: int) -> int:
        """Go through the kinds of trouble; each read or write that went wrong counts."""
        since = time.monotonic()
        kinds = list(KINDS)
        chance.shuffle(kinds)
        self.unnoticed: list[str] = []
        for number in range(max(times, len(kinds))):
            kind = kinds[number % len(kinds)]
            begun = time.monotonic()
            seconds_ = chance.uniform(*TROUBLE_SECONDS)
            patience = max(seconds_, world.patience(NOTICED_SECONDS))
            world.store.set(Trouble(kind=kind, share=SHARE, seed=chance.randrange(2**32)))
            # longer where nobody has met it yet: a stage may be paused by the trouble before
            while (passed := time.monotonic() - begun) < patience:
                if passed >= seconds_ and was_noticed(world, kind, since=begun):
                    break
                if world.database.unsettled() == 0:
                    world.feed(3)
                time.sleep(0.5)
            else:
                self.unnoticed.append(kind)
        world.store.set(None)
        self.healed_at = time.monotonic()
        self.strikes = Counter(event["point"] for event in world.injections.read(since=since) if event["worker"])
        return len(world.injections.read(since=since))

    def heal(self, world: Installation) -> None:
        """Let the store behave."""
        world.store.set(None)

    def judge(self, world: Installation, injected: Injected) -> Judgement:
        """See that nobody died of it, and that each kind was met."""
        judged = _judge_infrastructure(world, injected, healed_at=self.healed_at)
        strikes = ", ".join(f"{kind} {self.strikes[kind]}" for kind in KINDS)
        return replace(
            judged,
            passed=judged.passed and not self.unnoticed,
            figure=f"{judged.figure}; requests of workers that went wrong: {strikes}; kinds that nobody noticed: "
            f"{', '.join(self.unnoticed) or 'none'}",
        )


def was_noticed(world: Installation, kind: str, *, since: float) -> bool:
    """Tell whether a kind of trouble has struck a worker; of other bytes than were asked for, whether one has said so.

    A byte that is merely another one can be seen by the hash alone.
    """
    if not any(event["point"] == kind and event["worker"] for event in world.injections.read(since=since)):
        return False
    if kind not in SPOIL:
        return True
    returned = world.history.read(since=since, kind="hand_back")
    return any(event["code"] == WRONG_BYTES for event in returned)


class DiskFull(Fault):
    """The file system of the store is filled to its last block, and emptied again."""

    name = "disk_full"
    title = "the disk of the store full"
    criterion = (
        "no partial object, also among those that are being written; no run dead, no attempt burnt; everything goes on "
        "when there is room"
    )
    per_second = None
    may_refuse_uploads = True
    times = 3

    def obstacle(self, world: Installation) -> str:
        """Fill no disk that is somebody's."""
        is_possible = world.has_own_file_system
        return "" if is_possible else "the store needs a file system of its own, which may not be mounted here"

    def prepare(self, world: Installation) -> None:
        """Remember what others have left: a process that is killed leaves what it was writing, to be swept."""
        self.left_before = _incoming(world)

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
        """See that nobody died of it and nothing half-written is left; whether an object is partial, `prove` says."""
        refused = [one.status for one in world.uploader.since(injected.since) if one.status not in {200, 201}]
        judged = _judge_infrastructure(world, injected, healed_at=self.healed_at)
        unclear = sorted({status for status in refused if status != 503})
        left = _incoming(world) - self.left_before
        return Judgement(
            passed=judged.passed and bool(refused) and not unclear and not left,
            figure=f"{judged.figure}; {len(refused)} uploads answered with 503 meanwhile, other answers: "
            f"{unclear or 'none'}; half-written files left: {len(left)}",
            recoveries=judged.recoveries,
            remarks=[*judged.remarks, *(f"half-written: {path}" for path in sorted(left))],
        )


def _incoming(world: Installation) -> frozenset[str]:
    """Name the files in both stores that are not objects yet."""
    return frozenset(str(path) for path in world.store_folder.glob(f"*/{INCOMING}/*"))


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
