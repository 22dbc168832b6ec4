"""Faults that are orders at named points: armed one after another, taken by whoever comes by."""

import random
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import count, islice
from typing import ClassVar

from faults.fault import Fault
from faults.installation import Installation
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
ORDER_SECONDS = 90.0
# a photo without a face comes by no embedding, and a worker that was killed comes by nothing for a while
MORE_AFTER_SECONDS = 12.0
# beyond leases and sweeps, until a strike is given up
SLACK_SECONDS = 30.0


class Ordered(Fault):
    """Orders at points in turn. Photos come as they are needed, so that the pipeline is often idle."""

    action: ClassVar[str]
    places: ClassVar[Sequence[Place]] = PLACES
    # how many orders may lie there at once
    together: ClassVar[int] = 1
    # how many photos come at once: runs are met alone, and in company
    bursts: ClassVar[Sequence[int]] = (1, 1, 2, 5)

    def inject(self, world: Installation, chance: random.Random, *, times: int) -> int:
        """Strike at every place in turn, in an order that chance decides."""
        places = islice(in_turn(self.places, chance), times)
        return sum(self.strike(world, chance, some) for some in batched(places, self.together))

    def strike(self, world: Installation, chance: random.Random, places: Sequence[Place]) -> int:
        """Arm an order for each place, upload until all are taken, and wait for what was lost; gives how many were."""
        since = time.monotonic()
        names = [world.orders.arm(self.order(chance, *place)) for place in places]
        deadline = time.monotonic() + world.patience(ORDER_SECONDS)
        while world.orders.armed(names) and time.monotonic() < deadline:
            world.feed(chance.choice(self.bursts))
            patience = time.monotonic() + MORE_AFTER_SECONDS
            while world.orders.armed(names) and time.monotonic() < patience:
                time.sleep(0.05)
        missed = set(world.orders.disarm()) & set(names)
        self.await_recovery(world, since)
        return len(names) - len(missed)

    def await_recovery(self, world: Installation, since: float) -> None:
        """Let one loss end before the next: what a second one delays is not what the first one took."""
        patience = time.monotonic() + world.patience(world.timing.lease + world.timing.sweep + SLACK_SECONDS)
        while not _is_recovered(world, since) and time.monotonic() < patience:
            time.sleep(0.5)

    def order(self, chance: random.Random, point: str, stage: str) -> Order:
        """Make the order for a place."""
        seconds = chance.uniform(*MIDST_SECONDS)
        return Order(fault=self.name, point=point, stage=stage, action=self.action, seconds=seconds)


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


def _is_recovered(world: Installation, since: float) -> bool:
    """Tell whether every run that was lost since then has been claimed again, and every photo that rang in vain."""
    # all of history: a photo that rings again, by a hint that was passed on, may have been claimed long before
    injections, history = world.injections.read(since=since), world.history.read()
    found = recoveries(injections, history, ends=frozenset({"commit"}))
    rung = rung_again([event for event in injections if event["point"] == "before_claim"], history)
    return None not in rung and all(one.seconds is not None for one in found)


def batched(places: Iterable[Place], size: int) -> Iterator[list[Place]]:
    """Cut into lists of `size`."""
    stream = iter(places)
    while some := list(islice(stream, size)):
        yield some
