"""How long work will take: from what the last runs took, and the processes of the live workers."""

from collections.abc import Mapping
from dataclasses import dataclass

from processing import backlog
from processing.models import RunState, StageRun, WorkerPresence

RUNS_LOOKED_AT = 20_000


@dataclass(frozen=True, slots=True)
class Estimate:
    """Seconds until runs are done if nothing else is; none if it cannot be said, with the reasons why not."""

    seconds: float | None
    reasons: list[str]


def estimate(runs: Mapping[str, int]) -> Estimate:
    """Estimate how long so many runs of each stage take, with the workers that are there.

    Workers that share a queue share its work; those that share none work side by side, so the longest counts.
    """
    means, queues = recent_seconds(), backlog.queues()
    workers = list(
        WorkerPresence.objects.alive().filter(draining_since__isnull=True).values_list("queues", "processes")
    )
    wanted = {stage: count for stage, count in runs.items() if count}
    reasons = [f"no run of {stage} was done lately" for stage in wanted if stage not in means]
    served = {queue for queues_of_worker, _ in workers for queue in queues_of_worker}
    reasons += [f"no live worker serves the queue {queue}" for queue in _queues_without(wanted, queues, served)]
    if reasons:
        return Estimate(None, reasons)
    longest = 0.0
    for group in _groups([set(queues_of_worker) for queues_of_worker, _ in workers]):
        work = sum(count * means[stage] for stage, count in wanted.items() if queues[stage] in group)
        processes = sum(count for queues_of_worker, count in workers if group & set(queues_of_worker))
        longest = max(longest, work / max(1, processes))
    return Estimate(longest, [])


def recent_seconds() -> dict[str, float]:
    """Give the mean seconds of work of a run, by stage, of the runs that were done last."""
    done = StageRun.objects.filter(state=RunState.DONE, work_seconds__isnull=False, finished_at__isnull=False)
    totals: dict[str, list[float]] = {}
    for stage, seconds in done.order_by("-finished_at").values_list("stage", "work_seconds")[:RUNS_LOOKED_AT]:
        totals.setdefault(stage, []).append(seconds)
    return {stage: sum(found) / len(found) for stage, found in totals.items()}


def _queues_without(wanted: Mapping[str, int], queues: Mapping[str, str], served: set[str]) -> list[str]:
    return sorted({queues[stage] for stage in wanted} - served)


def _groups(sets: list[set[str]]) -> list[set[str]]:
    """Join sets that have anything in common."""
    groups: list[set[str]] = []
    for one in sets:
        joined = one.union(*(group for group in groups if group & one))
        groups = [group for group in groups if not group & one] + [joined]
    return groups
