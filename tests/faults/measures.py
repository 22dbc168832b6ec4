"""Figures from the events: how long until a lost run was taken up again, and with which attempt."""

import math
from collections import defaultdict
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

from faults.events import Event

Claims = dict[str, list[Event]]


@dataclass(frozen=True, slots=True)
class Recovery:
    """A run that was lost, and its next claim. `seconds` is None where there was none.

    `loading` is how much of it a process that was born after the loss took to load what it needs.
    """

    run: str
    stage: str
    point: str
    seconds: float | None
    attempt: int
    next_attempt: int | None
    company: int
    loading: float = 0.0

    @property
    def is_counted_right(self) -> bool:
        """A loss suffered alone is an attempt; one in company is not, and the run is claimed alone next."""
        expected = self.attempt + 1 if self.company <= 1 else self.attempt
        return self.next_attempt == expected


def percentile(values: Iterable[float], share: float) -> float | None:
    """Give the nearest-rank percentile, of `share` in 0 to 1; None of nothing."""
    ordered = sorted(values)
    if not ordered:
        return None
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def claims_of(history: Iterable[Event]) -> Claims:
    """Give the claims of each run in order of time: when, by which process, which attempt."""
    claims: Claims = defaultdict(list)
    for event in history:
        if event["kind"] == "claim":
            for run in event["runs"]:
                claims[run["run"]].append({"t": event["t"], "pid": event["pid"], "attempt": run["attempt"]})
    return claims


def recoveries(
    injections: Iterable[Event], history: Sequence[Event], *, ends: Container[str] = frozenset()
) -> list[Recovery]:
    """Give the next claim of each run that was held by whoever was struck.

    With `ends`, an event of one of these kinds will do as well: the holder is alive, and may finish by itself. There
    is no `next_attempt` then.
    """
    claims, loads = claims_of(history), loads_of(history)
    ended: dict[str, list[float]] = defaultdict(list)
    for event in history:
        if event["kind"] in ends:
            ended[event["run"]].append(event["t"])
    found = []
    for event in injections:
        for run in event["runs"]:
            claim = next((claim for claim in claims[run["run"]] if claim["t"] > event["t"]), None)
            end = next((t for t in ended[run["run"]] if t > event["t"]), None)
            moved = [t for t in (claim and claim["t"], end) if t]
            is_claimed = claim is not None and (end is None or claim["t"] < end)
            born, loading = loads.get(claim["pid"], (0.0, 0.0)) if claim else (0.0, 0.0)
            found.append(
                Recovery(
                    run=run["run"],
                    stage=event["stage"],
                    point=event["point"],
                    seconds=min(moved) - event["t"] if moved else None,
                    attempt=run["attempt"],
                    next_attempt=claim["attempt"] if claim and is_claimed else None,
                    company=event["company"],
                    loading=loading if born > event["t"] else 0.0,
                )
            )
    return found


def rung_again(injections: Iterable[Event], history: Sequence[Event]) -> list[float | None]:
    """Say how long the photos that rang for a process waited for another one, where it died before its claim.

    None where a photo's run was not claimed at all after that. Those that were claimed before have not waited.
    """
    claims: dict[tuple[str, str], list[float]] = defaultdict(list)
    for event in history:
        if event["kind"] == "claim":
            for run in event["runs"]:
                claims[event["stage"], run["subject"]].append(event["t"])
    waits: list[float | None] = []
    for event in injections:
        for photo in event["rung_by"]:
            times = claims[event["stage"], photo]
            if any(time < event["t"] for time in times):
                continue
            waits.append(times[0] - event["t"] if times else None)
    return waits


def loads_of(history: Iterable[Event]) -> dict[int, tuple[float, float]]:
    """Give, by process, when it was born and how long it took to load, until it could claim.

    What it loads after a claim delays no claim that is measured.
    """
    return {
        event["pid"]: (event["t"] - event["seconds"], event["seconds"]) for event in history if event["kind"] == "ready"
    }


def commits_per_run(history: Iterable[Event]) -> dict[str, int]:
    """Count the committed effects of each run."""
    counts: dict[str, int] = defaultdict(int)
    for event in history:
        if event["kind"] == "commit":
            counts[event["run"]] += 1
    return counts


def seconds(value: float | None) -> str:
    """Write a time for a table."""
    return "-" if value is None else f"{value:.1f} s" if value >= 0.1 else f"{value * 1000:.1f} ms"
