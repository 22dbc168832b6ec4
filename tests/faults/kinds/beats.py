"""More than one of what there should be one of."""

import random
import time

from faults import orders
from faults.events import Event
from faults.fault import Injected, Judgement
from faults.hearing import Sender
from faults.installation import Installation
from faults.measures import commits_per_run, percentile, recoveries, seconds
from faults.ordered import Ordered

EVERY_SECONDS = 0.2


class TwoBeats(Ordered):
    """Two beats, as in every run here, and reconcilers asked for several times a second while work is lost."""

    name = "two_beats"
    title = "two beats and two reconcilers at once, while leases run out"
    criterion = "every lost run is returned once, and nothing is committed twice"
    times = 4
    action = orders.KILL_WORKER
    places = (("after_claim", "exif"), ("after_store", "renditions"), ("after_claim", "renditions"))

    def inject(self, world: Installation, chance: random.Random, *, times: int) -> int:
        """Lose some runs, and reconcile as if there were no tomorrow until they are back."""
        struck = super().inject(world, chance, times=times)
        sender = Sender(world)
        self.asked = 0
        until = time.monotonic() + world.timing.lease + world.timing.sweep
        while time.monotonic() < until:
            for _ in range(2):
                sender.ring("reconcile", queue="maintenance")
                self.asked += 1
            time.sleep(EVERY_SECONDS)
        sender.close()
        return struck

    def judge(self, world: Installation, injected: Injected) -> Judgement:
        """Count returns."""
        history = world.history.read(since=injected.since)
        found = recoveries(injected.events, history)
        returned = sum(_returned(event) for event in history if event["kind"] == "expire_leases")
        doubled = [run for run, count in commits_per_run(history).items() if count > 1]
        wrong = [one for one in found if not one.is_counted_right]
        times = [one.seconds for one in found if one.seconds is not None]
        return Judgement(
            passed=bool(found) and returned == len(found) and not wrong and not doubled,
            figure=f"{self.asked} sweeps asked for; {len(found)} runs were lost, {returned} returned, {len(wrong)} "
            f"of them counted wrong, {len(doubled)} committed twice; p99 {seconds(percentile(times, 0.99))}",
            recoveries=times,
        )


def _returned(event: Event) -> int:
    return sum(event["returned"].values())
