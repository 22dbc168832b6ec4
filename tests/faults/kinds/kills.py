"""Processes that die: a pool's child, a whole worker."""

from collections.abc import Sequence

from faults import orders
from faults.fault import Injected, Judgement
from faults.installation import Installation
from faults.measures import Recovery, percentile, recoveries, rung_again, seconds
from faults.ordered import BEFORE_CLAIM, EMPTY_HANDED, LOADING, Ordered

LIMIT_SECONDS = 10.0


class _Kill(Ordered):
    """What both have in common: no place is left out in silence."""

    def is_complete(self, injected: Injected, waits: Sequence[float | None]) -> bool:
        """Tell whether somebody was struck at every point that was asked for, and who held nothing was missed."""
        is_asked_empty_handed = any(point == BEFORE_CLAIM for point, _ in self.asked)
        return not self.unstruck(injected) and (bool(waits) or not is_asked_empty_handed)


class ChildKill(_Kill):
    """SIGKILL of the process that works, and of it alone."""

    name = "child_kill"
    title = "SIGKILL of a pool child at each of nine points, in each stage"
    criterion = (
        "next attempt within 10 s (p99), or the model's load + 10 s; the right attempt is counted; no lease runs out"
    )
    times = 112
    least = 9
    action = orders.KILL_CHILD

    def judge(self, world: Installation, injected: Injected) -> Judgement:
        """Look at the next claim of every run that the child held, and of every photo that had rung for it."""
        history = world.history.read(since=injected.since)
        found, limit = recoveries(injected.events, history), LIMIT_SECONDS + world.timing.slack
        late = [one for one in found if one.seconds is None or one.seconds > limit + _loading(one)]
        wrong = [one for one in found if one.seconds is not None and not one.is_counted_right]
        loading = percentile((_loading(one) for one in found if _loading(one)), 0.5)
        expired = [event for event in history if event["kind"] == "expire_leases"]
        waits = _waits(world, injected, is_loading=False)
        loading_waits = _waits(world, injected, is_loading=True)
        late_rings = _later_than(limit, waits) + _later_than(limit + (loading or 0), loading_waits)
        waits += loading_waits
        times = [one.seconds for one in found if one.seconds is not None] + [wait for wait in waits if wait is not None]
        return Judgement(
            passed=bool(found)
            and _within(late, found)
            and not (wrong or expired)
            and _within(late_rings, waits)
            and self.is_complete(injected, waits),
            figure=f"{len(found)} runs lost, {len(late)} late, {len(wrong)} counted wrong; {len(waits)} photos had "
            f"rung for a process that held nothing, {len(late_rings)} waited too long; a child of models "
            f"loads in {seconds(loading)}; {len(expired)} leases ran out; {self.said_of_places(injected)}",
            recoveries=times,
            remarks=[
                f"{one.stage} at {one.point}: attempt {one.attempt} of {one.company}, next attempt {one.next_attempt} "
                f"after {seconds(one.seconds)} (run {one.run})"
                for one in (*late, *wrong)
            ],
        )


class WorkerKill(_Kill):
    """SIGKILL of a worker and its pool at once: nobody is left to give anything back."""

    name = "worker_kill"
    title = "SIGKILL of a whole worker at the same points"
    criterion = "resumed within lease + sweep (p99), whatever the visibility timeout"
    times = 20
    least = 2
    action = orders.KILL_WORKER
    together = 4

    def judge(self, world: Installation, injected: Injected) -> Judgement:
        """Look at the next claim of every run that the worker held, and of every photo that had rung for it."""
        found = recoveries(injected.events, world.history.read(since=injected.since))
        limit = world.timing.lease + world.timing.sweep + world.timing.slack
        waits = _waits(world, injected)
        times = [one for one in (*(loss.seconds for loss in found), *waits) if one is not None]
        gone = [one for one in found if one.seconds is None]
        wrong = [one for one in found if one.seconds is not None and not one.is_counted_right]
        p99 = percentile(times, 0.99)
        return Judgement(
            passed=bool(found)
            and p99 is not None
            and p99 <= limit
            and not (gone or wrong)
            and None not in waits
            and self.is_complete(injected, waits),
            figure=f"{len(found)} runs lost, {len(waits)} photos had rung for a worker that held nothing; p99 "
            f"{seconds(p99)} of {limit} s allowed, {len(wrong)} counted wrong, {len(gone) + waits.count(None)} not "
            f"taken up again; {self.said_of_places(injected)}",
            recoveries=times,
            remarks=[
                f"{one.stage} at {one.point}: attempt {one.attempt} of {one.company}, next attempt "
                f"{one.next_attempt} (run {one.run})"
                for one in (*wrong, *gone)
            ],
        )


def _waits(world: Installation, injected: Injected, *, is_loading: bool | None = None) -> list[float | None]:
    """Give how long each photo waited that had rung for somebody who held nothing; of stages that load models, or not.

    All of history is looked at: what was claimed before the fault has not waited.
    """
    struck = [
        event
        for event in injected.events
        if event["point"] in EMPTY_HANDED and is_loading in (None, event["stage"] in LOADING)
    ]
    return rung_again(struck, world.history.read())


def _later_than(limit: float, waits: Sequence[float | None]) -> list[float | None]:
    return [wait for wait in waits if wait is None or wait > limit]


def _loading(one: Recovery) -> float:
    return one.loading if one.stage in LOADING else 0.0


def _within(late: Sequence[object], all_of_them: Sequence[object]) -> bool:
    """Tell whether at least 99 of 100 were in time."""
    return len(late) <= 0.01 * len(all_of_them)
