"""How many processors this process may use, which in a container is fewer than the host has."""

import os
from collections.abc import Iterator
from pathlib import Path

_CGROUPS, _MEMBERSHIP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def usable_cpus(*, cgroups: Path = _CGROUPS, membership: Path = _MEMBERSHIP) -> float:
    """Give the processors that the affinity and the CPU quotas of the control groups leave; a quota may be a fraction.

    Where there are no control groups, or none that can be read, the affinity alone counts.
    """
    # not every system tells the affinity of a process
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min([float(cores), *_quotas(cgroups, membership)])


def _quotas(cgroups: Path, membership: Path) -> Iterator[float]:
    """Yield the quotas of this process's group and of those around it, in processors."""
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _number, controllers, group = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        mounted = cgroups / controllers if controllers else cgroups
        # in a container the file system begins at its own group, while the name may be the host's
        inside = Path(group.lstrip("/"))
        for folder in (mounted / inside, *(mounted / above for above in inside.parents), mounted):
            quota = _quota_of_version_1(folder) if controllers else _quota_of_version_2(folder)
            if quota is not None and quota > 0:
                yield quota


def _quota_of_version_2(folder: Path) -> float | None:
    """Read `cpu.max`: microseconds or "max", then the period."""
    return _ratio(_words(folder / "cpu.max"))


def _quota_of_version_1(folder: Path) -> float | None:
    """Read the two files of the first version, whose quota is -1 where there is none."""
    return _ratio([*_words(folder / "cpu.cfs_quota_us"), *_words(folder / "cpu.cfs_period_us")])


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []


def _ratio(words: list[str]) -> float | None:
    if len(words) != 2 or words[0] == "max":
        return None
    quota, period = (int(word) for word in words)
    return quota / period if period > 0 else None
