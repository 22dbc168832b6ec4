"""More than one of what there should be one of."""

import random
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from faults import orders
from faults.events import Event
from faults.fault import Injected, Judgement
from faults.hearing import Sender
from faults.installation import Installation
from faults.measures import commits_per_run, percentile, recoveries, seconds
from faults.ordered import Ordered

SWEEPS = ("reconcile", "tend")
QUEUE = "maintenance"
# as many as keep every worker of that queue at it, so that what is asked for is done at once
MOST_WAITING = 12
# between two that were at it at the same time, as processes of equal rank come to write it down
AT_ONCE_SECONDS = 2.0


class TwoBeats(Ordered):
    """Two beats, as in every run here, and workers that do nothing but sweep while leases run out."""

    name = "two_beats"
    title = "two beats and two reconcilers at once, while leases run out"
    criterion = "another process sweeps at the same moment, every lost run is returned once, nothing is committed twice"
    times = 4
    action = orders.KILL_WORKER
    places = (("after_claim", "exif"), ("after_store", "renditions"), ("after_claim", "renditions"))

    def inject(self, world: Installation, chance: random.Random, *, times: int) -> int:
        """Lose some runs, and reconcile as if there were no tomorrow until they are back."""
        self.asked_for = 0
        self.sender = Sender(world)
        try:
            return super().inject(world, chance, times=times)
        finally:
            self.sender.close()

    def while_waiting(self, world: Installation) -> None:
        """Ask for more sweeps than there is time for."""
        for _ in range(max(0, MOST_WAITING - world.count_messages()[QUEUE])):
            self.sender.ring(SWEEPS[self.asked_for % len(SWEEPS)], queue=QUEUE)
            self.asked_for += 1

    def judge(self, world: Installation, injected: Injected) -> Judgement:
        """Count returns, and those beside which another process swept."""
        history = world.history.read(since=injected.since)
        found = recoveries(injected.events, history)
        returns = [event for event in history if event["kind"] == "expire_leases"]
        returned = sum(_returned(event) for event in returns)
        alone = [event for event in returns if not _has_company(event, history)]
        doubled = [run for run, count in commits_per_run(history).items() if count > 1]
        wrong = [one for one in found if not one.is_counted_right]
        times = [one.seconds for one in found if one.seconds is not None]
        return Judgement(
            passed=bool(found)
            and returned == len(found)
            and not (alone or wrong or doubled)
            and not self.unstruck(injected),
            figure=f"{self.asked_for} sweeps asked for; {len(found)} runs were lost, {returned} returned by "
            f"{len(returns)} sweeps, {len(alone)} of them without another at the same moment; {len(wrong)} counted "
            f"wrong, {len(doubled)} committed twice; p99 {seconds(percentile(times, 0.99))}; "
            f"{self.said_of_places(injected)}",
            recoveries=times,
        )


def _has_company(event: Event, history: Sequence[Event]) -> bool:
    """Tell whether another process looked for expired leases at the same moment."""
    start = bisect_left(history, event["t"] - AT_ONCE_SECONDS, key=_time)
    end = bisect_right(history, event["t"] + AT_ONCE_SECONDS, key=_time)
    others = {one["pid"] for one in history[start:end] if one["kind"] in {"expire_leases", "nothing_expired"}}
    return bool(others - {event["pid"]})


def _time(event: Event) -> float:
    return event["t"]


def _returned(event: Event) -> int:
    return sum(event["returned"].values())
