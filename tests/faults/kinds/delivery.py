"""Messages that come ten times, in another order, a day late, or again while they are worked on."""

import random
import time

from faults import orders
from faults.fault import Fault, Injected, Judgement
from faults.hearing import Sender
from faults.installation import WORKERS, Installation
from faults.measures import commits_per_run, percentile, seconds
from faults.orders import Order

# task -> its queue
QUEUES = {"exif": "ingest", "renditions": "ingest", "face_detection": "faces", "face_embedding": "embeddings"}
COPIES = 10
LIMIT_SECONDS = 0.005
# seconds after which a message that is not acknowledged comes back, and how long the work takes then
SHORT_TIMEOUT = 4
LONG_WORK_SECONDS = 12.0


class DuplicateDelivery(Fault):
    """Every hint ten times in a random order, while the work is done and again long after."""

    name = "duplicate_delivery"
    title = "every message ten times, reordered, and once more when all is long done"
    criterion = "one effect per run; looking for nothing costs a worker at most 5 ms of processor time (median)"
    photos = 20
    times = 80

    def inject(self, world: Installation, chance: random.Random, *, times: int) -> int:
        """Send them while photos come, and again when nothing is left to do."""
        sender = Sender(world)
        wanted = max(2, times // len(QUEUES))
        while len(photos := world.acknowledged.photos()[-wanted:]) < wanted:
            time.sleep(0.1)
        hints = [(task, photo) for task in QUEUES for photo in photos] * COPIES
        sent = _send(sender, hints, chance)
        world.database.wait_until_settled(seconds=self.settle_seconds)
        self.late_from = time.monotonic()
        sent += _send(sender, hints, chance)
        while any(world.services.redis().llen(queue) for queue in QUEUES.values()):
            time.sleep(0.2)
        sender.close()
        world.injections.write(fault=self.name, point="duplicates", stage="", worker="", runs=[])
        self.sent = sent
        return len(hints) // COPIES

    def judge(self, world: Installation, injected: Injected) -> Judgement:
        """Count effects, and time the looks that found nothing."""
        history = world.history.read(since=injected.since)
        doubled = [run for run, count in commits_per_run(history).items() if count > 1]
        looks = [one for one in history if one["kind"] == "look" and one["taken"] == 0 and one["t"] > self.late_from]
        median = percentile((one["cpu_seconds"] for one in looks), 0.5)
        waited = percentile((one["seconds"] for one in looks), 0.5)
        return Judgement(
            passed=not doubled and median is not None and median <= LIMIT_SECONDS,
            figure=f"{self.sent} messages too many, {len(doubled)} runs committed twice; {len(looks)} late ones cost "
            f"{seconds(median)} of processor time each (p50), and {seconds(waited)} with waiting for the database",
        )


class ShortVisibility(Fault):
    """The broker gives a message to a second worker while the first is at work on it."""

    name = "short_visibility"
    title = "a visibility timeout shorter than the task"
    criterion = "the message comes back while it is worked on, and there is one effect per run"
    times = 6

    def prepare(self, world: Installation) -> None:
        """Have the workers of originals begin anew, with a timeout of seconds."""
        self._restart(world, {**world.environment, "FAULTS_VISIBILITY_TIMEOUT": str(SHORT_TIMEOUT)})

    def heal(self, world: Installation) -> None:
        """Put the timeout back."""
        self._restart(world, world.environment)

    def inject(self, world: Installation, chance: random.Random, *, times: int) -> int:
        """Make some work take longer than the timeout."""
        struck = 0
        for _ in range(times):
            place = chance.choice(
                [("after_claim", "exif"), ("after_store", "renditions"), ("after_read", "renditions")]
            )
            order = Order(
                fault=self.name, point=place[0], stage=place[1], action=orders.SLEEP, seconds=LONG_WORK_SECONDS
            )
            name = world.orders.arm(order)
            world.feed(1)
            time.sleep(LONG_WORK_SECONDS / 2)
            struck += not world.orders.armed([name])
        time.sleep(LONG_WORK_SECONDS)
        return struck

    def judge(self, world: Installation, injected: Injected) -> Judgement:
        """Count deliveries of one message, and effects."""
        history = world.history.read(since=injected.since)
        pids: dict[str, set[int]] = {}
        for event in history:
            if event["kind"] == "claim":
                pids.setdefault(event["task"], set()).add(event["pid"])
        again = [task for task, seen in pids.items() if len(seen) > 1]
        doubled = [run for run, count in commits_per_run(history).items() if count > 1]
        return Judgement(
            passed=bool(again) and not doubled,
            figure=f"{len(again)} messages were worked on by two processes, {len(doubled)} runs committed twice",
        )

    def _restart(self, world: Installation, environment: dict[str, str]) -> None:
        for name, queues in WORKERS.items():
            if queues == "ingest":
                before = world.supervisor.managed[name].starts
                world.supervisor.restart(name, environment=environment)
                while world.supervisor.managed[name].starts == before:
                    time.sleep(0.1)
        world.wait_for_workers()


def _send(sender: Sender, hints: list[tuple[str, str]], chance: random.Random) -> int:
    chance.shuffle(hints)
    for task, photo in hints:
        sender.ring(task, queue=QUEUES[task], photos=[photo])
    return len(hints)
