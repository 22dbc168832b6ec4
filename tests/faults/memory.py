"""How much memory the processes of an installation hold, over time, and whether it grows."""

import csv
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Self

import psutil

from faults.supervisor import Managed

# replacements are compared with those before them at the same age, to so many seconds
AGE_STEP_SECONDS = 60.0
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Sample:
    """One process at one moment; `t` in seconds since the start of the soak.

    All in bytes. `anonymous` is the resident memory that no file backs. A page that a child shares with its parent
    counts in both: it is copied some day, when a garbage collection touches it, and that is no growth. Pages of files
    are left out, since the system takes and gives them as it likes. `proportional` is the same with shared pages
    divided among those who share them, and `resident` is RSS: both for comparison.
    """

    t: float
    family: str
    pid: int
    is_parent: bool
    age: float
    anonymous: int
    proportional: int
    resident: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """A family's memory in the last third of a soak against the middle third, in bytes.

    `share` is 0.05 for five per cent more. `lives` is how many processes the family had: where they are as many as
    `size`, nobody was replaced, and the same processes are compared with themselves; otherwise those of one age.
    """

    family: str
    lives: int
    size: int
    middle: float
    last: float
    share: float
    per_hour: float


class Recorder:
    """Writes samples down, a line each."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with path.open("w", newline="") as file:
            csv.writer(file).writerow([field.name for field in fields(Sample)])

    def add(self, samples: Iterable[Sample]) -> None:
        """Write samples at the end of the file."""
        with self._path.open("a", newline="") as file:
            csv.writer(file).writerows(asdict(sample).values() for sample in samples)


class Trend:
    """The least squares line through points."""

    def __init__(self, points: Sequence[tuple[float, float]]) -> None:
        self.slope, self.intercept = statistics.linear_regression(*zip(*points, strict=True))

    @classmethod
    def of(cls, points: Sequence[tuple[float, float]]) -> Self | None:
        """Give the line; none through a single moment."""
        return cls(points) if len({x for x, _ in points}) > 1 else None


def sample(families: Mapping[str, Managed], *, t: float, now: float) -> list[Sample]:
    """Look at every process of every family; `now` is the wall clock. Those that end meanwhile are left out."""
    found = []
    for name, managed in families.items():
        if not managed.is_alive:
            continue
        for process in [managed.pid, *(child.pid for child in managed.children())]:
            try:
                found.append(_of_process(process, name, is_parent=process == managed.pid, t=t, now=now))
            except (psutil.Error, OSError):
                continue
    return found


def growth(samples: Sequence[Sample], *, seconds: float) -> Growth | None:
    """Compare one family's memory in the last third of so many seconds with the middle third; None of too few."""
    moments = _moments(samples)
    middle = [one for one in moments if seconds / 3 <= one[0] < 2 * seconds / 3]
    last = [one for one in moments if 2 * seconds / 3 <= one[0] <= seconds]
    if not middle or not last:
        return None
    before, after = (statistics.median(total for _, _, _, total in some) for some in (middle, last))
    pids = {pid for _, some, _, _ in (*middle, *last) for pid in some}
    size = max(len(some) for _, some, _, _ in (*middle, *last))
    is_same = len(pids) == size
    share = after / before - 1 if is_same else _growth_at_the_same_age(middle, last)
    if share is None:
        return None
    trend = Trend.of([(t, total) for t, _, _, total in (*middle, *last)])
    per_hour = trend.slope * 3600 / before if trend else 0.0
    return Growth(
        family=samples[0].family, lives=len(pids), size=size, middle=before, last=after, share=share, per_hour=per_hour
    )


# t, pids, age of the youngest, bytes in all
_Moment = tuple[float, frozenset[int], float, int]


def _moments(samples: Iterable[Sample]) -> list[_Moment]:
    """Sum each moment up, of those where the family was complete."""
    by_time: dict[float, list[Sample]] = defaultdict(list)
    for one in samples:
        by_time[one.t].append(one)
    complete = statistics.mode(len(some) for some in by_time.values()) if by_time else 0
    return [
        (t, frozenset(one.pid for one in some), min(one.age for one in some), sum(one.anonymous for one in some))
        for t, some in sorted(by_time.items())
        if len(some) == complete and any(one.is_parent for one in some)
    ]


def _growth_at_the_same_age(middle: Sequence[_Moment], last: Sequence[_Moment]) -> float | None:
    """Compare moments at which the youngest process was equally old; each age counts as often as it was met in both."""
    ages = [_by_age(middle), _by_age(last)]
    common = [age for age in sorted(ages[0].keys() & ages[1].keys()) if age > 0]  # the youngest are still loading
    weights = [min(len(ages[0][age]), len(ages[1][age])) for age in common]
    if not common:
        return None
    ratios = [statistics.median(ages[1][age]) / statistics.median(ages[0][age]) for age in common]
    return sum(ratio * weight for ratio, weight in zip(ratios, weights, strict=True)) / sum(weights) - 1


def _by_age(moments: Iterable[_Moment]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    for _, _, age, total in moments:
        found[int(age // AGE_STEP_SECONDS)].append(total)
    return found


def _of_process(pid: int, family: str, *, is_parent: bool, t: float, now: float) -> Sample:
    process = psutil.Process(pid)
    status, shares = (_fields(Path(f"/proc/{pid}/{name}")) for name in ("status", "smaps_rollup"))
    return Sample(
        t=t,
        family=family,
        pid=pid,
        is_parent=is_parent,
        age=round(now - process.create_time(), 1),
        anonymous=1024 * (status["RssAnon"] + status["RssShmem"]),
        proportional=1024 * (shares["Pss_Anon"] + shares["Pss_Shmem"]),
        resident=process.memory_info().rss,
    )


def _fields(path: Path) -> dict[str, int]:
    """Read the fields of a file of /proc that are numbers; memory is in KiB."""
    pairs = (line.partition(":")[::2] for line in path.read_text().splitlines())
    return {name: int(value.split()[0]) for name, value in pairs if value.split()[:1] and value.split()[0].isdigit()}
