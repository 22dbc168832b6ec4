"""Faults that are orders at named points: armed one after another, taken by whoever comes by."""

import random
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import count, islice
from typing import ClassVar

from faults.fault import Fault, Injected
from faults.installation import UNACKED, Installation
from faults.measures import recoveries, rung_again
from faults.orders import Order

Place = tuple[str, str]

# stage -> the point that its computing is
COMPUTING = {
    "exif": "decoding",
    "renditions": "decoding",
    "face_detection": "detecting",
    "face_embedding": "embedding",
}
AROUND = ("before_claim", "after_claim", "after_read", "after_store", "before_commit", "after_commit")
# every point of every stage
PLACES: tuple[Place, ...] = tuple((point, stage) for stage, point in COMPUTING.items() for point in (*AROUND, point))
# a child of these loads a model before it can work again
LOADING = frozenset({"face_detection", "face_embedding"})
# while a decoder or a net is at work
MIDST_SECONDS = (0.0, 0.25)
# who is struck here may hold nothing, and then it is the photos that rang for it that are lost
BEFORE_CLAIM = "before_claim"
EMPTY_HANDED = frozenset({BEFORE_CLAIM, "after_commit"})
# how often a place is tried once more, and how long it may take until nothing old is left
AGAIN = 2
QUIET_PATIENCE_SECONDS = 60.0
ORDER_SECONDS = 90.0
# a photo without a face comes by no embedding, and a worker that was killed comes by nothing for a while
MORE_AFTER_SECONDS = 12.0
# beyond leases and sweeps, until a strike is given up
SLACK_SECONDS = 30.0
WAITING_SECONDS = 0.5


class Ordered(Fault):
    """Orders at points in turn. Photos come as they are needed, so that the pipeline is often idle."""

    action: ClassVar[str]
    places: ClassVar[Sequence[Place]] = PLACES
    # how many orders may lie there at once
    together: ClassVar[int] = 1
    # how many photos come at once: runs are met alone, and in company
    bursts: ClassVar[Sequence[int]] = (1, 1, 2, 5)

    def inject(self, world: Installation, chance: random.Random, *, times: int) -> int:
        """Strike at every place in turn, in an order that chance decides; where nobody was met, again at the end."""
        self.asked = list(islice(in_turn(self.places, chance), times))
        self.missed: list[Place] = []
        struck = sum(self.strike(world, chance, some) for some in batched(self.asked, self.together))
        for _ in range(AGAIN):
            again, self.missed = self.missed, []
            struck += sum(self.strike(world, chance, some) for some in batched(again, self.together))
        return struck

    def strike(self, world: Installation, chance: random.Random, places: Sequence[Place]) -> int:
        """Arm an order for each place, upload until all are taken, and wait for what was lost; gives how many were.

        The places where nobody came by are noted as missed, and those where nothing was to be lost.
        """
        if BEFORE_CLAIM in {point for point, _ in places}:
            _await_quiet(world)
        since = time.monotonic()
        armed = {world.orders.arm(self.order(chance, *place)): place for place in places}
        names = list(armed)
        deadline = time.monotonic() + world.patience(ORDER_SECONDS)
        while world.orders.armed(names) and time.monotonic() < deadline:
            world.feed(chance.choice(self.bursts))
            patience = time.monotonic() + MORE_AFTER_SECONDS
            while world.orders.armed(names) and time.monotonic() < patience:
                time.sleep(0.05)
        missed = [armed[name] for name in world.orders.disarm() if name in armed]
        missed += [place for place in places if place in harmless(world, since)]
        self.missed += missed
        self.await_recovery(world, since)
        return len(names) - len(missed)

    def await_recovery(self, world: Installation, since: float) -> None:
        """Let one loss end before the next: what a second one delays is not what the first one took.

        Not for ever: what is not taken up at all is for `judge` to see. A plain pipeline takes nothing up before the
        visibility timeout, so there is nothing to wait for.
        """
        if world.parts.is_plain:
            return
        patience = time.monotonic() + world.timing.lease + world.timing.sweep + SLACK_SECONDS
        while not is_recovered(world, since) and time.monotonic() < patience:
            self.while_waiting(world)
            time.sleep(WAITING_SECONDS)

    def while_waiting(self, world: Installation) -> None:
        """Do something while what was lost is waited for."""

    def unstruck(self, injected: Injected) -> list[str]:
        """Name the points that this run asked for and where nobody was struck."""
        return sorted({point for point, _ in self.asked} - {event["point"] for event in injected.events})

    def order(self, chance: random.Random, point: str, stage: str) -> Order:
        """Make the order for a place."""
        seconds = chance.uniform(*MIDST_SECONDS)
        return Order(fault=self.name, point=point, stage=stage, action=self.action, seconds=seconds)

    def said_of_places(self, injected: Injected) -> str:
        """Say where nobody came by."""
        missed = ", ".join(f"{stage} {point}" for point, stage in self.missed) or "none"
        return f"places missed: {missed}; points never struck: {', '.join(self.unstruck(injected)) or 'none'}"


def in_turn(places: Sequence[Place], chance: random.Random) -> Iterator[Place]:
    """Give places for ever: every point once in each round, and every stage of a point before one comes again."""
    stages: dict[str, list[str]] = {}
    for point, stage in places:
        stages.setdefault(point, []).append(stage)
    for some in stages.values():
        chance.shuffle(some)
    for number in count():
        points = list(stages)
        chance.shuffle(points)
        yield from ((point, stages[point][number % len(stages[point])]) for point in points)


def is_recovered(world: Installation, since: float) -> bool:
    """Tell whether every run that was lost since then has been claimed again, and every photo that rang in vain."""
    # all of history: a photo that rings again, by a hint that was passed on, may have been claimed long before
    injections, history = world.injections.read(since=since), world.history.read()
    found = recoveries(injections, history, ends=frozenset({"commit"}))
    rung = rung_again([event for event in injections if event["point"] in EMPTY_HANDED], history)
    return None not in rung and all(one.seconds is not None for one in found)


def _await_quiet(world: Installation) -> None:
    """Let old hints be read, for a while: who takes one before its claim loses nothing with it."""
    patience = time.monotonic() + world.patience(QUIET_PATIENCE_SECONDS)
    while time.monotonic() < patience:
        # what is not acknowledged may be of somebody who was killed
        queues = {name: count for name, count in world.count_messages().items() if name != UNACKED[0]}
        if not any(queues.values()) and world.database.unsettled() == 0:
            break
        time.sleep(0.2)
    time.sleep(WAITING_SECONDS)  # whoever did the last of it looks once more


def harmless(world: Installation, since: float) -> set[Place]:
    """Give the places at which whoever was struck had been rung for by photos that somebody else had claimed."""
    history = world.history.read()
    return {
        (event["point"], event["stage"])
        for event in world.injections.read(since=since)
        if event["point"] == BEFORE_CLAIM and not rung_again([event], history)
    }


def batched(places: Iterable[Place], size: int) -> Iterator[list[Place]]:
    """Cut into lists of `size`."""
    stream = iter(places)
    while some := list(islice(stream, size)):
        yield some
