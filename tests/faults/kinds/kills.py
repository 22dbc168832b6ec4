"""Processes that die: a pool's child, a whole worker."""

from collections.abc import Sequence

from faults import orders
from faults.fault import Injected, Judgement
from faults.installation import Installation
from faults.measures import Recovery, percentile, recoveries, rung_again, seconds
from faults.ordered import LOADING, Ordered

LIMIT_SECONDS = 10.0


class ChildKill(Ordered):
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
        """Look at the next claim of every run that the child held."""
        history = world.history.read(since=injected.since)
        found, limit = recoveries(injected.events, history), LIMIT_SECONDS + world.timing.slack
        late = [one for one in found if one.seconds is None or one.seconds > limit + _loading(one)]
        wrong = [one for one in found if one.seconds is not None and not one.is_counted_right]
        loading = percentile((_loading(one) for one in found if _loading(one)), 0.5)
        expired = [event for event in history if event["kind"] == "expire_leases"]
        before = [event for event in injected.events if event["point"] == "before_claim"]
        waits = rung_again(before, world.history.read())
        late_rings = [wait for wait in waits if wait is None or wait > limit + (loading or 0)]
        times = [one.seconds for one in found if one.seconds is not None] + [wait for wait in waits if wait is not None]
        return Judgement(
            passed=bool(found) and _within(late, found) and not (wrong or expired) and _within(late_rings, waits),
            figure=f"{len(found)} runs lost, {len(late)} late, {len(wrong)} counted wrong; {len(waits)} photos had "
            f"rung for a process that died before its claim, {len(late_rings)} waited too long; a child of models "
            f"loads in {seconds(loading)}; {len(expired)} leases ran out",
            recoveries=times,
            remarks=[
                f"{one.stage} at {one.point}: attempt {one.attempt} of {one.company}, next attempt {one.next_attempt} "
                f"after {seconds(one.seconds)} (run {one.run})"
                for one in (*late, *wrong)
            ],
        )


class WorkerKill(Ordered):
    """SIGKILL of a worker and its pool at once: nobody is left to give anything back."""

    name = "worker_kill"
    title = "SIGKILL of a whole worker at the same points"
    criterion = "resumed within lease + sweep (p99), whatever the visibility timeout"
    times = 28
    least = 2
    action = orders.KILL_WORKER
    together = 4

    def judge(self, world: Installation, injected: Injected) -> Judgement:
        """Look at the next claim of every run that the worker held."""
        found = recoveries(injected.events, world.history.read(since=injected.since))
        limit = world.timing.lease + world.timing.sweep + world.timing.slack
        times = [one.seconds for one in found if one.seconds is not None]
        gone = [one for one in found if one.seconds is None]
        wrong = [one for one in found if one.seconds is not None and not one.is_counted_right]
        p99 = percentile(times, 0.99)
        return Judgement(
            passed=p99 is not None and p99 <= limit and not gone and not wrong,
            figure=f"{len(found)} runs lost, p99 {seconds(p99)} of {limit} s allowed, {len(wrong)} counted wrong, "
            f"{len(gone)} not taken up again",
            recoveries=times,
            remarks=[
                f"{one.stage} at {one.point}: attempt {one.attempt} of {one.company}, next attempt "
                f"{one.next_attempt} (run {one.run})"
                for one in (*wrong, *gone)
            ],
        )


def _loading(one: Recovery) -> float:
    return one.loading if one.stage in LOADING else 0.0


def _within(late: Sequence[object], all_of_them: Sequence[object]) -> bool:
    """Tell whether at least 99 of 100 were in time."""
    return len(late) <= 0.01 * len(all_of_them)
