"""Messages that come ten times, in another order, a day late, or again while they are worked on."""

import json
import random
import time
from collections.abc import Sequence

import psutil

from faults import orders
from faults.fault import Fault, Injected, Judgement
from faults.hearing import LIGHT_QUEUES, QUEUES, Sender, queues_of
from faults.installation import UNACKED, WORKERS, Installation
from faults.measures import commits_per_run, percentile, seconds
from faults.ordered import COMPUTING
from faults.orders import Order
from faults.services import wait_for

COPIES = 10
LIMIT_SECONDS = 0.005
# of each stage, without the proxy
LOOKS = 50
RESTART_SECONDS = 90.0
# seconds after which a message that is not acknowledged comes back, and how long the work takes then
SHORT_TIMEOUT = 4
LONG_WORK_SECONDS = 12.0


class DuplicateDelivery(Fault):
    """Every hint ten times in a random order, while the work is done and again long after."""

    name = "duplicate_delivery"
    title = "every message ten times, reordered, and once more when all is long done"
    criterion = "one effect per run; a look for nothing costs a worker at most 5 ms of processor time (median)"
    photos = 20
    times = 80

    def inject(self, world: Installation, chance: random.Random, *, times: int) -> int:
        """Send them while photos come, and again when nothing is left to do."""
        wanted = max(2, times // len(COMPUTING))
        wait_for(
            lambda: len(world.acknowledged.photos()) >= wanted, seconds=self.settle_seconds, what="photos are taken in"
        )
        photos = world.acknowledged.photos()[-wanted:]
        hints = [(task, photo) for task in COMPUTING for photo in photos] * COPIES
        sender = Sender(world)
        try:
            self.sent = _send(sender, hints, chance)
            world.database.wait_until_settled(seconds=self.settle_seconds)
            if world.parts.is_plain:  # for it none is a look: each is done once more, and nothing is timed
                self.sent += _send(sender, hints, chance)
            else:
                self.sent += self._send_late(world, sender, hints, chance)
        finally:
            sender.close()
        world.injections.write(fault=self.name, point="duplicates", stage="", worker="", runs=[])
        return len(hints) // COPIES

    def _send_late(
        self, world: Installation, sender: Sender, hints: list[tuple[str, str]], chance: random.Random
    ) -> int:
        """Send them when nothing is left to do, and time what that costs; gives how many were sent."""
        queues = {QUEUES[task] for task in COMPUTING}

        def unread(*more: str) -> int:
            counts = world.count_messages()
            return sum(counts[name] for name in (*queues, *more))

        wait_for(lambda: not unread(), seconds=self.settle_seconds, what="the first messages are read", every=0.1)
        self.late_from = time.monotonic()
        # messages of workers that were killed lie there for long
        taken = unread(UNACKED[0])
        before = _processor_seconds(world)
        sent = _send(sender, hints, chance)
        wait_for(
            lambda: unread(UNACKED[0]) <= taken, seconds=self.settle_seconds, what="all messages are read", every=0.1
        )
        self.per_message = (_processor_seconds(world) - before) / sent
        # the same look from a process that asks the database itself, and not through the harness's proxy
        done = world.manage("-m", "faults.looking", *COMPUTING, str(LOOKS), FAULTS_PIPELINE="bare")
        if done.returncode != 0:
            raise RuntimeError(done.stderr[-2000:])
        self.direct = json.loads(done.stdout)
        return sent

    def judge(self, world: Installation, injected: Injected) -> Judgement:
        """Count effects, and time the looks that found nothing."""
        history = world.history.read(since=injected.since)
        doubled = [run for run, count in commits_per_run(history).items() if count > 1]
        looks = [one for one in history if one["kind"] == "look" and one["taken"] == 0 and one["t"] > self.late_from]
        spent = [one["cpu_seconds"] for one in looks]
        median = percentile(spent, 0.5)
        return Judgement(
            passed=not doubled and median is not None and median <= LIMIT_SECONDS,
            figure=f"{self.sent} messages too many, {len(doubled)} runs committed twice; {len(looks)} late ones found "
            f"nothing: processor time of the look {_spread(spent)}; its wall time {_spread(self.direct)} asking the "
            f"database directly, {_spread([one['seconds'] for one in looks])} in the workers, through the harness's "
            f"proxy and beside each other; {seconds(self.per_message)} of processor time for each message with all "
            f"that Celery and its parents do meanwhile",
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
                worker = world.supervisor.managed[name]
                before = worker.starts
                world.supervisor.restart(name, environment=environment)
                wait_for(
                    lambda worker=worker, before=before: worker.starts > before,
                    seconds=RESTART_SECONDS,
                    what=f"{name} comes back",
                )
        world.wait_for_workers()


def _send(sender: Sender, hints: list[tuple[str, str]], chance: random.Random) -> int:
    chance.shuffle(hints)
    return sum(len(sender.ring(task, photos=[photo])) for task, photo in hints)


def _processor_seconds(world: Installation) -> float:
    """Sum up the processor time of the workers that work on photos: of parents and children, those that ended too."""
    times = [
        process.cpu_times()
        for worker in world.workers
        if queues_of(worker) != LIGHT_QUEUES
        for process in [psutil.Process(worker.pid), *worker.children()]
    ]
    return sum(one.user + one.system + one.children_user + one.children_system for one in times)


def _spread(values: Sequence[float]) -> str:
    p50, p95, most = (seconds(percentile(values, share)) for share in (0.5, 0.95, 1.0))
    return f"{p50} (p50), {p95} (p95), {most} (at most)"
